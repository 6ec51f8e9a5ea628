//! What is done to files: made, locked, written, and put in the place of others. All of this blocks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::format::{MARKS, Mark, RECORDS, WriterId, header};
use crate::{Error, Result};

/// Keeps others from a queue as long as it is open. It is a file of its own, since the queue is replaced now and then.
pub(super) fn lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"));
    let lock = opened.map_err(|error| Error::queue_io(path, "lock", error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::QueueBusy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::queue_io(path, "lock", error)),
    }
}

/// Makes a queue that is empty, if there is none.
pub(super) fn make(path: &Path, writer: &WriterId) -> Result<()> {
    let made = path.try_exists().and_then(|exists| {
        let new = new_of(path);
        if exists {
            // What a rewriting left behind that did not come to its end.
            return remove(&new);
        }
        create(&new, writer, &Mark { synced: RECORDS, ..Mark::default() })?.sync_all()?;
        std::fs::rename(&new, path)?;
        sync_directory(path)
    });
    made.map_err(|error| Error::queue_io(path, "make", error))
}

/// Where a queue is written anew.
pub(super) fn new_of(path: &Path) -> PathBuf {
    beside(path, ".new")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A new file without records, not yet synced.
pub(super) fn create(path: &Path, writer: &WriterId, mark: &Mark) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path)?;
    file.set_len(RECORDS)?;
    write_at(&file, 0, &header(writer))?;
    for at in MARKS {
        write_at(&file, at, &mark.bytes())?;
    }
    Ok(file)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes durable which file has this name.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Elsewhere a rename is durable without.
#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}
