//! The values of result columns, one at a time and whatever their Arrow type.

use std::io::Write;

use alluvium::TimeUnit;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit as ArrowUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};

use super::timestamp;
use crate::failure::{Failure, Outcome};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Time(i64, TimeUnit),
    Float64(f64),
    Float32(f32),
    Int64(i64),
    UInt64(u64),
    Bool(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Unscaled, and digits after the point.
    Decimal(i128, i8),
}

/// A column whose values can be asked for by row.
pub(crate) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Box<dyn Fn(usize) -> Value<'a> + 'a>,
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Outcome<Column<'a>> {
        Ok(Column { nulls: array.nulls(), values: reader(array)? })
    }

    /// The value of a row; `None` where it is missing.
    pub(crate) fn get(&self, row: usize) -> Option<Value<'a>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) { None } else { Some((self.values)(row)) }
    }
}

fn reader<'a>(array: &'a ArrayRef) -> Outcome<Box<dyn Fn(usize) -> Value<'a> + 'a>> {
    Ok(match array.data_type() {
        DataType::Timestamp(ArrowUnit::Millisecond, _) => {
            times(array.as_primitive::<TimestampMillisecondType>().values(), TimeUnit::Milli)
        }
        DataType::Timestamp(ArrowUnit::Microsecond, _) => {
            times(array.as_primitive::<TimestampMicrosecondType>().values(), TimeUnit::Micro)
        }
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => {
            times(array.as_primitive::<TimestampNanosecondType>().values(), TimeUnit::Nano)
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(|row| Value::Float64(values[row]))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            Box::new(|row| Value::Float32(values[row]))
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            Box::new(|row| Value::Int64(values[row]))
        }
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            Box::new(|row| Value::UInt64(values[row]))
        }
        DataType::Decimal64(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal64Type>().values(), *scale);
            Box::new(move |row| Value::Decimal(values[row].into(), scale))
        }
        DataType::Decimal128(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal128Type>().values(), *scale);
            Box::new(move |row| Value::Decimal(values[row], scale))
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            Box::new(|row| Value::Bool(values.value(row)))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Box::new(|row| Value::Text(values.value(row)))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(|row| Value::Bytes(values.value(row)))
        }
        other => return Err(Failure::failed(format_args!("results of type {other} cannot be shown: use --format arrow"))),
    })
}

fn times<'a>(values: &'a [i64], unit: TimeUnit) -> Box<dyn Fn(usize) -> Value<'a> + 'a> {
    Box::new(move |row| Value::Time(values[row], unit))
}

/// Calls `use_rows` with the columns of a batch. Dictionaries are spelled out first.
pub(crate) fn with_columns<T>(batch: &RecordBatch, use_rows: impl FnOnce(&[Column<'_>]) -> Outcome<T>) -> Outcome<T> {
    let plain: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|array| match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values),
            _ => Ok(array.clone()),
        })
        .collect::<Result<_, _>>()?;
    let columns: Vec<Column<'_>> = plain.iter().map(Column::of).collect::<Outcome<_>>()?;
    use_rows(&columns)
}

/// Whether a column of this type holds numbers, which people like to see flush right.
pub(crate) fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

/// Appends a number as text from which exactly the same number can be read: floats in their shortest such form, always with
/// a point or exponent; decimals with all their digits; `NaN`, `inf` and `-inf` by name. Other values append nothing.
pub(crate) fn write_number(out: &mut Vec<u8>, value: Value<'_>) {
    // Writing to a Vec cannot fail.
    let _ = match value {
        Value::Float64(value) => write!(out, "{value:?}"),
        Value::Float32(value) => write!(out, "{value:?}"),
        Value::Int64(value) => write!(out, "{value}"),
        Value::UInt64(value) => write!(out, "{value}"),
        Value::Decimal(unscaled, scale) => {
            write_decimal(out, unscaled, scale);
            Ok(())
        }
        Value::Bool(_) | Value::Text(_) | Value::Bytes(_) | Value::Time(..) => Ok(()),
    };
}

fn write_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let Some(places) = usize::try_from(scale).ok().filter(|places| *places > 0) else {
        let _ = write!(out, "{unscaled}");
        return;
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if unscaled < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{whole}.{fraction}");
}

/// A time in UTC, appended.
pub(crate) fn write_time(out: &mut Vec<u8>, ticks: i64, unit: TimeUnit) {
    timestamp::write_utc(out, ticks, unit);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    /// Two rows of every type; the second all missing but its time.
    pub(crate) fn every_type() -> RecordBatch {
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("time", Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 2_000_000]).with_timezone("UTC")), false),
            ("room", Arc::new(StringArray::from(vec![Some("A, \"b\""), None])), true),
            ("f64", Arc::new(Float64Array::from(vec![Some(21.0), None])), true),
            ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None])), true),
            ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), true),
            ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), true),
            ("bool", Arc::new(BooleanArray::from(vec![Some(true), None])), true),
            ("text", Arc::new(StringArray::from(vec![Some(""), None])), true),
            ("bytes", Arc::new(BinaryArray::from(vec![Some([0, 255].as_slice()), None])), true),
            ("dec", Arc::new(Decimal64Array::from(vec![Some(-5), None]).with_precision_and_scale(18, 2).unwrap()), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn number(value: Value<'_>) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_as_text() {
        assert_eq!(number(Value::Float64(21.0)), "21.0");
        assert_eq!(number(Value::Float64(0.1 + 0.2)), "0.30000000000000004");
        assert_eq!(number(Value::Float64(-0.0)), "-0.0");
        assert_eq!(number(Value::Float64(1e300)), "1e300");
        assert_eq!(number(Value::Float64(5e-324)), "5e-324");
        assert_eq!(number(Value::Float64(f64::NAN)), "NaN");
        assert_eq!(number(Value::Float64(f64::NEG_INFINITY)), "-inf");
        assert_eq!(number(Value::Float32(0.1)), "0.1");
        assert_eq!(number(Value::UInt64(u64::MAX)), "18446744073709551615");
        assert_eq!(number(Value::Decimal(-5, 2)), "-0.05");
        assert_eq!(number(Value::Decimal(123_456, 3)), "123.456");
        assert_eq!(number(Value::Decimal(-7, 0)), "-7");
        assert_eq!(number(Value::Decimal(0, 1)), "0.0");
    }

    /// xorshift64*, so that the test needs no crate.
    fn next(state: &mut u64) -> u64 {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    #[test]
    fn every_float_reads_back_bit_for_bit() {
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64 | 1);
        println!("seed {seed}");
        let mut state = seed;
        for _ in 0..200_000 {
            let bits = next(&mut state);
            let double = f64::from_bits(bits);
            if !double.is_nan() {
                let text = number(Value::Float64(double));
                assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{text}");
                assert!(text.contains(['.', 'e', 'i']), "{text} would be taken for an integer");
            }
            let single = f32::from_bits(bits as u32);
            if !single.is_nan() {
                let text = number(Value::Float32(single));
                assert_eq!(text.parse::<f32>().unwrap().to_bits(), bits as u32, "{text}");
            }
        }
    }

    #[test]
    fn every_type_can_be_read() {
        with_columns(&every_type(), |columns| {
            let rows: Vec<Vec<Option<Value<'_>>>> =
                (0..2).map(|row| columns.iter().map(|column| column.get(row)).collect()).collect();
            assert_eq!(rows[0][0], Some(Value::Time(1_500_000, TimeUnit::Micro)));
            assert_eq!(rows[0][1], Some(Value::Text("A, \"b\"")));
            assert_eq!(rows[0][8], Some(Value::Bytes(&[0, 255])));
            assert_eq!(rows[0][9], Some(Value::Decimal(-5, 2)));
            assert!(rows[1][1..].iter().all(Option::is_none));
            Ok(())
        })
        .unwrap();
    }
}
