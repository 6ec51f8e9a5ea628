//! The identity file: that a directory is ours, of which version, and which incarnation.

use std::path::Path;

use super::{Layout, quarantine};
use crate::error::{Error, Result};
use crate::format::{self, names};
use crate::io::{self, Components, OpenMode, SyncLabel};
use crate::settings::OnDamage;

const MAGIC: [u8; 8] = *b"ALLUVIUM";
/// magic 8 · version 4 · incarnation 16 · created 8 · CRC 4
const RECORD: usize = 40;
/// The record is written twice, each copy in a sector of its own.
const COPIES: [usize; 2] = [0, 4_096];
const FILE: usize = COPIES[1] + RECORD;

/// Who a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Random, made at create.
    pub(crate) incarnation: [u8; 16],
    /// When it was created, by the wall clock, in microseconds since 1970.
    pub(crate) created_micros: i64,
}

impl Identity {
    /// The incarnation as 32 hexadecimal digits.
    pub(crate) fn incarnation_hex(&self) -> String {
        self.incarnation.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn encode(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(RECORD);
        record.extend_from_slice(&MAGIC);
        record.extend_from_slice(&format::VERSION.to_le_bytes());
        record.extend_from_slice(&self.incarnation);
        record.extend_from_slice(&self.created_micros.to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
        let mut file = vec![0; FILE];
        for at in COPIES {
            file[at..at + RECORD].copy_from_slice(&record);
        }
        file
    }

    /// Whether every copy is as it was written.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        bytes == self.encode()
    }

    /// The version and identity of the first intact copy.
    fn decode(bytes: &[u8]) -> Option<(u32, Identity)> {
        COPIES.iter().find_map(|&at| {
            let record: &[u8; RECORD] = bytes.get(at..at + RECORD)?.try_into().ok()?;
            let (body, crc) = record.split_at(RECORD - 4);
            if body[..8] != MAGIC || crc32fast::hash(body).to_le_bytes() != crc {
                return None;
            }
            let version = u32::from_le_bytes(body[8..12].try_into().ok()?);
            let incarnation = body[12..28].try_into().ok()?;
            let created_micros = i64::from_le_bytes(body[28..36].try_into().ok()?);
            Some((version, Identity { incarnation, created_micros }))
        })
    }
}

/// Reads the identity, or makes one where the directory is empty.
pub(super) fn open_or_create(components: &Components, layout: &Layout, on_damage: OnDamage) -> Result<Identity> {
    let root = &layout.root;
    let path = root.join(names::IDENTITY);
    let entries = components.disk.list(root).map_err(|source| Error::io("list", root, source))?;
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    let ours = has(names::LOG) && has(names::SEGMENTS);
    if has(names::IDENTITY) {
        let bytes = io::read_file(&*components.disk, &path, 1 << 16).map_err(|source| Error::io("read", &path, source))?;
        match Identity::decode(&bytes) {
            Some((format::VERSION, identity)) => return Ok(identity),
            Some((found, _)) => return Err(Error::Version { path: root.clone(), found, supported: format::VERSION }),
            None if !ours => return Err(not_ours(root, "its identity file is not one of ours")),
            None if on_damage == OnDamage::Refuse => {
                return Err(Error::damaged(&path, "both copies of the identity fail their checksum"));
            }
            // Everything else is intact, so a new incarnation is enough.
            None => quarantine::move_file(components, layout, &path)?,
        }
    } else if has(names::RESTORE) {
        let reason = "a restore into it did not come to its end: run it again, or remove the directory";
        return Err(not_ours(root, reason));
    } else if let Some(stranger) = entries.iter().find(|entry| !is_own_name(&entry.name)) {
        return Err(not_ours(root, &format!("it holds {:?} and no identity file", stranger.name)));
    }
    create(components, root, &path)
}

/// Whether the identity file is as it was written.
pub(crate) fn check(components: &Components, layout: &Layout, identity: &Identity) -> Result<bool> {
    let path = layout.root.join(names::IDENTITY);
    let bytes = io::read_file(&*components.disk, &path, 1 << 16).map_err(|source| Error::io("read", &path, source))?;
    Ok(identity.is_whole(&bytes))
}

/// What an interrupted creation may have left.
fn is_own_name(name: &str) -> bool {
    [names::LOCK, names::LOG, names::SEGMENTS, names::CATALOG, names::HISTORY, names::BALLAST, names::QUARANTINE].contains(&name)
        || name == temporary_name()
}

fn temporary_name() -> String {
    format!("{}.new", names::IDENTITY)
}

fn not_ours(root: &Path, reason: &str) -> Error {
    Error::NotADatabase { path: root.to_owned(), reason: reason.to_owned() }
}

fn create(components: &Components, root: &Path, path: &Path) -> Result<Identity> {
    let mut incarnation = [0; 16];
    components.entropy.fill(&mut incarnation).map_err(|source| Error::io("draw randomness for", path, source))?;
    let identity = Identity { incarnation, created_micros: components.clock.wall_micros() };
    let temporary = root.join(temporary_name());
    let disk = &components.disk;
    match disk.remove(&temporary) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &temporary, source)),
        _ => {}
    }
    let file = disk.open(&temporary, OpenMode::CreateNew).map_err(|source| Error::io("create", &temporary, source))?;
    file.write_all_at(0, &identity.encode()).map_err(|source| Error::io("write", &temporary, source))?;
    file.sync(SyncLabel::Identity).map_err(|source| Error::io("sync", &temporary, source))?;
    disk.rename(&temporary, path).map_err(|source| Error::io("rename", &temporary, source))?;
    // The directory itself may be new, and its name must last as well.
    for dir in root.parent().filter(|parent| parent.components().next().is_some()).into_iter().chain([root]) {
        disk.sync_dir(dir, SyncLabel::Identity).map_err(|source| Error::io("sync", dir, source))?;
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let identity = Identity { incarnation: *b"0123456789abcdef", created_micros: 1 };
        let file = identity.encode();
        let expected = b"ALLUVIUM\x02\0\0\x000123456789abcdef\x01\0\0\0\0\0\0\0";
        assert_eq!(&file[..36], expected);
        assert_eq!(file[4_096..4_132], file[..36]);
        assert_eq!(Identity::decode(&file), Some((2, identity)));
    }

    #[test]
    fn one_copy_is_enough_and_none_is_not() {
        let identity = Identity { incarnation: [7; 16], created_micros: -5 };
        let mut file = identity.encode();
        for at in 0..RECORD {
            file[at] ^= 0x10;
            assert_eq!(Identity::decode(&file), Some((format::VERSION, identity)), "byte {at}");
        }
        file[COPIES[1] + 20] ^= 1;
        assert_eq!(Identity::decode(&file), None);
        assert_eq!(Identity::decode(&file[..10]), None);
    }
}
