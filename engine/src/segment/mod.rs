//! Segments: sealed rows of one table as one immutable Parquet file.
//!
//! Rows are sorted by (tags, time); all columns cut their pages at the same rows. The *index* of a segment says where each page
//! lies, which series its rows belong to, what is known of them, and the checksum of every 16 KiB of the file; it is kept in
//! the segment list, and again (but for the checksums) inside the file, from which it can be had back.
//!
//! - writing: [`write()`], [`publish`]; `input`, `layout`, `choose`, `dictionary`, `chunk`, `tags`, `footer`, `note`, `blocks`
//! - encodings: `values`, `codec`, `bits`, `hybrid`, `delta`, `alp`, `zstandard`
//! - reading: [`Segment`], [`PageCache`], [`SegmentIndex`], [`rebuild()`]

mod alp;
mod bits;
mod blocks;
mod bounds;
mod cache;
mod choose;
mod chunk;
mod codec;
mod delta;
mod dictionary;
mod extent;
mod footer;
mod foreign;
mod hybrid;
mod index;
mod input;
mod layout;
mod note;
mod read;
mod rebuild;
mod statistics;
mod tags;
#[cfg(test)]
mod tests;
mod values;
mod write;
mod zstandard;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use cache::PageCache;
pub use extent::{NoExtent, SegmentExtent};
pub use foreign::{ForeignColumn, ForeignType, ParquetReader, ParquetWriter};
pub(crate) use index::{ColumnRef, SegmentIndex};
pub(crate) use input::RowSource;
pub(crate) use layout::{SeriesRun, Slice};
pub(crate) use read::Segment;
pub(crate) use rebuild::{Rebuilt, rebuild};
pub(crate) use statistics::Known;
pub(crate) use write::{SegmentSpec, write};

use crate::error::{Error, Result};
use crate::io::{Disk, SyncLabel};
use crate::model::TableId;
use crate::record::{SegmentEntry, SegmentId};

/// Bytes of a segment file that share a checksum.
pub(crate) const BLOCK_BYTES: u64 = 16 << 10;

/// Bytes that contradict themselves, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What the name of a segment file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The table.
    pub(crate) table: TableId,
    /// The segment.
    pub(crate) id: SegmentId,
    /// BLAKE3 of the file.
    pub(crate) hash: [u8; 32],
}

/// The name of a segment's file: `t<table>-<segment>-<BLAKE3>.parquet`.
pub(crate) fn file_name(entry: &SegmentEntry) -> String {
    format!("t{}-{}-{}.parquet", entry.table.0, entry.id.0, blake3::Hash::from_bytes(entry.hash).to_hex())
}

/// Undoes [`file_name`]; `None` for other files.
pub(crate) fn parse_file_name(path: &Path) -> Option<FileName> {
    let name = path.file_name()?.to_str()?.strip_prefix('t')?.strip_suffix(".parquet")?;
    let (table, rest) = name.split_once('-')?;
    let (id, hash) = rest.split_once('-')?;
    let hash = *blake3::Hash::from_hex(hash).ok()?.as_bytes();
    Some(FileName { table: TableId(table.parse().ok()?), id: SegmentId(id.parse().ok()?), hash })
}

/// Where the file of a segment is.
pub(crate) fn path(dir: &Path, entry: &SegmentEntry) -> PathBuf {
    dir.join(file_name(entry))
}

/// Gives freshly written segments their names, and syncs the directory so that the names last.
pub(crate) fn publish(disk: &dyn Disk, dir: &Path, entries: &[SegmentEntry]) -> Result<()> {
    for entry in entries {
        let target = path(dir, entry);
        disk.rename(&write::temporary_path(dir, entry.id), &target).map_err(|error| Error::io("rename", &target, error))?;
    }
    disk.sync_dir(dir, SyncLabel::SegmentDirectory).map_err(|error| Error::io("sync", dir, error))
}

/// Removes segments that were written and will not be referred to, whether or not they have their names yet. What cannot be
/// removed now goes at the next opening.
pub(crate) fn discard(disk: &dyn Disk, dir: &Path, entries: &[SegmentEntry]) {
    for entry in entries {
        for path in [write::temporary_path(dir, entry.id), path(dir, entry)] {
            let _ = disk.remove(&path);
        }
    }
}

/// Whether a file is one that [`write()`] left unfinished.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|id| id.parse::<u64>().is_ok())
}
