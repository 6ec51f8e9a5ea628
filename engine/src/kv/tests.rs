//! Key-value pairs over the whole database, on a disk in memory and a clock of the test's own.

use std::sync::Arc;
use std::time::Duration;

use crate::io::MemoryDisk;
use crate::testing::{Hands, SECOND, begin, open, open_with, settings};
use crate::{BackgroundStep, Counts, Database, Error, FieldType, IfRevision, Put, RowBuilder, Scan, Settings, TableSpec};

fn value(db: &Database, key: &str) -> Option<Vec<u8>> {
    db.kv().get(key).unwrap().map(|pair| pair.value)
}

fn put(db: &Database, key: &str, value: &str) -> u64 {
    db.kv().put(key, value.as_bytes(), Put::default()).unwrap()
}

fn lasting(seconds: u64) -> Put {
    Put::default().time_to_live(Duration::from_secs(seconds))
}

#[test]
fn what_was_put_is_there_after_any_end() {
    let (disk, clock, db) = begin();
    for n in 0..300 {
        put(&db, &format!("key/{n:03}"), &format!("first {n}"));
    }
    db.seal().unwrap();
    for n in 0..300 {
        match n % 3 {
            0 => {
                put(&db, &format!("key/{n:03}"), "second");
            }
            1 => assert!(db.kv().delete(&format!("key/{n:03}"), IfRevision::Any).unwrap()),
            _ => {}
        }
    }
    let check = |db: &Database, when: &str| {
        let pairs = db.kv().scan(&Scan::of("key/")).unwrap();
        let expected = (0..300)
            .filter(|n| n % 3 != 1)
            .map(|n| (format!("key/{n:03}"), if n % 3 == 0 { "second".to_owned() } else { format!("first {n}") }));
        let found = pairs.into_iter().map(|(key, pair)| (key, String::from_utf8(pair.value).unwrap()));
        assert!(found.eq(expected), "{when}");
        assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, [], "{when}");
    };
    check(&db, "before");
    let cut = open(&disk.after_power_cut(), &clock);
    check(&cut, "after a power cut");
    cut.close().unwrap();
    db.close().unwrap();
    check(&open(&disk, &clock), "after closing");
    disk.corrupt(std::path::Path::new("/data/catalog/catalog.pages"), |bytes| bytes.fill(0x55)).unwrap();
    check(&open(&disk, &clock), "with a rotten catalog");
}

#[test]
fn a_condition_is_about_the_revision_that_is_there() {
    let (disk, clock, db) = begin();
    let when = |condition| Put::default().only_if(condition);
    let first = db.kv().put("k", b"1", when(IfRevision::Absent)).unwrap();
    let stale = |outcome: crate::Result<u64>, revision: Option<u64>| match outcome {
        Err(Error::Stale { what, found }) => assert_eq!((what.as_str(), found), ("key \"k\"", revision)),
        other => panic!("{other:?}"),
    };
    stale(db.kv().put("k", b"2", when(IfRevision::Absent)), Some(first));
    let second = db.kv().put("k", b"2", when(IfRevision::Is(first))).unwrap();
    assert!(second > first);
    stale(db.kv().put("k", b"3", when(IfRevision::Is(first))), Some(second));
    drop(db);
    let db = open(&disk, &clock);
    assert_eq!(db.kv().get("k").unwrap().unwrap().revision, second, "revisions outlast a restart");
    assert!(db.kv().delete("k", IfRevision::Is(first)).is_err());
    assert!(db.kv().delete("k", IfRevision::Is(second)).unwrap());
    assert!(!db.kv().delete("k", IfRevision::Any).unwrap());
    stale(db.kv().put("k", b"3", when(IfRevision::Is(second))), None);
    assert!(put(&db, "k", "4") > second, "no revision comes back");
}

#[test]
fn a_pair_expires_when_its_time_has_passed_on_the_engines_clock() {
    let (disk, clock, db) = begin();
    db.kv().put("short", b"x", lasting(10)).unwrap();
    db.kv().put("long", b"x", lasting(100)).unwrap();
    clock.pass(10 * SECOND - 1);
    assert!(value(&db, "short").is_some());
    // Neither a wall clock set ahead nor one set back matters.
    clock.set_wall(i64::MAX / 2);
    assert!(value(&db, "short").is_some());
    clock.pass(1);
    assert_eq!(value(&db, "short"), None);
    assert_eq!(db.kv().scan(&Scan::of("")).unwrap().len(), 1, "a scan does not see it either");
    clock.set_wall(0);
    assert_eq!(value(&db, "short"), None);
    // What expired counts as absent.
    db.kv().put("short", b"y", Put::default().only_if(IfRevision::Absent)).unwrap();
    db.close().unwrap();

    // Closed for a day, on a machine that starts counting anew: no time has passed.
    let later = Arc::new(Hands::default());
    later.set_wall(86_400 * SECOND as i64);
    let db = open(&disk, &later);
    later.pass(90 * SECOND - 1);
    assert!(value(&db, "long").is_some());
    later.pass(1);
    assert_eq!((value(&db, "long"), value(&db, "short")), (None, Some(b"y".to_vec())));
}

#[test]
fn time_goes_on_from_the_last_record_after_a_power_cut() {
    let (disk, clock, db) = begin();
    db.kv().put("k", b"x", lasting(10)).unwrap();
    clock.pass(9 * SECOND);
    put(&db, "other", "x");
    let later = Arc::new(Hands::default());
    let cut = open(&disk.after_power_cut(), &later);
    assert!(value(&cut, "k").is_some());
    later.pass(SECOND);
    assert_eq!(value(&cut, "k"), None);
}

/// A database closed a second after it got a pair that lasts ten, during the seventh start of the machine.
fn closed_after_a_second() -> (MemoryDisk, Arc<Hands>) {
    let (disk, clock, db) = begin();
    drop(db);
    clock.start_again(7);
    let db = open(&disk, &clock);
    db.kv().put("k", b"x", lasting(10)).unwrap();
    clock.pass(SECOND);
    db.close().unwrap();
    (disk, clock)
}

fn expires_in(db: &Database, clock: &Hands, micros: u64) {
    clock.pass(micros - 1);
    assert!(value(db, "k").is_some());
    clock.pass(1);
    assert_eq!(value(db, "k"), None);
}

#[test]
fn time_passes_while_the_database_is_closed() {
    let (disk, clock) = closed_after_a_second();
    clock.set_wall(-1);
    clock.pass(5 * SECOND);
    expires_in(&open(&disk, &clock), &clock, 4 * SECOND);
}

#[test]
fn time_passes_between_a_kill_and_the_next_opening() {
    let (disk, clock) = closed_after_a_second();
    let db = open(&disk, &clock);
    clock.pass(2 * SECOND);
    put(&db, "other", "x");
    clock.pass(3 * SECOND);
    expires_in(&open(&disk.after_power_cut(), &clock), &clock, 4 * SECOND);
}

#[test]
fn no_time_has_passed_where_the_machine_was_started_again() {
    for boot in [8, 0] {
        let (disk, clock) = closed_after_a_second();
        clock.start_again(boot);
        clock.pass(3_600 * SECOND);
        expires_in(&open(&disk, &clock), &clock, 9 * SECOND);
    }
}

#[test]
fn what_has_expired_is_taken_away() {
    let (_, clock, db) = begin();
    for n in 0..1_000 {
        db.kv().put(&format!("k{n}"), b"x", lasting(1 + n % 2)).unwrap();
    }
    db.kv().put("k0", b"for good", Put::default()).unwrap();
    db.kv().put("k2", b"longer", lasting(50)).unwrap();
    assert!(!db.background_step(BackgroundStep::Expire).unwrap(), "nothing yet");
    clock.pass(SECOND);
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    // Cells that are left: the pairs, and a note for each that expires.
    let cells = |db: &Database| {
        let view = db.keyspace().head().unwrap();
        let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        view.scan(&everything, crate::keyspace::Direction::Forward).unwrap().map(Result::unwrap).count()
    };
    assert_eq!(cells(&db), 502 + 501);
    clock.pass(SECOND);
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    assert_eq!(cells(&db), 2 + 1);
    assert_eq!((value(&db, "k0"), value(&db, "k2")), (Some(b"for good".to_vec()), Some(b"longer".to_vec())));
}

#[test]
fn counters_count_what_many_threads_add() {
    let (disk, clock, db) = begin();
    db.kv().put("n", b"-5", lasting(100)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert!(db.kv().increment("n", 2).unwrap() > -5)));
        }
    });
    assert_eq!(db.kv().increment("n", 0).unwrap(), 8 * 50 * 2 - 5);
    clock.pass(100 * SECOND);
    assert_eq!(db.kv().increment("n", 3).unwrap(), 3, "it kept its time to live, and begins anew");
    put(&db, "text", "seven");
    for (key, by, words) in [("text", 1, "no whole number"), ("n", i64::MAX, "beyond 64 bits")] {
        let refused = db.kv().increment(key, by).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(value(&open(&disk.after_power_cut(), &clock), "n"), Some(b"3".to_vec()));
}

#[test]
fn a_scan_goes_on_where_the_last_one_ended() {
    let (_, _, db) = begin();
    for key in ["a", "a/1", "a/2", "a/3", "a0", "b"] {
        put(&db, key, key);
    }
    let keys = |scan: Scan| -> Vec<String> { db.kv().scan(&scan).unwrap().into_iter().map(|(key, _)| key).collect() };
    assert_eq!(keys(Scan::of("a/").limit(2)), ["a/1", "a/2"]);
    assert_eq!(keys(Scan::of("a/").after("a/2").limit(2)), ["a/3"]);
    assert_eq!(keys(Scan::of("a/").backward().limit(2)), ["a/3", "a/2"]);
    assert_eq!(keys(Scan::of("a/").backward().after("a/2")), ["a/1"]);
    assert_eq!(keys(Scan::of("")).len(), 6);
    for (before, behind) in [
        (Scan::of("a/").after("a"), Scan::of("a/").after("b")),
        (Scan::of("a/").backward().after("b"), Scan::of("a/").backward().after("a")),
    ] {
        assert_eq!(keys(before).len(), 3, "what comes before changes nothing");
        assert!(keys(behind).is_empty());
    }
    assert!(keys(Scan::of("").limit(0)).is_empty());
}

#[test]
fn hits_and_misses_are_counted() {
    let (_, _, db) = begin();
    put(&db, "k", "x");
    let found: Vec<_> = ["k", "k", "other"].iter().map(|key| db.kv().get(key).unwrap().is_some()).collect();
    assert_eq!(found, [true, true, false]);
    assert_eq!(db.counts(), Counts { kv_hits: 2, kv_misses: 1 });
}

#[test]
fn names_that_cannot_be_keys_are_refused() {
    let (_, _, db) = begin();
    let long = "k".repeat(1_025);
    for (key, words) in [("", "1 to 1024 bytes, not 0"), (&long, "not 1025"), ("a\nb", "control character '\\n'")] {
        let refused = db.kv().put(key, b"", Put::default()).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
        assert!(db.kv().get(key).is_err() && db.kv().increment(key, 1).is_err());
    }
    put(&db, &long[1..], "fits");
}

#[test]
fn a_full_disk_refuses_pairs_and_keeps_those_there_are() {
    let (disk, clock, db) = begin();
    put(&db, "first", "x");
    disk.set_quota(Some(disk.used() + (200 << 10)));
    let mut written = 0;
    let refused = loop {
        match db.kv().put(&format!("k{written:05}"), &[7; 900], Put::default()) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert_eq!(db.kv().scan(&Scan::of("k")).unwrap().len(), written);
    disk.set_quota(None);
    db.seal().unwrap();
    put(&db, "last", "x");
    assert_eq!(db.kv().scan(&Scan::of("")).unwrap().len(), written + 2);
    let cut = open(&disk.after_power_cut(), &clock);
    assert_eq!(cut.kv().scan(&Scan::of("")).unwrap().len(), written + 2);
    assert_eq!(cut.verify(&mut |_, _| {}).unwrap().problems, []);
}

#[test]
fn a_log_of_nothing_but_pairs_is_trimmed() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, Settings { seal_log_bytes: 256 << 10, history_bytes: 0, ..settings() });
    let mut most = 0;
    for n in 0..4_000 {
        db.kv().put(&format!("k{}", n % 10), &[n as u8; 1_000], Put::default()).unwrap();
        while db.background_step(BackgroundStep::Seal).unwrap() {}
        most = most.max(disk.used());
    }
    assert!(most < 2 << 20, "{most} bytes on disk for 10 KB");
    let cut = open(&disk.after_power_cut(), &clock);
    assert_eq!(value(&cut, "k9"), Some(vec![3_999_u32 as u8; 1_000]));
}

#[test]
fn the_bytes_of_a_pair_are_frozen() {
    let (_, clock, db) = begin();
    clock.pass(5);
    db.kv().put("ab", b"on", lasting(1)).unwrap();
    put(&db, "ac", "off");
    let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let view = db.keyspace().head().unwrap();
    let cells = view.scan(&everything, crate::keyspace::Direction::Forward).unwrap().map(|cell| {
        let (key, (_, value)) = cell.unwrap();
        (key.to_vec(), value.to_vec())
    });
    let at = [0, 0, 0, 0, 0, 0x0f, 0x42, 0x45];
    let expected = [
        (b"\x10ab".to_vec(), [&at[..], b"on"].concat()),
        (b"\x10ac".to_vec(), [&[0xff; 8][..], b"off"].concat()),
        ([&b"\x90"[..], &at, b"\x10ab"].concat(), Vec::new()),
    ];
    assert!(cells.eq(expected));
}

#[test]
fn a_value_too_large_is_refused() {
    let (disk, clock) = (MemoryDisk::new(), Default::default());
    let db = open_with(&disk, &clock, Settings { value_bytes: 4, ..settings() });
    db.kv().put("a", b"four", Put::default()).unwrap();
    let refused = db.kv().put("a", b"more!", Put::default()).unwrap_err();
    assert_eq!(refused.to_string(), "bytes of a value is 5, the limit is 4 (setting `value_bytes`)");
    assert_eq!(db.kv().get("a").unwrap().unwrap().value, b"four");
}

/// With what is sealed the catalog is told everything.
fn seal_a_row(db: &Database, time: i64) {
    let mut rows = RowBuilder::new(db.table("t").unwrap());
    rows.row(time).value("v", time).unwrap();
    db.append("t", &rows.finish().unwrap()).unwrap();
    db.seal().unwrap();
}

#[test]
fn the_room_of_what_was_removed_goes_back_to_the_file_system() {
    for by_itself in [true, false] {
        let (disk, clock, db) = begin();
        put(&db, "kept", "x");
        db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).unwrap();
        for n in 0..40 {
            db.kv().put(&format!("k{n}"), &vec![n; 500_000], Put::default()).unwrap();
        }
        seal_a_row(&db, 0);
        let before = db.inspect().unwrap().catalog_bytes;
        (0..40).for_each(|n| assert!(db.kv().delete(&format!("k{n}"), IfRevision::Any).unwrap()));
        if by_itself {
            seal_a_row(&db, 1);
            assert!(db.background_step(BackgroundStep::Reclaim).unwrap());
            assert!(!db.background_step(BackgroundStep::Reclaim).unwrap(), "once is enough");
        } else {
            let report = db.compact().unwrap();
            assert!(report.catalog_bytes_after < report.catalog_bytes_before / 4, "{report:?}");
        }
        let after = db.inspect().unwrap().catalog_bytes;
        assert!(after < before / 4, "{after} of {before}");
        put(&db, "later", "y");
        for db in [&db, &open(&disk.after_power_cut(), &clock)] {
            assert_eq!((value(db, "kept"), value(db, "later")), (Some(b"x".to_vec()), Some(b"y".to_vec())));
            assert_eq!(db.kv().scan(&Scan::of("k")).unwrap().len(), 1);
            assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, []);
        }
    }
}

#[test]
fn compaction_gives_room_that_was_freed_just_before() {
    let (_, _, db) = begin();
    db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).unwrap();
    let names: Vec<_> = (0..6_000).map(|n| format!("k{n}")).collect();
    let change = |names: &[String], value: Option<&[u8]>| {
        db.transaction(|tx| {
            names.iter().try_for_each(|name| match value {
                Some(value) => tx.kv().put(name, value, Put::default()).map(drop),
                None => tx.kv().delete(name, IfRevision::Any).map(drop),
            })
        })
    };
    change(&names, Some(&[7; 500])).unwrap();
    seal_a_row(&db, 0);
    change(&names, None).unwrap();
    let report = db.compact().unwrap();
    assert!(report.catalog_bytes_after < report.catalog_bytes_before / 4, "{report:?}");
}

#[test]
fn without_room_to_give_room_back_it_is_not_tried_for_ever() {
    let (disk, _, db) = begin();
    db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).unwrap();
    for n in 0..40 {
        db.kv().put(&format!("k{n}"), &vec![n; 500_000], Put::default()).unwrap();
    }
    seal_a_row(&db, 0);
    (0..40).for_each(|n| assert!(db.kv().delete(&format!("k{n}"), IfRevision::Any).unwrap()));
    seal_a_row(&db, 1);
    disk.set_quota(Some(disk.used()));
    assert!(matches!(db.background_step(BackgroundStep::Reclaim), Err(Error::DiskFull { .. })));
    assert!(!db.background_step(BackgroundStep::Reclaim).unwrap());
    assert_eq!(db.kv().scan(&Scan::of("k")).unwrap().len(), 0);
    disk.set_quota(None);
    assert!(db.compact().unwrap().catalog_bytes_after < 1 << 20, "who asks for it gets it");
}
