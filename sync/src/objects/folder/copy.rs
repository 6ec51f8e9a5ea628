//! Copies into a folder: a file has no name before it is whole, synced and read back, and stays once it has one.
//!
//! What is copied is not hashed on its way: once it is read back, one hash tells of what was read as well as of what was written.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{READ, hash, make, sync};
use crate::remote::Hash;

/// A copy on its way.
pub(in super::super) struct Copy {
    source: Box<dyn Read + Send>,
    unnamed: Unnamed,
    buffer: Vec<u8>,
}

/// A copy that failed.
#[derive(Debug)]
pub(in super::super) enum NotCopied {
    /// At what was to be copied.
    Source(io::Error),
    /// At what it was to become.
    Folder(io::Error),
}

impl Copy {
    /// Begins, in folders that are made where they are not there.
    pub(in super::super) fn begin(source: Box<dyn Read + Send>, file: &Path) -> Result<Self, NotCopied> {
        let unnamed = Unnamed::create(file).map_err(NotCopied::Folder)?;
        Ok(Copy { source, unnamed, buffer: vec![0; READ] })
    }

    /// Copies at most so many bytes, and says how many: none only at the end.
    pub(in super::super) fn go_on(&mut self, most: usize) -> Result<usize, NotCopied> {
        let mut copied = 0;
        while copied < most {
            let wanted = READ.min(most - copied);
            let piece = match self.source.read(&mut self.buffer[..wanted]) {
                Ok(0) => break,
                Ok(read) => &self.buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NotCopied::Source(error)),
            };
            self.unnamed.file.write_all(piece).map_err(NotCopied::Folder)?;
            copied += piece.len();
        }
        Ok(copied)
    }

    /// Syncs what was copied, and reads it back.
    pub(in super::super) fn conclude(self) -> Result<Copied, NotCopied> {
        let read_back = self.unnamed.file.sync_all().and_then(|()| hash(&self.unnamed.at));
        let (hash, bytes) = read_back.map_err(NotCopied::Folder)?;
        Ok(Copied { unnamed: self.unnamed, hash, bytes })
    }
}

/// A copy that stays, and has not got its name.
pub(in super::super) struct Copied {
    unnamed: Unnamed,
    /// What it comes to, read back.
    pub(in super::super) hash: Hash,
    /// How many bytes it has, read back.
    pub(in super::super) bytes: usize,
}

impl Copied {
    /// Gives it its name, in place of any other of it, so that it stays.
    pub(in super::super) fn name(self) -> io::Result<()> {
        fs::rename(&self.unnamed.at, &self.unnamed.name)?;
        self.unnamed.name.parent().map_or(Ok(()), sync)
    }
}

/// A file that has not got its name. Dropped without, it is removed.
struct Unnamed {
    file: File,
    /// Where it is until then: named as `LocalFileSystem` does, by which [`super::sweep`] and [`super::clean`] find what a power cut left.
    at: PathBuf,
    name: PathBuf,
}

impl Unnamed {
    fn create(name: &Path) -> io::Result<Self> {
        let folder = name.parent().unwrap_or(Path::new("."));
        let (mut number, mut is_made) = (1_u64, false);
        loop {
            let at = PathBuf::from(format!("{}#{number}", name.display()));
            match File::create_new(&at) {
                Ok(file) => return Ok(Unnamed { file, at, name: name.to_owned() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                // It may be there by now: others put files into it, too.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_made => {
                    make(folder)?;
                    is_made = true;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // Once it has its name, nothing is there.
        let _ = fs::remove_file(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(bytes: &[u8], file: &Path) -> Copy {
        Copy::begin(Box::new(io::Cursor::new(bytes.to_vec())), file).map_err(|_| "not begun").unwrap()
    }

    fn concluded(copy: Copy) -> Copied {
        copy.conclude().map_err(|_| "not concluded").unwrap()
    }

    #[test]
    fn a_file_has_its_name_once_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a/b/file");
        let bytes = vec![7; 3 * READ + 1];
        let mut copying = copy(&bytes, &file);
        assert_eq!(copying.go_on(READ + 5).unwrap_or_default(), READ + 5);
        assert_eq!(copying.go_on(usize::MAX).unwrap_or_default(), 2 * READ - 4);
        assert_eq!(copying.go_on(1).unwrap_or(9), 0);
        let copied = concluded(copying);
        assert_eq!((copied.hash, copied.bytes), (Hash::of(&bytes), bytes.len()));
        assert!(!file.exists());
        copied.name().unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_that_is_given_up_leaves_nothing_and_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "old").unwrap();
        fs::write(root.path().join("file#1"), "another's").unwrap();
        let mut copying = copy(b"new", &file);
        assert_eq!(copying.go_on(usize::MAX).unwrap_or_default(), 3);
        assert!(root.path().join("file#2").exists());
        drop(copying);
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(fs::read(root.path().join("file#1")).unwrap(), b"another's");
        assert!(!root.path().join("file#2").exists());
        let mut copying = copy(b"new", &file);
        copying.go_on(usize::MAX).map_err(|_| "not copied").unwrap();
        concluded(copying).name().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn what_is_told_of_a_copy_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        let mut copying = copy(b"as it was written", &file);
        copying.go_on(usize::MAX).map_err(|_| "not copied").unwrap();
        fs::write(root.path().join("file#1"), "as the disk has it").unwrap();
        let copied = concluded(copying);
        assert_eq!((copied.hash, copied.bytes), (Hash::of(b"as the disk has it"), 18));
    }

    #[test]
    fn copies_at_a_time_make_the_same_folder() {
        const AT_A_TIME: usize = 4;
        let root = tempfile::tempdir().unwrap();
        for round in 0..200 {
            let (folder, start) = (root.path().join(format!("a/{round}")), std::sync::Barrier::new(AT_A_TIME));
            std::thread::scope(|scope| {
                for number in 0..AT_A_TIME {
                    let (folder, start) = (&folder, &start);
                    scope.spawn(move || {
                        start.wait();
                        let mut copying = copy(b"whole", &folder.join(number.to_string()));
                        copying.go_on(usize::MAX).map_err(|_| "not copied").unwrap();
                        concluded(copying).name().unwrap();
                    });
                }
            });
            assert_eq!(fs::read_dir(&folder).unwrap().count(), AT_A_TIME);
        }
    }

    #[test]
    fn which_side_failed_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let root = tempfile::tempdir().unwrap();
        let mut copying = Copy::begin(Box::new(Broken), &root.path().join("file")).map_err(|_| "not begun").unwrap();
        assert!(matches!(copying.go_on(1), Err(NotCopied::Source(_))));
        fs::write(root.path().join("file"), "").unwrap();
        let below = root.path().join("file/below");
        assert!(matches!(Copy::begin(Box::new(io::empty()), &below), Err(NotCopied::Folder(_))));
    }
}
