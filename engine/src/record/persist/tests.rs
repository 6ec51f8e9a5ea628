use std::fmt::Debug;

use super::super::{
    Compacted, DecodeError, Deletion, Evicted, Evictions, Receipt, ReceiptKind, Sealed, SegmentEntry, SegmentId, SeriesSelection,
};
use super::{deletion, evicted, receipt, segment, series, table};
use crate::model::{
    Field, FieldType, Partition, PartitionKind, Partitioning, SeriesId, SeriesKey, TableId, TableSchema, Tag, TimeRange, TimeUnit,
};

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The bytes are exactly these, read back as the same value, and no truncation, extension or flipped bit panics.
fn golden<T: PartialEq + Debug>(value: &T, encoded: Vec<u8>, hex: &str, decode: impl Fn(&[u8]) -> Result<T, DecodeError>) {
    assert_eq!(encoded, bytes(hex));
    assert_eq!(&decode(&encoded).unwrap(), value);
    for len in 0..encoded.len() {
        assert!(decode(&encoded[..len]).is_err(), "cut to {len} bytes");
    }
    let mut longer = encoded.clone();
    longer.push(0);
    assert!(decode(&longer).is_err(), "trailing byte");
    for bit in 0..encoded.len() * 8 {
        let mut flipped = encoded.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = decode(&flipped);
    }
}

fn schema() -> TableSchema {
    TableSchema {
        id: TableId(7),
        name: "air".into(),
        version: 300,
        time_unit: TimeUnit::Micro,
        partitioning: Partitioning::Day,
        tags: vec![Tag { name: "room".into(), id: 2 }],
        fields: vec![
            Field { name: "co2".into(), id: 3, kind: FieldType::Float64 },
            Field { name: "t".into(), id: 4, kind: FieldType::Decimal { scale: 2 } },
        ],
    }
}

fn entry() -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(300),
        table: TableId(7),
        partition: Some(Partition { kind: PartitionKind::Day, range: TimeRange::new(0, 86_400) }),
        first_sequence: 1,
        last_sequence: 9,
        deletions_through: 9,
        rows: 5,
        points: 50,
        bytes: 4096,
        times: (-1, 1),
        series: 2,
        hash: [0xab; 32],
        index: vec![1, 2, 3],
    }
}

const ENTRY: &str = "ac 02 07 01 01 00 80 c6 0a 01 09 09 05 32 80 20 01 02 02 \
    ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab 03 01 02 03";

#[test]
fn table_schema() {
    let hex = "07 03 61 69 72 ac 02 01 02 01 04 72 6f 6f 6d 02 02 03 63 6f 32 03 00 01 74 04 07 02";
    golden(&schema(), table::encode(&schema()), hex, table::decode);
}

#[test]
fn every_choice_within_a_schema_has_its_number() {
    let mut one = schema();
    one.tags.clear();
    let units = [TimeUnit::Milli, TimeUnit::Micro, TimeUnit::Nano];
    let spans = [Partitioning::Auto, Partitioning::Hour, Partitioning::Day, Partitioning::Month, Partitioning::Year];
    let kinds = [
        FieldType::Float64,
        FieldType::Float32,
        FieldType::Int64,
        FieldType::UInt64,
        FieldType::Bool,
        FieldType::Utf8,
        FieldType::Binary,
        FieldType::Decimal { scale: 18 },
    ];
    for (u, unit) in units.into_iter().enumerate() {
        for (s, span) in spans.into_iter().enumerate() {
            for (k, kind) in kinds.into_iter().enumerate() {
                one.time_unit = unit;
                one.partitioning = span;
                one.fields = vec![Field { name: "f".into(), id: 3, kind }];
                let scale = if k == 7 { "12" } else { "" };
                let hex = format!("07 03 61 69 72 ac 02 {u:02x} {s:02x} 00 01 01 66 03 {k:02x} {scale}");
                golden(&one, table::encode(&one), &hex, table::decode);
            }
        }
    }
}

#[test]
fn a_schema_beyond_the_limits_is_refused() {
    let hex = "07 03 61 69 72 ac 02 01 02 00 01 01 74 04 07 13";
    assert!(table::decode(&bytes(hex)).unwrap_err().detail.contains("scale 19"));
    let mut wide = schema();
    wide.fields = (0..4096).map(|i| Field { name: format!("f{i}"), id: i, kind: FieldType::Bool }).collect();
    assert!(table::decode(&table::encode(&wide)).unwrap_err().detail.contains("4098 columns"));
}

#[test]
fn new_series() {
    let keys = vec![SeriesKey(vec![Some("a".into()), None]), SeriesKey(vec![])];
    let value = (TableId(7), SeriesId(5), keys.clone());
    golden(&value, series::encode(TableId(7), SeriesId(5), &keys), "07 05 02 02 01 01 61 00 00", series::decode);
    let beyond = series::encode(TableId(0), SeriesId((1 << 24) - 1), &keys);
    assert!(series::decode(&beyond).is_err());
}

#[test]
fn deletions() {
    let range = TimeRange::new(-1, 1000);
    let some = Deletion { table: TableId(7), series: SeriesSelection::Only(vec![SeriesId(1), SeriesId(200)]), range };
    golden(&some, deletion::encode(&some), "07 01 02 01 c8 01 01 d0 0f", deletion::decode);
    let all = Deletion { series: SeriesSelection::All, ..some };
    golden(&all, deletion::encode(&all), "07 00 01 d0 0f", deletion::decode);
    assert!(deletion::decode(&bytes("07 01 02 05 05 01 d0 0f")).is_err(), "series out of order");
}

#[test]
fn segment_entry() {
    golden(&entry(), segment::encode(&entry()), ENTRY, segment::decode);
    let spill = SegmentEntry { partition: None, ..entry() };
    let hex = ENTRY.replace("01 01 00 80 c6 0a", "00");
    golden(&spill, segment::encode(&spill), &hex, segment::decode);
    for (code, kind) in [PartitionKind::Hour, PartitionKind::Day, PartitionKind::Month, PartitionKind::Year].iter().enumerate() {
        let partition = Some(Partition { kind: *kind, range: TimeRange::new(0, 86_400) });
        let hex = ENTRY.replace("07 01 01 00", &format!("07 01 {code:02x} 00"));
        golden(
            &SegmentEntry { partition, ..entry() },
            segment::encode(&SegmentEntry { partition, ..entry() }),
            &hex,
            segment::decode,
        );
    }
}

#[test]
fn seal_and_compaction() {
    let sealed = Sealed { through: 9, segments: vec![entry()] };
    golden(&sealed, segment::encode_sealed(&sealed), &format!("09 01 {ENTRY}"), segment::decode_sealed);
    let compacted = Compacted { removed: vec![SegmentId(1), SegmentId(2)], added: vec![entry()], retired_deletions: vec![128] };
    let hex = format!("02 01 02 01 {ENTRY} 01 80 01");
    golden(&compacted, segment::encode_compacted(&compacted), &hex, segment::decode_compacted);
}

#[test]
fn evictions() {
    let total =
        Evictions { segments: 2, rows: 300, bytes: 4096, unheld_rows: 1, times: (-1, 3), last_sequence: 9, at_micros: 1_000_000 };
    let hex = "02 ac 02 80 20 01 01 06 09 80 89 7a";
    golden(&total, evicted::encode_total(&total), hex, evicted::decode_total);
    let receipt = Receipt {
        at_micros: 1,
        kind: ReceiptKind::Evicted,
        file: String::new(),
        sequences: None,
        table: None,
        series: vec![],
        times: None,
        bytes: 0,
        detail: String::new(),
    };
    let full = Evicted { table: TableId(7), removed: vec![SegmentId(1), SegmentId(300)], total, receipt: Some(receipt) };
    let hex = format!("07 02 01 ac 02 {hex} 01 09 02 04 00 00 00 00 00 00 00");
    golden(&full, evicted::encode(&full), &hex, evicted::decode);
    let bare = Evicted { receipt: None, ..full };
    golden(&bare, evicted::encode(&bare), &format!("{} 00", hex.split(" 01 09").next().unwrap()), evicted::decode);
}

#[test]
fn receipts() {
    let kinds = [
        ReceiptKind::TornTail,
        ReceiptKind::LogDamage,
        ReceiptKind::SegmentDamage,
        ReceiptKind::CatalogRebuilt,
        ReceiptKind::Evicted,
    ];
    for (code, kind) in kinds.into_iter().enumerate() {
        let full = Receipt {
            at_micros: 1_000_000,
            kind,
            file: "a".into(),
            sequences: Some((5, 300)),
            table: Some(TableId(7)),
            series: vec![SeriesId(9)],
            times: Some((-2, 3)),
            bytes: 4096,
            detail: "x".into(),
        };
        let hex = format!("80 89 7a {code:02x} 01 61 01 05 ac 02 01 07 01 09 01 03 06 80 20 01 78");
        golden(&full, receipt::encode(&full), &hex, receipt::decode);
        let bare = Receipt { sequences: None, table: None, series: vec![], times: None, ..full };
        let hex = format!("80 89 7a {code:02x} 01 61 00 00 00 00 80 20 01 78");
        golden(&bare, receipt::encode(&bare), &hex, receipt::decode);
    }
}

#[test]
fn declared_lengths_allocate_nothing_that_is_not_there() {
    // Each declares 2^32 - 1 elements and brings none.
    for prefix in ["07 01", "07 05", "09", ""] {
        let hostile = bytes(&format!("{prefix} ff ff ff ff 0f"));
        assert!(deletion::decode(&hostile).is_err());
        assert!(series::decode(&hostile).is_err());
        assert!(segment::decode_sealed(&hostile).is_err());
        assert!(segment::decode_compacted(&hostile).is_err());
        assert!(evicted::decode(&hostile).is_err());
    }
}
