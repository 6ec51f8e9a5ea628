//! What power cuts and damage leave of the feed.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Seen, brief, keys, let_go, put};
use crate::io::{MemoryDisk, SyncLabel};
use crate::testing::{Hands, open_with};
use crate::{BackgroundStep, Settings};

fn history_files(disk: &MemoryDisk) -> Vec<PathBuf> {
    disk.paths().into_iter().filter(|path| path.parent().is_some_and(|dir| dir.ends_with("history"))).collect()
}

/// Everything seen is what was written; what is not, is in a gap.
fn check(seen: &[Seen], whole: &[Seen], when: &str) -> u64 {
    let (mut expected, mut lost) = (1, 0);
    for one in seen {
        let (from, to) = match one {
            Ok((sequence, _)) => {
                assert!(whole.contains(one), "{when}: {one:?} was never written");
                (*sequence, *sequence)
            }
            Err(gap) => *gap,
        };
        assert!(from >= expected && to >= from, "{when}: {one:?} where {expected} comes next");
        let skipped = |change: &&Seen| matches!(change, Ok((sequence, _)) if (expected..from).contains(sequence));
        assert_eq!(whole.iter().find(skipped), None, "{when}: skipped in silence");
        lost += if one.is_err() { to - from + 1 } else { 0 };
        expected = to + 1;
    }
    lost
}

#[test]
fn damaged_history_is_a_gap_and_nothing_else() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, brief());
    for n in 0..900 {
        put(&db, &format!("k{n}"), format!("KEPT value {n}").repeat(9).as_bytes());
    }
    let_go(&db, 900);
    let whole = keys(&db, 1);
    assert!(whole.iter().all(Result::is_ok));
    db.close().unwrap();
    let file = history_files(&disk)[0].clone();
    let mut original = Vec::new();
    disk.corrupt(&file, |bytes| original = bytes.clone()).unwrap();
    assert!(original.len() > 64 << 10, "several chunks");
    let mut kept = Vec::new();
    for at in (0..60).chain((60..original.len()).step_by(1_237)) {
        disk.corrupt(&file, |bytes| bytes[at] ^= 1 << (at % 8)).unwrap();
        let db = open_with(&disk, &clock, brief());
        let lost = check(&keys(&db, 1), &whole, &format!("byte {at}"));
        // A chunk of 16 KiB holds at most as many.
        assert!(lost < 200, "byte {at}: {lost} changes lost");
        assert_eq!(lost > 0, at >= 56, "byte {at}: {lost} changes lost");
        assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems.is_empty(), lost == 0, "byte {at}");
        kept.push(lost);
        db.close().unwrap();
        disk.corrupt(&file, |bytes| bytes.clone_from(&original)).unwrap();
    }
    for len in (0..original.len()).step_by(4_093) {
        disk.corrupt(&file, |bytes| bytes.truncate(len)).unwrap();
        let db = open_with(&disk, &clock, brief());
        assert!(check(&keys(&db, 1), &whole, &format!("cut to {len}")) > 0);
        db.close().unwrap();
        disk.corrupt(&file, |bytes| bytes.clone_from(&original)).unwrap();
    }
    let db = open_with(&disk, &clock, brief());
    assert_eq!(check(&keys(&db, 1), &whole, "mended"), 0);
}

#[test]
fn damage_in_the_log_is_a_gap_in_history_too() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, brief());
    let written: Vec<_> = (0..20).map(|n| put(&db, &format!("k{n}"), b"value")).collect();
    let lost = written[3];
    db.close().unwrap();
    // Header pages, then a page for each group.
    disk.corrupt(&PathBuf::from("/data/log/0000000001.log"), |bytes| bytes[4_096 * (2 + 3) + 60] ^= 4).unwrap();
    let db = open_with(&disk, &clock, brief());
    let seen = keys(&db, 1);
    assert_eq!(seen[3], Err((lost, lost)));
    assert!(seen[..3].iter().chain(&seen[4..]).all(Result::is_ok));
    let_go(&db, 200);
    let later = keys(&db, 1);
    assert_eq!(later[..20], seen[..20], "what was lost stays named");
}

/// Cuts power after each step of a life; the feed is whole, unless something was not done in order.
fn lives(ignored: Option<SyncLabel>) -> bool {
    let (mut disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    disk.ignore_sync(ignored);
    let mut db = open_with(&disk, &clock, Settings { seal_log_bytes: 64 << 10, log_file_bytes: 16 << 10, ..brief() });
    let mut written = Vec::new();
    for n in 0..900_u64 {
        let key = format!("k{}", n % 7);
        written.push(Ok((put(&db, &key, &[3; 200]), key)));
        let sealed = db.background_step(BackgroundStep::Seal).unwrap();
        if sealed || n % 100 == 99 {
            let cut = open_with(&disk.after_power_cut(), &clock, brief());
            if keys(&cut, 1) != written {
                return false;
            }
        }
        if n % 300 == 299 {
            disk = disk.after_power_cut();
            disk.ignore_sync(ignored);
            db = open_with(&disk, &clock, brief());
        }
    }
    assert!(!history_files(&disk).is_empty());
    true
}

#[test]
fn what_the_log_lets_go_of_is_durable_in_history_before() {
    assert!(lives(None));
    assert!(!lives(Some(SyncLabel::History)), "nothing is the worse for not syncing it");
}
