//! One column of rows: its type, which rows have a value, and the values that are there.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Decimal64Array, PrimitiveArray, StringArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type};

use super::DecodeError;
use super::float::{self, Float};
use super::pack::{CALLER_BITS, CHUNK, EXCEPTIONS, Reader, Unpacker, put_chunk};
use super::text;
use crate::error::{Error, Result};
use crate::model::{Column, FieldType};

/// No row has a value.
const ABSENT: u8 = 0;
const FLOAT64: u8 = 1;
const FLOAT32: u8 = 2;
const INT64: u8 = 3;
const UINT64: u8 = 4;
const BOOL: u8 = 5;
const UTF8: u8 = 6;
const BINARY: u8 = 7;
/// Followed by the scale.
const DECIMAL: u8 = 8;
/// Set where some rows lack a value: a bitmap of those that have one follows, least significant bit first.
const NULLS: u8 = 0x80;

/// Appends a column of as many values as there are rows.
pub(super) fn put(out: &mut Vec<u8>, array: Option<&ArrayRef>) -> Result<()> {
    let Some(array) = array.filter(|array| array.null_count() < array.len()) else {
        out.push(ABSENT);
        return Ok(());
    };
    let code = match array.data_type() {
        DataType::Float64 => FLOAT64,
        DataType::Float32 => FLOAT32,
        DataType::Int64 => INT64,
        DataType::UInt64 => UINT64,
        DataType::Boolean => BOOL,
        DataType::Utf8 => UTF8,
        DataType::Binary => BINARY,
        DataType::Decimal64(_, scale) if (0..=18).contains(scale) => DECIMAL,
        other => return Err(Error::Internal(format!("a column of type {other} was to be logged"))),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    out.push(if nulls.is_some() { code | NULLS } else { code });
    if let DataType::Decimal64(_, scale) = array.data_type() {
        out.push(scale.cast_unsigned());
    }
    if let Some(nulls) = nulls {
        let bitmap = nulls.inner().sliced();
        out.extend_from_slice(bitmap.get(..array.len().div_ceil(8)).unwrap_or_default());
    }
    let bytes = |i: usize| match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(i).as_bytes(),
        _ => array.as_binary::<i32>().value(i),
    };
    match code {
        FLOAT64 => float::put(out, &present(array.as_primitive::<Float64Type>())),
        FLOAT32 => float::put(out, &present(array.as_primitive::<Float32Type>())),
        INT64 => put_integers(out, &present(array.as_primitive::<Int64Type>()), |value| value),
        UINT64 => put_integers(out, &present(array.as_primitive::<UInt64Type>()), u64::cast_signed),
        DECIMAL => put_integers(out, &present(array.as_primitive::<Decimal64Type>()), |value| value),
        BOOL => {
            let values: Vec<_> = array.as_boolean().iter().flatten().collect();
            put_integers(out, &values, i64::from);
        }
        _ => text::put(out, &(0..array.len()).filter(|i| array.is_valid(*i)).map(bytes).collect::<Vec<_>>()),
    }
    Ok(())
}

/// The values that are there, without copying where all are.
fn present<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> std::borrow::Cow<'_, [T::Native]> {
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.values().as_ref().into(),
        Some(_) => array.iter().flatten().collect(),
    }
}

pub(super) fn put_integers<T: Copy>(out: &mut Vec<u8>, values: &[T], lane: impl Fn(T) -> i64) {
    let mut lanes = [0; CHUNK];
    for chunk in values.chunks(CHUNK) {
        for (slot, value) in lanes.iter_mut().zip(chunk) {
            *slot = lane(*value);
        }
        put_chunk(out, 0, lanes.get(..chunk.len()).unwrap_or_default());
    }
}

pub(super) fn get_integers<T>(
    reader: &mut Reader<'_>,
    unpacker: &mut Unpacker,
    count: usize,
    value: impl Fn(i64) -> T,
) -> Result<Vec<T>, DecodeError> {
    reader.check_chunks(count)?;
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let (tag, lanes) = unpacker.chunk(reader, (count - values.len()).min(CHUNK))?;
        if tag & (CALLER_BITS | EXCEPTIONS) != 0 {
            return Err(reader.error(format!("integers of tag {tag:#x}")));
        }
        values.extend(lanes.iter().map(|lane| value(*lane)));
    }
    Ok(values)
}

/// Reads a column of `rows` values. `budget` is the memory it may take, and is less by what it took.
pub(super) fn get(
    reader: &mut Reader<'_>,
    unpacker: &mut Unpacker,
    rows: usize,
    budget: &mut usize,
) -> Result<Column, DecodeError> {
    let tag = reader.byte()?;
    let code = tag & !NULLS;
    if tag == ABSENT {
        return Ok(None);
    }
    let scale = if code == DECIMAL { reader.byte()? } else { 0 };
    if !(FLOAT64..=DECIMAL).contains(&code) || scale > FieldType::DECIMAL_PRECISION {
        return Err(reader.error(format!("a column of type {code}, scale {scale}")));
    }
    let nulls = if tag & NULLS != 0 {
        let bitmap = reader.take(rows.div_ceil(8))?;
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from(bitmap), 0, rows)))
    } else {
        None
    };
    let count = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    *budget = budget.checked_sub(rows * 8).ok_or_else(|| reader.error("too many values"))?;
    Ok(Some(match code {
        FLOAT64 => primitive::<Float64Type>(floats(reader, unpacker, count)?, nulls),
        FLOAT32 => primitive::<Float32Type>(floats(reader, unpacker, count)?, nulls),
        INT64 => primitive::<Int64Type>(get_integers(reader, unpacker, count, |lane| lane)?, nulls),
        UINT64 => primitive::<UInt64Type>(get_integers(reader, unpacker, count, i64::cast_unsigned)?, nulls),
        BOOL => {
            let values = spread(get_integers(reader, unpacker, count, |lane| lane != 0)?, nulls.as_ref());
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
        DECIMAL => {
            let values = spread(get_integers(reader, unpacker, count, |lane| lane)?, nulls.as_ref());
            let array = Decimal64Array::new(ScalarBuffer::from(values), nulls)
                .with_precision_and_scale(FieldType::DECIMAL_PRECISION, scale.cast_signed());
            Arc::new(array.map_err(|error| reader.error(error.to_string()))?)
        }
        _ => text_array(reader, unpacker, code, nulls, count, budget)?,
    }))
}

fn floats<F: Float>(reader: &mut Reader<'_>, unpacker: &mut Unpacker, count: usize) -> Result<Vec<F>, DecodeError> {
    reader.check_chunks(count)?;
    float::get(reader, unpacker, count)
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(spread(values, nulls.as_ref())), nulls))
}

/// Puts the values that are there at their rows.
fn spread<T: Copy + Default>(values: Vec<T>, nulls: Option<&NullBuffer>) -> Vec<T> {
    let Some(nulls) = nulls else { return values };
    let mut all = vec![T::default(); nulls.len()];
    for (row, value) in nulls.valid_indices().zip(values) {
        if let Some(slot) = all.get_mut(row) {
            *slot = value;
        }
    }
    all
}

fn text_array(
    reader: &mut Reader<'_>,
    unpacker: &mut Unpacker,
    code: u8,
    nulls: Option<NullBuffer>,
    count: usize,
    budget: &mut usize,
) -> Result<ArrayRef, DecodeError> {
    let (lengths, bytes) = text::get(reader, unpacker, count, budget)?;
    // `text::get` keeps the sum of all lengths within what 31 bits can say.
    let offsets = OffsetBuffer::<i32>::from_lengths(spread(lengths, nulls.as_ref()));
    let bytes = Buffer::from_vec(bytes);
    if code == UTF8 {
        Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls).map_err(|error| reader.error(error.to_string()))?))
    } else {
        Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls).map_err(|error| reader.error(error.to_string()))?))
    }
}
