//! Several batches in one group.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::io::{Disk, SyncLabel};

fn begin_two() -> (MemoryDisk, Database) {
    let (disk, db) = begin();
    db.create_table(TableSpec::new("u").field("w", FieldType::Int64)).unwrap();
    (disk, db)
}

/// A batch for the other table.
fn other(db: &Database, times: std::ops::Range<i64>) -> RecordBatch {
    let mut rows = RowBuilder::new(db.table("u").unwrap());
    for time in times {
        rows.row(time).value("w", time).unwrap();
    }
    rows.finish().unwrap()
}

fn others(db: &Database) -> usize {
    db.query(&Query::table("u")).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[test]
fn batches_of_several_tables_share_one_write_and_one_sync() {
    let (disk, db) = begin_two();
    append(&db, 0..1);
    db.append("u", &other(&db, 0..1)).unwrap();
    let before = db.inner.meter.syncs();
    let (first, second, third) = (batch(&db, 1), other(&db, 1..5), batch(&db, 2));
    let acks = db.append_all(&[("t", &first), ("u", &second), ("t", &third)]).unwrap();
    assert_eq!(db.inner.meter.syncs() - before, 1);
    let sequences: Vec<_> = acks.iter().map(|ack| ack.sequence - acks[0].sequence).collect();
    assert_eq!(sequences, [0, 1, 2], "a record each, in the order given");
    let after = open(&disk.after_power_cut());
    for db in [&db, &after] {
        assert_values(db, 3);
        assert_eq!(others(db), 5);
    }
    let ack = after.append("u", &other(&after, 5..6)).unwrap();
    assert!(ack.sequence > acks[2].sequence);
}

#[test]
fn a_batch_without_rows_makes_no_record() {
    let (_disk, db) = begin_two();
    let (full, empty) = (batch(&db, 0), other(&db, 0..0));
    let acks = db.append_all(&[("u", &empty), ("t", &full), ("u", &empty)]).unwrap();
    assert_eq!((acks[0].sequence, acks[2].sequence), (0, 0));
    assert!(acks[1].sequence > 0);
    assert_values(&db, 1);
    let syncs = db.inner.meter.syncs();
    assert_eq!(db.append_all(&[("u", &empty)]).unwrap().len(), 1);
    assert!(db.append_all(&[]).unwrap().is_empty());
    assert_eq!(db.inner.meter.syncs(), syncs);
}

#[test]
fn one_bad_batch_refuses_all_and_leaves_nothing() {
    let (disk, db) = begin_two();
    let written = db.inner.meter.bytes();
    let good = batch(&db, 0);
    // Times of the year 10000 are refused.
    let bad = other(&db, i64::MAX - 1..i64::MAX);
    assert!(matches!(db.append_all(&[("t", &good), ("u", &bad)]), Err(Error::BadRows { .. })));
    assert!(matches!(db.append_all(&[("t", &good), ("nowhere", &good)]), Err(Error::NoSuchTable { .. })));
    assert!(matches!(db.append_all(&[("t", &good), ("u", &good)]), Err(Error::NoSuchColumn { .. })));
    assert_eq!(db.inner.meter.bytes(), written);
    assert_values(&db, 0);
    assert_eq!(db.inspect().unwrap().tables.iter().map(|table| table.series).sum::<u64>(), 0);
    assert_values(&open(&disk.after_power_cut()), 0);
}

#[test]
fn batches_together_are_held_to_the_budget_of_one() {
    let (disk, db) = begin_two();
    drop(db);
    // The bare values of three batches; arrays weigh a little more, so that two fit.
    let db = open_with(&disk, Settings { batch_bytes: 3 * ROWS as usize * 8, ..settings() }).unwrap();
    let batches = [batch(&db, 0), batch(&db, 1), batch(&db, 2)];
    let all: Vec<_> = batches.iter().map(|batch| ("t", batch)).collect();
    assert!(matches!(db.append_all(&all), Err(Error::Limit { setting: "batch_bytes", .. })));
    assert_values(&db, 0);
    db.append_all(&all[..2]).unwrap();
    assert_values(&db, 2);
}

#[test]
fn a_group_that_fails_fails_for_all_of_its_batches() {
    let (disk, db) = begin_two();
    append(&db, 0..1);
    let (one, two) = (batch(&db, 1), other(&db, 0..3));
    disk.set_quota(Some(0));
    assert!(matches!(db.append_all(&[("t", &one), ("u", &two)]), Err(Error::DiskFull { .. })));
    assert_values(&db, 1);
    disk.set_quota(None);
    db.append_all(&[("t", &one), ("u", &two)]).unwrap();
    disk.fail_syncs(true);
    assert!(db.append_all(&[("t", &batch(&db, 2)), ("u", &two)]).is_err());
    assert_values(&db, 2);
    assert_eq!(others(&db), 3);
}

/// A power cut in the middle of the group, as far as the disk had come with it.
#[test]
fn of_a_torn_group_the_first_batches_remain_each_of_them_whole() {
    let (disk, db) = begin();
    append(&db, 0..1);
    disk.ignore_sync(Some(SyncLabel::LogGroup));
    let before = disk.after_power_cut();
    let batches = [batch(&db, 1), batch(&db, 2), batch(&db, 3)];
    db.append_all(&batches.each_ref().map(|batch| ("t", batch))).unwrap();
    let logs = disk.list(Path::new("/data/log")).unwrap();
    let path = Path::new("/data/log").join(&logs.last().unwrap().name);
    let (mut whole, mut old) = (Vec::new(), Vec::new());
    disk.corrupt(&path, |bytes| whole = bytes.clone()).unwrap();
    before.corrupt(&path, |bytes| old = bytes.clone()).unwrap();
    let changed = |at: &usize| old.get(*at) != Some(&whole[*at]);
    let (first, last) = ((0..whole.len()).find(changed).unwrap(), (0..whole.len()).rfind(changed).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for cut in (first..=last + 1).step_by(7).chain([last + 1]) {
        let torn = before.after_power_cut();
        torn.corrupt(&path, |bytes| {
            bytes.resize(whole.len(), 0);
            bytes[first..cut].copy_from_slice(&whole[first..cut]);
        })
        .unwrap();
        let db = open(&torn);
        let rows = values(&db).unwrap().len() as i64;
        assert_eq!(rows % ROWS, 0, "cut at {cut}");
        assert_values(&db, rows / ROWS);
        seen.insert(rows / ROWS);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn groups_are_shared_with_single_writers() {
    const CALLS: i64 = 20;
    let (disk, db) = begin();
    drop(db);
    let db = open_with(&disk, Settings { commit_interval: Duration::from_millis(2), ..settings() }).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let db = &db;
            scope.spawn(move || {
                for call in 0..CALLS {
                    let n = (writer * CALLS + call) * 3;
                    if writer % 2 == 0 {
                        let batches = [batch(db, n), batch(db, n + 1), batch(db, n + 2)];
                        let acks = db.append_all(&batches.each_ref().map(|batch| ("t", batch))).unwrap();
                        assert!(acks.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
                    } else {
                        append(db, n..n + 3);
                    }
                }
            });
        }
    });
    assert_values(&open(&disk.after_power_cut()), 4 * CALLS * 3);
}
