//! Damaged bytes are set aside, not thrown away: somebody may yet make sense of them.

use std::path::Path;

use super::Layout;
use crate::error::{Error, Result};
use crate::io::{Components, OpenMode, SyncLabel};

/// Moves a file into quarantine.
pub(super) fn move_file(components: &Components, layout: &Layout, path: &Path) -> Result<()> {
    let target = place(components, layout, path)?;
    components.disk.rename(path, &target).map_err(|source| Error::io("set aside", path, source))?;
    sync(components, layout)
}

/// Copies a stretch of a file into quarantine, named after where it lay. What is there already stays.
pub(super) fn copy_bytes(components: &Components, layout: &Layout, path: &Path, offset: u64, bytes: u64) -> Result<()> {
    const AT_ONCE: u64 = 1 << 20;
    let mut target = place(components, layout, path)?.into_os_string();
    target.push(format!(".at-{offset}"));
    let target = Path::new(&target);
    let to = match components.disk.open(target, OpenMode::CreateNew) {
        Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened.map_err(|source| Error::io("create", target, source))?,
    };
    let from = components.disk.open(path, OpenMode::Read).map_err(|source| Error::io("open", path, source))?;
    let end = offset.saturating_add(bytes).min(from.len().map_err(|source| Error::io("read", path, source))?);
    let mut at = offset;
    while at < end {
        let mut buffer = vec![0; AT_ONCE.min(end - at) as usize];
        from.read_exact_at(at, &mut buffer).map_err(|source| Error::io("read", path, source))?;
        to.write_all_at(at - offset, &buffer).map_err(|source| Error::io("write", target, source))?;
        at += buffer.len() as u64;
    }
    to.sync(SyncLabel::Quarantine).map_err(|source| Error::io("sync", target, source))?;
    sync(components, layout)
}

fn place(components: &Components, layout: &Layout, path: &Path) -> Result<std::path::PathBuf> {
    let dir = layout.quarantine();
    components.disk.create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
    Ok(dir.join(path.file_name().unwrap_or(path.as_os_str())))
}

fn sync(components: &Components, layout: &Layout) -> Result<()> {
    let dir = layout.quarantine();
    components.disk.sync_dir(&dir, SyncLabel::Quarantine).map_err(|source| Error::io("sync", &dir, source))
}
