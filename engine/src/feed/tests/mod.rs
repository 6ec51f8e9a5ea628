//! The feed over the whole database, on a disk in memory and clocks of the test's own.

mod damage;
mod follow;
mod metadata;
mod model;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use model::{Life, Summary};

use crate::io::MemoryDisk;
use crate::testing::{Hands, begin, open, open_with, settings};
use crate::{
    BackgroundStep, ChangeKind, Database, Durability, Error, ErrorKind, Event, FieldType, IfRevision, Put, RowBuilder, Settings,
    TableSpec,
};

/// Under which the log is soon trimmed.
fn brief() -> Settings {
    Settings { seal_log_bytes: 128 << 10, log_file_bytes: 32 << 10, ..settings() }
}

fn put(db: &Database, key: &str, value: &[u8]) -> u64 {
    db.kv().put(key, value, Put::default()).unwrap()
}

fn append(db: &Database, table: &str, times: std::ops::Range<i64>) -> u64 {
    let mut rows = RowBuilder::new(db.table(table).unwrap());
    for time in times {
        rows.row(time).value("v", time as f64).unwrap();
    }
    db.append(table, &rows.finish().unwrap()).unwrap().sequence
}

fn make_table(db: &Database, name: &str) {
    db.create_table(TableSpec::new(name).field("v", FieldType::Float64)).unwrap();
}

/// Writes pairs until the log before `sequence` was let go of.
fn let_go(db: &Database, sequence: u64) {
    for n in 0_u32.. {
        put(db, "filler", &[n as u8; 3_000]);
        while db.background_step(BackgroundStep::Seal).unwrap() {}
        if db.inner_feed().log.first().unwrap() > sequence {
            return;
        }
        assert!(n < 3_000, "the log is never trimmed");
    }
}

/// A change of a pair and its key, or a gap.
type Seen = Result<(u64, String), (u64, u64)>;

/// The keys of pairs put or removed from a sequence on, and the gaps.
fn keys(db: &Database, from: u64) -> Vec<Seen> {
    let changes = db.changes().from(from).kind(ChangeKind::Pairs).read().unwrap();
    let key = |change: crate::Result<crate::Change>| match change {
        Ok(change) => match &change.events[..] {
            [Event::Pair { key, .. }] => Ok((change.sequence, key.clone())),
            other => panic!("{other:?}"),
        },
        Err(Error::Gap { from, to }) => Err((from, to)),
        Err(other) => panic!("{other}"),
    };
    changes.map(key).collect()
}

#[test]
fn everything_ever_written_is_seen_once_and_in_order() {
    for seed in 1..=4 {
        let mut life = Life::new(seed, brief());
        for _ in 0..700 {
            life.step();
        }
        life.check_from_every_point();
        assert!(life.trims > 0, "seed {seed}: nothing was trimmed");
    }
}

#[test]
fn a_change_says_what_happened() {
    let (_, clock, db) = begin();
    clock.set_wall(77);
    make_table(&db, "air");
    append(&db, "air", 5..8);
    db.kv().put("k", b"v", Put::default().time_to_live(Duration::from_secs(1))).unwrap();
    db.kv().delete("k", IfRevision::Any).unwrap();
    db.transaction(|tx| {
        tx.kv().put("a", b"1", Put::default())?;
        let mut rows = RowBuilder::new(db.table("air")?);
        rows.row(9).value("v", 1.0)?;
        tx.append("air", &rows.finish()?)
    })
    .unwrap();
    db.delete("air", &[], crate::TimeRange::new(0, 6)).unwrap();
    db.add_columns("air", &[], &[("w".to_owned(), FieldType::Bool)]).unwrap();
    db.seal().unwrap();
    let changes: Vec<_> = db.changes().read().unwrap().map(Result::unwrap).collect();
    let told: Vec<String> = changes.iter().flat_map(|change| change.events.iter().map(model::told)).collect();
    assert_eq!(
        told,
        [
            "table air 1",
            "series air 1",
            "rows air 3 Some((5, 7))",
            "pair k [118] Some(1000000)",
            "pair k gone",
            "pair a [49] None",
            "rows air 1 Some((9, 9))",
            "deleted air None 0..6",
            "table air 2",
            "seal 8 1",
        ]
    );
    assert!(changes.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert_eq!(changes[3].at.map(|at| at.wall_micros), Some(77));
    let Event::Rows(rows) = &changes[2].events[0] else { panic!("{:?}", changes[2]) };
    let batch = rows.batch().unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (3, 3), "columns added since are there and null");
    assert_eq!(batch.column(2).null_count(), 3);
}

#[test]
fn a_filter_lets_through_what_it_names() {
    let (_, _, db) = begin();
    ["air", "water"].iter().for_each(|name| make_table(&db, name));
    for n in 0..3 {
        append(&db, "air", n..n + 1);
        append(&db, "water", n..n + 1);
        put(&db, &format!("pump/{n}"), b"");
        put(&db, &format!("door/{n}"), b"");
    }
    let count = |changes: crate::ChangesFrom| changes.read().unwrap().map(Result::unwrap).count();
    assert_eq!(count(db.changes().kind(ChangeKind::Rows)), 6);
    assert_eq!(count(db.changes().kind(ChangeKind::Rows).kind(ChangeKind::Pairs)), 12);
    assert_eq!(count(db.changes().table("air")), 1 + 1 + 3);
    assert_eq!(count(db.changes().table("air").kind(ChangeKind::Rows)), 3);
    assert_eq!(count(db.changes().prefix("pump/")), 3);
    assert_eq!(count(db.changes().prefix("pump/").table("water")), 3 + 1 + 1 + 3);
    let mut few = db.changes().prefix("door/").limit(2).read().unwrap();
    assert_eq!(few.by_ref().count(), 2);
    let through = few.through();
    assert_eq!(count(db.changes().prefix("door/").from(through + 1)), 1, "it can be gone on from there");
    let mut none = db.changes().kind(ChangeKind::Receipts).read().unwrap();
    assert!(none.next().is_none());
    assert_eq!(none.through(), put(&db, "x", b"") - 1, "what was filtered out was looked at");
}

#[test]
fn what_is_not_durable_is_not_seen() {
    let (disk, clock, db) = begin();
    make_table(&db, "air");
    let mut changes = db.changes().kind(ChangeKind::Rows).read().unwrap();
    let mut rows = RowBuilder::new(db.table("air").unwrap());
    rows.row(1).value("v", 1.0).unwrap();
    append(&db, "air", 0..1);
    assert!(changes.next().is_some());
    db.append_with("air", &rows.finish().unwrap(), Durability::Buffered).unwrap();
    assert!(changes.next().is_none(), "a power cut may take it back");
    assert_eq!(open(&disk.after_power_cut(), &clock).changes().kind(ChangeKind::Rows).read().unwrap().count(), 1);
    db.flush().unwrap();
    assert!(changes.next().is_some());
}

#[test]
fn sequences_of_the_future_are_refused() {
    let (_, _, db) = begin();
    let last = put(&db, "k", b"");
    assert_eq!(db.changes().from(last + 1).read().unwrap().count(), 0);
    for refused in [
        db.changes().from(last + 2).read().err(),
        db.changed_since(last + 1).err(),
        db.cursor("c").unwrap().begin(last + 1).err(),
        db.cursor("c").unwrap().acknowledge(last + 1).err(),
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, Error::FutureSequence { last: found, .. } if found == last), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Input);
    }
}

#[test]
fn cursors_outlast_restarts_and_do_not_feed_themselves() {
    let (disk, clock, db) = begin();
    assert!(matches!(db.cursor("c").unwrap().position(), Err(Error::NoSuchCursor { name }) if name == "c"));
    assert!(matches!(db.cursor("c").unwrap().acknowledge(0), Err(Error::NoSuchCursor { .. })));
    let first = put(&db, "k1", b"");
    assert_eq!(db.cursor("c").unwrap().begin(0).unwrap(), 0);
    let second = put(&db, "k2", b"");
    assert_eq!(db.cursor("c").unwrap().acknowledge(first).unwrap(), first);
    assert_eq!(db.cursor("c").unwrap().begin(0).unwrap(), first, "begun already");
    let cut = open(&disk.after_power_cut(), &clock);
    let read = |db: &Database| {
        db.cursor("c").unwrap().changes().unwrap().read().unwrap().map(|c| c.unwrap().sequence).collect::<Vec<_>>()
    };
    assert_eq!(read(&cut), [second]);
    // With what it led to, in one transaction.
    db.transaction(|tx| {
        tx.kv().put("mirror/k2", b"", Put::default())?;
        tx.cursor("c")?.acknowledge(second).map(drop)
    })
    .unwrap();
    assert_eq!(db.cursor("c").unwrap().acknowledge(first).unwrap(), second, "it never goes back");
    assert_eq!(keys(&db, second + 1).len(), 1);
    db.cursor("d").unwrap().begin(second).unwrap();
    let names = |db: &Database| db.cursors().unwrap().into_iter().map(|c| (c.name, c.acknowledged)).collect::<Vec<_>>();
    assert_eq!(names(&db), [("c".to_owned(), second), ("d".to_owned(), second)]);
    assert!(db.changed_since(0).unwrap().all(|key| matches!(key.unwrap().event, Event::Pair { .. })));
    assert!(db.cursor("c").unwrap().remove().unwrap() && !db.cursor("c").unwrap().remove().unwrap());
    db.close().unwrap();
    assert_eq!(names(&open(&disk, &clock)), [("d".to_owned(), second)]);
    let refused = open(&MemoryDisk::new(), &clock).cursor("a\nb").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Input);
}

#[test]
fn the_bytes_of_a_cursor_are_frozen() {
    let (_, _, db) = begin();
    let last = (0..300).fold(0, |_, _| put(&db, "k", b""));
    db.cursor("ab").unwrap().begin(last).unwrap();
    let stored = db.keyspace().head().unwrap().get(b"\x50ab").unwrap().unwrap();
    assert_eq!(stored.1[..], [0, 0, 0, 0, 0, 0, 1, 44]);
}

#[test]
fn history_goes_back_to_the_slowest_cursor() {
    let clock = Arc::new(Hands::default());
    let db = open_with(&MemoryDisk::new(), &clock, Settings { history_bytes: 4 << 20, ..brief() });
    let first = put(&db, "k1", b"");
    db.cursor("slow").unwrap().begin(0).unwrap();
    db.cursor("fast").unwrap().begin(0).unwrap();
    let_go(&db, first + 100);
    assert_eq!(keys(&db, 1)[0], Ok((first, "k1".to_owned())));
    let held = db.inspect().unwrap().history_bytes;
    assert!(held > 0);
    let now = db.changes().kind(ChangeKind::Receipts).read().unwrap().map(drop).count() as u64 + put(&db, "k2", b"");
    db.cursor("fast").unwrap().acknowledge(now).unwrap();
    let_go(&db, now);
    assert!(db.inspect().unwrap().history_bytes > held);
    db.cursor("slow").unwrap().acknowledge(now).unwrap();
    let_go(&db, db.inner_feed().log.first().unwrap() + 10);
    let seen = keys(&db, now + 1);
    assert!(seen.iter().all(Result::is_ok), "{:?}", seen.iter().find(|key| key.is_err()));
    assert!(matches!(keys(&db, 1)[0], Err((1, _))), "what both have acknowledged is not kept");
}

#[test]
fn gaps_are_named_exactly() {
    let clock = Arc::new(Hands::default());
    for history_bytes in [0, 64 << 10] {
        let disk = MemoryDisk::new();
        let db = open_with(&disk, &clock, Settings { history_bytes, ..brief() });
        db.cursor("slow").unwrap().begin(0).unwrap();
        let_go(&db, 300);
        assert!(db.inspect().unwrap().history_bytes <= history_bytes);
        let check = |db: &Database| {
            let seen = keys(db, 1);
            let Err((1, to)) = seen[0] else { panic!("{:?}", seen[0]) };
            assert!(to >= 200);
            let expected: Vec<_> = (to + 1..).take(seen.len() - 1).map(|n| Ok((n, "filler".to_owned()))).collect();
            assert_eq!(seen[1..], expected, "it goes on right behind the gap");
            assert_eq!(keys(db, 50)[0], Err((50, to)));
            assert_eq!(keys(db, to)[0], Err((to, to)));
            assert!(keys(db, to + 1).iter().all(Result::is_ok));
            to
        };
        let to = check(&db);
        assert_eq!(check(&open_with(&disk.after_power_cut(), &clock, brief())), to);
        assert!(db.changed_since(0).unwrap().all(|key| key.is_ok()), "the dirty-key index has no gaps");
    }
}

#[test]
fn trimming_writes_little_more_than_what_is_no_row() {
    let clock = Arc::new(Hands::default());
    let written = |history_bytes| {
        let disk = MemoryDisk::new();
        let db = open_with(&disk, &clock, Settings { history_bytes, ..brief() });
        make_table(&db, "air");
        for n in 0..2_000 {
            append(&db, "air", n * 100..n * 100 + 100);
            if n % 20 == 0 {
                put(&db, "k", &[n as u8; 50]);
            }
            while db.background_step(BackgroundStep::Seal).unwrap() {}
        }
        assert!(db.inner_feed().log.first().unwrap() > 1_000);
        (db.inspect().unwrap().bytes_written, db.inspect().unwrap().history_bytes)
    };
    let (without, nothing) = written(0);
    let (with, kept) = written(32 << 20);
    assert_eq!(nothing, 0);
    // 100 pairs of about 80 bytes each, seals, and a few bytes for each run of rows.
    assert!(kept < 20_000 && with - without < kept + 10_000, "{kept} bytes kept, {} more written", with - without);
}

#[test]
fn on_a_full_disk_room_goes_before_history() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, brief());
    disk.set_quota(Some(disk.used() + (300 << 10)));
    let mut written = Vec::new();
    for n in 0..3_000_u32 {
        match db.kv().put(&format!("k{}", n % 3), &[n as u8; 900], Put::default()) {
            Ok(sequence) => written.push(sequence),
            Err(Error::DiskFull { .. }) => db.seal().unwrap(),
            Err(other) => panic!("{other}"),
        }
    }
    disk.set_quota(None);
    let last = put(&db, "last", b"");
    let mut expected = 1;
    for seen in keys(&db, 1) {
        match seen {
            Ok((sequence, _)) => {
                assert!(sequence >= expected);
                expected = sequence + 1;
            }
            Err((from, to)) => {
                assert!(from >= expected);
                expected = to + 1;
            }
        }
    }
    assert_eq!(expected, last + 1);
    assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, []);
}

#[test]
fn the_dirty_key_index_tells_the_latest_state() {
    for seed in 1..=3 {
        let (disk, clock, mut db) = begin();
        let mut rng = Rng::with_seed(seed);
        let mut model: Summary = Summary::default();
        let mut points = vec![0];
        for n in 0..600_u64 {
            let key = format!("k{}", rng.u64(..40));
            let sequence = if rng.u64(..3) == 0 {
                if db.kv().delete(&key, IfRevision::Any).unwrap() { points.last().copied().unwrap_or(0) } else { 0 }
            } else {
                put(&db, &key, &n.to_le_bytes())
            };
            if sequence > 0 {
                let value = db.kv().get(&key).unwrap().map(|pair| pair.value);
                let last = db.changes().from(1).kind(ChangeKind::Pairs).read().unwrap().last().unwrap().unwrap().sequence;
                points.push(last);
                model.insert(key, (last, value));
            }
            match rng.u64(..40) {
                0 => db.seal().unwrap(),
                1 => {
                    db.close().unwrap();
                    db = open(&disk, &clock);
                }
                _ => {}
            }
        }
        for &after in points.iter().step_by(17) {
            let changed = db.changed_since(after).unwrap();
            let mut found = Summary::default();
            let mut last = after;
            for key in changed.map(Result::unwrap) {
                let Event::Pair { key: name, value } = key.event else { panic!("{:?}", key.event) };
                assert!(key.sequence >= last, "seed {seed}: in order");
                last = key.sequence;
                found.insert(name, (key.sequence, value.map(|value| value.value)));
            }
            let expected: Summary = model.iter().filter(|(_, (n, _))| *n > after).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(found, expected, "seed {seed} after {after}");
        }
    }
}

#[test]
fn the_dirty_key_index_is_of_one_moment_and_paged() {
    let (_, _, db) = begin();
    for n in 0..3_000 {
        put(&db, &format!("k{n:05}"), b"old");
    }
    db.seal().unwrap();
    let mut changed = db.changed_since(0).unwrap();
    assert!(changed.next().is_some());
    for n in 0..3_000 {
        put(&db, &format!("k{n:05}"), b"new");
    }
    db.seal().unwrap();
    let mut count = 1;
    for key in changed {
        let Event::Pair { value, .. } = key.unwrap().event else { panic!("no pair") };
        assert_eq!(value.unwrap().value, b"old");
        count += 1;
    }
    assert_eq!(count, 3_000);
}
