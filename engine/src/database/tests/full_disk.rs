//! Nothing is lost on a full disk, reading goes on, and writing resumes in place once there is room.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::io::{Disk, OpenMode};
use crate::{CollectionSpec, IfRevision, NewItem, Pop, Put, PutDocument, QueueSpec, Retry, TimeRange, Where};

/// A closed database with segments, unsealed rows and spare log files: as many batches as are answered.
fn prepared() -> (MemoryDisk, i64) {
    let (disk, db) = begin();
    for sealed in 0..4 {
        append(&db, sealed * 40..(sealed + 1) * 40);
        db.seal().unwrap();
    }
    append(&db, 160..300);
    drop(db);
    (disk, 300)
}

#[test]
fn rows_are_refused_then_accepted_again_without_opening_anew() {
    let (disk, db) = begin();
    let mut done = append(&db, 0..20);
    for room in (0..200 << 10).step_by(10_000) {
        disk.set_quota(Some(disk.used() + room));
        done = append(&db, done..done + 1_000);
        assert!(matches!(db.append("t", &batch(&db, done)), Err(Error::DiskFull { .. })), "it stays refused");
        assert_values(&db, done);
        disk.set_quota(None);
        assert_eq!(append(&db, done..done + 3), done + 3, "room {room}");
        done += 3;
        assert_values(&db, done);
    }
    db.seal().unwrap();
    db.close().unwrap();
    let db = open(&disk);
    assert_values(&db, done);
    assert_eq!(complaints(&db), [""; 0]);
}

#[test]
fn a_seal_on_a_full_disk_uses_the_ballast_and_gives_back_room() {
    let (disk, db) = begin();
    let done = append(&db, 0..2_000);
    let full = disk.used();
    disk.set_quota(Some(full));
    let done = append(&db, done..done + 1_000);
    assert!(matches!(db.append("t", &batch(&db, done)), Err(Error::DiskFull { .. })));
    // The log goes back to the older of two snapshots, so that the second seal frees what the first made useless.
    db.seal().unwrap();
    db.delete("t", &[], TimeRange::new(0, 1)).unwrap();
    db.compact().unwrap();
    assert!(disk.used() < full / 2, "{} of {full} bytes are still in use", disk.used());
    assert_eq!(append(&db, done..done + 5), done + 5, "there is room again, ballast included");
    assert_eq!(values(&db).unwrap(), expected(done + 5)[1..]);
    disk.set_quota(None);
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_eq!(values(&db).unwrap(), expected(done + 5)[1..]);
    assert_eq!(complaints(&db), [""; 0]);
}

#[test]
fn without_ballast_the_same_seal_fails_and_loses_nothing() {
    let (disk, db) = begin();
    drop(db);
    let db = open_with(&disk, Settings { ballast_bytes: 0, ..settings() }).unwrap();
    let done = append(&db, 0..2_000);
    // What an earlier opening reserved is not this one's to use.
    disk.set_quota(Some(disk.used()));
    let done = append(&db, done..done + 1_000);
    assert!(matches!(db.seal(), Err(Error::DiskFull { .. })));
    assert_values(&db, done);
    disk.set_quota(None);
    db.seal().unwrap();
    assert_values(&db, done);
    assert_eq!(complaints(&db), [""; 0]);
}

#[test]
fn a_full_disk_opens_and_answers() {
    for killed in [false, true] {
        let (disk, done) = prepared();
        let disk = if killed { disk.after_power_cut() } else { disk };
        disk.set_quota(Some(disk.used()));
        let db = open(&disk);
        assert_values(&db, done);
        // Room that the log had taken before may still be written over.
        let done = append(&db, done..done + 1_000);
        assert_values(&db, done);
        db.close().unwrap();
        let db = open(&disk);
        assert_values(&db, done);
        disk.set_quota(None);
        assert_eq!(append(&db, done..done + 1), done + 1);
        assert_eq!(complaints(&db), [""; 0]);
    }
}

/// What the catalog has to be told again takes room, for which the ballast is given up.
#[test]
fn a_full_disk_opens_with_metadata_that_the_catalog_was_not_told() {
    const BALLAST: usize = 8 << 20;
    let (disk, db) = begin();
    drop(db);
    let open = |disk: &MemoryDisk| {
        open_with(disk, Settings { ballast_bytes: BALLAST as u64, catalog_cache_bytes: 64 << 10, ..settings() }).unwrap()
    };
    let db = open(&disk);
    append(&db, 0..3);
    db.seal().unwrap();
    for number in 0..200 {
        db.kv().put(&format!("pair-{number}"), &vec![number; 4_000], Put::default()).unwrap();
    }
    let disk = disk.after_power_cut();
    // The ballast, of which nothing is synced, is there all the same where only the process died.
    let ballast = disk.open(&Path::new(ROOT).join("ballast"), OpenMode::CreateNew).unwrap();
    ballast.reserve(BALLAST as u64).unwrap();
    disk.set_quota(Some(disk.used()));
    let db = open(&disk);
    assert!(db.inner.publisher.catalog.get().is_some(), "the catalog is set aside");
    for number in 0..200 {
        assert_eq!(*db.kv().get(&format!("pair-{number}")).unwrap().unwrap().value, vec![number; 4_000]);
    }
    assert_values(&db, 3);
    disk.set_quota(None);
    db.close().unwrap();
    assert_eq!(complaints(&open(&disk)), [""; 0]);
}

#[test]
fn whatever_room_there_is_steps_are_whole_or_leave_no_trace() {
    let (base, before) = prepared();
    let needed = {
        let disk = base.after_power_cut();
        let used = disk.used();
        let db = open(&disk);
        db.compact().unwrap();
        used.max(disk.used())
    };
    for room in (0..needed / 2).step_by(4_096) {
        let disk = base.after_power_cut();
        disk.set_quota(Some(disk.used() + room));
        let db = open(&disk);
        let done = append(&db, before..before + 20);
        for step in [Database::seal, |db: &Database| db.compact().map(drop)] {
            match step(&db) {
                Ok(()) | Err(Error::DiskFull { .. }) => {}
                Err(other) => panic!("room {room}: {other}"),
            }
            assert_values(&db, done);
        }
        disk.set_quota(None);
        let done = append(&db, done..done + 1);
        db.compact().unwrap();
        assert_values(&db, done);
        let listed: u64 = db.inspect().unwrap().tables.iter().map(|table| table.segments).sum();
        let there =
            disk.paths().iter().filter(|path| path.extension().is_some_and(|kind| kind == "parquet" || kind == "tmp")).count();
        assert_eq!(listed, there as u64, "room {room}: nothing half written is left");
        drop(db);
        let db = open(&disk.after_power_cut());
        assert_values(&db, done);
        assert_eq!(complaints(&db), [""; 0], "room {room}");
    }
}

/// A database with some of every kind of metadata, on a disk that is full.
fn full_of_metadata() -> (MemoryDisk, Database, Vec<crate::Lease>) {
    let (disk, db) = begin();
    append(&db, 0..3);
    for name in ["q", "dropped"] {
        db.create_queue(&QueueSpec::new(name)).unwrap();
        db.queue(name).push_all((0..20_u8).map(|n| NewItem::new(vec![n; 100])).collect()).unwrap();
    }
    let leases = db.queue("q").pop_many(Pop::at_most(5).lease(Duration::from_secs(3_600))).unwrap();
    for name in ["c", "dropped"] {
        db.collections().create(CollectionSpec::new(name)).unwrap();
        for n in 0..10 {
            db.collection(name).put(&n.to_string(), &json!({ "n": n }), PutDocument::default()).unwrap();
        }
    }
    db.kv().put("pair", b"x", Put::default()).unwrap();
    db.cursor("reader").unwrap().begin(1).unwrap();
    disk.set_quota(Some(disk.used()));
    let refused = (0..).find_map(|n| db.kv().put(&format!("k{n:05}"), &[7; 900], Put::default()).err()).unwrap();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    (disk, db, leases.into_iter().map(|leased| leased.lease).collect())
}

#[test]
fn what_gives_room_is_done_on_a_full_disk() {
    let (disk, db, leases) = full_of_metadata();
    assert!(db.kv().delete("pair", IfRevision::Any).unwrap());
    db.queue("q").ack_all(&leases).unwrap();
    assert_eq!(db.queue("q").purge().unwrap(), 15);
    db.drop_queue("dropped").unwrap();
    assert!(db.collection("c").delete("3", IfRevision::Any).unwrap());
    assert!(db.collection("c").purge("4").unwrap());
    db.collections().drop("dropped").unwrap();
    db.drop_table("t").unwrap();
    let mut cursor = db.cursor("reader").unwrap();
    cursor.acknowledge(1).unwrap();
    assert!(cursor.remove().unwrap());
    let check = |db: &Database| {
        assert!(db.kv().get("pair").unwrap().is_none());
        assert_eq!(db.queue("q").sizes().unwrap().ready, 0);
        assert!(db.queue("dropped").sizes().is_err());
        assert_eq!(db.collection("c").count(Where::all()).unwrap(), 8);
        assert!(db.collection("dropped").count(Where::all()).is_err());
        assert!(db.tables().is_empty());
        assert!(db.cursors().unwrap().is_empty());
    };
    check(&db);
    check(&open(&disk.after_power_cut()));
    disk.set_quota(None);
    db.seal().unwrap();
    db.kv().put("again", b"x", Put::default()).unwrap();
    check(&db);
}

#[test]
fn what_gives_no_room_is_refused_on_a_full_disk() {
    let (_, db, leases) = full_of_metadata();
    let full = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::DiskFull { .. })), "{outcome:?}");
    full(db.kv().put("new", b"x", Put::default()).map(drop));
    full(db.queue("q").push(NewItem::new(vec![1])).map(drop));
    full(db.queue("q").nack(leases[0], Retry::After(Duration::ZERO)).map(drop));
    full(db.collection("c").put("new", &json!({}), PutDocument::default()).map(drop));
    full(db.create_table(TableSpec::new("u")).map(drop));
    full(db.transaction(|tx| {
        tx.kv().delete("pair", IfRevision::Any).and_then(|_| tx.kv().put("new", b"x", Put::default()).map(drop))
    }));
    full(db.transaction(|tx| tx.kv().delete("pair", IfRevision::Any).and_then(|_| tx.append("t", &batch(&db, 0)))));
    assert!(db.kv().get("pair").unwrap().is_some());
}

#[test]
fn a_transaction_that_only_takes_away_is_done_on_a_full_disk() {
    let (disk, db, leases) = full_of_metadata();
    db.transaction(|tx| {
        assert!(tx.kv().get("pair")?.is_some());
        tx.kv().delete("pair", IfRevision::Any)?;
        tx.queue("q").ack(leases[0])?;
        tx.collection("c").delete("3", IfRevision::Any)?;
        tx.delete("t", &[], TimeRange::ALL)
    })
    .unwrap();
    assert!(db.transaction(|tx| tx.kv().get("pair")).unwrap().is_none(), "one that reads is no trouble either");
    let check = |db: &Database| {
        assert!(db.kv().get("pair").unwrap().is_none());
        assert_eq!(db.queue("q").sizes().unwrap().leased, 4);
        assert_eq!(db.collection("c").count(Where::all()).unwrap(), 9);
        assert_values(db, 0);
    };
    check(&db);
    check(&open(&disk.after_power_cut()));
}
