use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::io::{Disk, MemoryDisk, OpenMode, read_file};
use crate::model::Partitioning;
use crate::record::ReceiptKind;
use crate::testing::settings;
use crate::{CutWhat, Database, FieldType, Query, RowBuilder, SendOrder, TableSpec};

const HOUR: i64 = 3_600_000_000;
const FROM: &str = "/data";
const TO: &str = "/restored";

fn components(disk: &MemoryDisk) -> Components {
    Components { disk: Arc::new(disk.clone()), ..Components::os() }
}

fn open(disk: &MemoryDisk, at: &str) -> Result<Database> {
    Database::builder().settings(settings()).components(components(disk)).open(at)
}

fn append(db: &Database, hour: i64, values: std::ops::Range<i64>) {
    let mut rows = RowBuilder::new(db.table("air").unwrap());
    for value in values {
        let room = ["a", "b"][value as usize % 2];
        rows.row(hour * HOUR + value).tag("room", room).unwrap().value("v", value).unwrap();
    }
    db.append("air", &rows.finish().unwrap()).unwrap();
}

/// All rows as text, in their order.
fn rows(db: &Database) -> Vec<String> {
    let batches = db.query(&Query::table("air")).unwrap().map(|batch| format!("{:?}", batch.unwrap().columns()));
    batches.collect()
}

/// Two hours in three segments, one of which is newer than the others and one older than a deletion, and their parts.
fn life() -> (MemoryDisk, Vec<String>, Parts) {
    let disk = MemoryDisk::new();
    let db = open(&disk, FROM).unwrap();
    db.create_table(TableSpec::new("gone").field("v", FieldType::Int64)).unwrap();
    db.create_table(TableSpec::new("air").tag("room").field("v", FieldType::Int64).partitioning(Partitioning::Hour)).unwrap();
    db.drop_table("gone").unwrap();
    append(&db, 0, 0..6);
    db.seal().unwrap();
    append(&db, 0, 4..9);
    append(&db, 1, 0..6);
    db.seal().unwrap();
    let range = TimeRange::new(0, 3);
    let filter = crate::Filter::equal("room", "a");
    let deleted = db.delete("air", &[filter], range).unwrap().sequence;
    append(&db, 0, 2..3);
    db.seal().unwrap();
    let rows = rows(&db);
    let copy = db.delivery("copy");
    copy.begin().unwrap();
    let cut = copy.cut(CutWhat::All).unwrap().unwrap();
    copy.announce(cut.number, [0; 32], 0).unwrap();
    let mut segments = Vec::new();
    for (number, shipment) in (11..).zip(copy.pending(SendOrder::Oldest, 100).unwrap()) {
        let part = SegmentPart {
            number,
            table: shipment.table.id,
            kind: PartitionKind::Hour,
            start: shipment.times.0.div_euclid(HOUR) * 3_600,
            records: shipment.records,
            hash: shipment.hash,
        };
        let bytes = read_file(&disk, &shipment.path, 1 << 30).unwrap();
        disk.create_dir_all(&Path::new(TO).join("segments")).unwrap();
        disk.open(&part.path(Path::new(TO)), OpenMode::CreateNew).unwrap().write_all_at(0, &bytes).unwrap();
        segments.push(part);
    }
    assert_eq!(segments.len(), 4);
    let schema = (*db.table("air").unwrap()).clone();
    let deletions = vec![DeletionPart {
        sequence: deleted,
        table: schema.id,
        series: Some(vec![SeriesKey(vec![Some("a".to_owned())]), SeriesKey(vec![Some("never".to_owned())])]),
        range,
    }];
    let tables = vec![TablePart { schema, dropped: false, series: BTreeMap::new() }];
    let through = segments.last().unwrap().records.1;
    (disk, rows, Parts { tables, segments, deletions, receipts: Vec::new(), through })
}

fn assemble(disk: &MemoryDisk, parts: &Parts) -> Result<Assembled> {
    parts.clone().assemble(Path::new(TO), &components(disk), &settings(), &mut |_, _| Ok(()))
}

#[test]
fn parts_become_a_database_with_the_same_rows_that_goes_on() {
    let (disk, expected, parts) = life();
    let made = assemble(&disk, &parts).unwrap();
    assert_eq!((made.tables, made.series, made.rows, made.through), (1, 2, 18, parts.through));
    let db = open(&disk, TO).unwrap();
    assert_eq!(rows(&db), expected);
    assert!(db.verify(&mut |_, _| {}).unwrap().problems.is_empty());
    // Numbers go on behind all that are taken.
    assert_eq!(db.create_table(TableSpec::new("new").field("v", FieldType::Int64)).unwrap().id, TableId(2));
    assert!(db.delete("air", &[], TimeRange::new(0, 1)).unwrap().sequence > made.through);
    append(&db, 2, 0..4);
    db.compact().unwrap();
    db.seal().unwrap();
    let grown = rows(&db);
    db.close().unwrap();
    // Segments have another number than they were written with, and are read back under it.
    for path in disk.paths().into_iter().filter(|path| path.starts_with("/restored/catalog")) {
        disk.remove(&path).unwrap();
    }
    assert_eq!(rows(&open(&disk, TO).unwrap()), grown);
}

#[test]
fn what_is_lost_has_a_receipt_behind_the_last_record() {
    let (disk, _, parts) = life();
    let receipt = Receipt {
        at_micros: 1,
        kind: ReceiptKind::SegmentDamage,
        file: String::new(),
        sequences: Some((1, 2)),
        table: Some(TableId(1)),
        series: Vec::new(),
        times: None,
        bytes: 0,
        detail: "it was not there".to_owned(),
    };
    let parts = Parts { receipts: vec![receipt.clone(), receipt], ..parts };
    let made = assemble(&disk, &parts).unwrap();
    assert_eq!(made.through, parts.through + 2);
    let db = open(&disk, TO).unwrap();
    assert_eq!(db.inspect().unwrap().receipts.len(), 2);
}

#[test]
fn what_is_said_of_segments_has_to_be_true() {
    let (disk, _, parts) = life();
    type Change = fn(&mut Parts);
    let changes: [(&str, Change); 10] = [
        ("other records", |parts| parts.segments[0].records.0 += 1),
        ("other records", |parts| parts.segments[0].start += 3_600),
        ("other records", |parts| parts.segments[0].kind = PartitionKind::Day),
        ("number 12", |parts| parts.segments[2].number = 12),
        ("no table 1", |parts| parts.tables[0].dropped = true),
        ("no table 1", |parts| parts.tables.clear()),
        ("and those of all with", |parts| parts.through -= 1),
        ("columns are not", |parts| parts.tables[0].schema.fields[0].kind = FieldType::Utf8),
        ("is known to be", |parts| drop(parts.tables[0].series.insert(SeriesId(0), SeriesKey(vec![Some("z".to_owned())])))),
        ("have the tags", |parts| drop(parts.tables[0].series.insert(SeriesId(9), SeriesKey(vec![Some("a".to_owned())])))),
    ];
    for (why, change) in changes {
        let mut wrong = parts.clone();
        change(&mut wrong);
        let renumbered = wrong.segments[2].path(Path::new(TO));
        if wrong.segments[2] != parts.segments[2] {
            disk.rename(&parts.segments[2].path(Path::new(TO)), &renumbered).unwrap();
        }
        let refused = assemble(&disk, &wrong).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused} instead of {why}");
        if wrong.segments[2] != parts.segments[2] {
            disk.rename(&renumbered, &parts.segments[2].path(Path::new(TO))).unwrap();
        }
    }
    disk.corrupt(&parts.segments[1].path(Path::new(TO)), |bytes| bytes[40] ^= 1).unwrap();
    assert!(matches!(assemble(&disk, &parts), Err(Error::Damaged { .. })));
}

#[test]
fn a_database_is_never_replaced() {
    let (disk, expected, parts) = life();
    let over = parts.assemble(Path::new(FROM), &components(&disk), &settings(), &mut |_, _| Ok(()));
    assert!(matches!(over, Err(Error::Invalid(why)) if why.contains("already")));
    assert_eq!(rows(&open(&disk, FROM).unwrap()), expected);
}

#[test]
fn a_directory_that_a_restore_left_says_so() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/data/restore")).unwrap();
    let refused = open(&disk, FROM).unwrap_err();
    assert!(refused.to_string().contains("run it again"), "{refused}");
}
