//! The encodings of page bodies. A body is Parquet's version 1: definition levels, then the values that are present.

use arrow::buffer::{BooleanBuffer, NullBuffer};
use parquet::basic::Encoding as ParquetEncoding;

use super::values::{ColumnKind, PageValues, Physical, Texts, Values};
use super::{Malformed, alp, bits, delta, hybrid};
use crate::error::{Error, Result};

/// How the values of a column lie in its pages. The codes are persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Plain,
    /// Indexes into the column's dictionary, as narrow as can be.
    Dictionary,
    /// Indexes into the column's dictionary in whole bytes, for the entropy coder behind them.
    DictionaryBytes,
    /// BYTE_STREAM_SPLIT: all first bytes, all second bytes, …
    Split,
    /// DELTA_BINARY_PACKED, tight.
    Delta,
    /// DELTA_BINARY_PACKED in whole bytes, for the entropy coder behind it.
    DeltaBytes,
    /// DELTA_LENGTH_BYTE_ARRAY: lengths, then all text.
    DeltaLength,
    /// ALP.
    Alp,
}

impl Encoding {
    const ALL: [Encoding; 8] = [
        Encoding::Plain,
        Encoding::Dictionary,
        Encoding::DictionaryBytes,
        Encoding::Split,
        Encoding::Delta,
        Encoding::DeltaBytes,
        Encoding::DeltaLength,
        Encoding::Alp,
    ];

    pub(super) fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn of_code(code: u8) -> Result<Encoding, Malformed> {
        Self::ALL.get(usize::from(code)).copied().ok_or(Malformed("an unknown encoding"))
    }

    /// Parquet's name for it.
    pub(super) fn parquet(self) -> ParquetEncoding {
        match self {
            Encoding::Plain => ParquetEncoding::PLAIN,
            Encoding::Dictionary | Encoding::DictionaryBytes => ParquetEncoding::RLE_DICTIONARY,
            Encoding::Split => ParquetEncoding::BYTE_STREAM_SPLIT,
            Encoding::Delta | Encoding::DeltaBytes => ParquetEncoding::DELTA_BINARY_PACKED,
            Encoding::DeltaLength => ParquetEncoding::DELTA_LENGTH_BYTE_ARRAY,
            Encoding::Alp => ParquetEncoding::ALP,
        }
    }

    pub(super) fn is_dictionary(self) -> bool {
        matches!(self, Encoding::Dictionary | Encoding::DictionaryBytes)
    }
}

/// Appends definition levels: which rows have a value. Columns that cannot lack one have none.
pub(super) fn encode_levels(kind: ColumnKind, page: &PageValues, out: &mut Vec<u8>) {
    if !kind.nullable() {
        return;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match &page.nulls {
        None => hybrid::encode_run(1, page.rows, 1, out),
        Some(nulls) if page.present() == 0 => hybrid::encode_run(0, nulls.len(), 1, out),
        Some(nulls) => {
            let levels: Vec<u32> = nulls.iter().map(u32::from).collect();
            hybrid::encode(&levels, 1, out);
        }
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Takes the definition levels off the front of a body.
pub(super) fn decode_levels(kind: ColumnKind, body: &[u8], rows: usize) -> Result<(Option<NullBuffer>, &[u8]), Malformed> {
    if !kind.nullable() {
        return Ok((None, body));
    }
    let mut reader = bits::Reader::new(body);
    let length = reader.u32()? as usize;
    let levels = reader.take(length)?;
    let mut run = bits::Reader::new(levels);
    let header = run.varint()?;
    if header & 1 == 0 && header >> 1 >= rows as u64 && run.byte()? == 1 {
        return Ok((None, reader.rest()));
    }
    let mut present = vec![0u32; rows];
    hybrid::decode(levels, 1, &mut present)?;
    let valid = BooleanBuffer::collect_bool(rows, |row| present[row] == 1);
    Ok((Some(NullBuffer::new(valid)), reader.rest()))
}

/// Appends values in any encoding that needs no more than the page itself: neither a dictionary nor ALP.
pub(super) fn encode_values(values: &Values, encoding: Encoding, out: &mut Vec<u8>) -> Result<()> {
    match (encoding, values) {
        (Encoding::Plain, _) => encode_plain(values, out),
        (Encoding::Split, Values::Words(words)) => split(words.len(), 8, out, |place, plane| words[place].to_le_bytes()[plane]),
        (Encoding::Split, Values::Halves(halves)) => {
            split(halves.len(), 4, out, |place, plane| halves[place].to_le_bytes()[plane]);
        }
        (Encoding::Delta, Values::Words(words)) => delta::encode(words, delta::Packing::Tight, out),
        (Encoding::DeltaBytes, Values::Words(words)) => delta::encode(words, delta::Packing::Bytes, out),
        (Encoding::DeltaLength, Values::Texts(texts)) => {
            let lengths: Vec<u64> = texts.iter().map(|text| text.len() as u64).collect();
            delta::encode(&lengths, delta::Packing::Tight, out);
            out.extend_from_slice(&texts.bytes);
        }
        _ => return Err(Error::Internal(format!("{encoding:?} does not apply to these values"))),
    }
    Ok(())
}

/// Appends values as they are.
pub(super) fn encode_plain(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::Words(words) => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
        Values::Halves(halves) => out.extend(halves.iter().flat_map(|half| half.to_le_bytes())),
        Values::Bits(all) => bits::pack(all.iter().map(|bit| u64::from(*bit)), 1, out),
        Values::Texts(texts) => {
            for text in texts.iter() {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

fn split(count: usize, planes: usize, out: &mut Vec<u8>, byte: impl Fn(usize, usize) -> u8) {
    for plane in 0..planes {
        out.extend((0..count).map(|place| byte(place, plane)));
    }
}

/// Where a body is best cut for the entropy coder: the byte planes of split values differ in nature.
pub(super) fn parts(body: &[u8], values_at: usize, encoding: Encoding, count: usize) -> Vec<&[u8]> {
    if encoding != Encoding::Split || count == 0 {
        return vec![body];
    }
    let (levels, values) = body.split_at(values_at);
    let planes = values.chunks(count);
    std::iter::once(levels).filter(|levels| !levels.is_empty()).chain(planes).collect()
}

/// Appends dictionary indexes: their width, then runs and packed stretches.
pub(super) fn encode_indexes(indexes: &[u32], width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    hybrid::encode(indexes, width, out);
}

/// Reads `count` dictionary indexes.
pub(super) fn decode_indexes(bytes: &[u8], count: usize) -> Result<Vec<u32>, Malformed> {
    let mut indexes = vec![0; count];
    if let Some((width, packed)) = bytes.split_first() {
        hybrid::decode(packed, u32::from(*width), &mut indexes)?;
    } else if count > 0 {
        return Err(Malformed("a page without indexes"));
    }
    Ok(indexes)
}

/// Reads `count` values of any encoding but the dictionary ones.
pub(super) fn decode_values(physical: Physical, encoding: Encoding, bytes: &[u8], count: usize) -> Result<Values, Malformed> {
    Ok(match (encoding, physical) {
        (Encoding::Plain, _) => decode_plain(physical, bytes, count)?,
        (Encoding::Split, Physical::Word) => {
            let mut words = vec![0u64; count];
            join(bytes, count, 8, |plane, place, byte| words[place] |= u64::from(byte) << (8 * plane))?;
            Values::Words(words)
        }
        (Encoding::Split, Physical::Half) => {
            let mut halves = vec![0u32; count];
            join(bytes, count, 4, |plane, place, byte| halves[place] |= u32::from(byte) << (8 * plane))?;
            Values::Halves(halves)
        }
        (Encoding::Delta | Encoding::DeltaBytes, Physical::Word) => {
            let mut words = vec![0; count];
            delta::decode(bytes, &mut words)?;
            Values::Words(words)
        }
        (Encoding::DeltaLength, Physical::Text) => {
            let mut lengths = vec![0; count];
            let taken = delta::decode(bytes, &mut lengths)?;
            let text = bytes.get(taken..).ok_or(Malformed("text is cut short"))?;
            Values::Texts(Texts { ends: ends(&lengths, text.len())?, bytes: text.to_vec() })
        }
        (Encoding::Alp, Physical::Word) => Values::Words(alp::decode_doubles(bytes, count)?),
        (Encoding::Alp, Physical::Half) => Values::Halves(alp::decode_singles(bytes, count)?),
        _ => return Err(Malformed("an encoding that does not fit the type")),
    })
}

fn join(bytes: &[u8], count: usize, planes: usize, mut put: impl FnMut(usize, usize, u8)) -> Result<(), Malformed> {
    let bytes = bytes.get(..count * planes).ok_or(Malformed("byte planes are cut short"))?;
    if count > 0 {
        for (plane, all) in bytes.chunks_exact(count).enumerate() {
            all.iter().enumerate().for_each(|(place, byte)| put(plane, place, *byte));
        }
    }
    Ok(())
}

fn ends(lengths: &[u64], available: usize) -> Result<Vec<u32>, Malformed> {
    let mut end = 0u64;
    let mut ends = Vec::with_capacity(lengths.len());
    for length in lengths {
        end = end.saturating_add(*length);
        ends.push(u32::try_from(end).map_err(|_| Malformed("text of more than 4 GiB"))?);
    }
    if end == available as u64 { Ok(ends) } else { Err(Malformed("text of another length than its parts")) }
}

/// Reads `count` values laid down as they are.
pub(super) fn decode_plain(physical: Physical, bytes: &[u8], count: usize) -> Result<Values, Malformed> {
    const SHORT: Malformed = Malformed("plain values are cut short");
    let fixed = |width: usize| bytes.get(..count.checked_mul(width).ok_or(SHORT)?).ok_or(SHORT);
    Ok(match physical {
        Physical::Word => Values::Words(fixed(8)?.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()),
        Physical::Half => Values::Halves(fixed(4)?.as_chunks().0.iter().map(|half| u32::from_le_bytes(*half)).collect()),
        Physical::Bit => {
            let bytes = bytes.get(..count.div_ceil(8)).ok_or(SHORT)?;
            Values::Bits((0..count).map(|place| bytes[place / 8] >> (place % 8) & 1 == 1).collect())
        }
        Physical::Text => {
            let mut reader = bits::Reader::new(bytes);
            let mut texts = Texts::default();
            for _ in 0..count {
                let length = reader.u32()? as usize;
                texts.push(reader.take(length)?);
            }
            Values::Texts(texts)
        }
    })
}
