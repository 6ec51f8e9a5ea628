//! How a running database stands: told from what is at hand, and still right.

use super::*;
use crate::io::Disk;
use crate::{AuditEntry, AuditOutcome, NewItem, Pop, QueueSizes, QueueSpec};

/// Lengths of the files below a directory whose names end so.
fn files(disk: &MemoryDisk, directory: &str, ending: &str) -> Vec<u64> {
    let found = contents(disk).into_iter();
    let found = found.filter(|(path, _)| path.starts_with(&format!("{ROOT}/{directory}/")) && path.ends_with(ending));
    found.map(|(_, bytes)| bytes.len() as u64).collect()
}

#[test]
fn tables_and_the_log_before_and_after_a_seal() {
    let (disk, db) = begin();
    db.create_table(TableSpec::new("empty").field("v", FieldType::Int64)).unwrap();
    append(&db, 0..300);
    let before = db.status().unwrap();
    let logs = files(&disk, "log", ".log");
    assert!(logs.len() > 2, "{logs:?}");
    assert_eq!((before.unsealed_log_files, before.log_bytes), (logs.len() as u64, logs.iter().sum::<u64>()));
    assert!(before.unsealed_log_bytes > 64 << 10 && before.unsealed_log_bytes <= before.log_bytes);
    assert!(before.memtable_bytes > 0);
    let [empty, t] = &before.tables[..] else { panic!("{:?}", before.tables) };
    assert_eq!((empty.name.as_str(), empty.rows, empty.series), ("empty", 0, 0));
    assert_eq!((t.name.as_str(), t.rows, t.unsealed_rows, t.segments), ("t", 300 * ROWS as u64, 300 * ROWS as u64, 0));
    db.seal().unwrap();
    append(&db, 300..301);
    let after = db.status().unwrap();
    let t = &after.tables[1];
    let segments = files(&disk, "segments", ".parquet");
    assert_eq!((t.rows, t.unsealed_rows, t.series), (301 * ROWS as u64, ROWS as u64, 3));
    assert_eq!((t.segments, t.bytes_on_disk), (segments.len() as u64, segments.iter().sum()));
    assert_eq!(after.unsealed_log_files, 1);
    assert!(after.unsealed_log_bytes < before.unsealed_log_bytes && after.memtable_bytes < before.memtable_bytes);
}

#[test]
fn what_was_written_counts_from_the_opening_and_from_the_beginning() {
    let (disk, db) = begin();
    append(&db, 0..100);
    let first = db.status().unwrap();
    assert_eq!(first.bytes_written, first.bytes_written_since_opening);
    assert!(first.syncs_since_opening >= 100, "each batch is durable by itself");
    db.close().unwrap();
    let second = open(&disk).status().unwrap();
    assert!(second.bytes_written > first.bytes_written);
    assert!(second.bytes_written_since_opening < first.bytes_written_since_opening);
}

#[test]
fn a_full_disk_shows() {
    let (disk, db) = begin();
    assert!(db.status().unwrap().has_room);
    db.close().unwrap();
    disk.remove(&std::path::Path::new(ROOT).join(crate::format::names::BALLAST)).unwrap();
    disk.set_quota(Some(disk.used()));
    let db = open(&disk);
    assert!(!db.status().unwrap().has_room);
    disk.set_quota(None);
    assert!(db.status().unwrap().has_room);
}

#[test]
fn queues_and_the_audit_trail() {
    let (_disk, db) = begin();
    db.create_queue(&QueueSpec::new("jobs").lease(std::time::Duration::ZERO)).unwrap();
    for n in 0..300 {
        db.create_queue(&QueueSpec::new(format!("q{n:03}"))).unwrap();
    }
    let mut jobs = db.queue("jobs");
    jobs.push_all((0..5).map(|n| NewItem::new(vec![n])).collect()).unwrap();
    jobs.push(NewItem::new("later").due(i64::MAX)).unwrap();
    // Their leases are over at once, which nobody has noticed yet.
    jobs.pop_many(Pop::at_most(2)).unwrap();
    db.trail().append(AuditEntry::new("eve", "look", AuditOutcome::Done)).unwrap();
    let status = db.status().unwrap();
    assert_eq!(status.queues[0], ("jobs".to_owned(), QueueSizes { ready: 5, scheduled: 1, ..Default::default() }));
    assert_eq!((status.queues.len(), status.queue_count, status.audit.number), (256, 301, 1));
}
