//! How much text a page of delta-encoded lengths holds, counted before the decoder, which makes room for as much as is declared.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>: 5 (delta encoding), 6 (delta-length byte array) and
//! 7 (delta strings).

use parquet::basic::Encoding;
use parquet::column::page::Page;

use super::thrift::{Broken, Walker};

/// Bytes that a page's values take once decoded: their text, and the room for their lengths. None if its encoding is another.
///
/// `levels` is how many repetition and definition levels a page of version 1 begins with, and `limit` how many bytes are accepted.
pub(super) fn decoded_bytes(page: &Page, levels: Levels, limit: u64) -> Result<Option<u64>, Broken> {
    let (Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) = page.encoding() else { return Ok(None) };
    let mut walker = Walker::new(page.buffer());
    skip_levels(&mut walker, page, levels)?;
    let most = u64::from(page.num_values()).min(limit / LENGTH_BYTES);
    let bytes = if page.encoding() == Encoding::DELTA_BYTE_ARRAY {
        let prefixes = lengths(&mut walker, most)?;
        let suffixes = lengths(&mut walker, most)?;
        if prefixes.len() != suffixes.len() {
            return Err(Broken::Implausible);
        }
        let room = LENGTH_BYTES * 2 * prefixes.len() as u64;
        shared_text(&prefixes, &suffixes)?.saturating_add(room)
    } else {
        let lengths = lengths(&mut walker, most)?;
        lengths.iter().map(|length| u64::from(*length)).sum::<u64>() + LENGTH_BYTES * lengths.len() as u64
    };
    if bytes > limit { Err(Broken::Implausible) } else { Ok(Some(bytes)) }
}

/// Bytes that the decoder takes for each length.
const LENGTH_BYTES: u64 = 4;

/// Which levels a column has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub(super) repetition: i16,
    pub(super) definition: i16,
}

fn skip_levels(walker: &mut Walker<'_>, page: &Page, levels: Levels) -> Result<(), Broken> {
    match page {
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            walker.advance(*rep_levels_byte_len as usize)?;
            walker.advance(*def_levels_byte_len as usize)
        }
        Page::DataPage { num_values, rep_level_encoding, def_level_encoding, .. } => {
            for (most, encoding) in [(levels.repetition, rep_level_encoding), (levels.definition, def_level_encoding)] {
                match encoding {
                    _ if most == 0 => {}
                    Encoding::RLE => {
                        let length = walker.take(4)?.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
                        walker.advance(length)?;
                    }
                    _ => {
                        let bits = u64::from(*num_values) * u64::from(i16::BITS - most.leading_zeros());
                        walker.advance(bits.div_ceil(8) as usize)?;
                    }
                }
            }
            Ok(())
        }
        Page::DictionaryPage { .. } => Err(Broken::Implausible),
    }
}

/// Bytes of texts that begin with the first bytes of the one before.
fn shared_text(prefixes: &[u32], suffixes: &[u32]) -> Result<u64, Broken> {
    let (mut total, mut before) = (0_u64, 0);
    for (prefix, suffix) in prefixes.iter().zip(suffixes) {
        if u64::from(*prefix) > before {
            return Err(Broken::Implausible);
        }
        before = u64::from(*prefix) + u64::from(*suffix);
        total = total.saturating_add(before);
    }
    Ok(total)
}

/// Decodes a run of delta-encoded lengths, no more than `most`.
fn lengths(walker: &mut Walker<'_>, most: u64) -> Result<Vec<u32>, Broken> {
    let (block, miniblocks, count) = (walker.varint()?, walker.varint()?, walker.varint()?);
    let first = walker.integer()?;
    let miniblock = block.checked_div(miniblocks).ok_or(Broken::Implausible)?;
    if count > most || miniblock == 0 || !miniblock.is_multiple_of(32) || miniblock * miniblocks != block {
        return Err(Broken::Implausible);
    }
    let mut lengths = Vec::new();
    let mut last = i32::try_from(first).map_err(|_| Broken::Implausible)?;
    let mut push = |length: i32| u32::try_from(length).map(|length| lengths.push(length)).map_err(|_| Broken::Implausible);
    let mut left = count;
    if left > 0 {
        push(last)?;
        left -= 1;
    }
    while left > 0 {
        let least = i32::try_from(walker.integer()?).map_err(|_| Broken::Implausible)?;
        let widths = walker.take(usize::try_from(miniblocks).map_err(|_| Broken::Implausible)?)?;
        for width in widths {
            let used = left.min(miniblock);
            if used == 0 {
                // The last block's idle miniblocks have widths, and no bytes.
                break;
            }
            if *width > 32 {
                return Err(Broken::Implausible);
            }
            let bytes = (miniblock / 8).checked_mul(u64::from(*width)).ok_or(Broken::Implausible)?;
            let packed = walker.take(usize::try_from(bytes).map_err(|_| Broken::Implausible)?)?;
            for index in 0..used {
                last = last.wrapping_add(least).wrapping_add(unpack(packed, index, *width).cast_signed());
                push(last)?;
            }
            left -= used;
        }
    }
    Ok(lengths)
}

/// The number at an index of little-endian numbers of up to 32 bits, packed one after another.
fn unpack(packed: &[u8], index: u64, width: u8) -> u32 {
    let bit = index * u64::from(width);
    let bytes = packed.get((bit / 8) as usize..).unwrap_or_default();
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    let mask = (1_u64 << width) - 1;
    ((u64::from_le_bytes(word) >> (bit % 8)) & mask) as u32
}
