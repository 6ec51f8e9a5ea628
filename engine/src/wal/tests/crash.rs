use super::super::report::Torn;
use super::*;
use crate::io::SyncLabel;

#[test]
fn a_torn_tail_ends_the_log_even_if_later_groups_are_whole() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=5, true).unwrap();
    let torn_at = rig.bytes(1).len();
    group(&mut log, 6..=15, false).unwrap();
    let later_at = rig.bytes(1).len();
    group(&mut log, 16..=20, false).unwrap();
    let end = rig.bytes(1).len();
    assert!(later_at - torn_at >= 8192);
    // The cut came when the last group had reached the disk, and only the first page of the one before.
    rig.corrupt(1, |bytes| bytes[torn_at + 4096..later_at].fill(0));
    let (mut log, seen) = rig.open();
    let torn = seen.report.torn.clone().unwrap();
    let kept = seen.report.last_sequence;
    assert!((6..15).contains(&kept));
    assert_eq!(seen.sequences(), (1..=kept).collect::<Vec<_>>());
    assert_eq!(torn, Torn { file: 1, offset: torn.offset, bytes: end as u64 - torn.offset, after: kept });
    assert!((torn_at as u64 + 48..torn_at as u64 + 4096).contains(&torn.offset));
    assert_eq!((seen.report.damage.len(), seen.report.next_sequence()), (0, kept + 1));

    // Their sequences are used again; the old frames, still there and whole, must not come back.
    group(&mut log, kept + 1..=kept + 3, true).unwrap();
    let seen = rig.after_power_cut().scan();
    assert_eq!(seen.sequences(), (1..=kept + 3).collect::<Vec<_>>());
    assert_eq!((seen.report.torn, seen.report.damage), (None, vec![]));
}

#[test]
fn the_first_page_of_an_unsynced_group_missing_is_torn_too() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=5, true).unwrap();
    let torn_at = rig.bytes(1).len();
    group(&mut log, 6..=15, false).unwrap();
    group(&mut log, 16..=20, false).unwrap();
    rig.corrupt(1, |bytes| bytes[torn_at..torn_at + 4096].fill(0));
    let seen = rig.scan();
    assert_eq!((seen.report.last_sequence, seen.report.torn.map(|torn| torn.offset)), (5, Some(torn_at as u64)));
    // Once a later group says that these were durable, the same hole is damage.
    group(&mut log, 21..=22, true).unwrap();
    group(&mut log, 23..=24, true).unwrap();
    rig.corrupt(1, |bytes| bytes[torn_at..torn_at + 4096].fill(0));
    let seen = rig.scan();
    assert_eq!((seen.report.last_sequence, seen.report.torn), (24, None));
    assert_eq!(seen.report.damage[0].sequences, Some((6, 15)));
}

#[test]
fn what_a_killed_process_left_unsynced_is_durable_once_opened() {
    for clean in [false, true] {
        let rig = Rig::new(1 << 20);
        let (mut log, _) = rig.open();
        group(&mut log, 1..=5, true).unwrap();
        let proven = rig.bytes(1).len() as u64;
        group(&mut log, 6..=15, false).unwrap();
        group(&mut log, 16..=20, false).unwrap();
        if clean {
            log.close().unwrap();
        }
        assert_eq!(rig.after_power_cut().scan().report.last_sequence, if clean { 20 } else { 5 });
        let meter = Arc::new(crate::io::WriteMeter::default());
        let mut components = rig.components.clone();
        components.disk = Arc::new(crate::io::MeteredDisk::new(components.disk, meter.clone()));
        let log = Log::start(&components, &dir(), 1 << 20, 21, &rig.scan().report).unwrap();
        assert_eq!(log.durable(), 20);
        assert_eq!(rig.after_power_cut().scan().report.last_sequence, 20);
        // After a clean close there is nothing to secure; else it is what no later group says was durable.
        let unproven = if clean { 0 } else { rig.bytes(1).len() as u64 - proven };
        assert_eq!(meter.bytes(), unproven);
    }
}

/// A sync of a file fails: what was written to it since the last one is shown, and on no device.
fn fail_sync(rig: &Rig, number: u64) {
    rig.disk.fail_syncs(true);
    rig.disk.open(&log_path(&dir(), number), OpenMode::Write).unwrap().sync(SyncLabel::LogGroup).unwrap_err();
    rig.disk.fail_syncs(false);
}

#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_durable_once_opened() {
    for synced in [0, 5] {
        let rig = Rig::new(1 << 20);
        let (mut log, _) = rig.open();
        if synced > 0 {
            group(&mut log, 1..=synced, true).unwrap();
        }
        group(&mut log, synced + 1..=15, false).unwrap();
        fail_sync(&rig, 1);
        drop(log);
        assert_eq!(rig.after_power_cut().scan().sequences(), (1..=synced).collect::<Vec<_>>());
        let (_log, seen) = rig.open();
        assert_eq!(seen.report.last_sequence, 15);
        assert_eq!(rig.after_power_cut().scan().sequences(), (1..=15).collect::<Vec<_>>(), "the header included");
    }
}

#[test]
fn what_an_opening_did_not_show_does_not_come_to_light_later() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=5, true).unwrap();
    let end = rig.bytes(1).len() as u64;
    group(&mut log, 6..=15, true).unwrap();
    drop(log);
    // The group was undone, which is shown and on no device.
    rig.disk.open(&log_path(&dir(), 1), OpenMode::Write).unwrap().write_all_at(end, &[0; 4096]).unwrap();
    fail_sync(&rig, 1);
    assert_eq!(rig.after_power_cut().scan().report.last_sequence, 15);
    let (_log, seen) = rig.open();
    assert_eq!(seen.report.last_sequence, 5);
    assert_eq!(rig.after_power_cut().scan().report.last_sequence, 5);
}

#[test]
fn an_interrupted_rotation_is_no_damage() {
    let rig = Rig::new(24 << 10);
    let (mut log, _) = rig.open();
    (0..8).for_each(|i| group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap());
    log.trim(50).unwrap();
    drop(log);
    // A spare was renamed and its new header never reached the disk; or a new file was made and has no bytes.
    for recycled in [true, false] {
        let rig = Rig::on(rig.disk.after_power_cut(), rig.file_bytes, fresh_salt());
        let spare = rig.names().into_iter().find(|name| name.ends_with(".spare")).unwrap();
        let next = log_path(&dir(), 1 + rig.scan().report.files.last().unwrap().number);
        if recycled {
            rig.disk.rename(&dir().join(spare), &next).unwrap();
        } else {
            rig.disk.open(&next, OpenMode::CreateNew).unwrap();
        }
        let (mut log, seen) = rig.open();
        assert_eq!((seen.report.last_sequence, seen.report.torn, seen.report.damage), (80, None, vec![]));
        log.trim(1000).unwrap();
        assert_eq!(rig.scan().report.next_sequence(), 81, "the log forgot how far it had come");
        group(&mut log, 81..=90, true).unwrap();
        let seen = rig.after_power_cut().scan();
        assert_eq!((seen.report.last_sequence, seen.report.torn, seen.report.damage), (90, None, vec![]));
        log.trim(81).unwrap();
        assert_eq!(rig.scan().sequences(), (81..=90).collect::<Vec<_>>());
    }
}

/// The disk after a power cut that let an arbitrary part of the unsynced pages through.
fn torn_power_cut(rig: &Rig, random: &mut Rng) -> Rig {
    let after = rig.after_power_cut();
    for name in after.names() {
        let path = dir().join(&name);
        let Ok(file) = rig.disk.open(&path, OpenMode::Read) else { continue };
        let mut live = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(0, &mut live).unwrap();
        after
            .disk
            .corrupt(&path, |bytes| {
                if random.bool() {
                    bytes.resize(live.len().max(bytes.len()), 0);
                }
                // A file that was renamed since may be quite another one.
                for (old, new) in bytes.chunks_mut(4096).zip(live.chunks(4096)) {
                    if random.bool() && old.len() == new.len() {
                        old.copy_from_slice(new);
                    }
                }
            })
            .unwrap();
    }
    after
}

/// Writes at random, cuts the power, opens again, some thirty times over; returns the first broken promise.
fn power_cuts(seed: u64, ignored: Option<SyncLabel>) -> Option<String> {
    let random = &mut Rng::with_seed(seed);
    let mut rig = Rig::new(48 << 10);
    let mut durable = 0;
    for round in 0..30 {
        rig.disk.ignore_sync(ignored);
        let seen = rig.scan();
        let first = seen.report.first_sequence.max(1);
        if seen.report.last_sequence < durable || !seen.report.damage.is_empty() {
            return Some(format!("round {round}: {durable} was durable, {:?}", seen.report));
        }
        if seen.sequences() != (first..=seen.report.last_sequence).collect::<Vec<_>>() {
            return Some(format!("round {round}: {:?}", seen.sequences()));
        }
        if let Some((sequence, _)) = seen.records.iter().find(|(sequence, bytes)| *bytes != record(*sequence)) {
            return Some(format!("round {round}: record {sequence}"));
        }
        let mut next = seen.report.next_sequence();
        let mut log = Log::start(&rig.components, &dir(), rig.file_bytes, next, &seen.report).unwrap();
        for _ in 0..random.u64(..20) {
            match random.u64(..12) {
                0 => log.trim(next.saturating_sub(random.u64(..60))).unwrap(),
                1 => log.sync().unwrap(),
                2 => {
                    rig.disk.set_quota(Some(rig.disk.used() + random.u64(..3) * 4096));
                    if group(&mut log, next..=next + 20, true).is_ok() {
                        next += 21;
                    }
                    rig.disk.set_quota(None);
                }
                _ => {
                    let records = 1 + random.u64(..12);
                    group(&mut log, next..=next + records - 1, random.u64(..3) > 0).unwrap();
                    next += records;
                }
            }
        }
        if random.u64(..5) == 0 {
            log.close().unwrap();
        }
        durable = log.durable();
        match random.u64(..3) {
            // The process was killed: the disk has everything.
            0 => {}
            _ => rig = torn_power_cut(&rig, random),
        }
    }
    None
}

#[test]
fn no_power_cut_loses_what_was_durable() {
    for seed in 1..=60 {
        assert_eq!(power_cuts(seed, None), None, "seed {seed}");
    }
}

#[test]
fn the_power_cuts_would_show_a_missing_sync() {
    for label in [SyncLabel::LogGroup, SyncLabel::LogDirectory] {
        let shown = (1..=60).any(|seed| power_cuts(seed, Some(label)).is_some());
        assert!(shown, "{label:?}");
    }
}
