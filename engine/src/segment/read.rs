//! Reading a segment: one page of one column at a time, checked, decoded, and kept in the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::buffer::ScalarBuffer;

use super::blocks::{Sums, read_checked, sum_file};
use super::cache::{Item, Key, PageCache, Part, Scratch};
use super::codec;
use super::dictionary::FRAME_BYTES;
use super::index::{ColumnLayout, ColumnRef, DictionaryLayout, PageLayout, SegmentIndex};
use super::values::{Physical, Texts, Values, to_array};
use super::zstandard::decompress;
use super::{BLOCK_BYTES, Malformed};
use crate::error::{Error, Result};
use crate::fence::fence;
use crate::io::{Disk, File, OpenMode};
use crate::model::Column;
use crate::record::SegmentId;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    id: SegmentId,
    path: PathBuf,
    file: Arc<dyn File>,
    index: Arc<SegmentIndex>,
}

/// How one column lies in a segment, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnReport {
    /// The column.
    pub(crate) column: ColumnRef,
    /// Its encoding, as in `DICTIONARY + ZSTD`.
    pub(crate) encoding: String,
    /// Its bytes in the file.
    pub(crate) bytes: u64,
    /// Those of them that its dictionary takes.
    pub(crate) dictionary_bytes: u64,
    /// Entries of its dictionary.
    pub(crate) dictionary_entries: u32,
    /// Rows with a value.
    pub(crate) present: u64,
}

impl Segment {
    /// Opens the file of a segment. Nothing of it is read yet.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, id: SegmentId, index: Arc<SegmentIndex>) -> Result<Segment> {
        let file = disk.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
        let length = file.len().map_err(|error| Error::io("read", path, error))?;
        if length != index.file_bytes {
            return Err(Error::damaged(path, format_args!("it has {length} bytes, expected {}", index.file_bytes)));
        }
        Ok(Segment { id, path: path.to_owned(), file, index })
    }

    /// Its index.
    pub(crate) fn index(&self) -> &Arc<SegmentIndex> {
        &self.index
    }

    /// One page of one column: times as `Int64Array`, tags as `StringArray`, fields as arrays of their own type. `None` where no row
    /// of the page has a value, or the segment is older than the column.
    pub(crate) fn page(&self, column: ColumnRef, page: usize, cache: &PageCache) -> Result<Column> {
        let Some(place) = self.index.place(column) else { return Ok(None) };
        let layout = &self.index.columns[place];
        let Some(part) = layout.pages.get(page) else {
            return Err(Error::Internal(format!("page {page} of a segment with {}", layout.pages.len())));
        };
        if part.present == 0 {
            return Ok(None);
        }
        let key = Key { segment: self.id, column: place as u32, part: Part::Page(page as u32) };
        if let Some(Item::Page(array)) = cache.get(&key) {
            return Ok(Some(array));
        }
        let rows = self.index.pages[page].rows as usize;
        let array = cache.with_scratch(|scratch| self.read_page(layout, place, part, rows, cache, scratch))?;
        cache.put(key, Item::Page(array.clone()));
        Ok(Some(array))
    }

    /// The times of one page's rows.
    pub(crate) fn times(&self, page: usize, cache: &PageCache) -> Result<ScalarBuffer<i64>> {
        let times = self.page(ColumnRef::Time, page, cache)?;
        let times = times.as_ref().and_then(|array| array.as_any().downcast_ref::<Int64Array>());
        times.map(|times| times.values().clone()).ok_or_else(|| Error::damaged(&self.path, "a page has no times"))
    }

    fn read_page(
        &self,
        layout: &ColumnLayout,
        place: usize,
        page: &PageLayout,
        rows: usize,
        cache: &PageCache,
        scratch: &mut Scratch,
    ) -> Result<ArrayRef> {
        let (stored, plain, decompressor) = scratch.parts(layout.zstd)?;
        let bytes = self.read(page.body(), stored)?;
        let unpacked = self.fenced(|| {
            let body = match decompressor {
                Some(decompressor) => {
                    decompress(decompressor, bytes, page.plain as usize, plain)?;
                    plain.as_slice()
                }
                None => bytes,
            };
            let (nulls, values) = codec::decode_levels(layout.kind, body, rows)?;
            let present = nulls.as_ref().map_or(rows, |nulls| nulls.len() - nulls.null_count());
            if present != page.present as usize {
                return Err(Malformed("a page has another number of values than expected"));
            }
            match &layout.dictionary {
                Some(dictionary) if layout.encoding.is_dictionary() => {
                    let indexes = codec::decode_indexes(values, present)?;
                    let (least, greatest) = indexes.iter().fold((u32::MAX, 0), |(a, b), index| (a.min(*index), b.max(*index)));
                    if greatest >= dictionary.entries {
                        return Err(Malformed("an index beyond its dictionary"));
                    }
                    Ok((nulls, Unpacked::Indexes { indexes, least, greatest }))
                }
                _ => {
                    Ok((nulls, Unpacked::Values(codec::decode_values(layout.kind.physical(), layout.encoding, values, present)?)))
                }
            }
        })?;
        let (nulls, unpacked) = unpacked;
        let values = match (unpacked, &layout.dictionary) {
            (Unpacked::Values(values), _) => values,
            (Unpacked::Indexes { indexes, least, greatest }, Some(dictionary)) => {
                let column = DictionaryColumn { layout, dictionary, place: place as u32 };
                self.look_up(column, &indexes, (least, greatest), cache, scratch)?
            }
            (Unpacked::Indexes { .. }, None) => return Err(Error::damaged(&self.path, "indexes without a dictionary")),
        };
        self.fenced(|| to_array(layout.kind, values, nulls))
    }

    /// Replaces indexes by the values they stand for, reading only the frames of the dictionary that hold them.
    fn look_up(
        &self,
        column: DictionaryColumn<'_>,
        indexes: &[u32],
        (least, greatest): (u32, u32),
        cache: &PageCache,
        scratch: &mut Scratch,
    ) -> Result<Values> {
        let DictionaryColumn { layout, dictionary, place } = column;
        let physical = layout.kind.physical();
        let per_frame = match physical {
            Physical::Word => FRAME_BYTES / 8,
            Physical::Half => FRAME_BYTES / 4,
            // Texts differ in length: any of them takes all of the dictionary.
            Physical::Text | Physical::Bit => dictionary.entries as usize,
        };
        if least > greatest {
            return Ok(empty(physical));
        }
        let (first, last) = (least as usize / per_frame, greatest as usize / per_frame);
        let key = |frame: usize| Key { segment: self.id, column: place, part: Part::Frame(frame as u32) };
        let mut frames: Vec<Option<Arc<Values>>> = Vec::with_capacity(last - first + 1);
        frames.extend((first..=last).map(|frame| match cache.get(&key(frame)) {
            Some(Item::Frame(values)) => Some(values),
            _ => None,
        }));
        let missing = |frames: &[Option<Arc<Values>>]| {
            let start = frames.iter().position(Option::is_none)?;
            let length = frames[start..].iter().take_while(|frame| frame.is_none()).count();
            Some(start..start + length)
        };
        while let Some(gap) = missing(&frames) {
            let read = self.read_frames(layout, dictionary, first + gap.start..first + gap.end, scratch)?;
            for (place, values) in gap.zip(read) {
                let values = Arc::new(values);
                cache.put(key(first + place), Item::Frame(values.clone()));
                frames[place] = Some(values);
            }
        }
        let frames: Vec<Arc<Values>> = frames.into_iter().flatten().collect();
        self.fenced(|| gather(physical, &frames, indexes, first, per_frame))
    }

    /// Reads frames that lie side by side. Of texts there is one frame: all of the dictionary.
    fn read_frames(
        &self,
        layout: &ColumnLayout,
        dictionary: &DictionaryLayout,
        range: std::ops::Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<Vec<Values>> {
        let physical = layout.kind.physical();
        let width = match physical {
            Physical::Word => 8,
            Physical::Half => 4,
            Physical::Text | Physical::Bit => 0,
        };
        let stored_frames = if width == 0 { 0..dictionary.frames.len() } else { range.clone() };
        let missing = || Error::damaged(&self.path, "a dictionary is shorter than its indexes");
        let sizes = dictionary.frames.get(stored_frames.clone()).ok_or_else(missing)?;
        let before: u64 = dictionary.frames[..stored_frames.start].iter().map(|size| u64::from(*size)).sum();
        let start = dictionary.offset + u64::from(dictionary.header) + before;
        let length: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
        let (stored, plain, mut decompressor) = scratch.parts(layout.zstd)?;
        let mut bytes = self.read(start..start + length, stored)?;
        let total = dictionary.plain as usize;
        self.fenced(|| {
            if width == 0 {
                if let Some(decompressor) = decompressor {
                    decompress(decompressor, bytes, total, plain)?;
                    bytes = plain;
                }
                return Ok(vec![codec::decode_plain(physical, bytes, dictionary.entries as usize)?]);
            }
            let mut frames = Vec::with_capacity(range.len());
            for (frame, size) in range.zip(sizes) {
                let expected = total.saturating_sub(frame * FRAME_BYTES).min(FRAME_BYTES);
                let (mine, rest) = bytes.split_at_checked(*size as usize).ok_or(Malformed("a dictionary is cut short"))?;
                bytes = rest;
                let mine = match &mut decompressor {
                    Some(decompressor) => {
                        decompress(decompressor, mine, expected, plain)?;
                        plain.as_slice()
                    }
                    None => mine,
                };
                frames.push(codec::decode_plain(physical, mine, expected / width)?);
            }
            Ok(frames)
        })
    }

    fn read<'a>(&self, range: std::ops::Range<u64>, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        read_checked(self.file.as_ref(), &self.path, self.index.file_bytes, &self.index.blocks, range, buffer)
    }

    /// Runs a decoder so that bytes it cannot stand are an error and nothing else.
    fn fenced<T>(&self, decode: impl FnOnce() -> Result<T, Malformed>) -> Result<T> {
        match fence(decode) {
            Ok(Ok(decoded)) => Ok(decoded),
            Ok(Err(flaw)) => Err(Error::damaged(&self.path, flaw)),
            Err(_) => Err(Error::damaged(&self.path, "a decoder gave up on it")),
        }
    }

    /// Reads the whole file; says what is wrong with it. `hash` is the BLAKE3 it should have.
    pub(crate) fn verify(&self, hash: &[u8; 32]) -> Result<Vec<String>> {
        let Sums { bytes, blocks, hash: found } = sum_file(self.file.as_ref(), &self.path)?;
        let mut problems = Vec::new();
        if bytes != self.index.file_bytes {
            problems.push(format!("{bytes} bytes, expected {}", self.index.file_bytes));
        }
        let bad = blocks.iter().zip(&self.index.blocks).enumerate().filter(|(_, (found, expected))| found != expected);
        problems.extend(bad.map(|(block, _)| format!("the block at byte {} fails its checksum", block as u64 * BLOCK_BYTES)));
        if problems.is_empty() && found != *hash {
            problems.push("its BLAKE3 is not the one in its name".into());
        }
        if !problems.is_empty() {
            return Ok(problems);
        }
        // The bytes are those that were written; what remains is whether they decode.
        let cache = PageCache::new(1 << 20);
        for column in self.columns() {
            for page in 0..self.index.pages.len() {
                match self.page(column, page, &cache) {
                    Ok(_) => {}
                    Err(Error::Damaged { detail, .. }) => problems.push(format!("page {page} of {column:?}: {detail}")),
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(problems)
    }

    /// All columns the segment has.
    pub(crate) fn columns(&self) -> impl Iterator<Item = ColumnRef> + use<> {
        let (tags, fields) = (self.index.tags(), self.index.fields());
        std::iter::once(ColumnRef::Time).chain((0..tags).map(ColumnRef::Tag)).chain((0..fields).map(ColumnRef::Field))
    }

    /// How each column lies in the file.
    pub(crate) fn encodings(&self) -> Vec<ColumnReport> {
        self.columns()
            .zip(&self.index.columns)
            .map(|(column, layout)| {
                let dictionary = layout.dictionary.as_ref();
                let name = layout.encoding.parquet().to_string();
                ColumnReport {
                    column,
                    encoding: if layout.zstd { format!("{name} + ZSTD") } else { name },
                    bytes: layout.end() - layout.start(),
                    dictionary_bytes: dictionary.map_or(0, |dictionary| dictionary.end() - dictionary.offset),
                    dictionary_entries: dictionary.map_or(0, |dictionary| dictionary.entries),
                    present: layout.pages.iter().map(|page| u64::from(page.present)).sum(),
                }
            })
            .collect()
    }
}

enum Unpacked {
    Values(Values),
    /// Each less than the number of entries of the dictionary.
    Indexes {
        indexes: Vec<u32>,
        least: u32,
        greatest: u32,
    },
}

/// A column with its dictionary.
#[derive(Clone, Copy)]
struct DictionaryColumn<'a> {
    layout: &'a ColumnLayout,
    dictionary: &'a DictionaryLayout,
    place: u32,
}

fn empty(physical: Physical) -> Values {
    match physical {
        Physical::Word => Values::Words(Vec::new()),
        Physical::Half => Values::Halves(Vec::new()),
        Physical::Bit => Values::Bits(Vec::new()),
        Physical::Text => Values::Texts(Texts::default()),
    }
}

/// Indexes were checked against the number of entries.
fn gather(
    physical: Physical,
    frames: &[Arc<Values>],
    indexes: &[u32],
    first: usize,
    per_frame: usize,
) -> Result<Values, Malformed> {
    const MISFIT: Malformed = Malformed("a dictionary of another type than its column");
    match physical {
        Physical::Word => {
            let mut tables: Vec<&[u64]> = Vec::with_capacity(frames.len());
            for frame in frames {
                let Values::Words(words) = frame.as_ref() else { return Err(MISFIT) };
                tables.push(words);
            }
            Ok(Values::Words(gather_fixed(&tables, indexes, first, per_frame)?))
        }
        Physical::Half => {
            let mut tables: Vec<&[u32]> = Vec::with_capacity(frames.len());
            for frame in frames {
                let Values::Halves(halves) = frame.as_ref() else { return Err(MISFIT) };
                tables.push(halves);
            }
            Ok(Values::Halves(gather_fixed(&tables, indexes, first, per_frame)?))
        }
        Physical::Text => {
            let Some(Values::Texts(table)) = frames.first().map(Arc::as_ref) else { return Err(MISFIT) };
            let mut texts = Texts::default();
            indexes.iter().for_each(|index| texts.push(table.get(*index as usize)));
            Ok(Values::Texts(texts))
        }
        Physical::Bit => Err(MISFIT),
    }
}

/// Takes values out of consecutive tables of `per_frame` entries (a power of two), the first of which is number `first`.
fn gather_fixed<T: Copy + Default>(
    tables: &[&[T]],
    indexes: &[u32],
    first: usize,
    per_frame: usize,
) -> Result<Vec<T>, Malformed> {
    let (Some(last), true) = (tables.last(), per_frame.is_power_of_two()) else {
        return Err(Malformed("an index beyond its dictionary"));
    };
    let base = first * per_frame;
    let total = (tables.len() - 1) * per_frame + last.len();
    if tables[..tables.len() - 1].iter().any(|table| table.len() != per_frame) {
        return Err(Malformed("a dictionary frame of another size than expected"));
    }
    if indexes.iter().fold(0, |most, index| most.max(*index)) as usize >= base + total {
        return Err(Malformed("an index beyond its dictionary"));
    }
    // Bounds were checked for all at once: a default cannot occur, and not returning early keeps the loops tight.
    let base = base as u32;
    Ok(match tables {
        [table] => {
            indexes.iter().map(|index| table.get((index.wrapping_sub(base)) as usize).copied().unwrap_or_default()).collect()
        }
        _ => {
            let (shift, mask) = (per_frame.trailing_zeros(), per_frame - 1);
            let value = |index: &u32| {
                let place = index.wrapping_sub(base) as usize;
                tables.get(place >> shift).and_then(|table| table.get(place & mask)).copied().unwrap_or_default()
            };
            indexes.iter().map(value).collect()
        }
    })
}
