//! Nothing is lost on a full disk, reading goes on, and writing resumes in place once there is room.

use super::*;
use crate::TimeRange;

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
