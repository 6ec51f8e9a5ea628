use super::super::LogDamage;
use super::super::report::Torn;
use super::*;
use crate::error::Error;

/// A log of four synced groups of five records, closed; the offsets of its groups.
fn closed_log() -> (Rig, Vec<usize>) {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    (0..4).for_each(|i| group(&mut log, i * 5 + 1..=i * 5 + 5, true).unwrap());
    log.close().unwrap();
    let offsets: Vec<_> =
        rig.bytes(1).chunks(4096).enumerate().filter(|(_, p)| p.starts_with(b"ALVG")).map(|(i, _)| i * 4096).collect();
    assert_eq!(offsets.len(), 5);
    (rig, offsets)
}

/// Where `sequence` begins in the bytes of a file.
fn find(rig: &Rig, number: u64, sequence: Sequence) -> usize {
    let text = format!("record {sequence};");
    rig.bytes(number).windows(text.len()).position(|window| window == text.as_bytes()).unwrap() - 18
}

fn lost(seen: &Seen) -> Vec<Sequence> {
    seen.report.damage.iter().filter_map(|damage| damage.sequences).flat_map(|(first, last)| first..=last).collect()
}

#[test]
fn one_bad_frame_below_the_mark_costs_that_record() {
    let (rig, _) = closed_log();
    let at = find(&rig, 1, 8);
    rig.corrupt(1, |bytes| bytes[at + 30] ^= 4);
    let seen = rig.scan();
    assert_eq!(seen.sequences(), (1..=20).filter(|s| *s != 8).collect::<Vec<_>>());
    let bytes = (find(&rig, 1, 9) - at) as u64;
    assert_eq!(seen.report.damage, [LogDamage { file: 1, offset: at as u64, bytes, sequences: Some((8, 8)) }]);
    assert_eq!(seen.report.torn, None);

    // With its length wrong too, the next one is found all the same.
    rig.corrupt(1, |bytes| bytes[at + 1] ^= 0x40);
    let again = rig.scan();
    assert_eq!((again.sequences(), again.report.next_sequence()), (seen.sequences(), 21));
    assert_eq!(again.report.damage, seen.report.damage);
}

#[test]
fn several_bad_frames_cost_no_more_than_themselves() {
    let (rig, offsets) = closed_log();
    let (from, to) = (find(&rig, 1, 7), find(&rig, 1, 10));
    rig.corrupt(1, |bytes| bytes[from..to].fill(0x5a));
    let seen = rig.scan();
    assert_eq!(seen.sequences(), (1..=6).chain(10..=20).collect::<Vec<_>>());
    assert_eq!(lost(&seen), [7, 8, 9]);
    // And the rest of a group without any good frame.
    rig.corrupt(1, |bytes| bytes[from..offsets[2]].fill(0x5a));
    assert_eq!(lost(&rig.scan()), [7, 8, 9, 10]);
}

#[test]
fn a_search_for_the_next_frame_comes_to_an_end() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    // A payload full of what might be frames, were it not for their checksum. They leave nothing of what may be looked at.
    let decoy = [&(64_u32 << 10).to_le_bytes()[..], &[0xff; 4], &2_u64.to_le_bytes()].concat();
    log.begin_group(0).unwrap();
    log.push(KIND, 0, 1, &Payload::new(decoy.repeat(16 << 10)).unwrap());
    push(&mut log, 2..=3);
    log.commit_group(true).unwrap();
    group(&mut log, 4..=5, true).unwrap();
    log.close().unwrap();
    let first = rig.bytes(1).windows(16).position(|bytes| bytes == decoy).unwrap();
    rig.corrupt(1, |bytes| bytes[first - 10] ^= 1);
    let seen = rig.scan();
    assert_eq!(seen.sequences(), [4, 5], "the frames behind it are good, but too far to look for");
    assert_eq!(lost(&seen), [1, 2, 3]);
}

#[test]
fn a_bad_group_header_costs_nothing_but_itself() {
    let (rig, offsets) = closed_log();
    rig.corrupt(1, |bytes| bytes[offsets[1] + 9] ^= 1);
    let seen = rig.scan();
    assert_eq!(seen.sequences(), (1..=20).collect::<Vec<_>>());
    assert_eq!(seen.report.damage, [LogDamage { file: 1, offset: offsets[1] as u64, bytes: 48, sequences: None }]);
    assert!(seen.report.clean_close);
}

#[test]
fn a_group_without_its_header_and_first_frame_is_lost() {
    let (rig, offsets) = closed_log();
    rig.corrupt(1, |bytes| bytes[offsets[1]..offsets[1] + 60].fill(0x5a));
    let seen = rig.scan();
    assert_eq!(seen.sequences(), (1..=5).chain(11..=20).collect::<Vec<_>>());
    assert_eq!(lost(&seen), (6..=10).collect::<Vec<_>>());
}

#[test]
fn damage_to_the_last_group_is_told_from_a_torn_tail_by_the_mark() {
    for closed in [true, false] {
        let rig = Rig::new(1 << 20);
        let (mut log, _) = rig.open();
        group(&mut log, 1..=5, true).unwrap();
        group(&mut log, 6..=10, true).unwrap();
        if closed {
            log.close().unwrap();
        }
        let at = find(&rig, 1, 7);
        rig.corrupt(1, |bytes| bytes[at + 19] ^= 1);
        let seen = rig.scan();
        if closed {
            assert_eq!((lost(&seen), seen.report.torn.is_none()), (vec![7], true));
        } else {
            // Nothing on disk says that this group was ever acknowledged.
            let end = rig.bytes(1).len();
            let torn = Torn { file: 1, offset: at as u64, bytes: (end - at) as u64, after: 6 };
            assert_eq!((seen.report.torn.as_ref(), seen.report.damage.len()), (Some(&torn), 0));
            assert_eq!(seen.sequences(), (1..=6).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_flipped_bit_is_survived_and_accounted_for() {
    let (rig, _) = closed_log();
    let whole = rig.bytes(1);
    for bit in (0..whole.len() * 8).filter(|bit| bit % 8 == bit / 8 % 8) {
        rig.corrupt(1, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let seen = rig.scan();
        let missing: Vec<_> = (1..=20).filter(|s| !seen.sequences().contains(s)).collect();
        assert!(seen.records.iter().all(|(sequence, bytes)| *bytes == record(*sequence)), "byte {}", bit / 8);
        assert_eq!(lost(&seen), missing, "byte {}", bit / 8);
        assert!(missing.len() <= 1, "byte {} costs {missing:?}", bit / 8);
        assert_eq!(seen.report.torn, None, "byte {}", bit / 8);
        if bit / 8 < 8192 {
            assert_eq!(missing, [0u64; 0], "byte {} of the headers", bit / 8);
        }
        rig.corrupt(1, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
}

#[test]
fn every_truncation_is_survived() {
    let (rig, _) = closed_log();
    let whole = rig.bytes(1);
    for len in (0..whole.len()).step_by(97) {
        rig.corrupt(1, |bytes| bytes.truncate(len));
        let (mut log, seen) = rig.open();
        assert!(seen.sequences().is_sorted() && seen.report.last_sequence <= 20);
        let next = seen.report.next_sequence();
        group(&mut log, next..=next, true).unwrap();
        let again = rig.scan();
        assert_eq!(again.records.len(), seen.records.len() + 1, "cut to {len}");
        assert_eq!(again.report.torn, None, "cut to {len}");
        let number = log.file_number();
        rig.disk.remove(&log_path(&dir(), number)).unwrap();
        rig.corrupt(1, |bytes| *bytes = whole.clone());
    }
}

#[test]
fn noise_is_no_log() {
    let rig = Rig::new(1 << 20);
    rig.disk.open(&log_path(&dir(), 1), OpenMode::CreateNew).unwrap();
    let mut random = Rng::with_seed(7);
    for _ in 0..50 {
        rig.corrupt(1, |bytes| *bytes = (0..random.u64(..20_000)).map(|_| random.u8(..)).collect());
        let seen = rig.scan();
        assert_eq!(seen.records.len(), 0);
        assert!(seen.report.damage.iter().all(|damage| damage.sequences.is_none()));
    }
}

#[test]
fn frames_a_user_stored_are_no_frames() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=5, true).unwrap();
    group(&mut log, 6..=9, true).unwrap();
    let copied = rig.bytes(1)[8192..].to_vec();
    let other = Rig::on(MemoryDisk::new(), 1 << 20, 99);
    other.disk.create_dir_all(&dir()).unwrap();
    let (mut log, _) = other.open();
    // Laid so that the copied groups begin on a page.
    let mut payload = vec![0; 4096 - 48 - 18];
    payload.extend_from_slice(&copied);
    log.begin_group(payload.len()).unwrap();
    log.push(KIND, 0, 1, &Payload::new(payload.clone()).unwrap());
    log.commit_group(true).unwrap();
    assert!(other.bytes(1)[8192 + 4096..].starts_with(b"ALVG"));
    other.corrupt(1, |bytes| bytes[8192] ^= 1);
    assert_eq!(other.scan().records.len(), 0);
}

#[test]
fn either_copy_of_a_header_is_enough() {
    let (rig, _) = closed_log();
    assert!(rig.scan().report.files[0].header_whole);
    for copy in [0, 4096] {
        let whole = rig.bytes(1);
        rig.corrupt(1, |bytes| bytes[copy..copy + 4096].fill(0xee));
        let seen = rig.scan();
        assert_eq!((seen.records.len(), seen.report.damage.len()), (20, 0));
        assert!(!seen.report.files[0].header_whole);
        rig.corrupt(1, |bytes| *bytes = whole);
    }
}

#[test]
fn a_file_without_a_header_is_lost_and_says_what_with_it() {
    let rig = Rig::new(24 << 10);
    let (mut log, _) = rig.open();
    (0..8).for_each(|i| group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap());
    let files = rig.scan().report.files;
    assert!(files.len() >= 4);
    for (i, file) in files.iter().enumerate() {
        let whole = rig.bytes(file.number);
        rig.corrupt(file.number, |bytes| bytes[..8192].fill(0xee));
        let seen = rig.scan();
        let kept: Vec<_> = (1..=80).filter(|s| !(file.first..=file.last).contains(s)).collect();
        assert_eq!(seen.sequences(), kept, "file {i}");
        let damage = &seen.report.damage;
        assert_eq!((damage.len(), damage[0].file, damage[0].offset, damage[0].bytes), (1, file.number, 0, file.len));
        // Of the first nothing says where it began, of the last nothing where it ended.
        let known = (i > 0 && i + 1 < files.len()).then_some((file.first, file.last));
        assert_eq!(damage[0].sequences, known, "file {i}");
        rig.corrupt(file.number, |bytes| *bytes = whole);
    }
}

/// Its header is then somebody's work, and what it holds is not found; the files around it are read as ever.
#[test]
fn a_file_that_says_it_begins_before_an_earlier_one_costs_its_own_records() {
    let rig = Rig::new(24 << 10);
    let (mut log, _) = rig.open();
    (0..8).for_each(|i| group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap());
    let files = rig.scan().report.files;
    let (forged, next) = (&files[2], &files[3]);
    assert!(1 < files[1].first && files[1].first < forged.first);
    rig.corrupt(forged.number, |bytes| {
        for copy in [0, 4096] {
            bytes[copy + 24..copy + 32].copy_from_slice(&1_u64.to_le_bytes());
            let crc = crc32fast::hash(&bytes[copy + 16..copy + 40]);
            bytes[copy + 12..copy + 16].copy_from_slice(&crc.to_le_bytes());
        }
    });
    let (log, seen) = rig.open();
    assert_eq!(seen.report.files[2].first, 1, "the header is taken for one");
    let kept: Vec<_> = (1..=80).filter(|s| !(forged.first..=forged.last).contains(s)).collect();
    assert_eq!(seen.sequences(), kept);
    assert_eq!(lost(&seen), (forged.first..=forged.last).collect::<Vec<_>>());
    // Readers are led on from file to file, never back.
    let listed = log.listed();
    let place = listed.locate(forged.first).unwrap();
    assert_eq!((place.number, place.limit), (files[1].number, Some(next.first)));
    assert_eq!(listed.locate(next.first).unwrap().number, next.number);
}

#[test]
fn a_file_that_vanished_is_a_gap() {
    let rig = Rig::new(24 << 10);
    let (mut log, _) = rig.open();
    (0..8).for_each(|i| group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap());
    let gone = rig.scan().report.files[1].clone();
    rig.disk.remove(&log_path(&dir(), gone.number)).unwrap();
    let seen = rig.scan();
    assert_eq!(lost(&seen), (gone.first..=gone.last).collect::<Vec<_>>());
    assert_eq!(seen.report.last_sequence, 80);
}

#[test]
fn another_version_is_refused() {
    let (rig, _) = closed_log();
    rig.corrupt(1, |bytes| {
        bytes[8] = 9;
        bytes[4096 + 8] = 9;
    });
    let refused = scan(&rig.disk, &dir(), &mut |_| Ok(()));
    assert!(matches!(refused, Err(Error::Version { found: 9, supported: 2, .. })), "{refused:?}");
}

#[test]
fn a_visitor_that_fails_ends_the_scan() {
    let (rig, _) = closed_log();
    let failed = scan(&rig.disk, &dir(), &mut |_| Err(Error::Closed));
    assert!(matches!(failed, Err(Error::Closed)));
}
