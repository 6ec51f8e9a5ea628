//! The seam between the engine and the world: disk, clock and entropy.
//!
//! The engine does no I/O of its own. Everything goes through these traits, so that a simulated disk can lose, tear and
//! reorder what a real one may. `os` is the only user of `std::fs` and of the wall clock.

mod fault;
mod metered;
mod os;

use std::fmt::Debug;
use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

pub use fault::MemoryDisk;
pub use metered::{MeteredDisk, WriteMeter};
pub use os::{OsClock, OsDisk, OsEntropy};

/// Why a sync is made. A test can tell a simulated disk to ignore one of them and must then see data lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyncLabel {
    /// The identity file of a new database, and its directory.
    Identity,
    /// A group of log frames: the commit point of every write.
    LogGroup,
    /// The log directory, after a file was created or recycled.
    LogDirectory,
    /// The bytes of a new segment, before its rename.
    SegmentFile,
    /// The segment directory, after the rename.
    SegmentDirectory,
    /// The checksums of catalog pages, synced before the pages.
    CatalogChecksums,
    /// The catalog pages.
    CatalogPages,
    /// The catalog directory.
    CatalogDirectory,
    /// A catalog snapshot, before its rename.
    SnapshotFile,
    /// The snapshot directory, after the rename.
    SnapshotDirectory,
    /// Changes kept when their log files are let go of, and their directory: before that.
    History,
    /// Damaged bytes set aside.
    Quarantine,
}

impl SyncLabel {
    /// All of them.
    pub const ALL: [SyncLabel; 12] = [
        SyncLabel::Identity,
        SyncLabel::LogGroup,
        SyncLabel::LogDirectory,
        SyncLabel::SegmentFile,
        SyncLabel::SegmentDirectory,
        SyncLabel::CatalogChecksums,
        SyncLabel::CatalogPages,
        SyncLabel::CatalogDirectory,
        SyncLabel::SnapshotFile,
        SyncLabel::SnapshotDirectory,
        SyncLabel::History,
        SyncLabel::Quarantine,
    ];
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading only; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; it must not exist yet.
    CreateNew,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without its directory. Names that are not UTF-8 are not ours and are left out.
    pub name: String,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An open file. All access is positional, so that one handle serves many threads.
pub trait File: Debug + Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`, growing the file where needed.
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Cuts or grows (with zeroes) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes sure there is room for the first `len` bytes, growing the file with zeroes where it is shorter.
    fn reserve(&self, len: u64) -> io::Result<()> {
        if len > self.len()? { self.set_len(len) } else { Ok(()) }
    }
    /// Makes written bytes survive a power cut (`fdatasync`).
    fn sync(&self, label: SyncLabel) -> io::Result<()>;
}

/// A file system.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// The entries of a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Creates a directory and those above it; it is no error if it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` survive a power cut.
    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()>;
    /// Bytes that may still be written below a directory, by whoever is not root; `None` where nobody knows.
    fn free_bytes(&self, _dir: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
    /// Takes the exclusive lock of a file, creating it if need be and leaving `note` in it for others to read. `Err(WouldBlock)`
    /// carries the holder's note as its message. The lock goes with the returned handle.
    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>>;
}

/// Holds the lock of a file until it is dropped.
pub trait DirectoryLock: Debug + Send + Sync {}

/// Reads a whole file. `limit` bounds the allocation, since lengths on disk may be hostile.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = file.len()?;
    if len > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{len} bytes, at most {limit} expected")));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Wall-clock and monotonic time.
pub trait Clock: Debug + Send + Sync {
    /// Microseconds since 1970-01-01T00:00:00Z. May jump either way.
    fn wall_micros(&self) -> i64;
    /// Microseconds since the machine was started, or since some moment of this process where [`boot`](Clock::boot) names no
    /// start. Never goes back.
    fn monotonic_micros(&self) -> u64;
    /// Which start of the machine that was: the same for all processes until it is started again, and for no other start.
    fn boot(&self) -> Option<NonZeroU64> {
        None
    }
}

/// A source of random bytes.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The objects a database is built over, apart from its settings, which are plain data.
#[derive(Debug, Clone)]
pub struct Components {
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Salts and identities.
    pub entropy: Arc<dyn Entropy>,
}

impl Components {
    /// The operating system's file system, clocks and random numbers.
    pub fn os() -> Self {
        Components { disk: Arc::new(OsDisk), clock: Arc::new(OsClock::new()), entropy: Arc::new(OsEntropy) }
    }
}
