//! The checksum file: a journal that says, checkpoint by checkpoint, where each page lies and what its CRC is.
//!
//! A record is the commit point of a checkpoint. It is written and synced after the pages it speaks of, starts on a 4 KiB
//! boundary and is padded to one, so that no durable byte is ever rewritten. The first record of a file is whole, later ones
//! name the pages that changed; when they outgrow the map, a new file with one whole record takes the old one's place.
//!
//! ```text
//! magic "ALVSUMS" · page file "1" or "2" · salt u64 · generation u64 · length of the image u64 · shrunk to u32 · entries u32   (40 bytes)
//! entries × { page u32 · slot u32 · CRC-32 u32 }                       slot 0xFFFFFFFF: the page is all zeroes now
//! CRC-32 of the above u32 · zeroes up to the boundary                  all numbers little-endian
//! ```
//!
//! *Shrunk to* is applied first: it drops pages from that one on; 0 makes a record whole, `u32::MAX` drops none. The salt is
//! random for every file. A last record that fails its checks was torn by a power cut and never committed anything (or rotted,
//! which looks the same and is as safe: the state before it is intact or its pages fail their own checks, and the log
//! replays what is missing). A bad record with a good one behind it is damage.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::{PAGE, PageFile};
use super::guard::Latch;
use super::pagemap::Slot;
use crate::error::{Error, Result};
use crate::io::{Components, Disk, File, OpenMode, SyncLabel};

/// Name of the checksum file.
pub(super) const NAME: &str = "catalog.sums";
const NEXT_NAME: &str = "catalog.sums.new";
const MAGIC: &[u8; 7] = b"ALVSUMS";
const HEADER: usize = 40;
const ENTRY: usize = 12;
const BLOCK: u64 = PAGE as u64;
/// The slot of a page that is all zeroes.
const NOWHERE: u32 = u32::MAX;
/// A journal shorter than this is not worth starting afresh.
const JOURNAL_BYTES: u64 = 16 * BLOCK;

/// What one record says, apart from the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Rises by one with each checkpoint.
    pub(super) generation: u64,
    /// Bytes in the image.
    pub(super) len: u64,
    /// Pages kept of the generation before.
    pub(super) shrunk_to: u32,
    /// Changed pages; without a slot where they turned to zeroes.
    pub(super) entries: Vec<(u32, Option<Slot>)>,
}

/// What the journal adds up to.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) sums: Sums,
    /// Bytes in the image.
    pub(super) len: u64,
    pub(super) slots: BTreeMap<u32, Slot>,
}

/// The open checksum file.
#[derive(Debug)]
pub(super) struct Sums {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Of which file it speaks.
    pub(super) pages: PageFile,
    salt: u64,
    /// Of the last record.
    pub(super) generation: u64,
    /// Where the next record goes.
    end: u64,
}

impl Sums {
    /// Puts a new file with one whole record in the place of any other.
    pub(super) fn create(components: &Components, dir: &Path, latch: &Latch, pages: PageFile, record: &Record) -> Result<Self> {
        let path = dir.join(NAME);
        let mut salt = [0; 8];
        components.entropy.fill(&mut salt).map_err(|source| Error::io("draw a salt for", &path, source))?;
        let salt = u64::from_le_bytes(salt);
        let (file, end) = replace(&components.disk, dir, latch, &encode(pages, salt, record))?;
        let (disk, dir) = (components.disk.clone(), dir.to_owned());
        Ok(Sums { disk, dir, path, file, pages, salt, generation: record.generation, end })
    }

    /// Reads the journal.
    pub(super) fn load(disk: &Arc<dyn Disk>, dir: &Path, latch: &Latch) -> Result<Loaded> {
        let path = dir.join(NAME);
        let file = disk.open(&path, OpenMode::Write).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::damaged(&path, "the file is missing"),
            _ => Error::io("open", &path, source),
        })?;
        let mut reader = Reader { file: &*file, path: &path, latch, len: 0 };
        reader.len = file.len().map_err(|source| latch.failed("measure", &path, source))?;
        let first = reader.record(0, None)?;
        let Some((life, first, mut end)) = first.filter(|(_, record, _)| record.shrunk_to == 0) else {
            return Err(latch.damaged(&path, "the first record fails its checksum"));
        };
        let (mut generation, mut len) = (first.generation, first.len);
        let mut slots = BTreeMap::new();
        apply(&mut slots, first);
        while let Some((_, record, next)) = reader.record(end, Some(life))? {
            if generation.checked_add(1) != Some(record.generation) {
                return Err(latch.damaged(&path, format_args!("record {} follows {generation}", record.generation)));
            }
            (generation, len, end) = (record.generation, record.len, next);
            apply(&mut slots, record);
        }
        let mut beyond = end + BLOCK;
        while beyond < reader.len {
            if reader.record(beyond, Some(life))?.is_some() {
                return Err(latch.damaged(&path, format_args!("the record at byte {end} fails its checksum")));
            }
            beyond += BLOCK;
        }
        let (pages, salt) = life;
        let (disk, dir) = (disk.clone(), dir.to_owned());
        let sums = Sums { disk, dir, path: path.clone(), file, pages, salt, generation, end };
        Ok(Loaded { sums, len, slots })
    }

    /// Whether the next record had better be a whole one in a new file, for a map of so many pages.
    pub(super) fn outgrown(&self, pages: usize) -> bool {
        self.end >= JOURNAL_BYTES.max(4 * padded(pages))
    }

    /// Commits a checkpoint. After [`Error::DiskFull`] without a latched failure it may be tried again.
    pub(super) fn commit(&mut self, latch: &Latch, record: &Record) -> Result<()> {
        let bytes = encode(self.pages, self.salt, record);
        if record.shrunk_to == 0 {
            (self.file, self.end) = replace(&self.disk, &self.dir, latch, &bytes)?;
        } else {
            self.file.write_all_at(self.end, &bytes).map_err(|source| latch.write_failed(&self.path, source))?;
            self.file.sync(SyncLabel::CatalogChecksums).map_err(|source| latch.failed("sync", &self.path, source))?;
            self.end += bytes.len() as u64;
        }
        self.generation = record.generation;
        Ok(())
    }
}

/// Writes a journal of one record beside the present one and puts it in its place.
fn replace(disk: &Arc<dyn Disk>, dir: &Path, latch: &Latch, bytes: &[u8]) -> Result<(Arc<dyn File>, u64)> {
    let (path, next) = (dir.join(NAME), dir.join(NEXT_NAME));
    match disk.remove(&next) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(latch.failed("remove", &next, source)),
        _ => {}
    }
    let file = disk.open(&next, OpenMode::CreateNew).map_err(|source| latch.write_failed(&next, source))?;
    file.write_all_at(0, bytes).map_err(|source| latch.write_failed(&next, source))?;
    file.sync(SyncLabel::CatalogChecksums).map_err(|source| latch.failed("sync", &next, source))?;
    disk.rename(&next, &path).map_err(|source| latch.failed("rename", &next, source))?;
    disk.sync_dir(dir, SyncLabel::CatalogDirectory).map_err(|source| latch.failed("sync", dir, source))?;
    Ok((file, bytes.len() as u64))
}

fn apply(slots: &mut BTreeMap<u32, Slot>, record: Record) {
    drop(slots.split_off(&record.shrunk_to));
    for (page, slot) in record.entries {
        match slot {
            Some(slot) => slots.insert(page, slot),
            None => slots.remove(&page),
        };
    }
}

/// Bytes of a record of so many entries, up to the boundary.
fn padded(entries: usize) -> u64 {
    ((HEADER + entries * ENTRY + 4) as u64).next_multiple_of(BLOCK)
}

fn encode(pages: PageFile, salt: u64, record: &Record) -> Vec<u8> {
    let len = padded(record.entries.len()) as usize;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(MAGIC);
    bytes.push(pages.digit());
    bytes.extend_from_slice(&salt.to_le_bytes());
    bytes.extend_from_slice(&record.generation.to_le_bytes());
    bytes.extend_from_slice(&record.len.to_le_bytes());
    bytes.extend_from_slice(&record.shrunk_to.to_le_bytes());
    bytes.extend_from_slice(&(record.entries.len() as u32).to_le_bytes());
    for (page, slot) in &record.entries {
        let slot = slot.unwrap_or(Slot { at: NOWHERE, crc: 0 });
        bytes.extend_from_slice(&page.to_le_bytes());
        bytes.extend_from_slice(&slot.at.to_le_bytes());
        bytes.extend_from_slice(&slot.crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(len, 0);
    bytes
}

struct Reader<'a> {
    file: &'a dyn File,
    path: &'a Path,
    latch: &'a Latch,
    len: u64,
}

impl Reader<'_> {
    /// The record at an offset and where it ends, or `None` if there is no good one of this life.
    fn record(&self, offset: u64, life: Option<Life>) -> Result<Option<(Life, Record, u64)>> {
        let room = self.len.saturating_sub(offset);
        if room < BLOCK {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        self.read(offset, &mut header)?;
        let Some((found, record)) = parse_header(&header) else { return Ok(None) };
        let entries = u64::from(record.1);
        let len = (HEADER as u64 + entries * ENTRY as u64 + 4).next_multiple_of(BLOCK);
        if life.is_some_and(|life| life != found) || len > room {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        self.read(offset, &mut bytes)?;
        let Some(entries) = checked_entries(&bytes, entries as usize, &record.0) else { return Ok(None) };
        Ok(Some((found, Record { entries, ..record.0 }, offset + len)))
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(offset, bytes).map_err(|source| self.latch.read_failed(self.path, source))
    }
}

/// What all records of a file say: of which page file they speak, and the salt.
type Life = (PageFile, u64);

/// That, a record without entries, and the number of entries it claims.
fn parse_header(header: &[u8; HEADER]) -> Option<(Life, (Record, u32))> {
    let pages = PageFile::of_digit(*header.strip_prefix(MAGIC)?.first()?)?;
    let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
    let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
    let record = Record { generation: u64_at(16), len: u64_at(24), shrunk_to: u32_at(32), entries: Vec::new() };
    Some(((pages, u64_at(8)), (record, u32_at(36))))
}

/// The entries of a whole record, if its checksum holds and it does not contradict itself.
fn checked_entries(bytes: &[u8], count: usize, record: &Record) -> Option<Vec<(u32, Option<Slot>)>> {
    let (body, rest) = bytes.split_at_checked(HEADER + count * ENTRY)?;
    let crc = u32::from_le_bytes(*rest.first_chunk()?);
    // The padding is no part of the record, but a changed byte there is a changed byte in the file.
    if crc32fast::hash(body) != crc || rest[4..].iter().any(|byte| *byte != 0) || !record.len.is_multiple_of(BLOCK) {
        return None;
    }
    let entries = body[HEADER..].as_chunks::<ENTRY>().0.iter();
    let entries = entries.map(|entry| {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| entry[at + i]));
        let (page, at, crc) = (u32_at(0), u32_at(4), u32_at(8));
        let within = u64::from(page) < record.len / BLOCK;
        within.then_some((page, (at != NOWHERE).then_some(Slot { at, crc })))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        let entries = vec![(2, Some(Slot { at: 7, crc: 0xDEAD_BEEF })), (3, None)];
        let record = Record { generation: 5, len: 0x8000, shrunk_to: u32::MAX, entries };
        let bytes = encode(PageFile::First, 0x0102_0304_0506_0708, &record);
        assert_eq!(bytes.len(), 4096);
        let mut golden = b"ALVSUMS1".to_vec();
        golden.extend([8, 7, 6, 5, 4, 3, 2, 1]);
        golden.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend([0, 0x80, 0, 0, 0, 0, 0, 0]);
        golden.extend([0xFF; 4]);
        golden.extend([2, 0, 0, 0]);
        golden.extend([2, 0, 0, 0, 7, 0, 0, 0, 0xEF, 0xBE, 0xAD, 0xDE]);
        golden.extend([3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        assert_eq!(bytes[..64], golden);
        assert_eq!(bytes[64..68], GOLDEN_CRC);
        assert!(bytes[68..].iter().all(|byte| *byte == 0));
        assert_eq!(encode(PageFile::Second, 0, &record)[..8], *b"ALVSUMS2");
    }

    /// CRC-32 (IEEE) of the 64 bytes above, computed with Python's `zlib.crc32`.
    const GOLDEN_CRC: [u8; 4] = [0x78, 0x1A, 0xFE, 0x79];
}
