//! Seals and compactions: how many segments there are, where rows go, and that answers stay.

use std::path::Path;

use arrow::array::RecordBatch;

use super::*;
use crate::catalog::Catalog;
use crate::keyspace::{prefix, space};
use crate::{BackgroundStep, Filter, PartitionKind, Put, Scan, TimeRange};

const HOUR: i64 = 3_600_000_000;

fn segments(db: &Database) -> u64 {
    db.inspect().unwrap().tables[0].segments
}

/// One row each of a dozen sensors at some times.
fn readings(db: &Database, times: impl Iterator<Item = i64>) -> RecordBatch {
    let mut rows = RowBuilder::new(db.table("t").unwrap());
    for time in times {
        for sensor in 0..12 {
            rows.row(time).tag("device", &format!("s{sensor}")).unwrap().value("v", time / HOUR * 12 + sensor).unwrap();
        }
    }
    rows.finish().unwrap()
}

#[test]
fn five_years_of_hourly_readings_make_a_handful_of_segments() {
    let (_disk, db) = begin();
    let hours = 5 * 8_766;
    for start in (0..hours).step_by(2_000) {
        db.append("t", &readings(&db, (start..hours.min(start + 2_000)).map(|hour| hour * HOUR))).unwrap();
    }
    db.seal().unwrap();
    assert!(segments(&db) <= 6, "{} segments", segments(&db));
    assert_eq!(db.inspect().unwrap().tables[0].partitions, Some(PartitionKind::Year));
    assert_eq!(values(&db).unwrap(), (0..hours * 12).collect::<Vec<_>>());
}

#[test]
fn a_fast_table_has_short_partitions_which_only_get_longer() {
    let (_disk, db) = begin();
    // 400 rows a second: a million in 44 minutes.
    let fast = |db: &Database, from: i64, rows: i64| {
        let mut builder = RowBuilder::new(db.table("t").unwrap());
        for n in from..from + rows {
            builder.row(n * 2_500).value("v", n).unwrap();
        }
        db.append("t", &builder.finish().unwrap()).unwrap();
    };
    fast(&db, 0, 50_000);
    db.seal().unwrap();
    let kind = |db: &Database| db.inspect().unwrap().tables[0].partitions;
    assert_eq!(kind(&db), Some(PartitionKind::Hour));
    db.append("t", &readings(&db, (10..500).map(|hour| hour * HOUR))).unwrap();
    db.seal().unwrap();
    assert!(kind(&db) > Some(PartitionKind::Hour));
    let coarse = kind(&db);
    fast(&db, 10_000_000, 50_000);
    db.seal().unwrap();
    assert_eq!(kind(&db), coarse);
    let all = values(&db).unwrap();
    db.compact().unwrap();
    assert_eq!(values(&db).unwrap(), all);
}

#[test]
fn late_rows_scattered_over_many_partitions_spill_and_are_split_later() {
    let (_disk, db) = begin();
    db.append("t", &readings(&db, (0..2_000).map(|hour| hour * HOUR / 1_000))).unwrap();
    db.seal().unwrap();
    let before = segments(&db);
    // One row in each of hundreds of partitions, and many in one.
    let scattered = (0..300).map(|month| month * 720 * HOUR + 7 * HOUR);
    db.append("t", &readings(&db, scattered.chain((0..400).map(|n| 9 * HOUR + n)))).unwrap();
    db.seal().unwrap();
    let spilled = segments(&db) - before;
    assert!(spilled <= 9, "{spilled} segments for scattered rows");
    let (all, partitions) = (values(&db).unwrap(), |db: &Database| {
        let table = db.inner.publisher.registry.get("t").unwrap();
        table.snapshot().segments.iter().filter(|entry| entry.partition.is_none()).count()
    });
    assert_eq!(partitions(&db), 1, "one spill segment");
    assert_eq!(db.inspect().unwrap().tables[0].rows, 12 * (2_000 + 300 + 400), "every row lies in one place");
    db.compact().unwrap();
    assert_eq!(partitions(&db), 0, "compaction splits it");
    assert_eq!(values(&db).unwrap(), all);
}

#[test]
fn the_number_of_segments_stays_bounded_while_data_keep_arriving() {
    let (_disk, db) = begin();
    let mut most = 0;
    for n in 0..400 {
        append(&db, n..n + 1);
        db.seal().unwrap();
        while db.inner.compact_step().unwrap() {}
        most = most.max(segments(&db));
    }
    // Seven of each size class, a class being eight times the one before.
    assert!(most <= 7 * 4, "{most} segments");
    assert_values(&db, 400);
    db.compact().unwrap();
    assert_eq!(segments(&db), 1);
    assert_values(&db, 400);
}

#[test]
fn closing_ends_a_compaction_and_leaves_nothing_of_it() {
    let (disk, db) = begin();
    for n in 0..8 {
        append(&db, n..n + 1);
        db.seal().unwrap();
    }
    db.inner.store.stop();
    assert!(matches!(db.inner.compact_step(), Err(Error::Closed)));
    let files = |disk: &MemoryDisk| disk.paths().iter().filter(|path| path.starts_with("/data/segments")).count();
    assert_eq!(files(&disk), 8);
    drop(db);
    let db = open(&disk.after_power_cut());
    assert!(db.inner.compact_step().unwrap());
    assert_values(&db, 8);
    assert_eq!(segments(&db), 1);
}

#[test]
fn deletions_mask_at_once_and_are_forgotten_once_carried_out() {
    let (disk, db) = begin();
    append(&db, 0..10);
    db.seal().unwrap();
    append(&db, 10..20);
    let device = [Filter::equal("device", "dev-1")];
    db.delete("t", &device, TimeRange::new(0, 400 * 1_000_000)).unwrap();
    let left: Vec<i64> = expected(20).into_iter().filter(|row| row % 3 != 1 || *row >= 400).collect();
    assert_eq!(values(&db).unwrap(), left);
    // A row written again after the deletion stays.
    let mut again = RowBuilder::new(db.table("t").unwrap());
    again.row(1_000_000).tag("device", "dev-1").unwrap().value("v", 1_i64).unwrap();
    db.append("t", &again.finish().unwrap()).unwrap();
    let left: Vec<i64> = expected(20).into_iter().filter(|row| row % 3 != 1 || *row >= 400 || *row == 1).collect();
    let pending = |db: &Database| db.inner.publisher.registry.get("t").unwrap().snapshot().deletions.len();
    assert_eq!(values(&db).unwrap(), left);
    assert_values_are(&open(&disk.after_power_cut()), &left);
    assert_eq!(pending(&db), 1);
    db.seal().unwrap();
    assert_values_are(&db, &left);
    db.compact().unwrap();
    assert_eq!(pending(&db), 0, "no segment holds deleted rows any more");
    assert_values_are(&db, &left);
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_eq!(pending(&db), 0);
    assert_values_are(&db, &left);
}

#[test]
fn rows_on_either_side_of_a_deletion_stay_apart_after_reopening() {
    let (disk, db) = begin();
    append(&db, 0..40);
    db.delete("t", &[], TimeRange::new(0, 300 * 1_000_000)).unwrap();
    append(&db, 0..2);
    append(&db, 40..100);
    db.close().unwrap();
    let db = open(&disk);
    let left: Vec<i64> = expected(100).into_iter().filter(|row| *row < 60 || *row >= 300).collect();
    assert_values_are(&db, &left);
    while db.inner.consolidate_step().unwrap() {}
    assert_values_are(&db, &left);
    db.seal().unwrap();
    assert_values_are(&db, &left);
}

fn assert_values_are(db: &Database, expected: &[i64]) {
    assert_eq!(values(db).unwrap(), expected);
}

#[test]
fn seals_come_by_age_and_by_size_of_the_log() {
    let (disk, db) = begin();
    append(&db, 0..3);
    assert!(!db.inner.seal_due());
    drop(db);
    let by_age = Settings { seal_after: std::time::Duration::ZERO, ..settings() };
    let db = open_with(&disk, by_age).unwrap();
    assert!(db.inner.seal_due(), "rows from before the opening count");
    db.seal().unwrap();
    assert!(!db.inner.seal_due(), "nothing is left to seal");
    drop(db);
    let db = open_with(&disk, Settings { seal_log_bytes: 100 << 10, ..settings() }).unwrap();
    append(&db, 3..10);
    assert!(!db.inner.seal_due());
    append(&db, 10..40);
    assert!(db.inner.seal_due());
}

/// So that opening after a crash has little to tell the catalog again. Rows stay where they are.
#[test]
fn much_metadata_is_made_durable_between_seals() {
    let (disk, db) = begin();
    drop(db);
    let db = open_with(&disk, Settings { seal_log_bytes: 64 << 20, ..settings() }).unwrap();
    append(&db, 0..3);
    let before = db.status().unwrap().unsealed_log_bytes;
    let value = vec![7; 512 << 10];
    for number in 0..40 {
        db.kv().put(&format!("pair-{number}"), &value, Put::default()).unwrap();
        while db.background_step(BackgroundStep::Apply).unwrap() {}
    }
    let survivor = Components { disk: Arc::new(disk.after_power_cut()), ..Components::os() };
    let catalog = Catalog::open(&survivor, &Path::new(ROOT).join("catalog"), 1 << 20).unwrap();
    let durable = Arc::new(catalog).cells().unwrap().range(&prefix(&[space::KEY_VALUE])).unwrap().count();
    assert_eq!(durable, 32, "what was put last is left to the log");
    assert!(db.status().unwrap().unsealed_log_bytes > before, "nothing was sealed");
    assert_eq!(db.inspect().unwrap().tables[0].segments, 0);
}

/// What opening after a crash finds of metadata in the log is left to be told to the catalog as ever, unless it is much.
#[test]
fn little_metadata_waits_after_opening_and_much_is_told() {
    const MIB: usize = 1 << 20;
    let waits = |pairs: usize| {
        let (disk, db) = begin();
        db.close().unwrap();
        let db = open(&disk);
        for number in 0..pairs {
            db.kv().put(&format!("pair-{number}"), &vec![7; MIB], Put::default()).unwrap();
        }
        let survivor = disk.after_power_cut();
        drop(db);
        let db = open(&survivor);
        assert_eq!(complaints(&db), Vec::<String>::new());
        assert_eq!(db.kv().scan(&Scan::of("pair-")).unwrap().len(), pairs);
        db.inner.publisher.keyspace.unapplied_bytes() / MIB
    };
    assert_eq!(waits(3), 3);
    assert_eq!(waits(31), 31);
    assert!(waits(36) < 32, "the catalog was told");
}
