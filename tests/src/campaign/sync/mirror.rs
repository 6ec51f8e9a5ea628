//! The simulated disk, with its segments in a real directory besides: whoever sends them reads files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::io::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};

use super::fate::Fate;
use crate::sim::{Image, SimDisk};

/// A simulated disk that loses power when it is told to, and shows its segments to others.
#[derive(Debug, Clone)]
pub struct MirroredDisk {
    sim: SimDisk,
    fate: Arc<Fate>,
}

#[derive(Debug)]
struct MirroredFile {
    file: Arc<dyn File>,
    fate: Arc<Fate>,
}

/// Whether others read this file.
fn is_shown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

impl MirroredDisk {
    /// A disk whose segments are shown from now on.
    pub fn new(sim: SimDisk, fate: Arc<Fate>) -> Self {
        MirroredDisk { sim, fate }
    }

    /// Shows what an image holds below a directory, and nothing else.
    pub fn show(root: &Path, image: &Image) -> io::Result<()> {
        match std::fs::remove_dir_all(root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let shown = image.files.iter().filter(|(path, _)| is_shown(path));
        shown.into_iter().try_for_each(|(path, content)| put(path, &content.to_vec()))
    }
}

fn put(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, bytes)
}

impl Disk for MirroredDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::CreateNew {
            self.fate.change()?
        } else {
            self.fate.check()?
        }
        let file = self.sim.open(path, mode)?;
        Ok(Arc::new(MirroredFile { file, fate: self.fate.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.fate.check()?;
        self.sim.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.fate.change()?;
        self.sim.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fate.change()?;
        self.sim.rename(from, to)?;
        if is_shown(to) {
            let bytes = alluvium::io::read_file(&self.sim, to, u64::MAX)?;
            put(&to.to_owned(), &bytes)?;
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fate.change()?;
        self.sim.remove(path)?;
        if is_shown(path) { std::fs::remove_file(path) } else { Ok(()) }
    }

    fn sync_dir(&self, dir: &Path, label: SyncLabel) -> io::Result<()> {
        self.fate.change()?;
        self.sim.sync_dir(dir, label)
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        Disk::lock(&self.sim, path, note)
    }
}

impl File for MirroredFile {
    fn len(&self) -> io::Result<u64> {
        self.fate.check()?;
        self.file.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.fate.check()?;
        self.file.read_exact_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fate.change()?;
        self.file.write_all_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fate.change()?;
        self.file.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.fate.change()?;
        self.file.reserve(len)
    }

    fn sync(&self, label: SyncLabel) -> io::Result<()> {
        self.fate.change()?;
        self.file.sync(label)
    }
}
