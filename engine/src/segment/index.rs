//! The index of a segment: what must be known to read any part of it without opening the rest.
//!
//! # Bytes
//!
//! All integers are unsigned LEB128 unless said otherwise; *signed* ones are zig-zag.
//!
//! | part | content |
//! |---|---|
//! | version | one byte, 1 |
//! | pages | count, then rows of each |
//! | slices | count, then each: signed difference of the series number to the one before; pages on from the slice before; rows; signed difference of its first time to the last time of the slice before (0 at first); last time less first time |
//! | columns | tags, fields, then each column (time, tags, fields): kind (one byte, decimals followed by their scale), encoding (one byte), zstd (0 or 1), distance of its first byte from the end of the column before, dictionary, pages |
//! | dictionary | entries (0 without), then header bytes, plain bytes, frames, stored bytes of each frame |
//! | page | header bytes, stored bytes, decompressed bytes, values present |
//! | statistics | byte count, then those of each field of each slice of at least 512 rows, see `statistics.rs` |
//! | blocks | file size, then a CRC32 (little-endian, 4 bytes) of every 16 KiB of it |

use super::bits::{Reader, put_varint, zigzag};
use super::codec::Encoding;
use super::layout::{PageSpan, Slice};
use super::statistics::{self, Known};
use super::values::{ColumnKind, Physical};
use super::{BLOCK_BYTES, Malformed};
use crate::format::limits;
use crate::model::{FieldType, SeriesId, TimeUnit, Value};

const VERSION: u8 = 1;
/// Largest page accepted, decompressed.
const PAGE_BYTES: u32 = 1 << 30;
/// Rows of the largest page accepted: far more than are written, far fewer than would be a burden.
const PAGE_ROWS: u32 = 1 << 16;
/// Largest dictionary accepted.
const DICTIONARY_BYTES: u32 = 64 << 20;

/// A column of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ColumnRef {
    /// The time of each row.
    Time,
    /// The tag at this position of the table's schema.
    Tag(usize),
    /// The field at this position of the table's schema.
    Field(usize),
}

/// Where one page of one column lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageLayout {
    /// The first byte of its header.
    pub(super) offset: u64,
    pub(super) header: u32,
    /// Bytes of the body in the file.
    pub(super) stored: u32,
    /// Bytes of the body once decompressed.
    pub(super) plain: u32,
    /// Rows that have a value.
    pub(super) present: u32,
}

impl PageLayout {
    /// Where the body lies in the file.
    pub(super) fn body(&self) -> std::ops::Range<u64> {
        let start = self.offset + u64::from(self.header);
        start..start + u64::from(self.stored)
    }
}

/// Where the dictionary of a column lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DictionaryLayout {
    pub(super) offset: u64,
    pub(super) header: u32,
    pub(super) entries: u32,
    pub(super) plain: u32,
    /// Stored bytes of each frame.
    pub(super) frames: Vec<u32>,
}

impl DictionaryLayout {
    /// All its bytes in the file.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.header) + self.frames.iter().map(|frame| u64::from(*frame)).sum::<u64>()
    }
}

/// How one column lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnLayout {
    pub(super) kind: ColumnKind,
    pub(super) encoding: Encoding,
    pub(super) zstd: bool,
    pub(super) dictionary: Option<DictionaryLayout>,
    pub(super) pages: Vec<PageLayout>,
}

impl ColumnLayout {
    pub(super) fn start(&self) -> u64 {
        let first = self.pages.first().map_or(0, |page| page.offset);
        self.dictionary.as_ref().map_or(first, |dictionary| dictionary.offset)
    }

    pub(super) fn end(&self) -> u64 {
        self.pages.last().map_or(0, |page| page.body().end)
    }
}

/// The index of one segment. Immutable; shared by everyone who reads the segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SegmentIndex {
    /// The pages, in order of rows.
    pub(crate) pages: Vec<PageSpan>,
    /// The slices, in order of rows: by tags, then by time.
    pub(crate) slices: Vec<Slice>,
    /// Time, tags, fields.
    pub(super) columns: Vec<ColumnLayout>,
    pub(super) tags: usize,
    /// The statistics of all slices, encoded.
    pub(super) statistics: Vec<u8>,
    /// Which of the slices that have statistics each slice is; `u32::MAX` for those without. Empty where none has any.
    statistics_of: Vec<u32>,
    /// Where in them those of each field of each such slice begin.
    statistics_at: Vec<u32>,
    /// Each series with its first slice, sorted by series.
    by_series: Vec<(SeriesId, u32)>,
    pub(super) file_bytes: u64,
    /// CRC32 of each block of the file.
    pub(super) blocks: Vec<u32>,
}

impl SegmentIndex {
    /// Puts an index together; what must hold of untrusted parts is checked in [`SegmentIndex::decode`].
    pub(super) fn new(
        pages: Vec<PageSpan>,
        slices: Vec<Slice>,
        tags: usize,
        columns: Vec<ColumnLayout>,
        statistics: Vec<u8>,
        file_bytes: u64,
        blocks: Vec<u32>,
    ) -> Result<SegmentIndex, Malformed> {
        let mut by_series: Vec<(SeriesId, u32)> = Vec::new();
        for (place, slice) in (0u32..).zip(&slices) {
            if by_series.last().is_none_or(|(series, _)| *series != slice.series) {
                by_series.push((slice.series, place));
            }
        }
        by_series.sort_unstable();
        if by_series.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Malformed("the slices of a series are apart"));
        }
        let (statistics_of, statistics_at) = (Vec::new(), Vec::new());
        let mut index = SegmentIndex {
            pages,
            slices,
            columns,
            tags,
            statistics,
            statistics_of,
            statistics_at,
            by_series,
            file_bytes,
            blocks,
        };
        index.locate_statistics()?;
        Ok(index)
    }

    /// Reads every statistic once, so that later ones cannot fail.
    fn locate_statistics(&mut self) -> Result<(), Malformed> {
        // A segment of short series alone has none, and many slices.
        if self.statistics.is_empty() && self.slices.iter().all(|slice| slice.rows < statistics::SLICE_ROWS) {
            return Ok(());
        }
        let length = u32::try_from(self.statistics.len()).map_err(|_| Malformed("too many statistics"))?;
        let mut reader = Reader::new(&self.statistics);
        let (mut of, mut at) = (Vec::with_capacity(self.slices.len()), Vec::new());
        let mut kept = 0;
        for slice in &self.slices {
            if slice.rows < statistics::SLICE_ROWS {
                of.push(u32::MAX);
                continue;
            }
            of.push(kept);
            kept += 1;
            for field in 0..self.fields() {
                at.push(length - reader.rest().len() as u32);
                statistics::decode(self.field_kind(field)?, slice, &mut reader)?;
            }
        }
        if !reader.rest().is_empty() {
            return Err(Malformed("more statistics than slices"));
        }
        (self.statistics_of, self.statistics_at) = (of, at);
        Ok(())
    }

    fn field_kind(&self, field: usize) -> Result<FieldType, Malformed> {
        match self.columns.get(1 + self.tags + field).map(|column| column.kind) {
            Some(ColumnKind::Field(kind)) => Ok(kind),
            _ => Err(Malformed("a field's column is not a field")),
        }
    }

    /// Tags the segment has columns for; tags added to the table later are missing in all its rows.
    pub(crate) fn tags(&self) -> usize {
        self.tags
    }

    /// Fields the segment has columns for; fields added to the table later are missing in all its rows.
    pub(crate) fn fields(&self) -> usize {
        self.columns.len().saturating_sub(1 + self.tags)
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.pages.last().map_or(0, |page| page.range().end)
    }

    /// Values present, all fields together.
    pub(crate) fn points(&self) -> u64 {
        let fields = self.columns.get(1 + self.tags..).unwrap_or_default();
        fields.iter().flat_map(|column| &column.pages).map(|page| u64::from(page.present)).sum()
    }

    /// How many series.
    pub(crate) fn series_count(&self) -> usize {
        self.by_series.len()
    }

    /// Every series with rows here, by rising number.
    pub(crate) fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.by_series.iter().map(|(series, _)| *series)
    }

    /// The places in [`SegmentIndex::slices`] of the slices of a series, in order of time; empty if it has no rows here.
    pub(crate) fn series_slices(&self, series: SeriesId) -> std::ops::Range<usize> {
        let Ok(place) = self.by_series.binary_search_by_key(&series, |(series, _)| *series) else { return 0..0 };
        let first = self.by_series[place].1 as usize;
        let count = self.slices[first..].iter().take_while(|slice| slice.series == series).count();
        first..first + count
    }

    /// The places of the slices that lie in a page.
    pub(crate) fn page_slices(&self, page: usize) -> std::ops::Range<usize> {
        let start = self.slices.partition_point(|slice| (slice.page as usize) < page);
        start..start + self.slices[start..].partition_point(|slice| slice.page as usize == page)
    }

    /// Whether statistics of a slice are kept.
    #[cfg(test)]
    pub(crate) fn has_statistics(&self, slice: usize) -> bool {
        self.statistics_of.get(slice).is_some_and(|kept| *kept != u32::MAX)
    }

    /// What is known of a field over a slice. Fields that the segment has no column for have no values.
    pub(crate) fn statistics(&self, slice: usize, field: usize) -> Known {
        if field >= self.fields() {
            return Known::NoValues;
        }
        // They were all read once when the index was made, so decoding cannot fail.
        self.with_statistics(slice, field, |kind, slice, mut reader| statistics::decode(kind, slice, &mut reader).ok())
            .unwrap_or(Known::Nothing)
    }

    /// The last value of a field over a slice, which may be none; `None` where its rows must be read.
    #[expect(clippy::option_option, reason = "no value is not the same as not known")]
    pub(crate) fn last_value(&self, slice: usize, field: usize) -> Option<Option<Value>> {
        if field >= self.fields() {
            return Some(None);
        }
        self.with_statistics(slice, field, |kind, slice, mut reader| statistics::decode_last(kind, slice, &mut reader).ok())
    }

    fn with_statistics<T>(
        &self,
        slice: usize,
        field: usize,
        decode: impl FnOnce(FieldType, &Slice, Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        let kept = *self.statistics_of.get(slice).filter(|kept| **kept != u32::MAX)?;
        let at = *self.statistics_at.get(kept as usize * self.fields() + field)?;
        let reader = Reader::new(self.statistics.get(at as usize..)?);
        decode(self.field_kind(field).ok()?, self.slices.get(slice)?, reader)
    }

    pub(super) fn place(&self, column: ColumnRef) -> Option<usize> {
        let place = match column {
            ColumnRef::Time => 0,
            ColumnRef::Tag(tag) if tag < self.tags => 1 + tag,
            ColumnRef::Field(field) => 1 + self.tags + field,
            ColumnRef::Tag(_) => return None,
        };
        (place < self.columns.len()).then_some(place)
    }

    /// Bytes of memory it holds on to.
    pub(crate) fn memory(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|column| {
                let frames = column.dictionary.as_ref().map_or(0, |dictionary| size_of_val(dictionary.frames.as_slice()));
                size_of::<ColumnLayout>() + size_of_val(column.pages.as_slice()) + frames
            })
            .sum();
        size_of::<Self>()
            + size_of_val(self.pages.as_slice())
            + size_of_val(self.slices.as_slice())
            + self.statistics.len()
            + size_of_val(self.statistics_of.as_slice())
            + size_of_val(self.statistics_at.as_slice())
            + size_of_val(self.by_series.as_slice())
            + size_of_val(self.blocks.as_slice())
            + columns
    }

    /// The bytes kept in the segment list.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_layout();
        put_varint(self.file_bytes, &mut out);
        self.blocks.iter().for_each(|crc| out.extend_from_slice(&crc.to_le_bytes()));
        out
    }

    /// All but the block checksums: what the file itself can carry.
    pub(crate) fn encode_layout(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(self.pages.len() as u64, &mut out);
        self.pages.iter().for_each(|page| put_varint(u64::from(page.rows), &mut out));
        put_varint(self.slices.len() as u64, &mut out);
        let (mut series, mut page, mut time) = (0, 0, 0);
        for slice in &self.slices {
            put_varint(zigzag(i64::from(slice.series.0) - series), &mut out);
            put_varint(u64::from(slice.page - page), &mut out);
            put_varint(u64::from(slice.rows), &mut out);
            put_varint(zigzag(slice.min_time.wrapping_sub(time)), &mut out);
            put_varint(slice.max_time.wrapping_sub(slice.min_time).cast_unsigned(), &mut out);
            (series, page, time) = (i64::from(slice.series.0), slice.page, slice.max_time);
        }
        put_varint(self.tags as u64, &mut out);
        put_varint(self.fields() as u64, &mut out);
        let mut end = 0;
        for column in &self.columns {
            put_varint(column.start() - end, &mut out);
            encode_column(column, &mut out);
            end = column.end();
        }
        put_varint(self.statistics.len() as u64, &mut out);
        out.extend_from_slice(&self.statistics);
        out
    }

    /// Reads what [`SegmentIndex::encode`] wrote. The bytes are not trusted: whatever they say, reading with the index stays within
    /// bounds.
    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentIndex, Malformed> {
        let mut reader = Reader::new(bytes);
        let parts = Parts::read(&mut reader)?;
        let file_bytes = reader.varint()?;
        let count = usize::try_from(file_bytes.div_ceil(BLOCK_BYTES)).map_err(|_| Malformed("the file is too large"))?;
        let (crcs, rest) = reader.rest().as_chunks::<4>();
        if crcs.len() != count || !rest.is_empty() {
            return Err(Malformed("another number of block checksums than blocks"));
        }
        let blocks = crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect();
        parts.into_index(file_bytes, blocks)
    }

    /// Reads what [`SegmentIndex::encode_layout`] wrote.
    pub(crate) fn decode_layout(bytes: &[u8], file_bytes: u64, blocks: Vec<u32>) -> Result<SegmentIndex, Malformed> {
        let mut reader = Reader::new(bytes);
        let parts = Parts::read(&mut reader)?;
        if !reader.rest().is_empty() {
            return Err(Malformed("bytes after the layout"));
        }
        parts.into_index(file_bytes, blocks)
    }
}

fn encode_column(column: &ColumnLayout, out: &mut Vec<u8>) {
    match column.kind {
        ColumnKind::Time(TimeUnit::Milli) => out.push(0),
        ColumnKind::Time(TimeUnit::Micro) => out.push(1),
        ColumnKind::Time(TimeUnit::Nano) => out.push(2),
        ColumnKind::Tag => out.push(3),
        ColumnKind::Field(FieldType::Float64) => out.push(4),
        ColumnKind::Field(FieldType::Float32) => out.push(5),
        ColumnKind::Field(FieldType::Int64) => out.push(6),
        ColumnKind::Field(FieldType::UInt64) => out.push(7),
        ColumnKind::Field(FieldType::Bool) => out.push(8),
        ColumnKind::Field(FieldType::Utf8) => out.push(9),
        ColumnKind::Field(FieldType::Binary) => out.push(10),
        ColumnKind::Field(FieldType::Decimal { scale }) => out.extend_from_slice(&[11, scale]),
    }
    out.push(column.encoding.code());
    out.push(u8::from(column.zstd));
    match &column.dictionary {
        None => out.push(0),
        Some(dictionary) => {
            let sizes = [dictionary.entries, dictionary.header, dictionary.plain, dictionary.frames.len() as u32];
            sizes.iter().chain(&dictionary.frames).for_each(|size| put_varint(u64::from(*size), out));
        }
    }
    for page in &column.pages {
        for size in [page.header, page.stored, page.plain, page.present] {
            put_varint(u64::from(size), out);
        }
    }
}

fn decode_kind(reader: &mut Reader<'_>) -> Result<ColumnKind, Malformed> {
    Ok(match reader.byte()? {
        0 => ColumnKind::Time(TimeUnit::Milli),
        1 => ColumnKind::Time(TimeUnit::Micro),
        2 => ColumnKind::Time(TimeUnit::Nano),
        3 => ColumnKind::Tag,
        4 => ColumnKind::Field(FieldType::Float64),
        5 => ColumnKind::Field(FieldType::Float32),
        6 => ColumnKind::Field(FieldType::Int64),
        7 => ColumnKind::Field(FieldType::UInt64),
        8 => ColumnKind::Field(FieldType::Bool),
        9 => ColumnKind::Field(FieldType::Utf8),
        10 => ColumnKind::Field(FieldType::Binary),
        11 => match reader.byte()? {
            scale @ 0..=FieldType::DECIMAL_PRECISION => ColumnKind::Field(FieldType::Decimal { scale }),
            _ => return Err(Malformed("a decimal scale beyond 18")),
        },
        _ => return Err(Malformed("an unknown kind of column")),
    })
}

/// What the layout says, before it is made an index.
struct Parts {
    pages: Vec<PageSpan>,
    slices: Vec<Slice>,
    tags: usize,
    columns: Vec<ColumnLayout>,
    statistics: Vec<u8>,
}

impl Parts {
    fn read(reader: &mut Reader<'_>) -> Result<Parts, Malformed> {
        if reader.byte()? != VERSION {
            return Err(Malformed("an index of an unknown version"));
        }
        let pages = read_pages(reader)?;
        let slices = read_slices(reader, &pages)?;
        let (tags, fields) = (reader.count()?, reader.count()?);
        if (1 + tags + fields) as u64 > limits::COLUMNS {
            return Err(Malformed("too many columns"));
        }
        let mut columns: Vec<ColumnLayout> = Vec::with_capacity(1 + tags + fields);
        for place in 0..1 + tags + fields {
            let start = columns.last().map_or(0, ColumnLayout::end).checked_add(reader.varint()?);
            let start = start.filter(|start| *start < FARTHEST).ok_or(TOO_FAR)?;
            let column = read_column(reader, start, &pages)?;
            let fits = match column.kind {
                ColumnKind::Time(_) => place == 0,
                ColumnKind::Tag => (1..=tags).contains(&place),
                ColumnKind::Field(_) => place > tags,
            };
            if !fits {
                return Err(Malformed("columns out of order"));
            }
            columns.push(column);
        }
        let length = reader.count()?;
        let statistics = reader.take(length)?.to_vec();
        Ok(Parts { pages, slices, tags, columns, statistics })
    }

    fn into_index(self, file_bytes: u64, blocks: Vec<u32>) -> Result<SegmentIndex, Malformed> {
        if self.columns.last().map_or(0, ColumnLayout::end) > file_bytes {
            return Err(Malformed("columns beyond the end of the file"));
        }
        SegmentIndex::new(self.pages, self.slices, self.tags, self.columns, self.statistics, file_bytes, blocks)
    }
}

/// No position in a file is as far, and what lies behind one that is not so far can be added to it.
const FARTHEST: u64 = u64::MAX / 2;
const TOO_FAR: Malformed = Malformed("a position farther than a file can be long");

fn read_pages(reader: &mut Reader<'_>) -> Result<Vec<PageSpan>, Malformed> {
    let count = reader.count()?;
    let mut pages = Vec::with_capacity(count);
    let mut first_row = 0u32;
    for _ in 0..count {
        let rows = reader.small()?;
        if rows == 0 || rows > PAGE_ROWS {
            return Err(Malformed("a page of an impossible number of rows"));
        }
        pages.push(PageSpan { first_row, rows });
        first_row = first_row.checked_add(rows).ok_or(Malformed("more rows than a segment can have"))?;
    }
    if pages.is_empty() { Err(Malformed("a segment without pages")) } else { Ok(pages) }
}

/// The slices must cover the rows without gaps and never cross from page to page.
fn read_slices(reader: &mut Reader<'_>, pages: &[PageSpan]) -> Result<Vec<Slice>, Malformed> {
    let count = reader.count()?;
    let mut slices = Vec::with_capacity(count);
    let (mut series, mut page, mut time, mut first_row) = (0i64, 0u32, 0i64, 0u32);
    for _ in 0..count {
        series = series.checked_add(reader.signed()?).ok_or(Malformed("an impossible series"))?;
        page = page.checked_add(reader.small()?).ok_or(Malformed("an impossible page"))?;
        let rows = reader.small()?;
        let min_time = time.wrapping_add(reader.signed()?);
        let max_time = min_time.checked_add_unsigned(reader.varint()?).ok_or(Malformed("a slice ends beyond all time"))?;
        let end = first_row.checked_add(rows).ok_or(Malformed("more rows than a segment can have"))?;
        let within = pages.get(page as usize).map(|page| page.range());
        if rows == 0 || !within.is_some_and(|page| page.start <= first_row as usize && end as usize <= page.end) {
            return Err(Malformed("a slice beyond its page"));
        }
        let id = u32::try_from(series).map_err(|_| Malformed("an impossible series"))?;
        slices.push(Slice { series: SeriesId(id), page, first_row, rows, min_time, max_time });
        (time, first_row) = (max_time, end);
    }
    let rows = pages.last().map_or(0, |page| page.range().end);
    if first_row as usize == rows { Ok(slices) } else { Err(Malformed("slices do not cover the rows")) }
}

fn read_column(reader: &mut Reader<'_>, start: u64, pages: &[PageSpan]) -> Result<ColumnLayout, Malformed> {
    let kind = decode_kind(reader)?;
    let encoding = Encoding::of_code(reader.byte()?)?;
    let zstd = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed("an unknown compression")),
    };
    let mut offset = start;
    let entries = reader.small()?;
    let mut dictionary = None;
    if entries > 0 {
        let (header, plain, count) = (reader.small()?, reader.small()?, reader.count()?);
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            frames.push(reader.small()?);
        }
        if plain > DICTIONARY_BYTES || frames.iter().any(|frame| *frame > DICTIONARY_BYTES) {
            return Err(Malformed("an impossibly large dictionary"));
        }
        let layout = DictionaryLayout { offset, header, entries, plain, frames };
        offset = Some(layout.end()).filter(|end| *end < FARTHEST).ok_or(TOO_FAR)?;
        dictionary = Some(layout);
    }
    let mut layouts = Vec::with_capacity(pages.len());
    for page in pages {
        let (header, stored, plain, present) = (reader.small()?, reader.small()?, reader.small()?, reader.small()?);
        // Fixed-width values take at most their width and their share of an encoding's own bytes.
        let largest = if kind.physical() == Physical::Text { PAGE_BYTES } else { 4_096 + page.rows * 16 };
        if stored.max(plain) > largest || present > page.rows || (!kind.nullable() && present != page.rows) {
            return Err(Malformed("an impossible page"));
        }
        let layout = PageLayout { offset, header, stored, plain, present };
        offset = Some(layout.body().end).filter(|end| *end < FARTHEST).ok_or(TOO_FAR)?;
        layouts.push(layout);
    }
    Ok(ColumnLayout { kind, encoding, zstd, dictionary, pages: layouts })
}
