//! Text and bytes: one after the other, or by reference to few different values.

use hashbrown::HashMap;

use super::DecodeError;
use super::column::{get_integers, put_integers};
use super::pack::{Reader, Unpacker, put_varint};

/// Lengths, then all bytes.
const PLAIN: u8 = 0;
/// The different values as if plain, then the number of each value among them.
const DICTIONARY: u8 = 1;
/// More different values than this are stored plain.
const DICTIONARY_VALUES: usize = 256;
/// What 32-bit offsets can address.
const COLUMN_BYTES: usize = i32::MAX as usize;

pub(super) fn put(out: &mut Vec<u8>, values: &[&[u8]]) {
    match dictionary(values) {
        Some((distinct, codes)) => {
            out.push(DICTIONARY);
            put_varint(out, distinct.len() as u64);
            put_plain(out, &distinct);
            put_integers(out, &codes, i64::from);
        }
        None => {
            out.push(PLAIN);
            put_plain(out, values);
        }
    }
}

fn put_plain(out: &mut Vec<u8>, values: &[&[u8]]) {
    put_integers(out, values, |value| value.len() as i64);
    values.iter().for_each(|value| out.extend_from_slice(value));
}

/// The different values in order of appearance and which each one is, if there are few.
fn dictionary<'a>(values: &[&'a [u8]]) -> Option<(Vec<&'a [u8]>, Vec<u32>)> {
    let most = DICTIONARY_VALUES.min(values.len() / 2);
    let mut numbers = HashMap::new();
    let mut distinct = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    for value in values {
        let code = *numbers.entry(*value).or_insert_with(|| {
            distinct.push(*value);
            distinct.len() as u32 - 1
        });
        if distinct.len() > most {
            return None;
        }
        codes.push(code);
    }
    Some((distinct, codes))
}

/// Reads `count` values as their lengths and all their bytes. `budget` bounds the latter, and is less by them.
pub(super) fn get(
    reader: &mut Reader<'_>,
    unpacker: &mut Unpacker,
    count: usize,
    budget: &mut usize,
) -> Result<(Vec<usize>, Vec<u8>), DecodeError> {
    match reader.byte()? {
        PLAIN => {
            let (lengths, bytes) = get_plain(reader, unpacker, count)?;
            *budget = budget.checked_sub(bytes.len()).ok_or_else(|| reader.error("too many bytes"))?;
            Ok((lengths, bytes.to_vec()))
        }
        DICTIONARY => get_dictionary(reader, unpacker, count, budget),
        other => Err(reader.error(format!("text coded {other}"))),
    }
}

fn get_plain<'a>(reader: &mut Reader<'a>, unpacker: &mut Unpacker, count: usize) -> Result<(Vec<usize>, &'a [u8]), DecodeError> {
    let lengths = get_integers(reader, unpacker, count, |lane| usize::try_from(lane).unwrap_or(usize::MAX))?;
    let total = lengths.iter().try_fold(0usize, |sum, len| sum.checked_add(*len)).unwrap_or(usize::MAX);
    if total > COLUMN_BYTES {
        return Err(reader.error(format!("{total} bytes in a column")));
    }
    Ok((lengths, reader.take(total)?))
}

fn get_dictionary(
    reader: &mut Reader<'_>,
    unpacker: &mut Unpacker,
    count: usize,
    budget: &mut usize,
) -> Result<(Vec<usize>, Vec<u8>), DecodeError> {
    let size = reader.varint()?;
    let size = usize::try_from(size).ok().filter(|size| *size <= DICTIONARY_VALUES);
    let size = size.ok_or_else(|| reader.error("too many different values"))?;
    let (lengths, mut bytes) = get_plain(reader, unpacker, size)?;
    let mut distinct = Vec::with_capacity(size);
    for len in lengths {
        let (value, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        distinct.push(value);
        bytes = rest;
    }
    let codes = get_integers(reader, unpacker, count, |lane| usize::try_from(lane).unwrap_or(usize::MAX))?;
    let mut lengths = Vec::with_capacity(count);
    let mut total = 0usize;
    for code in &codes {
        let value = distinct.get(*code).ok_or_else(|| reader.error(format!("value {code} of {size}")))?;
        lengths.push(value.len());
        total = total.saturating_add(value.len());
    }
    *budget = budget.checked_sub(total).filter(|_| total <= COLUMN_BYTES).ok_or_else(|| reader.error("too many bytes"))?;
    let mut all = Vec::with_capacity(total);
    codes.iter().filter_map(|code| distinct.get(*code)).for_each(|value| all.extend_from_slice(value));
    Ok((lengths, all))
}
