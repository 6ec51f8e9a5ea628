//! What makes a folder hold what was said to be done, whatever happens to the power.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::remote::Hash;

mod copy;
pub(super) use copy::{Copy, NotCopied};

/// Bytes that are read at a time.
const READ: usize = 256 << 10;

/// Makes a folder, and everything above it that is not there, so that they stay.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut above = folder;
    while !above.exists() {
        missing.push(above);
        match above.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => above = parent,
            _ => {
                above = Path::new(".");
                break;
            }
        }
    }
    std::fs::create_dir_all(folder)?;
    missing.into_iter().chain([above]).try_for_each(sync)
}

/// Syncs a file and every folder above it up to the root of the target: another may have made them and not have synced them yet.
pub(super) fn settle(root: &Path, key: &str) -> io::Result<()> {
    let file = root.join(key);
    sync(&file)?;
    let mut folder = file.parent();
    while let Some(path) = folder {
        sync(path)?;
        if path == root {
            break;
        }
        folder = path.parent();
    }
    Ok(())
}

/// What a file comes to, and its bytes.
pub(super) fn hash(file: &Path) -> io::Result<(Hash, usize)> {
    let (mut file, mut hasher, mut buffer) = (File::open(file)?, blake3::Hasher::new(), vec![0; READ]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => drop(hasher.update(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = usize::try_from(hasher.count()).unwrap_or(usize::MAX);
    Ok((Hash(*hasher.finalize().as_bytes()), bytes))
}

/// Folders of which it is known that they stay, by their inodes: each that is made anew is another.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashSet<(PathBuf, u64)>>);

impl Kept {
    /// Makes the folders above an object stay, which is synced itself, in its folder: another may have made them and not have synced them yet.
    /// To sync what is synced would make the disk flush what it has each time.
    pub(super) fn keep(&self, root: &Path, key: &str) -> io::Result<()> {
        let file = root.join(key);
        let below = |folder: &&Path| *folder != root && folder.starts_with(root);
        for folder in file.ancestors().skip(1).take_while(below) {
            let id = inode(folder)?.map(|inode| (folder.to_owned(), inode));
            if id.as_ref().is_some_and(|id| self.0.lock().contains(id)) {
                continue;
            }
            folder.parent().map_or(Ok(()), sync)?;
            self.0.lock().extend(id);
        }
        Ok(())
    }
}

#[cfg(unix)]
fn inode(path: &Path) -> io::Result<Option<u64>> {
    use std::os::unix::fs::MetadataExt;
    Ok(Some(path.metadata()?.ino()))
}

/// Where none is known, all is synced each time.
#[cfg(not(unix))]
fn inode(_: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

/// Removes what uploads of this object that a power cut ended have left beside it.
pub(super) fn sweep(root: &Path, key: &str) {
    for number in 1.. {
        let left = PathBuf::from(format!("{}#{number}", root.join(key).display()));
        if std::fs::remove_file(left).is_err() {
            return;
        }
    }
}

/// Removes what uploads into a folder, though not into those below it, have left there: nobody else may be uploading to it.
pub(super) fn clean(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_with_all_above_it() {
        let within = tempfile::tempdir().unwrap();
        let folder = within.path().join("a/b/c");
        make(&folder).unwrap();
        make(&folder).unwrap();
        assert!(folder.is_dir());
        std::fs::write(within.path().join("file"), "").unwrap();
        make(&within.path().join("file/below")).unwrap_err();
    }

    #[test]
    fn folders_are_synced_once_and_again_where_they_are_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let (kept, folder) = (Kept::default(), root.path().join("a/b"));
        std::fs::create_dir_all(&folder).unwrap();
        kept.keep(root.path(), "a/b/c").unwrap();
        let known = |kept: &Kept| kept.0.lock().clone();
        let first = known(&kept);
        assert_eq!(first.len(), 2, "not the target itself");
        kept.keep(root.path(), "a/b/d").unwrap();
        assert_eq!(known(&kept), first);
        // While the old one is held its inode is no other's.
        let _old = File::open(&folder).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        kept.keep(root.path(), "a/b/c").unwrap_err();
        std::fs::create_dir(&folder).unwrap();
        kept.keep(root.path(), "a/b/c").unwrap();
        assert_eq!(known(&kept).len(), 3);
    }

    #[test]
    fn what_uploads_left_in_a_folder_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("below")).unwrap();
        for name in ["a", "a#1", "b#12", "c#", "c#x", "below/a#1"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        clean(root.path()).unwrap();
        clean(&root.path().join("nothing")).unwrap();
        let left = |name: &str| root.path().join(name).exists();
        assert_eq!(
            [left("a"), left("a#1"), left("b#12"), left("c#"), left("c#x"), left("below/a#1")],
            [true, false, false, true, true, true]
        );
    }

    #[test]
    fn what_a_power_cut_left_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "a#1", "a#2", "b#1"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        sweep(root.path(), "a");
        let left = |name: &str| root.path().join(name).exists();
        assert_eq!([left("a"), left("a#1"), left("a#2"), left("b#1")], [true, false, false, true]);
        settle(root.path(), "a").unwrap();
        settle(root.path(), "nothing").unwrap_err();
    }
}
