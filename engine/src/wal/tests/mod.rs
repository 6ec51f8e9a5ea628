//! Shared by the tests of the log; the tests themselves are sorted by what they are about.

mod crash;
mod damage;
mod follow;
mod writing;

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

use super::{CONTEXT, Log, Payload, ScanReport, log_path, scan};
use crate::error::Result;
use crate::io::{Clock, Components, Disk, Entropy, MemoryDisk, OpenMode};
use crate::model::Sequence;

const KIND: u8 = 4;

#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn wall_micros(&self) -> i64 {
        0
    }
    fn monotonic_micros(&self) -> u64 {
        0
    }
}

/// Salts that count up from a start.
#[derive(Debug)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(next).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }
}

/// A log directory on a disk in memory.
#[derive(Debug)]
struct Rig {
    disk: MemoryDisk,
    components: Components,
    file_bytes: u64,
}

/// What a scan showed: records, repeated definitions, and the report.
#[derive(Debug)]
struct Seen {
    records: Vec<(Sequence, Vec<u8>)>,
    context: Vec<(Sequence, Vec<u8>)>,
    report: ScanReport,
}

impl Seen {
    fn sequences(&self) -> Vec<Sequence> {
        self.records.iter().map(|(sequence, _)| *sequence).collect()
    }
}

fn dir() -> PathBuf {
    PathBuf::from("db/log")
}

impl Rig {
    fn new(file_bytes: u64) -> Rig {
        let disk = MemoryDisk::new();
        disk.create_dir_all(&dir()).unwrap();
        Rig::on(disk, file_bytes, 0x0102_0304_0506_0708)
    }

    fn on(disk: MemoryDisk, file_bytes: u64, salt: u64) -> Rig {
        let entropy = Arc::new(Counter(AtomicU64::new(salt)));
        let components = Components { disk: Arc::new(disk.clone()), clock: Arc::new(NoClock), entropy };
        Rig { disk, components, file_bytes }
    }

    /// The disk as a power cut would leave it, with salts that were never used before.
    fn after_power_cut(&self) -> Rig {
        Rig::on(self.disk.after_power_cut(), self.file_bytes, fresh_salt())
    }

    fn scan(&self) -> Seen {
        let (mut records, mut context) = (Vec::new(), Vec::new());
        let report = scan(&self.disk, &dir(), &mut |frame| {
            assert_eq!(frame.kind, KIND);
            let list = if frame.flags & CONTEXT == 0 { &mut records } else { &mut context };
            list.push((frame.sequence, frame.payload.to_vec()));
            Ok(())
        });
        Seen { records, context, report: report.unwrap() }
    }

    /// Scans, checks that all records read are as they were written, and starts a log after them.
    fn open(&self) -> (Log, Seen) {
        let seen = self.scan();
        for (sequence, bytes) in &seen.records {
            assert_eq!(bytes, &record(*sequence), "record {sequence}");
        }
        let next = seen.report.next_sequence();
        (Log::start(&self.components, &dir(), self.file_bytes, next, &seen.report).unwrap(), seen)
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        let file = self.disk.open(&log_path(&dir(), number), OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(0, &mut bytes).unwrap();
        bytes
    }

    fn corrupt(&self, number: u64, change: impl FnOnce(&mut Vec<u8>)) {
        self.disk.corrupt(&log_path(&dir(), number), change).unwrap();
    }

    fn names(&self) -> Vec<String> {
        self.disk.list(Path::new("db/log")).unwrap().into_iter().map(|entry| entry.name).collect()
    }
}

fn fresh_salt() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    NEXT.fetch_add(1 << 20, Ordering::Relaxed)
}

/// What record `sequence` says: up to 1,500 bytes that depend on it.
fn record(sequence: Sequence) -> Vec<u8> {
    format!("record {sequence};").repeat(1 + (sequence as usize * 37) % 100).into_bytes()
}

fn push(log: &mut Log, sequences: RangeInclusive<Sequence>) {
    for sequence in sequences {
        log.push(KIND, 0, sequence, &Payload::new(record(sequence)).unwrap());
    }
}

/// One group of these records.
fn group(log: &mut Log, sequences: RangeInclusive<Sequence>, sync: bool) -> Result<()> {
    let bytes = sequences.clone().map(|sequence| Payload::new(record(sequence)).unwrap().frame_bytes()).sum();
    log.begin_group(bytes)?;
    push(log, sequences);
    log.commit_group(sync)
}
