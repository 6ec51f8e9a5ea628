//! Snapshots: the whole catalog in one checksummed file, from which a new one can be made.
//!
//! ```text
//! magic "ALVSNAP2" · sequence u64 · CRC-32 of both u32                                                       (20 bytes)
//! chunks × { tag "ROWS" · rows' bytes u32 · stored bytes u32 · CRC-32 of tag, lengths and what is stored u32 · stored }
//! one chunk of tag "ENDS": rows u64 · rows' bytes u64 · BLAKE3 of the file before this chunk        (48 bytes, both lengths)
//!
//! row: table code u8 · key's bytes u32 · value's bytes u32 · key · value              all these numbers little-endian
//! ```
//!
//! What is stored is one zstd frame, or the rows themselves where that is no shorter (equal lengths). Rows come by table code
//! and key; a chunk is closed by the row that takes it to 256 KiB or more. Nothing follows the last chunk. A file is complete
//! under its name or not there: it is written under another, synced and renamed.

use std::io;
use std::path::{Path, PathBuf};

use redb::{ReadableDatabase, ReadableTable};

use super::Catalog;
use super::apply::Writer;
use super::guard::Failure;
use super::tables::{self, Kind, State};
use crate::error::{Error, Result};
use crate::format::limits;
use crate::io::{Components, Disk, File, OpenMode, SyncLabel};
use crate::model::Sequence;

const MAGIC: &[u8; 8] = b"ALVSNAP2";
const ROWS: &[u8; 4] = b"ROWS";
const ENDS: &[u8; 4] = b"ENDS";
const PREFIX: &str = "snapshot-";
const NEXT_NAME: &str = "snapshot.new";
/// Rows' bytes at which a chunk is closed.
const CHUNK_BYTES: usize = 256 << 10;
/// Rows' bytes a chunk may have: a row is part of a log frame, so this bounds memory.
const MAX_CHUNK_BYTES: u64 = limits::FRAME_BYTES + (1 << 20);
const HEADER: usize = 20;
const CHUNK_HEADER: usize = 16;
const ROW_HEADER: usize = 9;
const TRAILER: usize = 48;
const ZSTD_LEVEL: i32 = 3;
/// Snapshots kept, the newest included.
const KEPT: usize = 2;

fn path_of(dir: &Path, sequence: Sequence) -> PathBuf {
    dir.join(format!("{PREFIX}{sequence:020}"))
}

impl Catalog {
    /// The sequences of the snapshots in `dir`, newest first. None if there is no such directory.
    pub(crate) fn snapshots(components: &Components, dir: &Path) -> Result<Vec<Sequence>> {
        let entries = match components.disk.list(dir) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("list", dir, source)),
        };
        let parse = |name: &str| name.strip_prefix(PREFIX).filter(|digits| digits.len() == 20)?.parse().ok();
        let mut sequences: Vec<Sequence> = entries.iter().filter_map(|entry| parse(&entry.name)).collect();
        sequences.sort_unstable_by(|a, b| b.cmp(a));
        Ok(sequences)
    }

    /// Writes a snapshot of everything applied and returns its sequence. Two are kept, this and the newest before it; others,
    /// also such as claim to be newer, go. The caller has synced the log through [`Catalog::applied`] first. A failure leaves
    /// the catalog and older snapshots as they were.
    pub(crate) fn write_snapshot(&self) -> Result<Sequence> {
        let disk = &*self.components.disk;
        let next = self.dir.join(NEXT_NAME);
        remove_if_there(disk, &next)?;
        let sequence = self.write_rows(&next).inspect_err(|_| {
            // The first error counts, and what is left over is removed before the next attempt.
            let _ = disk.remove(&next);
        })?;
        disk.rename(&next, &path_of(&self.dir, sequence)).map_err(|source| Error::io("rename", &next, source))?;
        disk.sync_dir(&self.dir, SyncLabel::SnapshotDirectory).map_err(|source| Error::io("sync", &self.dir, source))?;
        let mut kept = 0;
        for other in Self::snapshots(&self.components, &self.dir)? {
            kept += usize::from(other <= sequence);
            if other > sequence || kept > KEPT {
                remove_if_there(disk, &path_of(&self.dir, other))?;
            }
        }
        Ok(sequence)
    }

    fn write_rows(&self, path: &Path) -> Result<Sequence> {
        self.with_database(|database| {
            let writer = self.writer.lock();
            let sequence = self.applied();
            let transaction = database.begin_read()?;
            drop(writer);
            let file = self.components.disk.open(path, OpenMode::CreateNew);
            let file = file.map_err(|source| Failure::Own(Error::io("create", path, source)))?;
            let mut out = SnapshotWriter::begin(&*file, path, sequence).map_err(Failure::Own)?;
            for kind in Kind::ALL {
                for row in transaction.open_table(kind.definition())?.iter()? {
                    let (key, value) = row?;
                    let key = key.value();
                    if kind != Kind::State || key != tables::number_key(State::Applied as u64) {
                        out.row(kind, key, value.value()).map_err(Failure::Own)?;
                    }
                }
            }
            out.end().map_err(Failure::Own)?;
            let synced = file.sync(SyncLabel::SnapshotFile);
            synced.map_err(|source| Failure::Own(Error::io("sync", path, source)))?;
            Ok(sequence)
        })
    }

    /// Makes a new catalog from a snapshot in the place of any there, and checkpoints it. [`Error::Damaged`] if any byte of
    /// the snapshot is not as written; the catalog there is untouched then.
    pub(crate) fn restore(components: &Components, dir: &Path, sequence: Sequence, cache_bytes: usize) -> Result<Catalog> {
        let disk = &*components.disk;
        check(disk, dir, sequence)?;
        let catalog = Catalog::begin(components, dir, cache_bytes)?;
        read(disk, dir, sequence, &mut |rows, path| {
            catalog.store.make_room()?;
            catalog.change(|writer| put_rows(writer, rows, path))
        })?;
        catalog.apply(sequence, &[])?;
        catalog.checkpoint()?;
        Ok(catalog)
    }
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, source)),
        _ => Ok(()),
    }
}

fn put_rows(writer: &mut Writer<'_>, rows: &[u8], path: &Path) -> Result<(), Failure> {
    for_each_row(rows, path, |kind, key, value| writer.put(kind, key, value))
}

fn for_each_row(
    mut rows: &[u8],
    path: &Path,
    mut visit: impl FnMut(Kind, &[u8], &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bad = || Failure::Own(Error::damaged(path, "a row contradicts itself"));
    while !rows.is_empty() {
        let (&[code, a, b, c, d, e, f, g, h], rest) = rows.split_first_chunk::<ROW_HEADER>().ok_or_else(bad)?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize).ok_or_else(bad)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes([e, f, g, h]) as usize).ok_or_else(bad)?;
        visit(Kind::from_code(code).ok_or_else(bad)?, key, value)?;
        rows = rest;
    }
    Ok(())
}

/// Reads a whole snapshot and all its rows without doing anything with them.
pub(super) fn check(disk: &dyn Disk, dir: &Path, sequence: Sequence) -> Result<()> {
    read(disk, dir, sequence, &mut |rows, path| {
        let checked = for_each_row(rows, path, |kind, key, value| {
            kind.check_row(key, value).map_err(|error| Failure::Own(tables::bad_row(path, kind, key, &error)))
        });
        checked.map_err(|failure| match failure {
            Failure::Own(error) => error,
            Failure::Redb(error) => Error::Internal(error.to_string()),
        })
    })
}

struct SnapshotWriter<'a> {
    file: &'a dyn File,
    path: &'a Path,
    offset: u64,
    hash: blake3::Hasher,
    rows: u64,
    bytes: u64,
    chunk: Vec<u8>,
}

impl<'a> SnapshotWriter<'a> {
    fn begin(file: &'a dyn File, path: &'a Path, sequence: Sequence) -> Result<Self> {
        let (hash, chunk) = (blake3::Hasher::new(), Vec::new());
        let mut writer = SnapshotWriter { file, path, offset: 0, hash, rows: 0, bytes: 0, chunk };
        writer.write(&header(sequence))?;
        Ok(writer)
    }

    fn row(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<()> {
        limits::check("bytes of a catalog row", value.len() as u64, limits::FRAME_BYTES, "")?;
        self.chunk.push(kind.code());
        self.chunk.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.chunk.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.chunk.extend_from_slice(key);
        self.chunk.extend_from_slice(value);
        self.rows += 1;
        if self.chunk.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.chunk);
        self.bytes += raw.len() as u64;
        let packed = zstd::bulk::compress(&raw, ZSTD_LEVEL).map_err(|source| Error::io("compress", self.path, source))?;
        let stored = if packed.len() < raw.len() { &packed } else { &raw };
        self.write(&chunk(ROWS, raw.len(), stored))?;
        self.chunk = raw;
        self.chunk.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.flush()?;
        let mut trailer = Vec::with_capacity(TRAILER);
        trailer.extend_from_slice(&self.rows.to_le_bytes());
        trailer.extend_from_slice(&self.bytes.to_le_bytes());
        trailer.extend_from_slice(self.hash.finalize().as_bytes());
        self.write(&chunk(ENDS, TRAILER, &trailer))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(self.offset, bytes).map_err(|source| Error::io("write", self.path, source))?;
        self.offset += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(())
    }
}

fn header(sequence: Sequence) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&sequence.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn chunk(tag: &[u8; 4], raw: usize, stored: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHUNK_HEADER + stored.len());
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(&(raw as u32).to_le_bytes());
    bytes.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes);
    crc.update(stored);
    bytes.extend_from_slice(&crc.finalize().to_le_bytes());
    bytes.extend_from_slice(stored);
    bytes
}

/// Reads a snapshot chunk by chunk, handing out the checked rows of each. What was handed out counts only if this succeeds.
fn read(disk: &dyn Disk, dir: &Path, sequence: Sequence, visit: &mut dyn FnMut(&[u8], &Path) -> Result<()>) -> Result<()> {
    let path = path_of(dir, sequence);
    let file = disk.open(&path, OpenMode::Read).map_err(|source| Error::io("open", &path, source))?;
    let len = file.len().map_err(|source| Error::io("measure", &path, source))?;
    let mut reader = SnapshotReader { file: &*file, path: &path, len, offset: 0, hash: blake3::Hasher::new() };
    if reader.take(HEADER as u64)? != header(sequence) {
        return Err(Error::damaged(&path, "the header is not that of this snapshot"));
    }
    let (mut rows, mut bytes) = (0, 0);
    loop {
        let before = reader.hash.finalize();
        let Some(raw) = reader.chunk()? else {
            return reader.end(rows, bytes, &before);
        };
        visit(&raw, &path)?;
        bytes += raw.len() as u64;
        for_each_row(&raw, &path, |_, _, _| {
            rows += 1;
            Ok(())
        })
        .map_err(|_| Error::damaged(&path, "a row contradicts itself"))?;
    }
}

struct SnapshotReader<'a> {
    file: &'a dyn File,
    path: &'a Path,
    len: u64,
    offset: u64,
    hash: blake3::Hasher,
}

impl SnapshotReader<'_> {
    fn take(&mut self, len: u64) -> Result<Vec<u8>> {
        let end = self.offset.checked_add(len).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| self.damaged("it ends early"))?;
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(self.offset, &mut bytes).map_err(|source| Error::io("read", self.path, source))?;
        self.hash.update(&bytes);
        self.offset = end;
        Ok(bytes)
    }

    /// The rows of the next chunk, or `None` at the last one, which is left for [`SnapshotReader::end`].
    fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let start = self.offset;
        let head = self.take(CHUNK_HEADER as u64)?;
        let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
        let (raw, stored, crc) = (u64::from(word(4)), u64::from(word(8)), word(12));
        if raw > MAX_CHUNK_BYTES || stored > raw {
            return Err(self.damaged(format_args!("the chunk at byte {start} has an impossible length")));
        }
        let payload = self.take(stored)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(head.get(..12).unwrap_or_default());
        hasher.update(&payload);
        if hasher.finalize() != crc {
            return Err(self.damaged(format_args!("the chunk at byte {start} fails its checksum")));
        }
        if head.starts_with(ENDS) {
            self.offset = start;
            return Ok(None);
        }
        if !head.starts_with(ROWS) {
            return Err(self.damaged(format_args!("the chunk at byte {start} is of no known kind")));
        }
        if raw == stored {
            return Ok(Some(payload));
        }
        let rows = zstd::bulk::decompress(&payload, raw as usize).unwrap_or_default();
        if rows.len() as u64 != raw {
            return Err(self.damaged(format_args!("the chunk at byte {start} does not unpack")));
        }
        Ok(Some(rows))
    }

    fn end(&mut self, rows: u64, bytes: u64, hash: &blake3::Hash) -> Result<()> {
        let mut trailer = rows.to_le_bytes().to_vec();
        trailer.extend_from_slice(&bytes.to_le_bytes());
        trailer.extend_from_slice(hash.as_bytes());
        let expected = chunk(ENDS, TRAILER, &trailer);
        if self.len - self.offset != expected.len() as u64 || self.take(expected.len() as u64)? != expected {
            return Err(self.damaged("the whole does not match its last chunk"));
        }
        Ok(())
    }

    fn damaged(&self, detail: impl std::fmt::Display) -> Error {
        Error::damaged(self.path, detail)
    }
}
