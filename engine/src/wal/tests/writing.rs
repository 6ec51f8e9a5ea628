use std::path::PathBuf;

use parking_lot::Mutex;

use super::super::report::Torn;
use super::super::{Payload, scan_from};
use super::*;
use crate::error::{Error, ErrorKind};
use crate::io::SyncLabel;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn golden_bytes_of_a_file() {
    let rig = Rig::new(1 << 20);
    let mut log = Log::start(&rig.components, &dir(), 1 << 20, 5, &ScanReport::default()).unwrap();
    log.begin_group(21).unwrap();
    log.push(3, CONTEXT, 5, &Payload::new(b"def".to_vec()).unwrap());
    log.push(4, 0, 5, &Payload::new(Vec::new()).unwrap());
    log.commit_group(true).unwrap();
    log.close().unwrap();
    // Checksums computed by another program (zlib's crc32).
    let header = hex("41 4c 55 56 4c 4f 47 0a 02 00 00 00 5d 40 53 98 01 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 \
        08 07 06 05 04 03 02 01");
    let group = hex("41 4c 56 47 83 b8 cf e4 57 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00 \
        01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 \
        03 00 00 00 b3 1c ad cd 05 00 00 00 00 00 00 00 03 01 64 65 66 00 00 00 00 95 3b 39 08 05 00 00 00 00 00 00 00 04 00");
    let close = hex("41 4c 56 47 61 f0 58 d2 30 00 00 00 00 00 00 00 06 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 \
        02 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00");
    let mut expected = Vec::new();
    for part in [&header, &header, &group, &close] {
        expected.extend_from_slice(part);
        expected.resize(expected.len().next_multiple_of(4096), 0);
    }
    assert_eq!(rig.names(), ["0000000001.log"]);
    assert!(rig.bytes(1) == expected);
}

#[test]
fn records_come_back_in_order_with_their_context() {
    let rig = Rig::new(1 << 20);
    let (mut log, seen) = rig.open();
    assert_eq!((seen.report.first_sequence, seen.report.last_sequence, seen.report.next_sequence()), (0, 0, 1));
    assert_eq!(log.file_number(), 0);
    log.begin_group(100).unwrap();
    assert_eq!(log.file_number(), 1);
    log.push(KIND, CONTEXT, 1, &Payload::new(b"series".to_vec()).unwrap());
    push(&mut log, 1..=3);
    log.commit_group(true).unwrap();
    group(&mut log, 4..=4, false).unwrap();
    assert_eq!(log.durable(), 3);
    log.sync().unwrap();
    assert_eq!(log.durable(), 4);
    let (_, seen) = rig.open();
    assert_eq!(seen.sequences(), [1, 2, 3, 4]);
    assert_eq!(seen.context, [(1, b"series".to_vec())]);
    assert_eq!((seen.report.first_sequence, seen.report.last_sequence), (1, 4));
    assert_eq!((seen.report.torn, seen.report.damage, seen.report.clean_close), (None, vec![], false));
    log.close().unwrap();
    assert!(rig.scan().report.clean_close);
    assert!(matches!(log.begin_group(0), Err(Error::Closed)));
    log.close().unwrap();
}

#[test]
fn a_group_costs_one_write_and_one_sync_of_whole_pages() {
    let meter = Arc::new(crate::io::WriteMeter::default());
    let mut rig = Rig::new(1 << 20);
    rig.components.disk = Arc::new(crate::io::MeteredDisk::new(Arc::new(rig.disk.clone()), meter.clone()));
    let (mut log, _) = rig.open();
    group(&mut log, 1..=1, true).unwrap();
    let (bytes, syncs) = (meter.bytes(), meter.syncs());
    group(&mut log, 2..=2, true).unwrap();
    assert_eq!((meter.bytes() - bytes, meter.syncs() - syncs), (4096, 1));
}

#[test]
fn files_rotate_are_trimmed_and_written_over() {
    let rig = Rig::new(40 << 10);
    let (mut log, _) = rig.open();
    let mut next = 1;
    let write = |log: &mut Log, groups: u64, next: &mut u64| {
        for _ in 0..groups {
            group(log, *next..=*next + 4, true).unwrap();
            *next += 5;
        }
    };
    write(&mut log, 100, &mut next);
    let files = rig.names();
    assert!(files.len() > 10, "{files:?}");
    assert_eq!(rig.scan().sequences(), (1..next).collect::<Vec<_>>());
    assert_eq!(log.bytes_on_disk(), rig.disk.used());

    log.trim(next).unwrap();
    let spares = rig.names().iter().filter(|name| name.ends_with(".spare")).count();
    assert_eq!((spares, rig.names().len()), (8, 9), "a bounded number is kept");
    assert_eq!(log.bytes_on_disk(), rig.disk.used());
    let first = rig.scan().report.first_sequence;
    write(&mut log, 2, &mut next);
    let begun = log.file_number();
    write(&mut log, 24, &mut next);
    assert!(log.file_number() >= begun + 2);
    assert_eq!(rig.names().len(), 9, "spares are used before new files are made");
    assert!(rig.disk.used() <= 9 * (40 << 10));

    // The files still hold groups of their earlier life behind the new ones.
    let last = log.file_number();
    assert!(rig.bytes(last).chunks(4096).filter(|page| page.starts_with(b"ALVG")).count() > 2);
    let (mut log, seen) = rig.open();
    assert_eq!(seen.sequences(), (first..next).collect::<Vec<_>>());
    assert_eq!((&seen.report.torn, &seen.report.damage[..]), (&None, &[][..]));
    write(&mut log, 3, &mut next);
    assert_eq!(rig.scan().sequences(), (first..next).collect::<Vec<_>>());
}

#[test]
fn trimming_keeps_what_is_asked_for_and_the_newest_file() {
    let rig = Rig::new(24 << 10);
    let (mut log, _) = rig.open();
    (0..10).for_each(|i| group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap());
    let firsts: Vec<_> = rig.scan().report.files.iter().map(|file| file.first).collect();
    assert!(firsts.len() > 3);
    for keep in 1..=100 {
        log.trim(keep).unwrap();
        let seen = rig.scan();
        assert_eq!(seen.report.first_sequence, *firsts.iter().rfind(|first| **first <= keep).unwrap(), "keep from {keep}");
        assert_eq!(seen.report.last_sequence, 100);
    }
    drop(log);
    // Opened and trimmed without a single write: the last file must stay.
    let (mut log, _) = rig.open();
    log.trim(1000).unwrap();
    assert_eq!(rig.scan().report.next_sequence(), 101);
}

#[test]
fn bytes_since_shrinks_with_the_sequence() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    for i in 0..200 {
        group(&mut log, i * 10 + 1..=i * 10 + 10, true).unwrap();
    }
    let (all, half) = (log.bytes_since(1), log.bytes_since(1001));
    assert!((1_600_000..2_600_000).contains(&all), "{all}");
    assert!(half * 2 >= all && half * 2 < all + (300 << 10), "{half} of {all}");
    assert_eq!(log.bytes_since(2001), 0);
    log.trim(1001).unwrap();
    assert_eq!(log.bytes_since(1001), half);
    let (log, _) = rig.open();
    assert!(log.bytes_since(1001) >= half);
    assert_eq!(log.bytes_since(2001), 0);
}

#[test]
fn a_group_larger_than_a_file_gets_one_of_its_own() {
    let rig = Rig::new(16 << 10);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=2, true).unwrap();
    group(&mut log, 3..=300, true).unwrap();
    group(&mut log, 301..=302, true).unwrap();
    assert_eq!(rig.names().len(), 3);
    assert_eq!(rig.scan().sequences(), (1..=302).collect::<Vec<_>>());
}

#[test]
fn rotation_makes_the_old_file_durable_first() {
    let rig = Rig::new(16 << 10);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=4, false).unwrap();
    group(&mut log, 5..=30, true).unwrap();
    assert_eq!(log.file_number(), 2);
    assert_eq!(rig.after_power_cut().scan().sequences(), (1..=30).collect::<Vec<_>>());
}

#[test]
fn sequences_must_be_consecutive() {
    let rig = Rig::new(1 << 20);
    let (mut log, seen) = rig.open();
    log.begin_group(0).unwrap();
    push(&mut log, 2..=2);
    assert!(matches!(log.commit_group(true), Err(Error::Internal(_))));
    group(&mut log, 1..=1, true).unwrap();
    assert_eq!(rig.scan().sequences(), [1]);
    let found = rig.scan().report;
    let behind = Log::start(&rig.components, &dir(), 1 << 20, 1, &found);
    assert!(matches!(behind, Err(Error::Internal(_))), "a sequence must never be used twice");
    assert!(Log::start(&rig.components, &dir(), 1 << 20, 1, &seen.report).is_ok());
}

#[test]
fn a_full_disk_drops_the_group_and_nothing_else() {
    // At every quota: fresh space, and recycled space with a group that ends beyond it.
    for recycled in [false, true] {
        for spare_pages in 0..6 {
            let rig = Rig::new(if recycled { 64 << 10 } else { 1 << 20 });
            let (mut log, _) = rig.open();
            let mut next = 1;
            while recycled && log.file_number() < 4 {
                group(&mut log, next..=next + 9, true).unwrap();
                next += 10;
            }
            log.trim(next).unwrap();
            while recycled && log.file_number() < 5 {
                group(&mut log, next..=next + 9, true).unwrap();
                next += 10;
            }
            group(&mut log, next..=next, true).unwrap();
            group(&mut log, next + 1..=next + 1, false).unwrap();
            let last = next + 1;
            let disk = &rig.disk;
            disk.set_quota(Some(disk.used() + spare_pages * 4096));
            let refused = group(&mut log, last + 1..=last + 200, true).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
            for seen in [rig.scan(), rig.after_power_cut().scan()] {
                assert_eq!(seen.report.last_sequence, last, "nothing of the group counts");
                assert_eq!(seen.report.torn, None);
            }
            disk.set_quota(None);
            group(&mut log, last + 1..=last + 2, true).unwrap();
            let seen = rig.after_power_cut().scan();
            assert_eq!(seen.report.last_sequence, last + 2);
            assert_eq!(seen.sequences().last(), Some(&(last + 2)));
            assert!(seen.records.iter().all(|(sequence, bytes)| *bytes == record(*sequence)));
        }
    }
}

/// Writes half of what it is given and then has no more room, as a real disk may.
#[derive(Debug)]
struct HalfWritten {
    disk: MemoryDisk,
    /// Bytes that a write may have at most.
    room: AtomicU64,
    /// The last write that had more.
    refused: Mutex<Vec<u8>>,
}

impl HalfWritten {
    fn under(rig: &mut Rig) -> Arc<HalfWritten> {
        let half = HalfWritten { disk: rig.disk.clone(), room: AtomicU64::new(u64::MAX), refused: Mutex::default() };
        let half = Arc::new(half);
        rig.components.disk = Arc::new(half.clone());
        half
    }
}

#[derive(Debug)]
struct HalfWrittenFile(Arc<dyn crate::io::File>, Arc<HalfWritten>);

impl crate::io::File for HalfWrittenFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, buf)
    }
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if data.len() as u64 > self.1.room.load(Ordering::Relaxed) {
            *self.1.refused.lock() = data.to_vec();
            self.0.write_all_at(offset, &data[..data.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_all_at(offset, data)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        self.0.sync(label)
    }
}

impl Disk for Arc<HalfWritten> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn crate::io::File>> {
        Ok(Arc::new(HalfWrittenFile(self.disk.open(path, mode)?, self.clone())))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<crate::io::DirEntry>> {
        self.disk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        self.disk.sync_dir(dir, label)
    }
    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn crate::io::DirectoryLock>> {
        self.disk.lock(path, note)
    }
}

#[test]
fn half_a_group_on_a_full_disk_is_undone() {
    for recycled in [false, true] {
        let mut rig = Rig::new(64 << 10);
        let half = HalfWritten::under(&mut rig);
        let (mut log, _) = rig.open();
        let mut next = 1;
        while recycled && log.file_number() < 4 {
            group(&mut log, next..=next + 9, true).unwrap();
            next += 10;
        }
        log.trim(next).unwrap();
        while recycled && log.file_number() < 5 {
            group(&mut log, next..=next + 9, true).unwrap();
            next += 10;
        }
        group(&mut log, next..=next, true).unwrap();
        half.room.store(8192, Ordering::Relaxed);
        assert!(matches!(group(&mut log, next + 1..=next + 30, true), Err(Error::DiskFull { .. })));
        for seen in [rig.scan(), rig.after_power_cut().scan()] {
            assert_eq!((seen.report.last_sequence, seen.report.torn), (next, None), "recycled: {recycled}");
        }
        assert_eq!(log.bytes_on_disk(), rig.disk.used());
        group(&mut log, next + 1..=next + 1, true).unwrap();
        assert_eq!(rig.scan().report.last_sequence, next + 1);
    }
}

#[test]
fn frames_of_a_dropped_group_never_stand_in_for_those_of_the_next() {
    let mut rig = Rig::new(1 << 20);
    let half = HalfWritten::under(&mut rig);
    let (mut log, _) = rig.open();
    log.begin_group(0).unwrap();
    // Four frames fill the first page of a group exactly, so that a fifth begins the second.
    let mut write = |letter: u8| {
        log.begin_group(6 * 1012)?;
        for sequence in 1..=6 {
            log.push(KIND, 0, sequence, &Payload::new(vec![letter; 4048 / 4 - 18]).unwrap());
        }
        log.commit_group(false)
    };
    half.room.store(8191, Ordering::Relaxed);
    assert!(matches!(write(b'a'), Err(Error::DiskFull { .. })));
    half.room.store(u64::MAX, Ordering::Relaxed);
    write(b'b').unwrap();
    // As if of the second group only the first page had reached the disk, and of the dropped one the second.
    let dropped = half.refused.lock()[4096..].to_vec();
    rig.corrupt(1, |bytes| bytes[8192 + 4096..].copy_from_slice(&dropped));
    let seen = rig.scan();
    assert_eq!(seen.sequences(), [1, 2, 3, 4]);
    assert!(seen.records.iter().all(|(_, bytes)| bytes[0] == b'b'));
}

#[test]
fn a_full_disk_at_rotation_is_met_again_later() {
    let rig = Rig::new(16 << 10);
    let (mut log, _) = rig.open();
    rig.disk.set_quota(Some(0));
    assert!(matches!(group(&mut log, 1..=2, true), Err(Error::DiskFull { .. })));
    assert!(matches!(group(&mut log, 1..=2, true), Err(Error::DiskFull { .. })));
    assert_eq!(rig.names(), Vec::<String>::new());
    rig.disk.set_quota(None);
    group(&mut log, 1..=20, true).unwrap();
    rig.disk.set_quota(Some(rig.disk.used()));
    assert!(matches!(group(&mut log, 21..=22, true), Err(Error::DiskFull { .. })));
    rig.disk.set_quota(None);
    group(&mut log, 21..=22, true).unwrap();
    let seen = rig.after_power_cut().scan();
    assert_eq!(seen.sequences(), (1..=22).collect::<Vec<_>>());
    assert_eq!((seen.report.torn, seen.report.damage), (None, vec![]));
}

#[test]
fn a_failed_sync_or_write_stops_the_log() {
    for writes in [false, true] {
        let rig = Rig::new(1 << 20);
        let (mut log, _) = rig.open();
        group(&mut log, 1..=2, true).unwrap();
        let fail = |on| if writes { rig.disk.fail_writes(on) } else { rig.disk.fail_syncs(on) };
        fail(true);
        assert!(matches!(group(&mut log, 3..=4, true), Err(Error::Io { .. })));
        fail(false);
        assert_eq!(log.durable(), 2);
        assert!(matches!(log.begin_group(10), Err(Error::Stopped { .. })));
        assert!(matches!(log.commit_group(true), Err(Error::Stopped { .. })));
        assert!(matches!(log.sync(), Err(Error::Stopped { .. })));
        assert!(matches!(log.trim(1), Err(Error::Stopped { .. })));
        assert!(matches!(log.close(), Err(Error::Stopped { .. })));
        let (mut log, seen) = rig.open();
        let next = seen.report.next_sequence();
        group(&mut log, next..=next, true).unwrap();
        assert_eq!(rig.after_power_cut().scan().report.last_sequence, next);
    }
}

#[test]
fn every_sync_matters() {
    for label in [SyncLabel::LogGroup, SyncLabel::LogDirectory] {
        let rig = Rig::new(1 << 20);
        rig.disk.ignore_sync(Some(label));
        let (mut log, _) = rig.open();
        group(&mut log, 1..=2, true).unwrap();
        assert_eq!(rig.after_power_cut().scan().report.last_sequence, 0, "{label:?}");
    }
}

#[test]
fn odd_names_are_left_alone() {
    let rig = Rig::new(1 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=2, true).unwrap();
    for name in ["x.log", "1.log", "00000000x1.log", "notes", "99999999999999999999999.log", ".log", "0000000009.tmp"] {
        rig.disk.open(&PathBuf::from("db/log").join(name), OpenMode::CreateNew).unwrap();
    }
    let seen = rig.scan();
    assert_eq!((seen.sequences(), seen.report.files.len()), (vec![1, 2], 1));
    assert_eq!(seen.report.torn, None::<Torn>);
}

#[test]
fn a_payload_has_a_limit() {
    assert_eq!(Payload::new(vec![0; (64 << 20) + 1]).unwrap_err().kind(), ErrorKind::Input);
}

/// Small groups overwrite zeroes written ahead of them, since that takes half the time of making a file longer.
#[test]
fn a_large_file_grows_in_strides_and_what_lies_ahead_is_no_record() {
    let rig = Rig::new(4 << 20);
    let (mut log, _) = rig.open();
    group(&mut log, 1..=1, true).unwrap();
    let grown = rig.bytes(1).len();
    for sequence in 2..=40 {
        group(&mut log, sequence..=sequence, true).unwrap();
    }
    assert_eq!(rig.bytes(1).len(), grown, "39 more groups fit into what was written ahead");
    assert!(grown > 40 * 4096);
    assert_eq!(rig.open().1.sequences(), (1..=40).collect::<Vec<_>>());
    let survivor = Rig::on(rig.disk.after_power_cut(), 4 << 20, 7);
    assert_eq!(survivor.open().1.sequences(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn whole_files_are_left_out_before_what_is_wanted() {
    let rig = Rig::new(16 << 10);
    let (mut log, _) = rig.open();
    for sequence in 1..=200 {
        group(&mut log, sequence..=sequence, true).unwrap();
    }
    drop(log);
    let whole = rig.scan().report;
    let reach =
        |report: &ScanReport| -> Vec<_> { report.files.iter().map(|file| (file.number, file.first, file.last)).collect() };
    assert!(whole.files.len() > 5);
    for from in [0, 1, 2, 60, 150, 200, 201, 500] {
        let mut sequences = Vec::new();
        let report = scan_from(&rig.disk, &dir(), from, &mut |frame| {
            sequences.extend((frame.flags & CONTEXT == 0).then_some(frame.sequence));
            Ok(())
        });
        let report = report.unwrap();
        // The last file is always read: nothing says where it ends.
        let first = whole.files.iter().find(|file| file.last >= from).or(whole.files.last()).unwrap().first;
        assert_eq!(sequences, (first..=200).collect::<Vec<_>>(), "from {from}");
        assert_eq!((reach(&report), report.last_sequence), (reach(&whole), 200), "from {from}");
    }
}
