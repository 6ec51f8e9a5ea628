//! Damaged bytes are set aside, not thrown away: somebody may yet make sense of them.

use std::path::Path;

use super::Layout;
use crate::error::{Error, Result};
use crate::io::{Components, OpenMode, SyncLabel};

/// How the name of a copy under way ends.
const UNFINISHED: &str = "tmp";

/// Moves a file into quarantine.
pub(super) fn move_file(components: &Components, layout: &Layout, path: &Path) -> Result<()> {
    let target = place(components, layout, path)?;
    components.disk.rename(path, &target).map_err(|source| Error::io("set aside", path, source))?;
    sync(components, layout)
}

/// Copies a stretch of a file into quarantine, named after where it lay. What is there already stays: a copy gets its name
/// once it is whole.
pub(super) fn copy_bytes(components: &Components, layout: &Layout, path: &Path, offset: u64, bytes: u64) -> Result<()> {
    let mut name = place(components, layout, path)?.into_os_string();
    name.push(format!(".at-{offset}"));
    let (target, unfinished) = (Path::new(&name), Path::new(&name).with_extension(UNFINISHED));
    if components.disk.open(target, OpenMode::Read).is_ok() {
        return Ok(());
    }
    copy(components, path, offset, bytes, &unfinished)?;
    components.disk.rename(&unfinished, target).map_err(|source| Error::io("set aside", &unfinished, source))?;
    sync(components, layout)
}

fn copy(components: &Components, path: &Path, offset: u64, bytes: u64, target: &Path) -> Result<()> {
    const AT_ONCE: u64 = 1 << 20;
    match components.disk.remove(target) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", target, source)),
        _ => {}
    }
    let to = components.disk.open(target, OpenMode::CreateNew).map_err(|source| Error::io("create", target, source))?;
    let from = components.disk.open(path, OpenMode::Read).map_err(|source| Error::io("open", path, source))?;
    let end = offset.saturating_add(bytes).min(from.len().map_err(|source| Error::io("read", path, source))?);
    let mut at = offset;
    while at < end {
        let mut buffer = vec![0; AT_ONCE.min(end - at) as usize];
        from.read_exact_at(at, &mut buffer).map_err(|source| Error::io("read", path, source))?;
        to.write_all_at(at - offset, &buffer).map_err(|source| Error::io("write", target, source))?;
        at += buffer.len() as u64;
    }
    to.sync(SyncLabel::Quarantine).map_err(|source| Error::io("sync", target, source))
}

fn place(components: &Components, layout: &Layout, path: &Path) -> Result<std::path::PathBuf> {
    let dir = layout.quarantine();
    components.disk.create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
    Ok(dir.join(path.file_name().unwrap_or(path.as_os_str())))
}

/// The directory too may be new.
fn sync(components: &Components, layout: &Layout) -> Result<()> {
    let sync = |dir: &Path| components.disk.sync_dir(dir, SyncLabel::Quarantine).map_err(|source| Error::io("sync", dir, source));
    sync(&layout.quarantine())?;
    sync(&layout.root)
}
