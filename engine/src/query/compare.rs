//! Comparisons of a field with literals of its type: of whole columns, and of statistics.
//!
//! Floats compare as IEEE 754 says: NaN satisfies nothing but `!=`, and -0 equals 0.

use std::borrow::Borrow;
use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{BinaryType, Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type, Utf8Type};

use super::Comparison;
use crate::model::{FieldStatistics, FieldType, Value};

/// A comparison, compiled for the type of a field.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Float64(Check<f64>),
    Float32(Check<f32>),
    Int64(Check<i64>),
    UInt64(Check<u64>),
    Bool(Check<bool>),
    Utf8(Check<String>),
    Binary(Check<Vec<u8>>),
    Decimal(Check<i64>),
}

/// Takes the values of one variant; `None` where another is among them.
macro_rules! all_of {
    ($values:expr, $variant:ident) => {
        $values
            .iter()
            .map(|value| if let Value::$variant(v) = value { Some(v.clone()) } else { None })
            .collect::<Option<Vec<_>>>()
    };
}

/// Calls a method of [`Check`] with the least and greatest of statistics.
macro_rules! judge {
    ($test:expr, $statistics:expr, $method:ident, $otherwise:expr) => {{
        let statistics = $statistics;
        // Whatever NaN there is makes the sum NaN.
        let nan = statistics.sum.is_none_or(|sum| sum.as_f64().is_nan());
        macro_rules! with {
            ($check:expr, $variant:ident, $nan:expr) => {
                match (&statistics.min, &statistics.max) {
                    (Value::$variant(min), Value::$variant(max)) => $check.$method(min, max, $nan),
                    _ => $otherwise,
                }
            };
        }
        match $test {
            Test::Float64(check) => with!(check, Float64, nan),
            Test::Float32(check) => with!(check, Float32, nan),
            Test::Int64(check) => with!(check, Int64, false),
            Test::UInt64(check) => with!(check, UInt64, false),
            Test::Bool(check) => with!(check, Bool, false),
            Test::Utf8(check) => with!(check, Utf8, false),
            Test::Binary(check) => with!(check, Binary, false),
            Test::Decimal(check) => with!(check, Decimal, false),
        }
    }};
}

impl Test {
    /// A comparison with literals of the field's type; `None` where they are of another.
    pub(super) fn new(kind: FieldType, comparison: Comparison, literals: &[Value]) -> Option<Self> {
        Some(match kind {
            FieldType::Float64 => Test::Float64(Check::new(comparison, all_of!(literals, Float64)?)),
            FieldType::Float32 => Test::Float32(Check::new(comparison, all_of!(literals, Float32)?)),
            FieldType::Int64 => Test::Int64(Check::new(comparison, all_of!(literals, Int64)?)),
            FieldType::UInt64 => Test::UInt64(Check::new(comparison, all_of!(literals, UInt64)?)),
            FieldType::Bool => Test::Bool(Check::new(comparison, all_of!(literals, Bool)?)),
            FieldType::Utf8 => Test::Utf8(Check::new(comparison, all_of!(literals, Utf8)?)),
            FieldType::Binary => Test::Binary(Check::new(comparison, all_of!(literals, Binary)?)),
            FieldType::Decimal { .. } => Test::Decimal(Check::new(comparison, all_of!(literals, Decimal)?)),
        })
    }

    /// Which rows pass, missing values being judged by whatever stands in their place; `None` where the column is of
    /// another type.
    pub(super) fn mask(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        Some(match self {
            Test::Float64(check) => check.numbers(column.as_primitive_opt::<Float64Type>()?.values()),
            Test::Float32(check) => check.numbers(column.as_primitive_opt::<Float32Type>()?.values()),
            Test::Int64(check) => check.numbers(column.as_primitive_opt::<Int64Type>()?.values()),
            Test::UInt64(check) => check.numbers(column.as_primitive_opt::<UInt64Type>()?.values()),
            Test::Decimal(check) => check.numbers(column.as_primitive_opt::<Decimal64Type>()?.values()),
            Test::Bool(check) => {
                let array = column.as_boolean_opt()?;
                BooleanBuffer::collect_bool(array.len(), |row| check.passes(&array.value(row)))
            }
            Test::Utf8(check) => {
                let array = column.as_bytes_opt::<Utf8Type>()?;
                BooleanBuffer::collect_bool(array.len(), |row| check.passes(array.value(row)))
            }
            Test::Binary(check) => {
                let array = column.as_bytes_opt::<BinaryType>()?;
                BooleanBuffer::collect_bool(array.len(), |row| check.passes(array.value(row)))
            }
        })
    }

    /// Whether some value within these statistics could pass.
    pub(super) fn may_match(&self, statistics: &FieldStatistics) -> bool {
        judge!(self, statistics, may_match, true)
    }

    /// Whether every value within these statistics surely passes.
    pub(super) fn must_match(&self, statistics: &FieldStatistics) -> bool {
        judge!(self, statistics, must_match, false)
    }
}

/// A comparison with literals of one type.
#[derive(Debug, Clone)]
pub(super) struct Check<T> {
    comparison: Comparison,
    /// One, or for `in` any number, rising and without NaN.
    literals: Vec<T>,
}

impl<T: PartialOrd> Check<T> {
    fn new(comparison: Comparison, mut literals: Vec<T>) -> Self {
        if comparison == Comparison::In {
            literals.retain(|literal| literal.partial_cmp(literal).is_some());
            literals.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        }
        Check { comparison, literals }
    }

    fn passes<B: PartialOrd + ?Sized>(&self, value: &B) -> bool
    where
        T: Borrow<B>,
    {
        let Some(literal) = self.literals.first().map(Borrow::borrow) else { return false };
        match self.comparison {
            Comparison::Equal => value == literal,
            Comparison::NotEqual => value != literal,
            Comparison::Less => value < literal,
            Comparison::LessOrEqual => value <= literal,
            Comparison::Greater => value > literal,
            Comparison::GreaterOrEqual => value >= literal,
            Comparison::In => self.lists(value),
        }
    }

    fn lists<B: PartialOrd + ?Sized>(&self, value: &B) -> bool
    where
        T: Borrow<B>,
    {
        // A NaN is less than nothing: it comes out at the front, where it equals nothing either.
        let place = self.literals.partition_point(|literal| literal.borrow() < value);
        self.literals.get(place).is_some_and(|literal| literal.borrow() == value)
    }

    fn may_match(&self, min: &T, max: &T, nan: bool) -> bool {
        let some = |test: &dyn Fn(&T) -> bool| self.literals.iter().any(test);
        match self.comparison {
            Comparison::Equal | Comparison::In => some(&|literal| min <= literal && literal <= max),
            Comparison::NotEqual => nan || some(&|literal| min != literal || max != literal),
            Comparison::Less => some(&|literal| min < literal),
            Comparison::LessOrEqual => some(&|literal| min <= literal),
            Comparison::Greater => some(&|literal| max > literal),
            Comparison::GreaterOrEqual => some(&|literal| max >= literal),
        }
    }

    fn must_match(&self, min: &T, max: &T, nan: bool) -> bool {
        let some = |test: &dyn Fn(&T) -> bool| self.literals.iter().any(test);
        match self.comparison {
            Comparison::Equal | Comparison::In => !nan && some(&|literal| min == literal && max == literal),
            Comparison::NotEqual => some(&|literal| !(min <= literal && literal <= max)),
            Comparison::Less => !nan && some(&|literal| max < literal),
            Comparison::LessOrEqual => !nan && some(&|literal| max <= literal),
            Comparison::Greater => !nan && some(&|literal| min > literal),
            Comparison::GreaterOrEqual => !nan && some(&|literal| min >= literal),
        }
    }
}

impl<T: PartialOrd + Copy> Check<T> {
    /// Judges a column of numbers; each comparison is a loop of its own, without branches.
    fn numbers(&self, values: &[T]) -> BooleanBuffer {
        let Some(&literal) = self.literals.first() else { return BooleanBuffer::new_unset(values.len()) };
        match self.comparison {
            Comparison::Equal => pack(values, |value| value == literal),
            Comparison::NotEqual => pack(values, |value| value != literal),
            Comparison::Less => pack(values, |value| value < literal),
            Comparison::LessOrEqual => pack(values, |value| value <= literal),
            Comparison::Greater => pack(values, |value| value > literal),
            Comparison::GreaterOrEqual => pack(values, |value| value >= literal),
            Comparison::In if self.literals.len() <= 8 => {
                let literals = self.literals.as_slice();
                pack(values, |value| literals.iter().fold(false, |found, literal| found | (value == *literal)))
            }
            Comparison::In => pack(values, |value| self.lists(&value)),
        }
    }
}

/// One bit for each value.
fn pack<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    let eight = |chunk: &[T]| {
        let mut bytes = [0u8; 8];
        for (byte, value) in bytes.iter_mut().zip(chunk) {
            *byte = u8::from(test(*value));
        }
        // Gathers the lowest bits of eight bytes in the topmost byte, each moved to its place by one addend.
        (u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    };
    let (chunks, rest) = values.as_chunks::<8>();
    let mut bytes = Vec::with_capacity(values.len().div_ceil(8));
    bytes.extend(chunks.iter().map(|chunk| eight(chunk)));
    if !rest.is_empty() {
        bytes.push(eight(rest));
    }
    BooleanBuffer::new(Buffer::from_vec(bytes), 0, values.len())
}
