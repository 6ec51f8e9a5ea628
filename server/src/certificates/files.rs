//! Files that are there whole or not at all, and stay.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use tempfile::NamedTempFile;

use crate::failure::{Failure, Outcome};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Everybody.
    Open,
    /// Only its owner.
    Secret,
}

/// A file that is written and durable, but has no name yet.
#[derive(Debug)]
pub(super) struct Written(NamedTempFile);

/// Writes a file of no name beside where it is to be.
pub(super) fn write(path: &Path, content: &[u8], kept: Kept) -> Outcome<Written> {
    let mode = if kept == Kept::Secret { 0o600 } else { 0o644 };
    let written = || {
        let mut builder = tempfile::Builder::new();
        let mut file = builder.prefix(".").permissions(Permissions::from_mode(mode)).tempfile_in(directory_of(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(Written(file))
    };
    written().map_err(|error| Failure::io("write", path.display(), &error))
}

impl Written {
    /// Gives it its name, in the place of what is called so.
    pub(super) fn replace(self, path: &Path) -> Outcome {
        self.0.persist(path).map_err(|error| Failure::io("write", path.display(), &error.error))?;
        sync(directory_of(path))
    }

    /// Gives it its name, which nothing else may have.
    pub(super) fn add(self, path: &Path) -> Outcome {
        self.0.persist_noclobber(path).map_err(|error| Failure::io("write", path.display(), &error.error))?;
        sync(directory_of(path))
    }
}

/// Puts a file, in the place of what is called so.
pub(crate) fn put(path: &Path, content: &[u8], kept: Kept) -> Outcome {
    write(path, content, kept)?.replace(path)
}

/// Removes a file. Answers whether there was one.
pub(crate) fn remove(path: &Path) -> Outcome<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync(directory_of(path)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io("remove", path.display(), &error)),
    }
}

/// Makes a directory where there is none, in one that is there.
pub(crate) fn make_directory(path: &Path) -> Outcome {
    match fs::create_dir(path) {
        Ok(()) => sync(directory_of(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(Failure::io("make", path.display(), &error)),
    }
}

/// What a file holds; `None` where there is none.
pub(crate) fn read(path: &Path) -> Outcome<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("read", path.display(), &error)),
    }
}

/// The things of one kind that a PEM file holds, at least one.
pub(super) fn parse<T: PemObject>(content: &[u8], what: &str, path: &Path) -> Outcome<Vec<T>> {
    let found: Result<Vec<T>, PemError> = T::pem_slice_iter(content).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Failure::failed(format_args!("{} holds no {what} in PEM: bring it back as it was", path.display()))),
    }
}

/// The first thing of a kind in a PEM file.
pub(super) fn parse_first<T: PemObject>(content: &[u8], what: &str, path: &Path) -> Outcome<T> {
    parse(content, what, path).map(|mut found| found.swap_remove(0))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync(directory: &Path) -> Outcome {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Failure::io("sync", directory.display(), &error))
}
