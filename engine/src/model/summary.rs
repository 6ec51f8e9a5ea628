//! Making statistics of a column.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericByteArray, PrimitiveArray};
use arrow::datatypes::{
    BinaryType, ByteArrayType, DataType, Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type, Utf8Type,
};

use super::kernels::{Number, Numeric, Total, Validity, each_block};
use super::{FieldStatistics, Value};

/// Statistics of the values present in a column whose rows have these times, rising. `None` where no value is present, and
/// for a column of a type that no field has.
pub(crate) fn statistics_of(times: &[i64], column: &ArrayRef) -> Option<FieldStatistics> {
    let rows = column.len().min(times.len());
    let bits = column.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| Validity::new(nulls.inner()));
    let ends = match bits {
        Some(bits) => bits.ends(0..rows)?,
        None => (0, rows.checked_sub(1)?),
    };
    let times = (*times.get(ends.0)?, *times.get(ends.1)?);
    let span = Span { rows, bits, ends, times };
    match column.data_type() {
        DataType::Float64 => span.of_numbers(column.as_primitive_opt::<Float64Type>()?),
        DataType::Float32 => span.of_numbers(column.as_primitive_opt::<Float32Type>()?),
        DataType::Int64 => span.of_numbers(column.as_primitive_opt::<Int64Type>()?),
        DataType::UInt64 => span.of_numbers(column.as_primitive_opt::<UInt64Type>()?),
        DataType::Decimal64(..) => span.of_numbers(column.as_primitive_opt::<Decimal64Type>()?),
        DataType::Boolean => Some(span.of_flags(column.as_boolean_opt()?)),
        DataType::Utf8 => {
            let text = column.as_bytes_opt::<Utf8Type>()?;
            span.of_bytes(text, |value| Value::Utf8(value.to_owned()))
        }
        DataType::Binary => {
            let bytes = column.as_bytes_opt::<BinaryType>()?;
            span.of_bytes(bytes, |value| Value::Binary(value.to_owned()))
        }
        _ => None,
    }
}

/// The rows looked at: how many, which of them count, the first and the last that do, and their times.
struct Span<'a> {
    rows: usize,
    bits: Option<Validity<'a>>,
    ends: (usize, usize),
    times: (i64, i64),
}

impl Span<'_> {
    fn count(&self) -> u64 {
        self.bits.map_or(self.rows, |bits| bits.count(0..self.rows)) as u64
    }

    fn of_numbers<P: Numeric>(&self, column: &PrimitiveArray<P>) -> Option<FieldStatistics> {
        let mut total = <P::Native as Number>::Total::default();
        let mut extremes: Option<(P::Native, P::Native)> = None;
        each_block(column.values(), self.bits, 0..self.rows, &mut Vec::new(), |block| {
            total.merge(P::Native::sum(block));
            let (low, high) = P::Native::extremes(block);
            extremes = Some(extremes.map_or((low, high), |(min, max)| (min.lesser(low), max.greater(high))));
        });
        let (min, max) = extremes?;
        Some(FieldStatistics {
            count: self.count(),
            sum: Some(total.into_sum()),
            min: P::value(min),
            max: P::value(max),
            first: (self.times.0, P::value(column.value(self.ends.0))),
            last: (self.times.1, P::value(column.value(self.ends.1))),
        })
    }

    fn of_flags(&self, column: &BooleanArray) -> FieldStatistics {
        let values = Validity::new(column.values());
        let (count, set) = match self.bits {
            None => (self.rows, values.count(0..self.rows)),
            Some(bits) => (bits.count(0..self.rows), bits.rows(0..self.rows).filter(|row| column.value(*row)).count()),
        };
        FieldStatistics {
            count: count as u64,
            sum: None,
            min: Value::Bool(set == count),
            max: Value::Bool(set > 0),
            first: (self.times.0, Value::Bool(column.value(self.ends.0))),
            last: (self.times.1, Value::Bool(column.value(self.ends.1))),
        }
    }

    fn of_bytes<T: ByteArrayType>(
        &self,
        column: &GenericByteArray<T>,
        owned: impl Fn(&T::Native) -> Value,
    ) -> Option<FieldStatistics> {
        let order = |a: &&T::Native, b: &&T::Native| AsRef::<[u8]>::as_ref(*a).cmp(AsRef::<[u8]>::as_ref(*b));
        let present = || (0..self.rows).filter(|row| column.is_valid(*row)).map(|row| column.value(row));
        Some(FieldStatistics {
            count: self.count(),
            sum: None,
            min: owned(present().min_by(order)?),
            max: owned(present().max_by(order)?),
            first: (self.times.0, owned(column.value(self.ends.0))),
            last: (self.times.1, owned(column.value(self.ends.1))),
        })
    }
}

#[cfg(test)]
mod tests;
