//! A small disk in memory that can run full, fail a chosen operation, and lose what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};

/// What is written at once, in bytes.
const PAGE: usize = 4_096;

/// A file system in memory for tests: with a quota, failures on demand, and power cuts that keep only what was synced.
///
/// ```
/// use alluvium::io::{Disk, MemoryDisk, OpenMode, SyncLabel};
/// use std::path::Path;
///
/// # fn main() -> std::io::Result<()> {
/// let disk = MemoryDisk::new();
/// let file = disk.open(Path::new("a"), OpenMode::CreateNew)?;
/// file.write_all_at(0, b"kept")?;
/// file.sync(SyncLabel::LogGroup)?;
/// disk.sync_dir(Path::new(""), SyncLabel::LogDirectory)?;
/// file.write_all_at(0, b"lost")?;
/// let after = disk.after_power_cut();
/// let mut bytes = [0; 4];
/// after.open(Path::new("a"), OpenMode::Read)?.read_exact_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"kept");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    directories: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    quota: Option<u64>,
    fail_writes: bool,
    fail_syncs: bool,
    ignored_sync: Option<SyncLabel>,
}

#[derive(Debug, Default)]
struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that the next sync writes.
    dirty: BTreeSet<usize>,
}

impl Contents {
    fn mark(&mut self, bytes: Range<usize>) {
        self.dirty.extend(bytes.start / PAGE..bytes.end.div_ceil(PAGE));
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for start in std::mem::take(&mut self.dirty).into_iter().map(|page| page * PAGE) {
            let end = self.live.len().min(start + PAGE);
            if let (Some(to), Some(from)) = (self.durable.get_mut(start..end), self.live.get(start..end)) {
                to.copy_from_slice(from);
            }
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    contents: Arc<Mutex<Contents>>,
    writable: bool,
}

impl MemoryDisk {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows at most `bytes` in all files together; `None` lifts the limit.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.state.lock().quota = bytes;
    }

    /// Makes every write fail with an I/O error until told otherwise.
    pub fn fail_writes(&self, fail: bool) {
        self.state.lock().fail_writes = fail;
    }

    /// Makes every sync fail with an I/O error until told otherwise. What a failed sync was to write is shown, but no later sync
    /// writes it either, unless it is written again: so does a kernel that holds such pages for clean.
    pub fn fail_syncs(&self, fail: bool) {
        self.state.lock().fail_syncs = fail;
    }

    /// Makes syncs of one label succeed without effect, to see that something depends on them.
    pub fn ignore_sync(&self, label: Option<SyncLabel>) {
        self.state.lock().ignored_sync = label;
    }

    /// Bytes in all files together.
    pub fn used(&self) -> u64 {
        self.state.lock().files.values().map(|file| file.lock().live.len() as u64).sum()
    }

    /// What a power cut now would leave: synced bytes under synced names.
    pub fn after_power_cut(&self) -> MemoryDisk {
        let state = self.state.lock();
        let files: BTreeMap<_, _> = state
            .durable_names
            .iter()
            .map(|(path, file)| {
                let durable = file.lock().durable.clone();
                (path.clone(), Arc::new(Mutex::new(Contents { live: durable.clone(), durable, dirty: BTreeSet::new() })))
            })
            .collect();
        let survivor = State { durable_names: files.clone(), files, directories: state.directories.clone(), ..State::default() };
        MemoryDisk { state: Arc::new(Mutex::new(survivor)) }
    }

    /// Changes the bytes of a file behind everyone's back, as bit rot would.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let file = self.state.lock().files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        let mut contents = file.lock();
        change(&mut contents.live);
        contents.durable = contents.live.clone();
        contents.dirty.clear();
        Ok(())
    }

    /// The paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().files.keys().cloned().collect()
    }

    fn check_write(&self, grows_by: u64) -> io::Result<()> {
        let (fail, quota) = {
            let state = self.state.lock();
            (state.fail_writes, state.quota)
        };
        if fail {
            return Err(io::Error::other("injected write failure"));
        }
        match quota {
            Some(limit) if grows_by > 0 && self.used() + grows_by > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    /// `Ok(true)` if the sync takes effect.
    fn check_sync(&self, label: SyncLabel) -> io::Result<bool> {
        let state = self.state.lock();
        if state.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(state.ignored_sync != Some(label))
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().live.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let contents = self.contents.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let source = start.checked_add(buf.len()).and_then(|end| contents.live.get(start..end));
        buf.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start + data.len();
        let grows_by = end.saturating_sub(self.contents.lock().live.len());
        self.disk.check_write(grows_by as u64)?;
        let mut contents = self.contents.lock();
        if contents.live.len() < end {
            contents.live.resize(end, 0);
        }
        contents.live[start..end].copy_from_slice(data);
        contents.mark(start..end);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let grows_by = len.saturating_sub(self.contents.lock().live.len());
        self.disk.check_write(grows_by as u64)?;
        let mut contents = self.contents.lock();
        let before = contents.live.len();
        contents.live.resize(len, 0);
        contents.mark(before.min(len)..before.max(len));
        Ok(())
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        let sync = self.disk.check_sync(label);
        let mut contents = self.contents.lock();
        match &sync {
            Ok(true) => contents.sync(),
            Ok(false) => {}
            Err(_) => contents.dirty.clear(),
        }
        sync.map(drop)
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let contents = match (mode, state.files.get(path)) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, None) => {
                let contents = Arc::new(Mutex::new(Contents::default()));
                state.files.insert(path.to_owned(), contents.clone());
                contents
            }
            (_, Some(contents)) => contents.clone(),
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile { disk: self.clone(), contents, writable: mode != OpenMode::Read }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        if !state.directories.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name_in = |path: &Path| match path.parent() {
            Some(parent) if parent == dir => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            _ => None,
        };
        let directories =
            state.directories.iter().filter_map(|path| name_in(path).map(|name| DirEntry { name, len: 0, is_dir: true }));
        let files = state.files.iter().filter_map(|(path, file)| {
            name_in(path).map(|name| DirEntry { name, len: file.lock().live.len() as u64, is_dir: false })
        });
        let mut entries: Vec<_> = directories.chain(files).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.state.lock().directories.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let contents = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.lock().files.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        if self.check_sync(label)? {
            let mut state = self.state.lock();
            state.durable_names.retain(|path, _| path.parent() != Some(dir));
            let named: Vec<_> =
                state.files.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(p, c)| (p.clone(), c.clone())).collect();
            state.durable_names.extend(named);
        }
        Ok(())
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        if !self.state.lock().locked.insert(path.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, note));
        }
        Ok(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl DirectoryLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.state.lock().locked.remove(&self.path);
    }
}
