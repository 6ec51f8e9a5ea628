//! Certificates for those they were issued to: `NAME.pem`, and `NAME.key` where the key is new.

use std::path::{Path, PathBuf};

use super::files::{self, Kept, Written};
use crate::failure::{Failure, Outcome};

/// Files that are written, and get their names once the engine knows of the certificate.
#[derive(Debug)]
pub(crate) struct Output {
    certificate: (Written, PathBuf),
    key: Option<(Written, PathBuf)>,
}

impl Output {
    /// Refuses where there is no such directory, or files of these names.
    pub(crate) fn check(directory: &Path, name: &str, has_key: bool) -> Outcome {
        if !directory.is_dir() {
            return Err(Failure::failed(format_args!(
                "there is no directory {}: make it, or name another with --out",
                directory.display()
            )));
        }
        let key = has_key.then(|| place(directory, name, "key"));
        key.into_iter().chain([place(directory, name, "pem")]).try_for_each(|path| check_free(&path))
    }

    /// Writes the files of a certificate to a directory: it with its authority's, and its key if that is new. Refuses as
    /// [`check`](Output::check) does.
    pub(crate) fn write(directory: &Path, name: &str, chain: &str, private_key: Option<&str>) -> Outcome<Output> {
        Output::check(directory, name, private_key.is_some())?;
        let key = private_key.map(|key| put(place(directory, name, "key"), key, Kept::Secret)).transpose()?;
        Ok(Output { certificate: put(place(directory, name, "pem"), chain, Kept::Open)?, key })
    }

    /// Gives the files their names, and answers these.
    pub(crate) fn name(self) -> Outcome<(PathBuf, Option<PathBuf>)> {
        let add = |(file, path): (Written, PathBuf)| file.add(&path).map(|()| path);
        let key = self.key.map(add).transpose()?;
        Ok((add(self.certificate)?, key))
    }
}

fn place(directory: &Path, name: &str, ending: &str) -> PathBuf {
    directory.join(format!("{name}.{ending}"))
}

fn check_free(path: &Path) -> Outcome {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::failed(format_args!(
            "{} is there already and is not overwritten: move it, or name another directory with --out",
            path.display()
        )));
    }
    Ok(())
}

fn put(path: PathBuf, content: &str, kept: Kept) -> Outcome<(Written, PathBuf)> {
    files::write(&path, content.as_bytes(), kept).map(|written| (written, path))
}
