//! Making the entry of a segment again, from its file alone: for when the catalog and the log are lost.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, StringArray};
use parquet::file::metadata::ParquetMetaDataReader;

use super::blocks::{Sums, sum_file};
use super::cache::PageCache;
use super::footer::NOTE_KEY;
use super::foreign::check_lists;
use super::index::{ColumnRef, SegmentIndex};
use super::read::Segment;
use super::{Malformed, note};
use crate::error::{Error, Result};
use crate::fence::fence;
use crate::io::{Disk, OpenMode};
use crate::model::{SeriesId, SeriesKey, TableSchema};
use crate::record::SegmentEntry;

/// Largest Parquet footer accepted.
const FOOTER_BYTES: u64 = 64 << 20;
/// Largest notes accepted.
const NOTE_BYTES: u64 = 256 << 20;
/// Length and magic at the end of every Parquet file.
const TAIL_BYTES: u64 = 8;

/// What a segment file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rebuilt {
    /// The entry, as it was in the segment list.
    pub(crate) entry: SegmentEntry,
    /// The table's schema when the segment was written.
    pub(crate) schema: TableSchema,
    /// The series it has rows of, in order of rows.
    pub(crate) series: Vec<(SeriesId, SeriesKey)>,
}

/// Reads the whole file. It must hash to what its name says, so that everything in it is what we once wrote.
pub(crate) fn rebuild(disk: &dyn Disk, path: &Path) -> Result<Rebuilt> {
    let named = super::parse_file_name(path).ok_or_else(|| Error::damaged(path, "its name is not that of a segment"))?;
    let file = disk.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
    let Sums { bytes, blocks, hash } = sum_file(file.as_ref(), path)?;
    if hash != named.hash {
        return Err(Error::damaged(path, "its BLAKE3 is not the one in its name"));
    }
    let read = |start: u64, length: u64, limit: u64| -> Result<Vec<u8>> {
        if length > limit || start.checked_add(length).is_none_or(|end| end > bytes) {
            return Err(Error::damaged(path, format_args!("it points to {length} bytes at {start} of {bytes}")));
        }
        let mut buffer = vec![0; length as usize];
        file.read_exact_at(start, &mut buffer).map_err(|error| Error::io("read", path, error))?;
        Ok(buffer)
    };
    let tail = read(bytes.saturating_sub(TAIL_BYTES), TAIL_BYTES, TAIL_BYTES)?;
    let footer = match tail.split_first_chunk() {
        Some((length, b"PAR1")) => u64::from(u32::from_le_bytes(*length)),
        _ => return Err(Error::damaged(path, "it does not end as a Parquet file")),
    };
    let footer = read((bytes - TAIL_BYTES).saturating_sub(footer), footer, FOOTER_BYTES)?;
    let (at, length) = note_place(path, &footer)?;
    let notes = read(at, length, NOTE_BYTES)?;
    let damaged = |flaw: Malformed| Error::damaged(path, flaw);
    let (note, layout) = note::decode(&notes).map_err(damaged)?;
    let index = SegmentIndex::decode_layout(layout, bytes, blocks).map_err(damaged)?;
    let told = note.tell(&index.columns).map_err(damaged)?;
    told.schema.check().map_err(|flaw| Error::damaged(path, flaw))?;
    // Its number is the one in its name: where it was restored, that is another than the one it was written with.
    if told.schema.id != named.table {
        return Err(Error::damaged(path, "its notes are of another table than its name"));
    }
    let times = index.slices.iter().map(|slice| slice.min_time).min().zip(index.slices.iter().map(|slice| slice.max_time).max());
    let entry = SegmentEntry {
        id: named.id,
        table: told.schema.id,
        partition: told.partition,
        first_sequence: told.sequences.0,
        last_sequence: told.sequences.1,
        deletions_through: told.sequences.1,
        rows: index.rows() as u64,
        points: index.points(),
        bytes,
        times: times.ok_or_else(|| Error::damaged(path, "it has no rows"))?,
        series: index.series_count() as u32,
        hash,
        index: index.encode(),
    };
    let segment = Segment::open(disk, path, named.id, Arc::new(index))?;
    Ok(Rebuilt { entry, schema: told.schema, series: series_keys(&segment)? })
}

/// Finds our notes. The footer's own form is left to the parquet crate, fenced.
fn note_place(path: &Path, footer: &[u8]) -> Result<(u64, u64)> {
    check_lists(footer).map_err(|flaw| Error::damaged(path, flaw))?;
    let parsed = fence(|| ParquetMetaDataReader::decode_metadata(footer));
    let Ok(Ok(metadata)) = parsed else { return Err(Error::damaged(path, "its footer does not read")) };
    let notes = metadata.file_metadata().key_value_metadata().into_iter().flatten().find(|pair| pair.key == NOTE_KEY);
    let place = notes.and_then(|pair| {
        let (at, length) = pair.value.as_deref()?.split_once(':')?;
        Some((at.parse().ok()?, length.parse().ok()?))
    });
    place.ok_or_else(|| Error::damaged(path, "its footer does not say where its notes are"))
}

/// The tag values of every series, from the tag columns.
fn series_keys(segment: &Segment) -> Result<Vec<(SeriesId, SeriesKey)>> {
    let index = segment.index().clone();
    let cache = PageCache::new(4 << 20);
    let mut series: Vec<(SeriesId, SeriesKey)> = Vec::with_capacity(index.series_count());
    for (page, span) in index.pages.iter().enumerate() {
        let mut columns = Vec::with_capacity(index.tags());
        for tag in 0..index.tags() {
            columns.push(segment.page(ColumnRef::Tag(tag), page, &cache)?);
        }
        for slice in &index.slices[index.page_slices(page)] {
            if series.last().is_some_and(|(last, _)| *last == slice.series) {
                continue;
            }
            let row = (slice.first_row - span.first_row) as usize;
            let value = |column: &Option<arrow::array::ArrayRef>| {
                let texts = column.as_ref()?.as_any().downcast_ref::<StringArray>()?;
                texts.is_valid(row).then(|| texts.value(row).to_owned())
            };
            series.push((slice.series, SeriesKey(columns.iter().map(value).collect()).normalized()));
        }
    }
    Ok(series)
}
