//! Power cuts at every moment, keeping any part of what was not synced.

use std::collections::BTreeMap;
use std::io;

use fastrand::Rng;
use parking_lot::Mutex;

use super::*;
use crate::io::{DirEntry, File, OpenMode};

/// Disks tear writes into these.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Op {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir,
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Sync(usize),
}

#[derive(Debug, Default)]
struct Log {
    ops: Vec<Op>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
}

/// A disk in memory that remembers every operation.
#[derive(Debug, Clone, Default)]
struct RecordingDisk {
    inner: MemoryDisk,
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct RecordingFile {
    inner: Arc<dyn File>,
    id: usize,
    log: Arc<Mutex<Log>>,
}

impl File for RecordingFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.log.lock().ops.push(Op::Write(self.id, offset, data.to_vec()));
        self.inner.write_all_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.log.lock().ops.push(Op::SetLen(self.id, len));
        self.inner.set_len(len)
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        self.log.lock().ops.push(Op::Sync(self.id));
        self.inner.sync(label)
    }
}

impl Disk for RecordingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(path, mode)?;
        let mut log = self.log.lock();
        if mode == OpenMode::CreateNew {
            let id = log.files;
            log.files += 1;
            log.names.insert(path.to_owned(), id);
            log.ops.push(Op::Create(path.to_owned(), id));
        }
        let id = log.names[path];
        Ok(Arc::new(RecordingFile { inner, id, log: self.log.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let mut log = self.log.lock();
        let id = log.names.remove(from).unwrap();
        log.names.insert(to.to_owned(), id);
        log.ops.push(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)?;
        self.log.lock().ops.push(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        self.log.lock().ops.push(Op::SyncDir);
        self.inner.sync_dir(dir, label)
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn crate::io::DirectoryLock>> {
        self.inner.lock(path, note)
    }
}

/// One possible disk after a power cut behind these operations.
fn power_cut(ops: &[Op], random: &mut Rng) -> MemoryDisk {
    let mut files: Vec<(Vec<u8>, Vec<&Op>)> = Vec::new();
    let mut names = BTreeMap::new();
    let mut unsynced_names = Vec::new();
    for op in ops {
        match op {
            Op::Create(_, id) => {
                assert_eq!(*id, files.len());
                files.push((Vec::new(), Vec::new()));
                unsynced_names.push(op);
            }
            Op::Rename(..) | Op::Remove(_) => unsynced_names.push(op),
            Op::SyncDir => unsynced_names.drain(..).for_each(|op| change_names(&mut names, op)),
            Op::Write(id, ..) | Op::SetLen(id, _) => files[*id].1.push(op),
            Op::Sync(id) => {
                let (bytes, unsynced) = &mut files[*id];
                unsynced.drain(..).for_each(|op| change_bytes(bytes, op, &mut |_| true));
            }
        }
    }
    // Directories change in order; sectors reach the disk in any.
    let kept_names = random.u64(..unsynced_names.len() as u64 + 1) as usize;
    unsynced_names.drain(..kept_names).for_each(|op| change_names(&mut names, op));
    let chance = [0, 10, 50, 90, 100][random.usize(..5)];
    for (bytes, unsynced) in &mut files {
        unsynced.drain(..).for_each(|op| change_bytes(bytes, op, &mut |_| random.u64(..100) < chance));
    }
    let disk = MemoryDisk::new();
    disk.create_dir_all(&dir()).unwrap();
    for (path, id) in names {
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &files[id].0).unwrap();
        file.sync(SyncLabel::CatalogPages).unwrap();
    }
    disk.sync_dir(&dir(), SyncLabel::CatalogDirectory).unwrap();
    disk
}

fn change_names(names: &mut BTreeMap<PathBuf, usize>, op: &Op) {
    match op {
        Op::Create(path, id) => drop(names.insert(path.clone(), *id)),
        Op::Remove(path) => drop(names.remove(path)),
        Op::Rename(from, to) => {
            let id = names.remove(from).unwrap();
            names.insert(to.clone(), id);
        }
        _ => {}
    }
}

fn change_bytes(bytes: &mut Vec<u8>, op: &Op, keep: &mut dyn FnMut(usize) -> bool) {
    match op {
        Op::Write(_, offset, data) => {
            for (number, sector) in data.chunks(SECTOR).enumerate() {
                if keep(number) {
                    let start = *offset as usize + number * SECTOR;
                    bytes.resize(bytes.len().max(start + sector.len()), 0);
                    bytes[start..start + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Op::SetLen(_, len) if keep(0) => bytes.resize(*len as usize, 0),
        _ => {}
    }
}

/// Changes of a step: small ones, large ones that overflow every cache, and some that free room again.
fn step(number: u64, random: &mut Rng) -> Vec<Change> {
    let many = number as u32 * 3_000;
    match random.u64(..6) {
        0 => vec![series(1, many..many + 1_500)],
        1 => vec![Change::PutSegment(segment(number, 40_000 + random.usize(..200_000)))],
        2 => (1..number).map(|id| Change::RemoveSegment(SegmentId(id))).collect(),
        3 => vec![Change::PutReceipt { sequence: number, receipt: receipt("lost") }],
        4 => vec![Change::PutSegment(segment(number, 500)), Change::SealedThrough(number)],
        _ => vec![Change::PutTable(schema(1)), series(1, many..many + 7)],
    }
}

/// What happened while a catalog was used.
struct History {
    ops: Vec<Op>,
    /// Contents by applied sequence, as worked out without the catalog.
    contents: BTreeMap<u64, Contents>,
    /// After how many operations a checkpoint of which sequence had succeeded.
    checkpoints: Vec<(usize, u64)>,
}

fn live(seed: u64) -> History {
    let mut random = Rng::with_seed(seed);
    let disk = RecordingDisk::default();
    let components = on(Arc::new(disk.clone()));
    let done = || disk.log.lock().ops.len();
    let mut catalog = Arc::new(Catalog::create(&components, &dir(), 64 << 10).unwrap());
    let mut checkpoints = vec![(done(), 0)];
    let mut now = Contents::default();
    let mut contents = BTreeMap::from([(0, now.clone())]);
    for number in 1..=14 {
        let mut changes = step(number, &mut random);
        if number == 1 {
            changes.push(Change::PutTable(schema(1)));
        }
        catalog.apply(number, &changes).unwrap();
        now.apply(number, &changes);
        contents.insert(number, now.clone());
        if random.bool() {
            catalog.checkpoint().unwrap();
            checkpoints.push((done(), number));
        }
    }
    catalog.checkpoint().unwrap();
    checkpoints.push((done(), 14));
    drop(catalog);
    catalog = Arc::new(Catalog::open(&components, &dir(), 64 << 10).unwrap());
    assert_eq!(Contents::of(&catalog).unwrap(), now);
    drop(catalog);
    let ops = disk.log.lock().ops.clone();
    History { ops, contents, checkpoints }
}

#[test]
fn a_power_cut_at_any_moment_leaves_a_checkpoint() {
    for seed in 1..=4_u64 {
        let history = live(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut random = Rng::with_seed(seed);
        for moment in history.checkpoints[0].0..=history.ops.len() {
            let disk = power_cut(&history.ops[..moment], &mut random);
            let context = format!("seed {seed}, after {moment} of {} operations", history.ops.len());
            let catalog = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            let applied = catalog.applied();
            let (last, next) = history.checkpoints.split_at(history.checkpoints.partition_point(|(done, _)| *done <= moment));
            let last = last.last().unwrap().1;
            let next = next.first().map_or(last, |(_, sequence)| *sequence);
            assert!(applied == last || applied == next, "{context}: {applied} applied, {last} or {next} expected");
            assert_eq!(Contents::of(&catalog).unwrap(), history.contents[&applied], "{context}");
            if moment % 3 == 0 {
                goes_on(&disk, catalog, history.contents[&applied].clone(), &context);
            }
        }
    }
}

/// A catalog that survived a power cut works like any other.
fn goes_on(disk: &MemoryDisk, catalog: Arc<Catalog>, mut expected: Contents, context: &str) {
    let changes = [Change::PutTable(schema(1)), Change::PutSegment(segment(99, 30_000)), series(1, 0..10)];
    expected.apply(100, &changes);
    catalog.apply(100, &changes).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    let catalog = open(&disk.after_power_cut()).unwrap_or_else(|error| panic!("{context}, second opening: {error}"));
    assert_eq!(Contents::of(&catalog).unwrap(), expected, "{context}");
    assert!(catalog.verify().unwrap().is_empty(), "{context}");
}
