//! Certificates for those they were issued to: `NAME.pem`, and `NAME.key` where the key is new.

use std::path::{Path, PathBuf};

use super::Issued;
use super::files::{self, Kept, Written};
use crate::failure::{Failure, Outcome};

/// Files that are written, and get their names once the engine knows of the certificate.
#[derive(Debug)]
pub(crate) struct Output {
    certificate: (Written, PathBuf),
    key: Option<(Written, PathBuf)>,
}

impl Output {
    /// Writes the files of a certificate to a directory. Refuses where there are some of their names.
    pub(crate) fn write(directory: &Path, name: &str, issued: &Issued) -> Outcome<Output> {
        if !directory.is_dir() {
            return Err(Failure::failed(format_args!(
                "there is no directory {}: make it, or name another with --out",
                directory.display()
            )));
        }
        let place = |ending: &str| directory.join(format!("{name}.{ending}"));
        let key = issued.private_key.as_deref().map(|key| put(place("key"), key, Kept::Secret)).transpose()?;
        Ok(Output { certificate: put(place("pem"), &issued.chain, Kept::Open)?, key })
    }

    /// Gives the files their names, and answers these.
    pub(crate) fn name(self) -> Outcome<(PathBuf, Option<PathBuf>)> {
        let add = |(file, path): (Written, PathBuf)| file.add(&path).map(|()| path);
        let key = self.key.map(add).transpose()?;
        Ok((add(self.certificate)?, key))
    }
}

fn put(path: PathBuf, content: &str, kept: Kept) -> Outcome<(Written, PathBuf)> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::failed(format_args!(
            "{} is there already and is not overwritten: move it, or name another directory with --out",
            path.display()
        )));
    }
    files::write(&path, content.as_bytes(), kept).map(|written| (written, path))
}
