//! A small table with a field of every type, and rows of it.

use std::sync::Arc;

use alluvium::model::{Block, Column, SeriesId, SeriesKey, TableSchema};
use alluvium::record::{
    Deletion, Effect, Moment, Receipt, ReceiptKind, Record, Sealed, SegmentEntry, SegmentId, SeriesSelection, Transaction,
};
use alluvium::{FieldType, PartitionKind, TableSpec, TimeRange, internals, model};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};

/// 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000_000_000;

/// Name and type of each field.
const FIELDS: [(&str, FieldType); 8] = [
    ("f64", FieldType::Float64),
    ("f32", FieldType::Float32),
    ("i64", FieldType::Int64),
    ("u64", FieldType::UInt64),
    ("bool", FieldType::Bool),
    ("text", FieldType::Utf8),
    ("bytes", FieldType::Binary),
    ("money", FieldType::Decimal { scale: 2 }),
];

pub fn schema() -> Arc<TableSchema> {
    narrow_schema(&[0, 1, 2, 3, 4, 5, 6, 7])
}

/// The table with only some of its fields.
pub fn narrow_schema(fields: &[usize]) -> Arc<TableSchema> {
    let fields = fields.iter().map(|field| FIELDS[*field]);
    let spec = fields.fold(TableSpec::new("air").tag("room"), |spec, (name, kind)| spec.field(name, kind));
    internals::schema(spec).expect("a sound table")
}

/// Only some of the fields of rows.
pub fn narrow(block: Block, fields: &[usize]) -> Block {
    Block { columns: fields.iter().map(|field| block.columns[*field].clone()).collect(), ..block }
}

/// Rows of a few series, from a moment on. Every seventh value is missing.
pub fn block(first_series: u32, series: u32, rows: usize, start: i64) -> Block {
    let all = series as usize * rows;
    let ids: Vec<u32> = (first_series..first_series + series).flat_map(|id| vec![id; rows]).collect();
    let times: Vec<i64> = (0..all).map(|row| start + (row % rows) as i64 * 60_000_000).collect();
    let there = |row: &usize| row % 7 != 3;
    let numbers = || (0..all).map(|row| there(&row).then_some(row));
    let text = |row: usize| ["idle", "running", "", "état"][row % 4];
    let columns: Vec<Column> = vec![
        array(Float64Array::from_iter(numbers().map(|row| row.map(|row| 20.0 + row as f64 / 10.0)))),
        array(Float32Array::from_iter(numbers().map(|row| row.map(|row| row as f32 / 3.0)))),
        array(Int64Array::from_iter(numbers().map(|row| row.map(|row| row as i64 - 5)))),
        array(UInt64Array::from_iter(numbers().map(|row| row.map(|row| row as u64 * 1_000)))),
        array(BooleanArray::from_iter(numbers().map(|row| row.map(|row| row % 3 == 0)))),
        array(StringArray::from_iter(numbers().map(|row| row.map(text)))),
        array(BinaryArray::from_iter(numbers().map(|row| row.map(|row| vec![row as u8; row % 3])))),
        array(money(numbers().map(|row| row.map(|row| row as i64 * 5)).collect())),
    ];
    Block { series: ids.into(), times: times.into(), columns }
}

fn money(values: Vec<Option<i64>>) -> Decimal64Array {
    Decimal64Array::from(values).with_precision_and_scale(18, 2).expect("a decimal")
}

fn array(array: impl arrow::array::Array + 'static) -> Column {
    Some(Arc::new(array) as ArrayRef)
}

pub fn keys(rooms: &[&str]) -> Vec<SeriesKey> {
    let key = |room: &&str| SeriesKey(vec![Some((*room).to_owned()).filter(|room| !room.is_empty())]);
    rooms.iter().map(key).collect()
}

/// One record of each kind, in an order in which each finds what it needs.
pub fn records() -> Vec<Record> {
    let schema = schema();
    let table = schema.id;
    vec![
        Record::CreateTable(TableSchema::clone(&schema)),
        Record::CreateSeries { table, first: SeriesId(0), keys: keys(&["A", ""]) },
        Record::PutRows { table, block: block(0, 2, 8, START) },
        Record::AlterTable(schema.extended(&["site".to_owned()], &[("late".to_owned(), FieldType::Bool)]).expect("room")),
        Record::CreateSeries {
            table,
            first: SeriesId(2),
            keys: vec![SeriesKey(vec![Some("B".to_owned()), Some("north".to_owned())])],
        },
        Record::PutRows { table, block: block(1, 2, 3, START + 120_000_000) },
        Record::DeleteRows(Deletion {
            table,
            series: SeriesSelection::Only(vec![SeriesId(0)]),
            range: TimeRange::new(START, START + 180_000_000),
        }),
        Record::DeleteRows(Deletion { table, series: SeriesSelection::All, range: TimeRange::new(START, START + 1) }),
        Record::Receipt(receipt()),
        Record::Sealed(Sealed { through: 6, segments: Vec::new() }),
        Record::Sealed(Sealed { through: 7, segments: vec![entry()] }),
        Record::Compacted(alluvium::record::Compacted {
            removed: vec![SegmentId(1)],
            added: vec![SegmentEntry { id: SegmentId(2), ..entry() }],
            retired_deletions: vec![7],
        }),
        Record::Evicted(alluvium::record::Evicted {
            table,
            removed: vec![SegmentId(2)],
            total: alluvium::record::Evictions {
                segments: 1,
                rows: 3,
                bytes: 4_096,
                unheld_rows: 3,
                times: (START, START + 180_000_000),
                last_sequence: 7,
                at_micros: START,
            },
            receipt: Some(receipt()),
        }),
        Record::Transaction(Transaction {
            at: Moment { engine_micros: 5_000_000, wall_micros: START },
            cells: vec![
                effect(b"\x10pump/7", Some(b"\xff\xff\xff\xff\xff\xff\xff\xffon")),
                effect(b"\x10pump/8", Some(b"\0\0\0\0\0\x4c\x4b\x41off")),
                effect(b"\x10pump/9", None),
                effect(b"\x90\0\0\0\0\0\x4c\x4b\x41\x10pump/8", Some(b"")),
            ],
            rows: vec![(table, block(0, 1, 2, START + 240_000_000))],
            deletions: Vec::new(),
        }),
        Record::Transaction(Transaction {
            at: Moment { engine_micros: 6_000_000, wall_micros: START },
            cells: Vec::new(),
            rows: Vec::new(),
            deletions: vec![
                Deletion { table, series: SeriesSelection::All, range: TimeRange::new(START, START + 2) },
                Deletion {
                    table: model::TableId(1),
                    series: SeriesSelection::Only(vec![SeriesId(0), SeriesId(2)]),
                    range: TimeRange::new(START, START + 180_000_000),
                },
            ],
        }),
        Record::DropTable(TableSchema { version: 9, ..TableSchema::clone(&schema) }),
    ]
}

fn effect(key: &[u8], value: Option<&[u8]>) -> Effect {
    Effect { key: key.into(), value: value.map(Arc::from) }
}

pub fn receipt() -> Receipt {
    Receipt {
        at_micros: START,
        kind: ReceiptKind::LogDamage,
        file: "log/0000000001.log".to_owned(),
        sequences: Some((3, 4)),
        table: Some(model::TableId(0)),
        series: vec![SeriesId(1)],
        times: Some((START, START + 1)),
        bytes: 4_096,
        detail: "records 3 to 4 are lost".to_owned(),
    }
}

pub fn entry() -> SegmentEntry {
    let range = TimeRange::new(START - START % 86_400_000_000, START - START % 86_400_000_000 + 86_400_000_000);
    SegmentEntry {
        id: SegmentId(1),
        table: model::TableId(0),
        partition: Some(model::Partition { kind: PartitionKind::Day, range }),
        first_sequence: 3,
        last_sequence: 6,
        deletions_through: 6,
        rows: 16,
        points: 100,
        bytes: 3_000,
        times: (START, START + 420_000_000),
        series: 2,
        hash: [7; 32],
        index: Vec::new(),
    }
}
