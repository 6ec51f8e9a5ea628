//! Writing a segment: columns one after the other, page by page, so that memory is bounded by one column's dictionary and sample.

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::Array;
use parquet::file::metadata::ParquetMetaDataWriter;
use parquet::file::writer::TrackedWrite;

use super::blocks::{Sink, Sums};
use super::bounds::Bounds;
use super::choose::{self, BodyEncoder};
use super::chunk::{self, Body, Entries};
use super::dictionary::{Dictionary, Distinct};
use super::footer::{self, Footer, WrittenColumn};
use super::index::SegmentIndex;
use super::input::{Feed, RowSource};
use super::layout::{self, FEWEST_PAGE_ROWS, PAGE_ROWS, PageSpan, Slice};
use super::statistics::{self, SLICE_ROWS};
use super::values::{ColumnKind, PageValues};
use super::{Malformed, note, tags};
use crate::error::{Error, Result};
use crate::format::limits;
use crate::io::{Disk, OpenMode, SyncLabel};
use crate::model::{FieldType, Partition, TableSchema};
use crate::record::{SegmentEntry, SegmentId};
use crate::settings::Profile;

/// What a segment is to be.
#[derive(Debug, Clone)]
pub(crate) struct SegmentSpec<'a> {
    /// The table's schema; the segment has a column for each of its columns.
    pub(crate) schema: &'a TableSchema,
    /// Number of the segment.
    pub(crate) id: SegmentId,
    /// Its partition; `None` for a spill segment.
    pub(crate) partition: Option<Partition>,
    /// First and last log record it covers.
    pub(crate) sequences: (u64, u64),
    /// Encodings allowed.
    pub(crate) profile: Profile,
}

/// Writes a segment to a temporary file in `dir` and syncs it. It has its final name only after [`super::publish`].
pub(crate) fn write(disk: &dyn Disk, dir: &Path, spec: &SegmentSpec<'_>, source: &mut dyn RowSource) -> Result<SegmentEntry> {
    let path = temporary_path(dir, spec.id);
    match disk.remove(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("remove", &path, error)),
    }
    let result = write_file(disk, &path, spec, source);
    if result.is_err() {
        // Whatever is left is only in the way; the next attempt removes it as well.
        let _ = disk.remove(&path);
    }
    result
}

pub(super) fn temporary_path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(format!("{}.tmp", id.0))
}

fn write_file(disk: &dyn Disk, path: &Path, spec: &SegmentSpec<'_>, source: &mut dyn RowSource) -> Result<SegmentEntry> {
    limits::check("rows of a segment", source.rows() as u64, u64::from(u32::MAX), "")?;
    let page_rows = page_rows(spec.schema, source)?;
    let (pages, slices) = layout::plan(source.runs(), source.times(), page_rows)?;
    let file = disk.open(path, OpenMode::CreateNew).map_err(|error| Error::io("create", path, error))?;
    let mut sink = Sink::new(file.clone());
    let written = write_columns(&mut sink, spec, source, pages, slices);
    // A failure of the disk shows here as itself; Parquet would have wrapped it.
    let sums = sink.finish(path)?;
    let entry = entry(spec, written?, sums)?;
    file.sync(SyncLabel::SegmentFile).map_err(|error| Error::io("sync", path, error))?;
    Ok(entry)
}

/// Text in a page, on average, that pages are kept below.
const PAGE_TEXT_BYTES: usize = 4 << 20;

/// How many rows a full page has: fewer where texts are long, since readers and writers hold whole pages.
fn page_rows(schema: &TableSchema, source: &mut dyn RowSource) -> Result<usize> {
    let rows = source.rows();
    let mut widest = 0;
    for (position, field) in schema.fields.iter().enumerate() {
        if !matches!(field.kind, FieldType::Utf8 | FieldType::Binary) {
            continue;
        }
        let mut bytes = 0;
        for start in (0..rows).step_by(FEWEST_PAGE_ROWS * 16) {
            let column = source.column(position, start..rows.min(start + FEWEST_PAGE_ROWS * 16))?;
            bytes += column.map_or(0, |array| array.to_data().get_slice_memory_size().unwrap_or(0));
        }
        widest = bytes.max(widest);
    }
    let fitting = PAGE_TEXT_BYTES.saturating_mul(rows) / widest.max(1);
    Ok(fitting.clamp(FEWEST_PAGE_ROWS, PAGE_ROWS))
}

fn entry(spec: &SegmentSpec<'_>, mut index: SegmentIndex, sums: Sums) -> Result<SegmentEntry> {
    index.file_bytes = sums.bytes;
    index.blocks = sums.blocks;
    let times = index.slices.iter().map(|slice| slice.min_time).min().zip(index.slices.iter().map(|slice| slice.max_time).max());
    Ok(SegmentEntry {
        id: spec.id,
        table: spec.schema.id,
        partition: spec.partition,
        first_sequence: spec.sequences.0,
        last_sequence: spec.sequences.1,
        deletions_through: spec.sequences.1,
        rows: index.rows() as u64,
        points: index.points(),
        bytes: sums.bytes,
        times: times.ok_or_else(|| Error::Internal("a segment without rows".into()))?,
        series: index.series_count() as u32,
        hash: sums.hash,
        index: index.encode(),
    })
}

fn malformed(flaw: Malformed) -> Error {
    Error::Internal(format!("a new segment's index: {flaw}"))
}

fn write_columns(
    sink: &mut Sink,
    spec: &SegmentSpec<'_>,
    source: &mut dyn RowSource,
    pages: Vec<PageSpan>,
    slices: Vec<Slice>,
) -> Result<SegmentIndex> {
    let descriptor = footer::parquet_schema(spec.schema).map_err(chunk::refused)?;
    let mut out = TrackedWrite::new(sink);
    out.write_all(b"PAR1").map_err(|error| chunk::refused(error.into()))?;
    let mut columns = Vec::with_capacity(descriptor.num_columns());
    let mut times = Feed::Time { times: source.times(), pages: &pages, unit: spec.schema.time_unit };
    columns.push(write_values(&mut out, spec.profile, &pages, &mut times, &mut |_, _, _| {})?);
    for tag in 0..spec.schema.tags.len() {
        columns.push(tags::write(&mut out, tag, source.runs(), &pages, &slices)?);
    }
    let mut gathered = Gathered { statistics: vec![Vec::new(); slices.len()], slices: &slices };
    for (position, field) in spec.schema.fields.iter().enumerate() {
        let mut feed = Feed::field(source, position, field.kind, &pages);
        columns.push(write_values(&mut out, spec.profile, &pages, &mut feed, &mut |page, values, times| {
            gathered.add(field.kind, page, &pages[page], values, times);
        })?);
    }
    let statistics = gathered.statistics.concat();
    let layouts = columns.iter().map(|column| column.layout.clone()).collect();
    let tags = spec.schema.tags.len();
    let index = SegmentIndex::new(pages.clone(), slices.clone(), tags, layouts, statistics, 0, Vec::new()).map_err(malformed)?;
    let note_at = out.bytes_written() as u64;
    let note = note::encode(spec, &index).map_err(|error| Error::Internal(format!("a segment's notes: {error}")))?;
    out.write_all(&note).map_err(|error| chunk::refused(error.into()))?;
    let note = (note_at, note.len() as u64);
    let footer = Footer { schema: spec.schema, sequences: spec.sequences, pages: &pages, columns: &columns, note };
    let metadata = footer.metadata(&descriptor).map_err(chunk::refused)?;
    ParquetMetaDataWriter::new_with_tracked(out, &metadata).finish().map_err(chunk::refused)?;
    Ok(index)
}

/// Called with each page's position, values, and the times of all rows.
type Observe<'a> = &'a mut dyn FnMut(usize, &PageValues, &[i64]);

/// Writes one column of anything but a tag: finds its distinct values, chooses an encoding on a sample, then encodes.
fn write_values(
    out: &mut TrackedWrite<&mut Sink>,
    profile: Profile,
    pages: &[PageSpan],
    feed: &mut Feed<'_>,
    observe: Observe<'_>,
) -> Result<WrittenColumn> {
    let kind = feed.kind();
    let (dictionary, total) = find_dictionary(kind, pages.len(), feed)?;
    let sampled = choose::sample(pages.len()).map(|page| feed.page(page)).collect::<Result<Vec<_>>>()?;
    let plan = choose::choose(kind, profile, &sampled, dictionary.as_ref(), total)?;
    drop(sampled);
    let dictionary = dictionary.filter(|_| plan.encoding.is_dictionary());
    let entries = dictionary.as_ref().map(|dictionary| Entries { count: dictionary.count, plain: &dictionary.plain });
    let mut encoder = BodyEncoder::new(kind, plan.encoding, dictionary.as_ref());
    chunk::write(out, kind, pages, plan, entries, &mut |page, body| {
        let values = feed.page(page)?;
        let values_at = encoder.encode(&values, body)?;
        observe(page, &values, feed.times());
        Ok(Body { values_at, present: values.present(), bounds: Bounds::of(kind, &values) })
    })
}

/// The dictionary of a column, if one may pay, and how many values the column has (as far as they were counted).
fn find_dictionary(kind: ColumnKind, pages: usize, feed: &mut Feed<'_>) -> Result<(Option<Dictionary>, usize)> {
    let mut distinct: Option<Distinct> = None;
    let mut total = 0;
    for page in 0..pages {
        let values = feed.page(page)?;
        total += values.present();
        if page == 0 {
            distinct = Distinct::new(&values.values);
        }
        if !distinct.as_mut().is_some_and(|distinct| distinct.add(&values.values)) {
            return Ok((None, total));
        }
    }
    Ok((distinct.filter(|_| total > 0).map(|distinct| distinct.finish(kind)), total))
}

/// The statistics of each slice, field after field.
struct Gathered<'a> {
    statistics: Vec<Vec<u8>>,
    slices: &'a [Slice],
}

impl Gathered<'_> {
    fn add(&mut self, kind: FieldType, page: usize, span: &PageSpan, values: &PageValues, times: &[i64]) {
        let first = self.slices.partition_point(|slice| (slice.page as usize) < page);
        for (slice, bytes) in self.slices.iter().zip(&mut self.statistics).skip(first) {
            if slice.page as usize != page {
                break;
            }
            if slice.rows >= SLICE_ROWS {
                let start = (slice.first_row - span.first_row) as usize;
                let known = statistics::compute(kind, values, &times[span.range()], slice, start);
                statistics::encode(&known, slice, bytes);
            }
        }
    }
}
