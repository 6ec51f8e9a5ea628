//! The simulated disk, as the engine sees it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium::io::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};
use fastrand::Rng;

use super::device::{Change, Device, Image, Ino};
use super::fault::{Fault, Injection, OpClass};

/// A disk that can be cut off, run full, fail and rot. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    device: Device,
    /// Every change made, if they are recorded.
    journal: Option<Vec<Change>>,
    /// The class of every operation, if they are recorded.
    classes: Option<Vec<OpClass>>,
    /// A hash of every operation and its outcome.
    trace: DefaultHasher,
    operations: u64,
    injection: Option<Injection>,
    /// Whether the injected fault has struck.
    struck: bool,
    quota: Option<usize>,
    ignored_sync: Option<SyncLabel>,
    locked: BTreeSet<PathBuf>,
}

/// What is to become of an operation.
enum Verdict {
    Works,
    /// The first half of the bytes is written, then it fails.
    Half(io::Error),
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    ino: Ino,
    writable: bool,
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

/// Whoever panicked while it held a simulated thing has already failed the test.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimDisk {
    /// A disk that holds an image.
    pub fn from_image(image: &Image) -> Self {
        let state = State { device: Device::new(image), ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Records changes and classes of operations from here on.
    pub fn record(&self) {
        let mut state = self.lock();
        state.journal = Some(Vec::new());
        state.classes = Some(Vec::new());
    }

    /// The changes recorded.
    pub fn journal(&self) -> Vec<Change> {
        self.lock().journal.clone().unwrap_or_default()
    }

    /// How many changes are recorded.
    pub fn journal_len(&self) -> usize {
        self.lock().journal.as_ref().map_or(0, Vec::len)
    }

    /// The classes of the operations recorded.
    pub fn classes(&self) -> Vec<OpClass> {
        self.lock().classes.clone().unwrap_or_default()
    }

    /// How many operations were tried.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// A hash of everything done so far, in order.
    pub fn trace(&self) -> u64 {
        self.lock().trace.finish()
    }

    /// Makes an operation fail; `None` mends the disk.
    pub fn inject(&self, injection: Option<Injection>) {
        let mut state = self.lock();
        state.injection = injection;
        state.struck = false;
        state.quota = None;
    }

    /// Whether the injected fault has struck.
    pub fn has_struck(&self) -> bool {
        self.lock().struck
    }

    /// Allows at most so many bytes in all files together.
    pub fn set_quota(&self, bytes: Option<usize>) {
        self.lock().quota = bytes;
    }

    /// Bytes in all files together.
    pub fn used(&self) -> usize {
        self.lock().device.used()
    }

    /// Makes syncs of one label succeed without effect.
    pub fn ignore_sync(&self, label: Option<SyncLabel>) {
        self.lock().ignored_sync = label;
    }

    /// What a power cut now may leave.
    pub fn after_power_cut(&self, rng: &mut Rng) -> Image {
        self.lock().device.after_power_cut(rng)
    }

    /// What lies on it if everything is written, as when only the process is killed.
    pub fn after_shutdown(&self) -> Image {
        self.lock().device.after_shutdown()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl State {
    /// Counts an operation and decides whether it fails.
    fn begin(&mut self, class: OpClass, what: impl Hash) -> io::Result<Verdict> {
        let number = self.operations;
        self.operations += 1;
        if let Some(classes) = &mut self.classes {
            classes.push(class);
        }
        what.hash(&mut self.trace);
        let Some(Injection { at, fault, for_good }) = self.injection else { return Ok(Verdict::Works) };
        if number < at || !fault.concerns(class) || (self.struck && !for_good) {
            return Ok(Verdict::Works);
        }
        let again = std::mem::replace(&mut self.struck, true);
        match (fault, class) {
            // From now on there is as much room as is given back.
            (Fault::Full, _) if again => Ok(Verdict::Works),
            (Fault::Full, _) => {
                if for_good {
                    self.quota = Some(self.device.used());
                }
                Err(fault.error())
            }
            (Fault::ShortWrite, _) => Ok(Verdict::Half(fault.error())),
            _ => Err(fault.error()),
        }
    }

    fn room_for(&self, grows_by: usize) -> io::Result<()> {
        match self.quota {
            Some(quota) if grows_by > 0 && self.device.used() + grows_by > quota => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, change: Change) {
        self.device.apply(&change);
        if let Some(journal) = &mut self.journal {
            journal.push(change);
        }
    }

    fn set_len(&mut self, ino: Ino, len: usize) -> io::Result<()> {
        self.room_for(len.saturating_sub(self.device.content(ino).len()))?;
        self.apply(Change::SetLen(ino, len));
        Ok(())
    }
}

/// The name of what lies in a directory, and not further down. Campaigns list directories so often that it matters how long it
/// takes to take paths apart.
fn name_in<'p>(dir: &Path, path: &'p Path) -> Option<&'p str> {
    let name = path.to_str()?.strip_prefix(dir.to_str()?.trim_end_matches('/'))?.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn size(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.begin(OpClass::Look, ("len", self.ino))?;
        Ok(state.device.content(self.ino).len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.begin(OpClass::Look, ("read", self.ino, offset, buf.len()))?;
        let there = state.device.content(self.ino).read(size(offset)?, buf);
        if there { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.disk.lock();
        let verdict = state.begin(OpClass::Write, ("write", self.ino, offset, data))?;
        let offset = size(offset)?;
        let grows_by = (offset + data.len()).saturating_sub(state.device.content(self.ino).len());
        if let Err(full) = state.room_for(grows_by) {
            // As much as there is room for arrives.
            state.apply(Change::Write(self.ino, offset, data[..data.len().saturating_sub(grows_by)].into()));
            return Err(full);
        }
        let (written, outcome) = match verdict {
            Verdict::Works => (data, Ok(())),
            Verdict::Half(error) => (&data[..data.len() / 2], Err(error)),
        };
        state.apply(Change::Write(self.ino, offset, written.into()));
        outcome
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let len = size(len)?;
        let grows = len > state.device.content(self.ino).len();
        state.begin(if grows { OpClass::Grow } else { OpClass::Take }, ("set_len", self.ino, len))?;
        state.set_len(self.ino, len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let len = size(len)?;
        state.begin(OpClass::Grow, ("reserve", self.ino, len))?;
        if len > state.device.content(self.ino).len() { state.set_len(self.ino, len) } else { Ok(()) }
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        let mut state = self.disk.lock();
        if let Err(error) = state.begin(OpClass::Sync, ("sync", self.ino)) {
            state.apply(Change::SyncFailed(self.ino));
            return Err(error);
        }
        if state.ignored_sync != Some(label) {
            state.apply(Change::Sync(self.ino));
        }
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        let create = mode == OpenMode::CreateNew;
        state.begin(if create { OpClass::Grow } else { OpClass::Look }, ("open", path, create))?;
        let ino = match (create, state.device.find(path)) {
            (true, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (true, None) if !path.parent().is_some_and(|dir| state.device.dirs().contains(dir)) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (true, None) => {
                let ino = state.device.next_ino();
                state.apply(Change::Create(path.to_owned()));
                ino
            }
            (false, Some(ino)) => ino,
            (false, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile { disk: self.clone(), ino, writable: mode != OpenMode::Read }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.lock();
        state.begin(OpClass::Look, ("list", dir))?;
        if !state.device.dirs().contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entry =
            |path: &Path, len: usize, is_dir| Some(DirEntry { name: name_in(dir, path)?.to_owned(), len: len as u64, is_dir });
        let dirs = state.device.dirs().iter().filter_map(|path| entry(path, 0, true));
        let files = state.device.files().filter_map(|(path, content)| entry(path, content.len(), false));
        let mut entries: Vec<_> = dirs.chain(files).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(OpClass::Grow, ("mkdir", dir))?;
        let above: Vec<_> = dir.ancestors().collect();
        for dir in above.into_iter().rev() {
            if !state.device.dirs().contains(dir) {
                state.apply(Change::CreateDir(dir.to_owned()));
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(OpClass::Take, ("rename", from, to))?;
        state.device.find(from).ok_or(io::ErrorKind::NotFound)?;
        state.apply(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(OpClass::Take, ("remove", path))?;
        state.device.find(path).ok_or(io::ErrorKind::NotFound)?;
        state.apply(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(OpClass::Sync, ("sync_dir", dir))?;
        if !state.device.dirs().contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.ignored_sync != Some(label) {
            state.apply(Change::SyncDir(dir.to_owned()));
        }
        Ok(())
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        if !self.lock().locked.insert(path.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, note.to_owned()));
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }
}

impl DirectoryLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locked.remove(&self.path);
    }
}
