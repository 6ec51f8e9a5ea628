//! Readers beside writers, seals and restarts.

use std::sync::Arc;
use std::time::Duration;

use super::{append, brief, let_go, make_table, put};
use crate::io::MemoryDisk;
use crate::testing::{Hands, begin, open_with};
use crate::{BackgroundStep, ChangeKind, Error, Event, Put, Settings};

const LONG: Duration = Duration::from_secs(120);

#[test]
fn readers_keep_pace_with_writers_and_seals() {
    const WRITES: u64 = 1_500;
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    // The clock of a waiting reader stands still, so it waits as long as it takes.
    let db = open_with(&disk, &clock, Settings { log_file_bytes: 16 << 10, seal_log_bytes: 64 << 10, ..brief() });
    make_table(&db, "air");
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u64)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..WRITES {
                        put(db, &format!("{writer}"), &[&n.to_le_bytes()[..], &[7; 700]].concat());
                        while writer == 0 && db.background_step(BackgroundStep::Seal).unwrap() {}
                        if n % 9 == 0 {
                            let first = (writer * WRITES + n) as i64 * 4;
                            append(db, "air", first..first + 4);
                        }
                    }
                })
            })
            .collect();
        let followers: Vec<_> = (0..3)
            .map(|reader| {
                let db = &db;
                scope.spawn(move || {
                    let mut changes = db.changes().read().unwrap();
                    let (mut next, mut rows, mut last) = ([0_u64; 2], 0, 0);
                    while next != [WRITES; 2] {
                        // A slow one finds its file gone, again and again.
                        if reader == 2 && next[0] % 50 == 49 {
                            (0..200).for_each(|_| std::thread::yield_now());
                        }
                        let change = changes.next_timeout(LONG).unwrap().expect("there is more to come");
                        assert!(change.sequence > last);
                        last = change.sequence;
                        for event in &change.events {
                            match event {
                                Event::Pair { key, value } => {
                                    let writer: usize = key.parse().unwrap();
                                    let value = &value.as_ref().unwrap().value;
                                    assert_eq!(value[..8], next[writer].to_le_bytes(), "of writer {writer}");
                                    next[writer] += 1;
                                }
                                Event::Rows(found) => rows += found.rows(),
                                Event::Sealed(found) => rows += found.rows,
                                _ => {}
                            }
                        }
                    }
                    rows
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let rows: Vec<_> = followers.into_iter().map(|follower| follower.join().unwrap()).collect();
        assert_eq!(rows, [2 * WRITES.div_ceil(9) * 4; 3]);
    });
    assert!(db.inner_feed().log.first().unwrap() > WRITES, "the log was not trimmed under the readers");
}

#[test]
fn a_follower_is_woken_by_changes_and_by_the_end() {
    let (_, _, db) = begin();
    db.cursor("c").unwrap().begin(0).unwrap();
    let mut changes = db.changes().kind(ChangeKind::Pairs).read().unwrap();
    assert!(changes.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let follower = scope.spawn(move || {
            let first = changes.next_timeout(LONG).unwrap().unwrap();
            tell.send(first.sequence).unwrap();
            changes.next_timeout(LONG)
        });
        // What is not shown does not end its wait.
        db.cursor("c").unwrap().acknowledge(0).unwrap();
        let sequence = put(&db, "k", b"");
        db.cursor("c").unwrap().acknowledge(sequence).unwrap();
        assert_eq!(told.recv().unwrap(), sequence);
        db.close().unwrap();
        let second = follower.join().unwrap();
        assert!(matches!(second, Err(Error::Closed)), "{second:?}");
    });
}

#[test]
fn a_reader_that_stopped_goes_on_in_history() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, brief());
    let mut changes = db.changes().kind(ChangeKind::Pairs).read().unwrap();
    let written: Vec<_> = (0..400).map(|n| put(&db, &format!("k{n}"), &[1; 300])).collect();
    let mut seen: Vec<_> = changes.by_ref().take(57).map(|change| change.unwrap().sequence).collect();
    // Its file goes, and is overwritten several times.
    let_go(&db, written[399] + 200);
    assert!(!disk.paths().iter().any(|path| path.ends_with("log/0000000001.log")));
    seen.extend(changes.map(|change| change.unwrap().sequence).take_while(|sequence| *sequence <= written[399]));
    assert_eq!(seen, written);
}

#[test]
fn a_group_that_a_full_disk_undid_is_not_seen() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, Settings { ballast_bytes: 0, ..brief() });
    let mut changes = db.changes().kind(ChangeKind::Pairs).read().unwrap();
    put(&db, "first", b"");
    assert!(changes.next().is_some());
    for n in 0..40 {
        disk.set_quota(Some(disk.used() + 2_000));
        assert!(matches!(db.kv().put("refused", &[n; 9_000], Put::default()), Err(Error::DiskFull { .. })));
        // It reads ahead of what is there.
        assert!(changes.next().is_none());
        disk.set_quota(None);
        db.background_step(BackgroundStep::Seal).unwrap();
        put(&db, "written", &[n]);
        let change = changes.next().unwrap().unwrap();
        assert!(matches!(&change.events[..], [Event::Pair { key, .. }] if key == "written"), "{change:?}");
        assert!(changes.next().is_none());
    }
}
