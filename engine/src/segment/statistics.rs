//! Statistics of one field over one slice: computed while writing, kept as a few bytes each, read back one at a time.
//!
//! Bytes of one: flags, then count (unless every row has a value), distances of the first and last value's time from the
//! slice's ends (unless they are the ends), the sum, and the four values. Numbers that a decimal scale makes integers are
//! kept as such, relative to the least.

use super::Malformed;
use super::bits::{Reader, put_varint, unzigzag, zigzag};
use super::layout::Slice;
use super::values::{PageValues, Values};
use crate::model::{FieldStatistics, FieldType, Sum, Value};

/// Rows from which statistics of a slice are kept: below, reading the slice costs little more than its statistics do.
pub(super) const SLICE_ROWS: u32 = 512;
/// Longest text or bytes kept as a statistic.
const TEXT_BYTES: usize = 64;

/// Flags. The low three bits are the form of the four values.
const FORM: u8 = 0b0000_0111;
const FORM_BITS: u8 = 7;
const COUNTED: u8 = 1 << 3;
const INNER_TIMES: u8 = 1 << 4;
const SUM_ERROR: u8 = 1 << 5;
const NO_VALUES: u8 = 1 << 6;
const NOT_KEPT: u8 = 1 << 7;
/// Largest decimal scale tried; form `n` is scale `n`.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Integers up to here are exact as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What is known of a field over a slice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    /// Nothing: its rows must be read.
    Nothing,
    /// That no row has a value.
    NoValues,
    /// This.
    Values(FieldStatistics),
}

/// Computes the statistics of the rows `[start, start + slice.rows)` of a page.
pub(super) fn compute(kind: FieldType, page: &PageValues, times: &[i64], slice: &Slice, start: usize) -> Known {
    let rows = slice.rows as usize;
    let (dense, first, last) = match &page.nulls {
        None => (start..start + rows, 0, rows - 1),
        Some(nulls) => {
            let within = nulls.slice(start, rows);
            let mut valid = within.valid_indices();
            let Some(first) = valid.next() else { return Known::NoValues };
            let last = valid.last().unwrap_or(first);
            let before = start - nulls.slice(0, start).null_count();
            (before..before + rows - within.null_count(), first, last)
        }
    };
    let (first_time, last_time) = (times[start + first], times[start + last]);
    let extremes = match (&page.values, kind) {
        (Values::Words(words), FieldType::Float64) => {
            floats(words[dense.clone()].iter().map(|bits| f64::from_bits(*bits)), Value::Float64)
        }
        (Values::Halves(halves), _) => singles(&halves[dense.clone()]),
        (Values::Words(words), FieldType::UInt64) => {
            integers(&words[dense.clone()], |bits| (i128::from(bits), Value::UInt64(bits)))
        }
        (Values::Words(words), FieldType::Decimal { .. }) => {
            integers(&words[dense.clone()], |bits| (i128::from(bits.cast_signed()), Value::Decimal(bits.cast_signed())))
        }
        (Values::Words(words), _) => {
            integers(&words[dense.clone()], |bits| (i128::from(bits.cast_signed()), Value::Int64(bits.cast_signed())))
        }
        (Values::Bits(bits), _) => {
            let bits = &bits[dense.clone()];
            let ends = bits.first().zip(bits.last());
            let (all, any) = (bits.iter().all(|bit| *bit), bits.iter().any(|bit| *bit));
            ends.map(|(first, last)| Extremes { sum: None, values: [all, any, *first, *last].map(Value::Bool) })
        }
        (Values::Texts(texts), kind) => {
            let items = || dense.clone().map(|place| texts.get(place));
            let four = [items().min(), items().max(), items().next(), items().next_back()];
            let short = four.iter().flatten().all(|text| text.len() <= TEXT_BYTES);
            let value = |text: &[u8]| match kind {
                FieldType::Utf8 => String::from_utf8(text.to_vec()).map(Value::Utf8).ok(),
                _ => Some(Value::Binary(text.to_vec())),
            };
            match four.map(|text| text.filter(|_| short).and_then(value)) {
                [Some(a), Some(b), Some(c), Some(d)] => Some(Extremes { sum: None, values: [a, b, c, d] }),
                _ => None,
            }
        }
    };
    let Some(Extremes { sum, values: [min, max, first, last] }) = extremes else { return Known::Nothing };
    let count = dense.len() as u64;
    Known::Values(FieldStatistics { count, sum, min, max, first: (first_time, first), last: (last_time, last) })
}

/// Sum, and least, greatest, first and last value.
struct Extremes {
    sum: Option<Sum>,
    values: [Value; 4],
}

fn floats(values: impl Iterator<Item = f64> + Clone, wrap: impl Fn(f64) -> Value) -> Option<Extremes> {
    let mut sum = Sum::FLOAT;
    let (first, last) = (values.clone().next()?, values.clone().last()?);
    let (mut min, mut max) = (f64::NAN, f64::NAN);
    for value in values {
        sum.add_float(value);
        if !value.is_nan() {
            // The total order tells the zeroes apart, so that the result does not depend on the order of rows.
            min = if min.is_nan() || value.total_cmp(&min).is_lt() { value } else { min };
            max = if max.is_nan() || value.total_cmp(&max).is_gt() { value } else { max };
        }
    }
    if min.is_nan() {
        (min, max) = (first, first);
    }
    Some(Extremes { sum: Some(sum), values: [min, max, first, last].map(wrap) })
}

fn singles(values: &[u32]) -> Option<Extremes> {
    let (first, last) = (f32::from_bits(*values.first()?), f32::from_bits(*values.last()?));
    let numbers = values.iter().map(|bits| f32::from_bits(*bits)).filter(|value| !value.is_nan());
    let min = numbers.clone().min_by(f32::total_cmp).unwrap_or(first);
    let max = numbers.max_by(f32::total_cmp).unwrap_or(first);
    let mut sum = Sum::FLOAT;
    values.iter().for_each(|bits| sum.add_float(f64::from(f32::from_bits(*bits))));
    Some(Extremes { sum: Some(sum), values: [min, max, first, last].map(Value::Float32) })
}

fn integers(values: &[u64], read: impl Fn(u64) -> (i128, Value)) -> Option<Extremes> {
    let min = *values.iter().min_by_key(|bits| read(**bits).0)?;
    let max = *values.iter().max_by_key(|bits| read(**bits).0)?;
    let total = values.iter().map(|bits| read(*bits).0).sum();
    let four = [min, max, *values.first()?, *values.last()?];
    Some(Extremes { sum: Some(Sum::Integer(total)), values: four.map(|bits| read(bits).1) })
}

/// Appends the bytes of one.
pub(super) fn encode(known: &Known, slice: &Slice, out: &mut Vec<u8>) {
    let statistics = match known {
        Known::Nothing => return out.push(NOT_KEPT),
        Known::NoValues => return out.push(NO_VALUES),
        Known::Values(statistics) => statistics,
    };
    let flags_at = out.len();
    let mut flags = 0;
    out.push(flags);
    if statistics.count != u64::from(slice.rows) {
        flags |= COUNTED;
        put_varint(statistics.count, out);
    }
    if (statistics.first.0, statistics.last.0) != (slice.min_time, slice.max_time) {
        flags |= INNER_TIMES;
        put_varint(statistics.first.0.wrapping_sub(slice.min_time).cast_unsigned(), out);
        put_varint(slice.max_time.wrapping_sub(statistics.last.0).cast_unsigned(), out);
    }
    match statistics.sum {
        None => {}
        Some(Sum::Float { high, low }) => {
            out.extend_from_slice(&high.to_le_bytes());
            if low.to_bits() != 0 {
                flags |= SUM_ERROR;
                out.extend_from_slice(&low.to_le_bytes());
            }
        }
        Some(Sum::Integer(total)) => {
            let magnitude = ((total << 1) ^ (total >> 127)).cast_unsigned();
            put_varint(magnitude as u64, out);
            put_varint((magnitude >> 64) as u64, out);
        }
    }
    flags |= encode_values([&statistics.min, &statistics.max, &statistics.first.1, &statistics.last.1], out);
    out[flags_at] = flags;
}

fn encode_values(values: [&Value; 4], out: &mut Vec<u8>) -> u8 {
    let relative = |integers: [i64; 4], out: &mut Vec<u8>| {
        put_varint(zigzag(integers[0]), out);
        integers[1..].iter().for_each(|value| put_varint(value.wrapping_sub(integers[0]).cast_unsigned(), out));
    };
    let integer = |value: &Value| match value {
        Value::Int64(value) | Value::Decimal(value) => Some(*value),
        Value::UInt64(value) => Some(value.cast_signed()),
        Value::Bool(value) => Some(i64::from(*value)),
        _ => None,
    };
    if let [Some(a), Some(b), Some(c), Some(d)] = values.map(integer) {
        relative([a, b, c, d], out);
        return 0;
    }
    for (form, scale) in (0u8..).zip(SCALES) {
        let scaled = |value: &Value| match value {
            Value::Float64(value) => unscale(*value, scale),
            _ => None,
        };
        if let [Some(a), Some(b), Some(c), Some(d)] = values.map(scaled) {
            relative([a, b, c, d], out);
            return form;
        }
    }
    for value in values {
        match value {
            Value::Float64(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Value::Float32(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Value::Utf8(text) => encode_text(text.as_bytes(), out),
            Value::Binary(bytes) => encode_text(bytes, out),
            Value::Int64(_) | Value::UInt64(_) | Value::Bool(_) | Value::Decimal(_) => {}
        }
    }
    FORM_BITS
}

fn encode_text(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The integer that gives back `value`, bit for bit, when divided by `scale`.
fn unscale(value: f64, scale: f64) -> Option<i64> {
    let integer = (value * scale).round();
    let exact = integer.abs() < EXACT && (integer / scale).to_bits() == value.to_bits();
    exact.then_some(integer as i64)
}

/// What comes before the four values.
struct Head {
    flags: u8,
    count: u64,
    /// Times of the first and last value.
    times: (i64, i64),
    sum: Option<Sum>,
}

/// Reads one.
pub(super) fn decode(kind: FieldType, slice: &Slice, reader: &mut Reader<'_>) -> Result<Known, Malformed> {
    let Head { flags, count, times, sum } = match decode_head(kind, slice, reader)? {
        Ok(head) => head,
        Err(known) => return Ok(known),
    };
    let [min, max, first, last] = decode_values(kind, flags & FORM, reader)?;
    Ok(Known::Values(FieldStatistics { count, sum, min, max, first: (times.0, first), last: (times.1, last) }))
}

/// Reads only the last value of one: `Ok(None)` if there is none, an error if nothing is known either.
pub(super) fn decode_last(kind: FieldType, slice: &Slice, reader: &mut Reader<'_>) -> Result<Option<Value>, Malformed> {
    match decode_head(kind, slice, reader)? {
        Ok(head) => decode_values(kind, head.flags & FORM, reader).map(|[.., last]| Some(last)),
        Err(Known::NoValues) => Ok(None),
        Err(_) => Err(Malformed("no statistics")),
    }
}

/// The head of one, or all there is to know.
fn decode_head(kind: FieldType, slice: &Slice, reader: &mut Reader<'_>) -> Result<Result<Head, Known>, Malformed> {
    let flags = reader.byte()?;
    match flags {
        NOT_KEPT => return Ok(Err(Known::Nothing)),
        NO_VALUES => return Ok(Err(Known::NoValues)),
        _ if flags & (NOT_KEPT | NO_VALUES) != 0 => return Err(Malformed("unknown flags of statistics")),
        _ => {}
    }
    let count = if flags & COUNTED != 0 { reader.varint()? } else { u64::from(slice.rows) };
    if count == 0 || count > u64::from(slice.rows) {
        return Err(Malformed("statistics of more values than rows"));
    }
    let mut times = (slice.min_time, slice.max_time);
    if flags & INNER_TIMES != 0 {
        times.0 = times.0.wrapping_add(reader.varint()?.cast_signed());
        times.1 = times.1.wrapping_sub(reader.varint()?.cast_signed());
    }
    let sum = match kind {
        FieldType::Bool | FieldType::Utf8 | FieldType::Binary => None,
        FieldType::Float64 | FieldType::Float32 => {
            let high = f64::from_bits(reader.u64()?);
            let low = if flags & SUM_ERROR != 0 { f64::from_bits(reader.u64()?) } else { 0.0 };
            Some(Sum::Float { high, low })
        }
        FieldType::Int64 | FieldType::UInt64 | FieldType::Decimal { .. } => {
            let magnitude = u128::from(reader.varint()?) | u128::from(reader.varint()?) << 64;
            Some(Sum::Integer((magnitude >> 1).cast_signed() ^ -(magnitude & 1).cast_signed()))
        }
    };
    Ok(Ok(Head { flags, count, times, sum }))
}

fn decode_values(kind: FieldType, form: u8, reader: &mut Reader<'_>) -> Result<[Value; 4], Malformed> {
    let mut integers = || -> Result<[i64; 4], Malformed> {
        let least = unzigzag(reader.varint()?);
        let mut next = || Ok(least.wrapping_add(reader.varint()?.cast_signed()));
        Ok([least, next()?, next()?, next()?])
    };
    Ok(match (kind, form) {
        (FieldType::Int64, 0) => integers()?.map(Value::Int64),
        (FieldType::UInt64, 0) => integers()?.map(|value| Value::UInt64(value.cast_unsigned())),
        (FieldType::Decimal { .. }, 0) => integers()?.map(Value::Decimal),
        (FieldType::Bool, 0) => integers()?.map(|value| Value::Bool(value != 0)),
        (FieldType::Float64, form) if usize::from(form) < SCALES.len() => {
            let scale = SCALES[usize::from(form)];
            integers()?.map(|value| Value::Float64(value as f64 / scale))
        }
        (FieldType::Float64, FORM_BITS) => four(|| Ok(Value::Float64(f64::from_bits(reader.u64()?))))?,
        (FieldType::Float32, FORM_BITS) => four(|| Ok(Value::Float32(f32::from_bits(reader.u32()?))))?,
        (FieldType::Utf8, FORM_BITS) => four(|| {
            let length = reader.count()?;
            let text = std::str::from_utf8(reader.take(length)?).map_err(|_| Malformed("a statistic is not UTF-8"))?;
            Ok(Value::Utf8(text.to_owned()))
        })?,
        (FieldType::Binary, FORM_BITS) => four(|| {
            let length = reader.count()?;
            Ok(Value::Binary(reader.take(length)?.to_vec()))
        })?,
        _ => return Err(Malformed("unknown form of statistics")),
    })
}

fn four(mut next: impl FnMut() -> Result<Value, Malformed>) -> Result<[Value; 4], Malformed> {
    Ok([next()?, next()?, next()?, next()?])
}
