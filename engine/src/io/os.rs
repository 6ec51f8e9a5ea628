//! The operating system's disk, clocks and entropy: the only module that may use `std::fs` and the wall clock.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is the seam")]

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Clock, DirEntry, DirectoryLock, Disk, Entropy, File, OpenMode, SyncLabel};

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

#[derive(Debug)]
struct OsFile(fs::File);

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, len) {
            // Not every file system can; zeroes take the room as well.
            Err(rustix::io::Errno::OPNOTSUPP) => {
                let zeroes = [0; 64 << 10];
                let mut at = self.len()?;
                while at < len {
                    let piece = zeroes.len().min(usize::try_from(len - at).unwrap_or(zeroes.len()));
                    self.0.write_all_at(&zeroes[..piece], at)?;
                    at += piece as u64;
                }
                Ok(())
            }
            reserved => Ok(reserved?),
        }
    }

    fn sync(&self, _label: SyncLabel) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl DirectoryLock for OsFile {}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let meta = entry.metadata()?;
            let is_dir = meta.is_dir();
            entries.push(DirEntry { name, len: if is_dir { 0 } else { meta.len() }, is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path, _label: SyncLabel) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(note.as_bytes())?;
                Ok(Box::new(OsFile(file)))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // The note is a courtesy; without it the error still says that somebody holds the lock.
                let _ = file.take(200).read_to_string(&mut holder);
                Err(io::Error::new(io::ErrorKind::WouldBlock, holder))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The system's wall clock, and the one that counts from the start of the machine, time for which it was suspended included.
/// Where the system does not tell its starts apart, the monotonic clock counts from when this was made.
#[derive(Debug, Clone, Copy)]
pub struct OsClock {
    made: Instant,
    boot: Option<NonZeroU64>,
}

impl OsClock {
    /// The clocks of this system.
    pub fn new() -> Self {
        OsClock { made: Instant::now(), boot: boot() }
    }
}

/// What Linux draws anew at every start.
fn boot() -> Option<NonZeroU64> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    NonZeroU64::new(uuid::Uuid::parse_str(text.trim()).ok()?.as_u64_pair().0)
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// No other system has a `boot_id`.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    Duration::ZERO
}

impl Default for OsClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for OsClock {
    fn wall_micros(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        }
    }

    fn monotonic_micros(&self) -> u64 {
        let passed = if self.boot.is_some() { since_boot() } else { self.made.elapsed() };
        u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
    }

    fn boot(&self) -> Option<NonZeroU64> {
        self.boot
    }
}

/// The operating system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }
}
