//! Where results go: stdout, or a file that appears only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

const BUFFER_BYTES: usize = 1 << 16;

/// A place for bytes.
#[derive(Debug)]
pub(crate) enum Target {
    Stdout(BufWriter<Stdout>),
    File(ResultFile),
}

impl Target {
    /// Opens the file, or stdout where there is none or it is `-`.
    pub(crate) fn open(output: Option<&Path>) -> Outcome<Target> {
        match output {
            Some(path) if path != Path::new("-") => Ok(Target::File(ResultFile::create(path)?)),
            _ => Ok(Target::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))),
        }
    }

    /// Whether a person sees the bytes as they come.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Target::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Ends the result. A file takes its name now.
    pub(crate) fn commit(self) -> Outcome {
        match self {
            Target::Stdout(mut out) => Ok(out.flush()?),
            Target::File(file) => file.commit(),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stdout(out) => out.write(bytes),
            Target::File(file) => file.out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::Stdout(out) => out.flush(),
            Target::File(file) => file.out.flush(),
        }
    }
}

/// A file written under a temporary name beside its own.
#[derive(Debug)]
pub(crate) struct ResultFile {
    out: BufWriter<File>,
    path: PathBuf,
    /// `None` once renamed, and for devices and pipes, which are written as they are.
    temporary: Option<PathBuf>,
}

impl ResultFile {
    fn create(path: &Path) -> Outcome<ResultFile> {
        let refused = |error: io::Error| Failure::io("write", path.display(), &error);
        // A link is followed, so that the file it points to is what gets replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let special = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                return Err(Failure::failed(format_args!(
                    "cannot write {}: it is a directory, name a file in it",
                    path.display()
                )));
            }
            Ok(found) => !found.is_file(),
            Err(_) => false,
        };
        let temporary = (!special).then(|| temporary_name(&path));
        let file = match &temporary {
            Some(temporary) => OpenOptions::new().write(true).create_new(true).open(temporary),
            None => OpenOptions::new().write(true).open(&path),
        };
        Ok(ResultFile { out: BufWriter::with_capacity(BUFFER_BYTES, file.map_err(refused)?), path, temporary })
    }

    fn commit(mut self) -> Outcome {
        let done = self.out.flush().and_then(|()| match &self.temporary {
            Some(temporary) => self.out.get_ref().sync_all().and_then(|()| fs::rename(temporary, &self.path)),
            None => Ok(()),
        });
        done.map_err(|error| Failure::io("write", self.path.display(), &error))?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for ResultFile {
    /// Nothing is left of a file that was not finished.
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"new").unwrap();
        target.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(directory.path()), ["out.csv"]);
    }

    #[test]
    fn nothing_is_left_of_an_unfinished_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut target = Target::open(Some(&directory.path().join("out.csv"))).unwrap();
        target.write_all(b"half").unwrap();
        drop(target);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_link_keeps_pointing_to_the_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut target = Target::open(Some(&link)).unwrap();
        target.write_all(b"new").unwrap();
        target.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_directory_or_a_missing_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Target::open(Some(directory.path())).is_err());
        assert!(Target::open(Some(&directory.path().join("no/out.csv"))).is_err());
    }
}
