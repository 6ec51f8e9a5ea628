//! What a device and its file system hold, and what a power cut leaves of it.
//!
//! Nothing is assumed that POSIX does not promise. Until a file is synced, each sector of each write to it may be kept, lost,
//! or kept while later ones are lost; so may its length. Until a directory is synced, creations, renames and removals in it
//! may be kept or lost, each rename as a whole. A sync that failed leaves the writes before it in the page cache, where they
//! look like any others, but later syncs no longer write them (Rebello et al., "Can Applications Recover from fsync
//! Failures?", USENIX ATC 2020).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;

use super::content::Content;

/// A number of a file, never used again.
pub type Ino = usize;

/// One change to a device: what a journal records.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new file.
    Create(PathBuf),
    /// Bytes at an offset.
    Write(Ino, usize, Arc<[u8]>),
    /// A new length.
    SetLen(Ino, usize),
    /// A sync that worked.
    Sync(Ino),
    /// A sync that failed.
    SyncFailed(Ino),
    /// A rename.
    Rename(PathBuf, PathBuf),
    /// A removal.
    Remove(PathBuf),
    /// A new directory.
    CreateDir(PathBuf),
    /// A sync of a directory that worked.
    SyncDir(PathBuf),
}

/// What lies on a device that nobody uses.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Files by path.
    pub files: BTreeMap<PathBuf, Content>,
    /// Directories.
    pub dirs: BTreeSet<PathBuf>,
}

/// A device in use.
#[derive(Debug, Clone)]
pub struct Device {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Ino>,
    dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, Ino>,
    durable_dirs: BTreeSet<PathBuf>,
    unsynced_names: Vec<NameChange>,
    used: usize,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Content,
    durable: Content,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug, Clone)]
struct Unsynced {
    what: Extent,
    /// A sync of it failed: no later one writes it.
    forgotten: bool,
}

#[derive(Debug, Clone)]
enum Extent {
    Bytes(usize, Arc<[u8]>),
    Len(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, Ino),
    Rename(PathBuf, PathBuf, Ino),
    Unlink(PathBuf),
    Dir(PathBuf),
}

impl Default for Device {
    fn default() -> Self {
        Device::new(&Image::default())
    }
}

impl Device {
    /// A device that holds an image, all of it durable.
    pub fn new(image: &Image) -> Self {
        let mut dirs = image.dirs.clone();
        dirs.insert(PathBuf::from("/"));
        let mut device = Device {
            durable_dirs: dirs.clone(),
            dirs,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            used: 0,
        };
        for (path, content) in &image.files {
            device.names.insert(path.clone(), device.inodes.len());
            device.used += content.len();
            device.inodes.push(Inode { live: content.clone(), durable: content.clone(), unsynced: Vec::new() });
        }
        device.durable_names = device.names.clone();
        device
    }

    /// The number of a file.
    pub fn find(&self, path: &Path) -> Option<Ino> {
        self.names.get(path).copied()
    }

    /// What a reader sees in a file.
    pub fn content(&self, ino: Ino) -> &Content {
        &self.inodes[ino].live
    }

    /// Files by path.
    pub fn files(&self) -> impl Iterator<Item = (&PathBuf, &Content)> {
        self.names.iter().map(|(path, &ino)| (path, &self.inodes[ino].live))
    }

    /// Directories.
    pub fn dirs(&self) -> &BTreeSet<PathBuf> {
        &self.dirs
    }

    /// The number that the next new file will have.
    pub fn next_ino(&self) -> Ino {
        self.inodes.len()
    }

    /// Bytes in all files that have a name.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Makes a change that is known to be possible.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(path) => {
                let ino = self.next_ino();
                self.inodes.push(Inode::default());
                self.names.insert(path.clone(), ino);
                self.unsynced_names.push(NameChange::Link(path.clone(), ino));
            }
            Change::Write(ino, offset, data) => {
                self.change(*ino, Extent::Bytes(*offset, data.clone()));
            }
            Change::SetLen(ino, len) => self.change(*ino, Extent::Len(*len)),
            Change::Sync(ino) => self.inodes[*ino].sync(),
            Change::SyncFailed(ino) => self.inodes[*ino].unsynced.iter_mut().for_each(|change| change.forgotten = true),
            Change::Rename(from, to) => {
                let Some(ino) = self.names.remove(from) else { return };
                if let Some(replaced) = self.names.insert(to.clone(), ino) {
                    self.used -= self.inodes[replaced].live.len();
                }
                self.unsynced_names.push(NameChange::Rename(from.clone(), to.clone(), ino));
            }
            Change::Remove(path) => {
                let Some(ino) = self.names.remove(path) else { return };
                self.used -= self.inodes[ino].live.len();
                self.unsynced_names.push(NameChange::Unlink(path.clone()));
            }
            Change::CreateDir(path) => {
                if self.dirs.insert(path.clone()) {
                    self.unsynced_names.push(NameChange::Dir(path.clone()));
                }
            }
            Change::SyncDir(dir) => self.sync_dir(dir),
        }
    }

    fn change(&mut self, ino: Ino, what: Extent) {
        let named = self.names.values().any(|&named| named == ino);
        let inode = &mut self.inodes[ino];
        let before = inode.live.len();
        what.apply(&mut inode.live);
        if named {
            self.used = self.used - before + inode.live.len();
        }
        inode.unsynced.push(Unsynced { what, forgotten: false });
    }

    fn sync_dir(&mut self, dir: &Path) {
        let within = |path: &Path| path.parent() == Some(dir);
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.unsynced_names) {
            let synced = match &change {
                NameChange::Link(path, _) | NameChange::Unlink(path) | NameChange::Dir(path) => within(path),
                NameChange::Rename(from, to, ino) => {
                    // Seen from the target alone, the old name may linger.
                    if within(to) && !within(from) {
                        self.durable_names.insert(to.clone(), *ino);
                        left.push(NameChange::Unlink(from.clone()));
                        continue;
                    }
                    within(from)
                }
            };
            match synced {
                true => change.apply(&mut self.durable_names, &mut self.durable_dirs),
                false => left.push(change),
            }
        }
        self.unsynced_names = left;
    }

    /// What a power cut now may leave.
    pub fn after_power_cut(&self, rng: &mut Rng) -> Image {
        let (mut names, mut dirs) = (self.durable_names.clone(), self.durable_dirs.clone());
        let survival = Survival::choose(rng);
        // File systems with a journal keep a prefix of such changes; POSIX promises less.
        let prefix = rng.bool().then(|| rng.usize(0..=self.unsynced_names.len()));
        for (number, change) in self.unsynced_names.iter().enumerate() {
            if prefix.map_or_else(|| survival.keeps(rng), |kept| number < kept) {
                change.apply(&mut names, &mut dirs);
            }
        }
        // A file is gone with any directory above it.
        let reachable = |path: &Path| path.ancestors().skip(1).all(|above| dirs.contains(above));
        let files = names.into_iter().filter(|(path, _)| reachable(path));
        let files = files.map(|(path, ino)| (path, self.inodes[ino].after_power_cut(&survival, rng))).collect();
        Image { files, dirs: dirs.iter().filter(|dir| reachable(dir)).cloned().collect() }
    }

    /// What a power cut would leave if the device had written everything.
    pub fn after_shutdown(&self) -> Image {
        Image { files: self.files().map(|(path, content)| (path.clone(), content.clone())).collect(), dirs: self.dirs.clone() }
    }
}

impl Inode {
    fn sync(&mut self) {
        let (forgotten, written): (Vec<_>, Vec<_>) = self.unsynced.drain(..).partition(|change| change.forgotten);
        written.iter().for_each(|change| change.what.apply(&mut self.durable));
        // What was written over since can no longer come back.
        let covered = |old: &Unsynced| written.iter().any(|new| new.what.overlaps(&old.what));
        self.unsynced = forgotten.into_iter().filter(|old| !covered(old)).collect();
    }

    fn after_power_cut(&self, survival: &Survival, rng: &mut Rng) -> Content {
        let mut content = self.durable.clone();
        for change in &self.unsynced {
            match &change.what {
                Extent::Len(len) if survival.keeps(rng) => content.set_len(*len),
                Extent::Len(_) => {}
                Extent::Bytes(offset, data) => survival.write(&mut content, *offset, data, rng),
            }
        }
        // The length may have reached the device without the bytes, which then read as zeroes.
        if content.len() < self.live.len() && rng.u8(0..4) == 0 {
            content.set_len(self.live.len());
        }
        content
    }
}

impl Extent {
    fn apply(&self, content: &mut Content) {
        match self {
            Extent::Bytes(offset, data) => content.write(*offset, data),
            Extent::Len(len) => content.set_len(*len),
        }
    }

    fn overlaps(&self, other: &Extent) -> bool {
        let span = |extent: &Extent| match extent {
            Extent::Bytes(offset, data) => *offset..*offset + data.len(),
            Extent::Len(len) => *len..usize::MAX,
        };
        let (a, b) = (span(self), span(other));
        a.start < b.end && b.start < a.end
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Ino>, dirs: &mut BTreeSet<PathBuf>) {
        match self {
            NameChange::Link(path, ino) => drop(names.insert(path.clone(), *ino)),
            NameChange::Rename(from, to, ino) => {
                if names.get(from) == Some(ino) {
                    names.remove(from);
                }
                names.insert(to.clone(), *ino);
            }
            NameChange::Unlink(path) => drop(names.remove(path)),
            NameChange::Dir(path) => drop(dirs.insert(path.clone())),
        }
    }
}

/// How kind a power cut is: the share of unsynced sectors that it leaves, and how many bytes a sector has.
struct Survival {
    kept_per_16: u8,
    sector: usize,
}

impl Survival {
    fn choose(rng: &mut Rng) -> Self {
        let kept_per_16 = [0, 1, 4, 8, 12, 15, 16][rng.usize(0..7)];
        Survival { kept_per_16, sector: if rng.bool() { 512 } else { 4096 } }
    }

    fn keeps(&self, rng: &mut Rng) -> bool {
        rng.u8(0..16) < self.kept_per_16
    }

    fn write(&self, content: &mut Content, offset: usize, data: &[u8], rng: &mut Rng) {
        let mut at = offset;
        while at < offset + data.len() {
            let end = ((at / self.sector + 1) * self.sector).min(offset + data.len());
            if self.keeps(rng) {
                content.write(at, &data[at - offset..end - offset]);
            }
            at = end;
        }
    }
}

#[cfg(test)]
#[path = "device/tests.rs"]
mod tests;
