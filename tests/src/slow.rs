//! A disk whose syncs take their time, so that other threads do something meanwhile.

use std::io;
use std::path::Path;
use std::sync::Arc;

use alluvium::io::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};

/// Steps aside some times before each sync of a file.
#[derive(Debug)]
pub struct SlowDisk<D> {
    inner: D,
    pauses: u32,
}

impl<D: Disk> SlowDisk<D> {
    /// Lets others go first `pauses` times per sync.
    pub fn new(inner: D, pauses: u32) -> Self {
        SlowDisk { inner, pauses }
    }
}

#[derive(Debug)]
struct SlowFile {
    inner: Arc<dyn File>,
    pauses: u32,
}

impl File for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_all_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        (0..self.pauses).for_each(|_| std::thread::yield_now());
        self.inner.sync(label)
    }
}

impl<D: Disk> Disk for SlowDisk<D> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(SlowFile { inner: self.inner.open(path, mode)?, pauses: self.pauses }))
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
        self.inner.sync_dir(dir, label)
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        self.inner.lock(path, note)
    }
}
