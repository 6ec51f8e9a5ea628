//! Bytes that lie on disks: if one of these changes, old directories no longer read. All expectations are worked out by hand
//! from the tables in the modules.

use super::super::codec::Encoding;
use super::super::index::{ColumnLayout, DictionaryLayout, PageLayout};
use super::super::values::ColumnKind;
use super::super::{note, statistics};
use super::*;
use crate::model::{
    FieldStatistics, FieldType, Partition, PartitionKind, SeriesId, SeriesKey, Sum, TableId, TableSpec, TimeRange, TimeUnit,
    Value,
};
use crate::segment::layout::PageSpan;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::printer::print_schema;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn slices() -> Vec<Slice> {
    let long = Slice { series: SeriesId(4), page: 0, first_row: 0, rows: 600, min_time: 1_000_000, max_time: 1_599_000 };
    vec![long, Slice { series: SeriesId(2), page: 0, first_row: 600, rows: 2, min_time: 5, max_time: 6 }]
}

fn columns() -> Vec<ColumnLayout> {
    let page = |offset, header, stored, plain, present| vec![PageLayout { offset, header, stored, plain, present }];
    vec![
        ColumnLayout {
            kind: ColumnKind::Time(TimeUnit::Micro),
            encoding: Encoding::DeltaBytes,
            zstd: true,
            dictionary: None,
            pages: page(4, 20, 300, 1_300, 602),
        },
        ColumnLayout {
            kind: ColumnKind::Tag,
            encoding: Encoding::Dictionary,
            zstd: false,
            dictionary: Some(DictionaryLayout { offset: 324, header: 15, entries: 2, plain: 10, frames: vec![10] }),
            pages: page(349, 21, 12, 12, 602),
        },
        ColumnLayout {
            kind: ColumnKind::Field(FieldType::Decimal { scale: 2 }),
            encoding: Encoding::Delta,
            zstd: false,
            dictionary: None,
            pages: page(382, 22, 100, 100, 601),
        },
    ]
}

fn known() -> Known {
    Known::Values(FieldStatistics {
        count: 599,
        sum: Some(Sum::Integer(1_234)),
        min: Value::Decimal(-5),
        max: Value::Decimal(10),
        first: (1_001_000, Value::Decimal(0)),
        last: (1_599_000, Value::Decimal(10)),
    })
}

/// Flags: counted, and times other than the slice's; count; distances of the times; sum 2 * 1234, high half; -5, then 15, 5 and
/// 15 more than that.
const STATISTICS: &str = "18d704e80700a41300090f050f";

const INDEX: &str = concat!(
    "01",                           // version
    "01da04",                       // one page of 602 rows
    "02",                           // two slices
    "0800d80480897ad8c724",         // series 4, page 0, 600 rows, from 1,000,000 for 599,000
    "030002a598c30101",             // series 2 before, same page, 2 rows, 1,598,995 earlier for 1
    "0101",                         // tags, fields
    "040105010014ac02940ada04",     // 4 on; microseconds; delta in bytes; zstd; no dictionary; page
    "00030100020f0a010a150c0cda04", // 0 on; tag; dictionary; no zstd; 2 entries, sizes, 1 frame; page
    "000b020400001664",             // 0 on; decimal(2); delta; no zstd; no dictionary; page
    "64d904",
    "0d", // bytes of statistics
    "18d704e80700a41300090f050f",
    "a09c01",           // 20,000 bytes of file
    "04030201ffffffff", // CRCs of its two blocks
);

#[test]
fn index_bytes_are_frozen() {
    let mut bytes = Vec::new();
    statistics::encode(&known(), &slices()[0], &mut bytes);
    assert_eq!(hex(&bytes), STATISTICS);
    let pages = vec![PageSpan { first_row: 0, rows: 602 }];
    let index = SegmentIndex::new(pages, slices(), 1, columns(), bytes, 20_000, vec![0x0102_0304, u32::MAX]).unwrap();
    assert_eq!(hex(&index.encode()), INDEX);
    assert_eq!(SegmentIndex::decode(&index.encode()).unwrap(), index);
    assert_eq!(index.statistics(0, 0), known());
    assert_eq!(index.statistics(1, 0), Known::Nothing);
    assert_eq!(index.series_slices(SeriesId(2)), 1..2);
}

#[test]
fn notes_are_frozen() {
    let schema = TableSpec::new("air").tag("room").field("co2", FieldType::Decimal { scale: 2 }).into_schema(TableId(1)).unwrap();
    let partition = Partition { kind: PartitionKind::Day, range: TimeRange::new(0, 86_400_000_000) };
    let spec = SegmentSpec {
        schema: &schema,
        id: SegmentId(7),
        partition: Some(partition),
        sequences: (10, 20),
        profile: Profile::Open,
    };
    let pages = vec![PageSpan { first_row: 0, rows: 602 }];
    let mut bytes = Vec::new();
    statistics::encode(&known(), &slices()[0], &mut bytes);
    let index = SegmentIndex::new(pages, slices(), 1, columns(), bytes, 0, Vec::new()).unwrap();
    let bytes = note::encode(&spec, &index).unwrap();
    let note = concat!(
        "20000000",           // 32 bytes of note
        "0103616972",         // table 1, "air"
        "0100",               // schema version 1, partitioning automatic
        "0104726f6f6d02",     // one tag: "room", number 2
        "0103636f3203",       // one field: "co2", number 3
        "070a14",             // segment 7, sequences 10 to 20
        "0101008080bbdd8305", // a day from 0 to 86,400,000,000
    );
    assert_eq!(hex(&bytes[..36]), note);
    assert!(INDEX.starts_with(&hex(&bytes[36..])));
    let (read, rest) = note::decode(&bytes).unwrap();
    assert_eq!(rest.len() + 36, bytes.len());
    let told = read.tell(&columns()).unwrap();
    assert_eq!((told.schema, told.partition, told.sequences), (schema, Some(partition), (10, 20)));
}

/// The footer of a segment with a field of every type.
fn footer() -> ParquetMetaData {
    let kinds = [
        FieldType::Float64,
        FieldType::Float32,
        FieldType::Int64,
        FieldType::UInt64,
        FieldType::Bool,
        FieldType::Utf8,
        FieldType::Binary,
        FieldType::Decimal { scale: 2 },
    ];
    let spec = kinds.iter().fold(TableSpec::new("air").tag("room"), |spec, kind| spec.field(format!("{kind}"), *kind));
    let schema = spec.into_schema(TableId(1)).unwrap();
    let mut rows = Rows {
        runs: vec![SeriesRun { series: SeriesId(0), key: SeriesKey(vec![Some("A".to_owned())]), rows: 3 }],
        times: vec![1, 2, 3],
        columns: vec![None; kinds.len()],
    };
    let written = written(&schema, &mut rows, Profile::Open);
    let mut file = Vec::new();
    written.disk.corrupt(&written.path, |bytes| file = bytes.clone()).unwrap();
    assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let (body, length) = file[..file.len() - 4].split_last_chunk().unwrap();
    let footer = &body[body.len() - u32::from_le_bytes(*length) as usize..];
    ParquetMetaDataReader::decode_metadata(footer).unwrap()
}

#[test]
fn parquet_schema_and_footer_are_frozen() {
    let metadata = footer();
    let file = metadata.file_metadata();
    let mut schema = Vec::new();
    print_schema(&mut schema, file.schema());
    let expected = "\
message schema {
  REQUIRED INT64 time [1] (TIMESTAMP(MICROS,true));
  OPTIONAL BYTE_ARRAY room [2] (STRING);
  OPTIONAL DOUBLE float64 [3];
  OPTIONAL FLOAT float32 [4];
  OPTIONAL INT64 int64 [5];
  OPTIONAL INT64 uint64 [6] (INTEGER(64,false));
  OPTIONAL BOOLEAN bool [7];
  OPTIONAL BYTE_ARRAY utf8 [8] (STRING);
  OPTIONAL BYTE_ARRAY binary [9];
  OPTIONAL INT64 decimal(2) [10] (DECIMAL(18,2));
}
";
    assert_eq!(String::from_utf8(schema).unwrap(), expected);
    assert_eq!((file.version(), file.num_rows(), metadata.num_row_groups()), (2, 3, 1));
    assert!(file.created_by().unwrap().starts_with("alluvium version "));
    let pairs: Vec<_> =
        file.key_value_metadata().unwrap().iter().map(|pair| (pair.key.as_str(), pair.value.as_deref())).collect();
    assert!(matches!(pairs[0], ("alluvium", Some(place)) if place.split_once(':').is_some()), "{pairs:?}");
    assert_eq!(pairs[1..], [("alluvium.table", Some("air")), ("alluvium.sequences", Some("10-20"))]);
    let group = metadata.row_group(0);
    let sorting: Vec<_> =
        group.sorting_columns().unwrap().iter().map(|by| (by.column_idx, by.descending, by.nulls_first)).collect();
    assert_eq!(sorting, [(1, false, true), (0, false, true)]);
    for column in group.columns() {
        let nulls = column.statistics().unwrap().null_count_opt();
        let expected = if ["time", "room"].contains(&column.column_path().string().as_str()) { 0 } else { 3 };
        assert_eq!(nulls, Some(expected), "{}", column.column_path());
        assert!(column.offset_index_range().is_some() && column.column_index_range().is_some());
    }
}
