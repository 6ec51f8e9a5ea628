//! The directory that is restored into.
//!
//! The database is made in `restore/database` within it; a directory with `restore` and no identity is none that the engine opens. Once
//! the database is whole, `restore/whole` says so, and its files take their place in the directory, the identity last: with that it
//! is a database, and never before.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use alluvium::format::names;
use alluvium::io::{Components, DirectoryLock};

use super::error::NotRestored;
use crate::objects::make_folder;
use crate::remote::Hash;

/// Says that all there is to do is to move, and what was restored.
const WHOLE: &str = "whole";
/// Where the database is made.
const DATABASE: &str = "database";
/// Objects with metadata, as long as they are needed.
const METADATA: &str = "metadata";
/// How files end that are on their way.
const PARTIAL: &str = ".partial";

/// Held by whoever restores.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
    /// `restore` in it.
    base: PathBuf,
    /// `database` in that.
    dir: PathBuf,
    _lock: Box<dyn DirectoryLock>,
}

impl Stage {
    /// Takes a directory that is empty, or not there, or that an earlier restore began.
    pub(super) fn open(root: &Path) -> Result<Self, NotRestored> {
        refuse_occupied(root)?;
        make_folder(root).map_err(NotRestored::file("make", root))?;
        let path = root.join(names::LOCK);
        let note = format!("process {} (restoring)", std::process::id());
        let lock = Components::os().disk.lock(&path, &note).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => NotRestored::Busy { path: root.to_owned(), holder: error.to_string() },
            _ => NotRestored::file("lock", &path)(error),
        })?;
        // Another may have come to its end before the lock was ours.
        refuse_occupied(root)?;
        let base = root.join(names::RESTORE);
        let stage = Stage { root: root.to_owned(), dir: base.join(DATABASE), base, _lock: lock };
        if stage.whole()?.is_none() {
            for dir in [stage.dir.join(names::SEGMENTS), stage.base.join(METADATA)] {
                fs::create_dir_all(&dir).map_err(NotRestored::file("make", &dir))?;
            }
            [&stage.dir, &stage.base, &stage.root].into_iter().try_for_each(|dir| sync(dir))?;
        }
        Ok(stage)
    }

    /// Where the database is made.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where an object with metadata is kept until all is done.
    pub(super) fn metadata(&self, hash: Hash) -> PathBuf {
        self.base.join(METADATA).join(hash.to_string())
    }

    /// What was restored, where it has only to take its place.
    pub(super) fn whole(&self) -> Result<Option<Vec<u8>>, NotRestored> {
        let path = self.base.join(WHOLE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(NotRestored::file("read", path)),
        }
    }

    /// Removes all that an earlier try made of what was fetched.
    pub(super) fn clear(&self) -> Result<(), NotRestored> {
        for entry in entries(&self.dir)? {
            if entry != names::SEGMENTS {
                remove(&self.dir.join(entry))?;
            }
        }
        Ok(())
    }

    /// Gives segments that were fetched before the names that they have now. Those that nobody wants are removed.
    pub(super) fn adopt(&self, wanted: &HashMap<Hash, PathBuf>) -> Result<(), NotRestored> {
        let dir = self.dir.join(names::SEGMENTS);
        let mut renames = Vec::new();
        for name in entries(&dir)? {
            let whole = name.strip_suffix(PARTIAL).unwrap_or(&name);
            let hash = whole.strip_suffix(".parquet").and_then(|stem| stem.rsplit('-').next()?.parse::<Hash>().ok());
            let from = dir.join(&name);
            match hash.and_then(|hash| wanted.get(&hash)) {
                None => remove(&from)?,
                Some(path) => {
                    let mut to = path.clone().into_os_string();
                    to.push(if whole == name { "" } else { PARTIAL });
                    renames.push((from, PathBuf::from(to)));
                }
            }
        }
        // No two of them have the same hash, and with that no two the same name.
        renames.iter().filter(|(from, to)| from != to).try_for_each(|(from, to)| rename(from, to))
    }

    /// Removes a file that is not what it should be, so that the next try fetches it again.
    pub(super) fn discard(&self, path: &Path) {
        if path.starts_with(&self.dir)
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "a file that is not what it should be stays");
        }
    }

    /// Notes that it is whole, and with what.
    pub(super) fn conclude(&self, restored: &[u8]) -> Result<(), NotRestored> {
        remove(&self.base.join(METADATA))?;
        let (new, path) = (self.base.join("whole.new"), self.base.join(WHOLE));
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(restored)?;
            file.sync_all()
        };
        write().map_err(NotRestored::file("write", &new))?;
        rename(&new, &path)?;
        sync(&self.base)
    }

    /// Puts what is whole into its place. Whatever interrupts it, it may be asked for again.
    pub(super) fn take_place(self) -> Result<(), NotRestored> {
        if self.dir.exists() {
            let others = |name: &String| ![names::IDENTITY, names::LOCK].contains(&name.as_str());
            for name in entries(&self.dir)?.into_iter().filter(others) {
                rename(&self.dir.join(&name), &self.root.join(&name))?;
            }
            sync(&self.root)?;
        }
        let (from, to) = (self.dir.join(names::IDENTITY), self.root.join(names::IDENTITY));
        if from.exists() {
            rename(&from, &to)?;
            sync(&self.root)?;
        }
        // What says that it is whole goes last, so that what was left half removed is removed by the next call.
        remove(&self.dir)?;
        remove(&self.base)?;
        sync(&self.root)
    }
}

/// Refuses whatever is no directory that may be restored into.
fn refuse_occupied(root: &Path) -> Result<(), NotRestored> {
    let occupied = |why: &str| NotRestored::Occupied { path: root.to_owned(), why: why.to_owned() };
    match fs::metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if !found.is_dir() => return Err(occupied("it is a file")),
        found => found.map_err(NotRestored::file("look at", root))?,
    };
    let there = entries(root)?;
    let is_there = |name: &str| there.iter().any(|entry| entry == name);
    // Where the identity was moved and no more, what is left to do is to tidy up.
    let (is_whole, is_begun) = (root.join(names::RESTORE).join(WHOLE).exists(), is_there(names::RESTORE));
    if is_there(names::IDENTITY) && !is_whole {
        return Err(occupied("a database is there"));
    }
    let moved = [names::SEGMENTS, names::CATALOG, names::LOG, names::HISTORY, names::QUARANTINE, names::BALLAST];
    let stranger = there.iter().find(|name| {
        let is_own = name.as_str() == names::LOCK || (is_begun && name.as_str() == names::RESTORE);
        let is_moved = is_whole && (moved.contains(&name.as_str()) || name.as_str() == names::IDENTITY);
        !(is_own || is_moved)
    });
    stranger.map_or(Ok(()), |stranger| Err(occupied(&format!("it holds {stranger:?}"))))
}

fn entries(dir: &Path) -> Result<Vec<String>, NotRestored> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    read().map_err(NotRestored::file("list", dir))
}

fn remove(path: &Path) -> Result<(), NotRestored> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(NotRestored::file("remove", path)),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), NotRestored> {
    fs::rename(from, to).map_err(NotRestored::file("rename", from))
}

fn sync(dir: &Path) -> Result<(), NotRestored> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(NotRestored::file("sync", dir))
}
