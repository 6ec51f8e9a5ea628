//! What a foreign file says about its own sizes, checked before the decoder, which believes them, allocates by them.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::column::page::PageReader;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::thrift::{Broken, Walker, kind};
use super::{Chunks, delta};
use crate::error::{Error, Result};
use crate::io::File;

/// Bytes of a page, decompressed. Writers aim at 1 MiB.
const PAGE_BYTES: u64 = 64 << 20;

/// Bytes by which data that cannot be compressed may grow.
const PAGE_SLACK: u64 = 1 << 20;

/// Bytes of the pages and dictionaries that reading all columns at once takes.
const WORKING_BYTES: u64 = 512 << 20;

/// How many of them the rows of a batch take, if pages allow it.
const BATCH_WORKING_BYTES: u64 = 64 << 20;

/// Bytes of the footer.
const FOOTER_BYTES: u64 = 64 << 20;

/// Bytes of a page header. Statistics make some long.
const HEADER_BYTES: usize = 1 << 20;

/// How many of them are read at first.
const HEADER_GUESS: usize = 512;

const MAGIC: &[u8; 4] = b"PAR1";

/// Checks that the file ends in a footer whose lists are no longer than its bytes.
pub(super) fn check_footer(file: &dyn File, len: u64) -> Result<()> {
    let mut tail = [0; 8];
    let tail_at = len.checked_sub(8).filter(|at| *at >= 4).ok_or_else(|| invalid("it is too short"))?;
    read(file, tail_at, &mut tail)?;
    let [length @ .., _, _, _, _] = tail;
    if !tail.ends_with(MAGIC) {
        return Err(invalid("it does not end in PAR1"));
    }
    let length = u64::from(u32::from_le_bytes(length));
    if length > tail_at || length > FOOTER_BYTES {
        return Err(invalid(format_args!("its footer claims {length} bytes")));
    }
    let mut footer = vec![0; length as usize];
    read(file, tail_at - length, &mut footer)?;
    super::footer::check(&footer).map_err(|broken| invalid(format_args!("its footer is damaged: {broken}")))
}

/// Checks every page of a row group; how many rows may be read at once, `most` at most, so that it does not take too much memory.
pub(super) fn check_row_group(chunks: &Arc<Chunks>, group: &RowGroupMetaData, most: usize) -> Result<usize> {
    let checked = group.columns().iter().map(|column| {
        check_chunk(chunks, column, group.num_rows()).map_err(|error| match error {
            Error::Invalid(message) => Error::invalid(format_args!("column {:?}: {message}", column.column_path().string())),
            error => error,
        })
    });
    let columns = checked.collect::<Result<Vec<_>>>()?;
    let single = working_bytes(&columns, 1);
    if single > WORKING_BYTES {
        return Err(invalid(format_args!(
            "reading a row of it takes {} MiB of pages, at most {} are accepted: write it with smaller pages",
            single >> 20,
            WORKING_BYTES >> 20
        )));
    }
    // Rows of two pages are together wherever one ends.
    let budget = single.saturating_mul(2).clamp(BATCH_WORKING_BYTES, WORKING_BYTES);
    let halves = std::iter::successors(Some(most.max(1)), |rows| Some(rows / 2));
    Ok(halves.take_while(|rows| *rows > 1).find(|rows| working_bytes(&columns, *rows) <= budget).unwrap_or(1))
}

/// What the pages of a column chunk take.
#[derive(Debug, Default)]
struct Chunk {
    dictionary: u64,
    pages: Vec<Extent>,
}

/// Values of a page, and the bytes of them.
#[derive(Debug)]
struct Extent {
    values: u64,
    bytes: u64,
}

/// Bytes of the pages that so many rows lie in, and of the dictionaries, at most.
fn working_bytes(columns: &[Chunk], rows: usize) -> u64 {
    columns.iter().map(|column| column.dictionary.saturating_add(column.widest(rows as u64))).fold(0, u64::saturating_add)
}

impl Chunk {
    /// Bytes of the pages that any stretch of so many rows lies in, at most. Values are rows, as no list is accepted.
    fn widest(&self, rows: u64) -> u64 {
        let (mut widest, mut bytes, mut values) = (0, 0_u64, 0_u64);
        let mut stretch = VecDeque::new();
        for last in &self.pages {
            stretch.push_back(last);
            bytes = bytes.saturating_add(last.bytes);
            values = values.saturating_add(last.values);
            // It reaches from the first page into the last one if these give it a row each and those between them all of theirs.
            while stretch.len() > 1
                && let Some(first) = stretch.front()
                && (values - last.values - first.values).saturating_add(2) > rows
            {
                bytes -= first.bytes;
                values -= first.values;
                stretch.pop_front();
            }
            widest = bytes.max(widest);
        }
        widest
    }
}

/// Checks every page of a column chunk, which has a value for each row, as no list is accepted.
fn check_chunk(chunks: &Arc<Chunks>, column: &ColumnChunkMetaData, rows: i64) -> Result<Chunk> {
    let Chunks { file, len } = &**chunks;
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(mut at), Ok(size)) = (u64::try_from(start), u64::try_from(column.compressed_size())) else {
        return Err(invalid("a negative offset"));
    };
    let end =
        at.checked_add(size).filter(|end| *end <= *len).ok_or_else(|| invalid("its pages lie beyond the end of the file"))?;
    let mut chunk = Chunk::default();
    let mut is_delta_text = false;
    while at < end {
        let (page, header) = Page::read(&**file, at, end)?;
        at += header;
        page.check(end - at, column.num_values())?;
        page.check_expansion(&**file, at, column.compression())?;
        if page.is_dictionary {
            chunk.dictionary = page.size
        } else {
            is_delta_text |= page.is_delta_text();
            chunk.pages.push(Extent { values: page.values.unsigned_abs(), bytes: page.size })
        }
        at += page.compressed;
    }
    let values = chunk.pages.iter().fold(0_u64, |values, page| values.saturating_add(page.values));
    if column.num_values() != rows || i64::try_from(values) != Ok(rows) {
        return Err(invalid(format_args!("its pages have {values} values for {rows} rows")));
    }
    if is_delta_text {
        check_delta_text(chunks, column, &mut chunk)?;
    }
    Ok(chunk)
}

/// Checks the pages of a chunk that have delta-encoded text, and adds what it takes to theirs.
fn check_delta_text(chunks: &Arc<Chunks>, column: &ColumnChunkMetaData, chunk: &mut Chunk) -> Result<()> {
    let descriptor = column.column_descr();
    let levels = delta::Levels { repetition: descriptor.max_rep_level(), definition: descriptor.max_def_level() };
    let rows = usize::try_from(column.num_values()).unwrap_or(0);
    let mut pages = super::fenced(|| SerializedPageReader::new(Arc::clone(chunks), column, rows, None))?.map_err(invalid)?;
    let mut extents = chunk.pages.iter_mut();
    while let Some(page) = super::fenced(|| pages.get_next_page())?.map_err(invalid)? {
        if page.is_dictionary_page() {
            continue;
        }
        let bytes = delta::decoded_bytes(&page, levels, PAGE_BYTES)
            .map_err(|broken| invalid(format_args!("the lengths in a page of its text are damaged: {broken}")))?;
        let extent = extents.next().ok_or_else(|| invalid("it has more pages than it lists"))?;
        extent.bytes = extent.bytes.saturating_add(bytes.unwrap_or(0));
    }
    Ok(())
}

/// What a page header declares.
#[derive(Debug, Default)]
struct Page {
    is_dictionary: bool,
    size: u64,
    compressed: u64,
    values: i64,
    /// Levels of a version 2 page stand uncompressed in front.
    levels: u64,
    is_plain: bool,
    encoding: i64,
}

impl Page {
    /// Reads the header at `at`; also its length.
    fn read(file: &dyn File, at: u64, end: u64) -> Result<(Page, u64)> {
        let mut length = HEADER_GUESS;
        loop {
            let available = usize::try_from(end - at).unwrap_or(usize::MAX).min(length);
            let mut bytes = vec![0; available];
            read(file, at, &mut bytes)?;
            match Page::parse(&bytes) {
                Ok((page, header)) => return Ok((page, header as u64)),
                // More may follow; a length that exceeds what was read may be right after all.
                Err(_) if available == length && length < HEADER_BYTES => length *= 8,
                Err(broken) => return Err(invalid(format_args!("a page header is damaged: {broken}"))),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<(Page, usize), Broken> {
        let mut page = Page::default();
        let mut walker = Walker::new(bytes);
        let mut sizes = [-1, -1];
        walker.fields(&mut |walker, id, kind| match (id, kind) {
            (1, kind::I32) => walker.integer().map(|number| page.is_dictionary = number == 2),
            (2 | 3, kind::I32) => {
                let number = walker.integer()?;
                sizes = if id == 2 { [number, sizes[1]] } else { [sizes[0], number] };
                Ok(())
            }
            (5 | 7 | 8, kind::STRUCT) => page.parse_details(walker, id),
            (4, kind::I32) | (6, kind::STRUCT) => walker.skip(kind),
            // The decoder goes by the number alone: it would read another type as if it were this, and be elsewhere from then on.
            (1..=8, _) => Err(Broken::Implausible),
            _ => walker.skip(kind),
        })?;
        let [size, compressed] = sizes.map(u64::try_from);
        page.size = size.map_err(|_| Broken::Implausible)?;
        page.compressed = compressed.map_err(|_| Broken::Implausible)?;
        Ok((page, walker.position()))
    }

    /// Reads what field `of` says: of a data page (5), a dictionary (7), or a data page of version 2 (8).
    fn parse_details(&mut self, walker: &mut Walker<'_>, of: i16) -> Result<(), Broken> {
        let version_2 = of == 8;
        let numbers = match of {
            5 => 1..=4,
            7 => 1..=2,
            _ => 1..=6,
        };
        walker.fields(&mut |walker, id, kind| match (id, kind) {
            (1, kind::I32) => walker.integer().map(|number| self.values = number),
            (2, kind::I32) if of == 5 => walker.integer().map(|number| self.encoding = number),
            (4, kind::I32) if version_2 => walker.integer().map(|number| self.encoding = number),
            (5 | 6, kind::I32) if version_2 => {
                let bytes = u64::try_from(walker.integer()?).map_err(|_| Broken::Implausible)?;
                self.levels = self.levels.saturating_add(bytes);
                Ok(())
            }
            (7, kind::FALSE) if version_2 => {
                self.is_plain = true;
                Ok(())
            }
            (id, kind) if numbers.contains(&id) && kind != kind::I32 => Err(Broken::Implausible),
            _ => walker.skip(kind),
        })
    }

    /// Whether it is text, or bytes, with delta-encoded lengths.
    fn is_delta_text(&self) -> bool {
        self.encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY as i64 || self.encoding == Encoding::DELTA_BYTE_ARRAY as i64
    }

    /// Checks the declared sizes against each other, given how many bytes and values there are at most.
    fn check(&self, available: u64, values: i64) -> Result<()> {
        if self.size > PAGE_BYTES {
            return Err(invalid(format_args!(
                "a page claims {} bytes, at most {} MiB are accepted: write it with smaller pages",
                self.size,
                PAGE_BYTES >> 20
            )));
        }
        // Each value of a dictionary takes a byte at least, while those of a data page may be runs.
        let limit = if self.is_dictionary { self.size.cast_signed() } else { values };
        if self.compressed > available.min(PAGE_BYTES + PAGE_SLACK)
            || self.levels > self.size.min(self.compressed)
            || !(0..=limit).contains(&self.values)
        {
            return Err(invalid("a page declares impossible sizes"));
        }
        Ok(())
    }

    /// Checks that a page of a codec that expands without regard to the declared size keeps to it.
    fn check_expansion(&self, file: &dyn File, at: u64, codec: Compression) -> Result<()> {
        if self.is_plain || !matches!(codec, Compression::GZIP(_) | Compression::LZ4) {
            return Ok(());
        }
        let mut bytes = vec![0; (self.compressed - self.levels) as usize];
        read(file, at + self.levels, &mut bytes)?;
        if codec == Compression::LZ4 {
            // The obsolete codec: blocks as Hadoop frames them respect the size, LZ4's own frames do not.
            const FRAME: &[u8] = &0x184d_2204_u32.to_le_bytes();
            return if bytes.starts_with(FRAME) {
                Err(invalid("its pages are LZ4 frames: write it with LZ4_RAW or zstd"))
            } else {
                Ok(())
            };
        }
        let declared = self.size - self.levels;
        let mut expanded = flate2::read::MultiGzDecoder::new(&bytes[..]).take(declared + 1);
        match io::copy(&mut expanded, &mut io::sink()) {
            Ok(length) if length <= declared => Ok(()),
            Ok(_) => Err(invalid("a page expands to more than it declares")),
            Err(error) => Err(invalid(format_args!("a page cannot be decompressed: {error}"))),
        }
    }
}

fn read(file: &dyn File, at: u64, bytes: &mut [u8]) -> Result<()> {
    file.read_exact_at(at, bytes).map_err(|error| invalid(format_args!("it cannot be read: {error}")))
}

/// The file is no Parquet, or not as it should be.
pub(super) fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::invalid(format_args!("not a sound Parquet file: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_header_have_the_types_that_the_decoder_takes_them_for() {
        // A data page: type 0, 10 bytes, compressed to 8; of 3 values, with encodings 0, 3 and 3.
        let sound = [0x15, 0x00, 0x15, 0x14, 0x15, 0x10, 0x2c, 0x15, 0x06, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00];
        let (page, length) = Page::parse(&sound).unwrap();
        assert_eq!((page.size, page.compressed, page.values, length), (10, 8, 3, sound.len()));
        // Each of its numbers as an i16 of the same bytes, and its structure as a list.
        for (at, other) in [(0, 0x14), (2, 0x14), (4, 0x14), (6, 0x29), (7, 0x14), (9, 0x14), (11, 0x14), (13, 0x14)] {
            let mut forged = sound;
            forged[at] = other;
            assert!(matches!(Page::parse(&forged), Err(Broken::Implausible)), "byte {at}");
        }
    }
}
