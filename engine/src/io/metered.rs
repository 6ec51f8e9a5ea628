//! A disk that counts what is written to it: wear is a budget, so it is measured at the seam.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};

/// Bytes handed to the disk, and syncs asked of it, since it was made.
#[derive(Debug, Default)]
pub struct WriteMeter {
    bytes: AtomicU64,
    syncs: AtomicU64,
}

impl WriteMeter {
    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// File and directory syncs so far.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

/// Passes everything through to another disk and counts bytes and syncs.
#[derive(Debug)]
pub struct MeteredDisk {
    inner: Arc<dyn Disk>,
    meter: Arc<WriteMeter>,
}

impl MeteredDisk {
    /// Counts what goes to `inner`.
    pub fn new(inner: Arc<dyn Disk>, meter: Arc<WriteMeter>) -> Self {
        MeteredDisk { inner, meter }
    }
}

#[derive(Debug)]
struct MeteredFile {
    inner: Arc<dyn File>,
    meter: Arc<WriteMeter>,
}

impl File for MeteredFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.meter.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.inner.write_all_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.inner.reserve(len)
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        self.meter.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync(label)
    }
}

impl Disk for MeteredDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(MeteredFile { inner: self.inner.open(path, mode)?, meter: self.meter.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        self.meter.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_dir(dir, label)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        self.inner.free_bytes(dir)
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        self.inner.lock(path, note)
    }
}
