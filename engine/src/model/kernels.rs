//! Arithmetic over runs of numbers: sums, extremes and moments in several lanes, so that the compiler vectorises them, and
//! the picking of present values from among missing ones.

use std::ops::Range;

use arrow::array::ArrowPrimitiveType;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type};

use super::{Sum, Value};

/// Values worked on at once: few enough to stay in the first-level cache while several functions pass over them, and to
/// keep the error of a plain sum in 16 lanes below 2e-14 of the sum of magnitudes. A power of two.
pub(crate) const BLOCK: usize = 2048;

/// A running sum of one kind of number.
pub(crate) trait Total: Copy + Default + std::fmt::Debug {
    /// Adds another.
    fn merge(&mut self, other: Self);
    /// The sum as a double.
    fn to_f64(self) -> f64;
    /// The sum as part of statistics.
    fn into_sum(self) -> Sum;
    /// From statistics; `None` where they are of another kind.
    fn from_sum(sum: Sum) -> Option<Self>;
}

/// The unevaluated sum `high + low`; see [`Sum::Float`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct FloatTotal {
    high: f64,
    low: f64,
}

impl FloatTotal {
    /// Adds one number.
    pub(crate) fn add(&mut self, value: f64) {
        (self.high, self.low) = super::statistics::add_compensated(self.high, self.low, value);
    }
}

impl Total for FloatTotal {
    fn merge(&mut self, other: Self) {
        self.add(other.high);
        if other.low != 0.0 {
            self.add(other.low);
        }
    }

    fn to_f64(self) -> f64 {
        self.high + self.low
    }

    fn into_sum(self) -> Sum {
        Sum::Float { high: self.high, low: self.low }
    }

    fn from_sum(sum: Sum) -> Option<Self> {
        match sum {
            Sum::Float { high, low } => Some(FloatTotal { high, low }),
            Sum::Integer(_) => None,
        }
    }
}

impl Total for i128 {
    fn merge(&mut self, other: Self) {
        *self += other;
    }

    fn to_f64(self) -> f64 {
        self as f64
    }

    fn into_sum(self) -> Sum {
        Sum::Integer(self)
    }

    fn from_sum(sum: Sum) -> Option<Self> {
        match sum {
            Sum::Integer(total) => Some(total),
            Sum::Float { .. } => None,
        }
    }
}

/// A number as it lies in a column. Slices are at most [`BLOCK`] long.
pub(crate) trait Number: Copy + Default + PartialOrd + Send + Sync + 'static {
    /// What sums it.
    type Total: Total;
    /// The sum of some numbers.
    fn sum(values: &[Self]) -> Self::Total;
    /// The least and the greatest of one or more numbers. NaN counts for nothing unless there is nothing else, and -0 is
    /// less than 0, so that the answer does not depend on the order.
    fn extremes(values: &[Self]) -> (Self, Self);
    /// The lesser of two, by the same rules.
    fn lesser(self, other: Self) -> Self;
    /// The greater of two, by the same rules.
    fn greater(self, other: Self) -> Self;
    /// `self - pivot`, rounded once.
    fn distance(self, pivot: Self) -> f64;
    /// Its value as the unevaluated sum of two doubles.
    fn split(self) -> (f64, f64);
}

/// Sums in 16 lanes, then pairwise.
fn sum_lanes(mut next: impl FnMut(&mut [f64; 16])) -> f64 {
    let mut lanes = [0.0; 16];
    next(&mut lanes);
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

macro_rules! float_number {
    ($float:ident) => {
        impl Number for $float {
            type Total = FloatTotal;

            fn sum(values: &[Self]) -> FloatTotal {
                let (chunks, rest) = values.as_chunks::<16>();
                if chunks.is_empty() {
                    return FloatTotal { high: rest.iter().map(|value| f64::from(*value)).sum(), low: 0.0 };
                }
                let high = sum_lanes(|lanes| {
                    for chunk in chunks {
                        for (lane, value) in lanes.iter_mut().zip(chunk) {
                            *lane += f64::from(*value);
                        }
                    }
                    for (lane, value) in lanes.iter_mut().zip(rest) {
                        *lane += f64::from(*value);
                    }
                });
                FloatTotal { high, low: 0.0 }
            }

            fn extremes(values: &[Self]) -> (Self, Self) {
                let least = |a: Self, b: Self| if b < a { b } else { a };
                let greatest = |a: Self, b: Self| if b > a { b } else { a };
                if let [value] = values {
                    return if value.is_nan() { (Self::NAN, Self::NAN) } else { (*value, *value) };
                }
                let (mut low, mut high) = ([Self::INFINITY; 8], [Self::NEG_INFINITY; 8]);
                let (chunks, rest) = values.as_chunks::<8>();
                for chunk in chunks {
                    for i in 0..8 {
                        low[i] = least(low[i], chunk[i]);
                        high[i] = greatest(high[i], chunk[i]);
                    }
                }
                for (i, value) in rest.iter().enumerate() {
                    low[i] = least(low[i], *value);
                    high[i] = greatest(high[i], *value);
                }
                let low = low.into_iter().fold(Self::INFINITY, least);
                let high = high.into_iter().fold(Self::NEG_INFINITY, greatest);
                (settled(values, low, -0.0, Self::NAN), settled(values, high, 0.0, Self::NAN))
            }

            fn lesser(self, other: Self) -> Self {
                let tie = self == other && other.is_sign_negative();
                if !other.is_nan() && (self.is_nan() || other < self || tie) { other } else { self }
            }

            fn greater(self, other: Self) -> Self {
                let tie = self == other && other.is_sign_positive();
                if !other.is_nan() && (self.is_nan() || other > self || tie) { other } else { self }
            }

            fn distance(self, pivot: Self) -> f64 {
                f64::from(self) - f64::from(pivot)
            }

            fn split(self) -> (f64, f64) {
                (f64::from(self), 0.0)
            }
        }
    };
}

float_number!(f64);
float_number!(f32);

/// Settles the two cases in which an extreme found by plain comparison is not yet right: an infinity may be only what the
/// search began with, and zeros of both signs compare equal; `zero` is the one wanted.
fn settled<F: Number + Into<f64>>(values: &[F], found: F, zero: F, nan: F) -> F {
    let as_double: f64 = found.into();
    if as_double.is_infinite() {
        if values.contains(&found) { found } else { nan }
    } else if as_double == 0.0 {
        let negative = |value: F| value.into().is_sign_negative();
        let wanted = negative(zero);
        let seen = values.iter().fold(false, |seen, value| seen | (*value == zero && negative(*value) == wanted));
        if seen { zero } else { found }
    } else {
        found
    }
}

macro_rules! integer_number {
    ($integer:ident, $offset:expr, $difference:ident) => {
        impl Number for $integer {
            type Total = i128;

            // Halves of 32 bits are summed apart: 64-bit lanes then hold a whole block. `$offset` makes the upper half
            // of a signed number rise from zero.
            fn sum(values: &[Self]) -> i128 {
                let (mut low, mut high) = (0u64, 0u64);
                for value in values {
                    let bits = (*value as u64) ^ $offset;
                    low += bits & 0xffff_ffff;
                    high += bits >> 32;
                }
                (i128::from(high) << 32) + i128::from(low) - i128::from($offset) * values.len() as i128
            }

            fn extremes(values: &[Self]) -> (Self, Self) {
                values.iter().fold((Self::MAX, Self::MIN), |(low, high), value| (low.min(*value), high.max(*value)))
            }

            fn lesser(self, other: Self) -> Self {
                self.min(other)
            }

            fn greater(self, other: Self) -> Self {
                self.max(other)
            }

            fn distance(self, pivot: Self) -> f64 {
                match self.$difference(pivot) {
                    Some(difference) => difference as f64,
                    None if self < pivot => -(self.abs_diff(pivot) as f64),
                    None => self.abs_diff(pivot) as f64,
                }
            }

            fn split(self) -> (f64, f64) {
                let high = self as f64;
                (high, (i128::from(self) - high as i128) as f64)
            }
        }
    };
}

integer_number!(i64, 1u64 << 63, checked_sub);
integer_number!(u64, 0u64, checked_signed_diff);

/// Mean and sum of squared distances from it (Welford 1962), merged by the method of Chan, Golub and LeVeque (1979). The
/// mean is the unevaluated sum of two doubles, so that a large common offset costs no digits. How many values there are is
/// kept beside it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    mean: (f64, f64),
    squares: f64,
}

impl Moments {
    /// Of one or more numbers, by their distances from the first. That one being among them, cancellation costs at most a
    /// factor of the block's length.
    pub(crate) fn of<N: Number>(values: &[N]) -> Self {
        let Some(&pivot) = values.first() else { return Moments::default() };
        let (mut sums, mut squares) = ([0.0; 8], [0.0; 8]);
        let (chunks, rest) = values.as_chunks::<8>();
        for chunk in chunks {
            for i in 0..8 {
                let distance = chunk[i].distance(pivot);
                sums[i] += distance;
                squares[i] += distance * distance;
            }
        }
        for (i, value) in rest.iter().enumerate() {
            let distance = value.distance(pivot);
            sums[i] += distance;
            squares[i] += distance * distance;
        }
        let count = values.len() as f64;
        let sum: f64 = sums.iter().sum();
        let squares = squares.iter().sum::<f64>() - sum * sum / count;
        let (high, low) = pivot.split();
        // Rounding may leave a little less than nothing; NaN has to stay.
        Moments { mean: (high, low + sum / count), squares: if squares < 0.0 { 0.0 } else { squares } }
    }

    /// Adds the moments of `added` more numbers to those of `count`.
    pub(crate) fn merge(&mut self, count: u64, other: Moments, added: u64) {
        if count == 0 {
            *self = other;
            return;
        }
        let (ours, theirs) = (count as f64, added as f64);
        let delta = (other.mean.0 - self.mean.0) + (other.mean.1 - self.mean.1);
        self.squares += other.squares + delta * delta * (ours * theirs / (ours + theirs));
        let low = self.mean.1 + delta * (theirs / (ours + theirs));
        let high = self.mean.0 + low;
        self.mean = (high, low - (high - self.mean.0));
    }

    /// The sample standard deviation of `count` numbers; `None` for fewer than two.
    pub(crate) fn deviation(self, count: u64) -> Option<f64> {
        (count > 1).then(|| (self.squares / (count - 1) as f64).sqrt())
    }
}

/// A column type that holds numbers.
pub(crate) trait Numeric: ArrowPrimitiveType<Native: Number> {
    /// A number as a value.
    #[cfg(test)]
    fn value(native: Self::Native) -> Value;
    /// A value as a number; `None` where it is of another type.
    fn native(value: &Value) -> Option<Self::Native>;
}

macro_rules! numeric {
    ($($column:ident $variant:ident),*) => {
        $(impl Numeric for $column {
            #[cfg(test)]
            fn value(native: Self::Native) -> Value {
                Value::$variant(native)
            }

            fn native(value: &Value) -> Option<Self::Native> {
                if let Value::$variant(native) = value { Some(*native) } else { None }
            }
        })*
    };
}

numeric!(Float64Type Float64, Float32Type Float32, Int64Type Int64, UInt64Type UInt64, Decimal64Type Decimal);

/// Which rows count: a bit for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Validity<'a> {
    /// The bits of a buffer.
    pub(crate) fn new(bits: &'a BooleanBuffer) -> Self {
        Validity { bytes: bits.values(), offset: bits.offset() }
    }

    /// The bits of `len` rows from `row`, at most 64, lowest first.
    pub(crate) fn word(self, row: usize, len: usize) -> u64 {
        let (byte, shift) = ((self.offset + row) / 8, (self.offset + row) % 8);
        let tail = self.bytes.get(byte..).unwrap_or_default();
        let (low, high) = match tail.first_chunk::<9>() {
            Some(&[a, b, c, d, e, f, g, h, i]) => (u64::from_le_bytes([a, b, c, d, e, f, g, h]), i),
            None => {
                let mut bytes = [0; 9];
                bytes[..tail.len()].copy_from_slice(tail);
                let [a, b, c, d, e, f, g, h, i] = bytes;
                (u64::from_le_bytes([a, b, c, d, e, f, g, h]), i)
            }
        };
        // Two shifts, since shifting by all 64 bits at once is not defined.
        let word = (low >> shift) | (u64::from(high) << 1 << (63 - shift));
        if len < 64 { word & ((1 << len) - 1) } else { word }
    }

    fn words(self, rows: Range<usize>) -> impl DoubleEndedIterator<Item = (usize, usize, u64)> {
        (0..rows.len().div_ceil(64)).map(move |i| {
            let row = rows.start + i * 64;
            let len = (rows.end - row).min(64);
            (row, len, self.word(row, len))
        })
    }

    /// How many of these rows count.
    pub(crate) fn count(self, rows: Range<usize>) -> usize {
        self.words(rows).map(|(_, _, word)| word.count_ones() as usize).sum()
    }

    /// Whether any of these rows counts.
    pub(crate) fn any(self, rows: Range<usize>) -> bool {
        self.words(rows).any(|(_, _, word)| word != 0)
    }

    /// The first and the last of these rows that count.
    pub(crate) fn ends(self, rows: Range<usize>) -> Option<(usize, usize)> {
        let (row, _, word) = self.words(rows.clone()).find(|(_, _, word)| *word != 0)?;
        let first = row + word.trailing_zeros() as usize;
        let (row, _, word) = self.words(rows).rfind(|(_, _, word)| *word != 0)?;
        Some((first, row + 63 - word.leading_zeros() as usize))
    }

    /// These rows one by one, those that count.
    pub(crate) fn rows(self, rows: Range<usize>) -> impl Iterator<Item = usize> {
        self.words(rows).flat_map(|(row, _, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                word &= word.wrapping_sub(1);
                (bit < 64).then_some(row + bit)
            })
        })
    }

    /// Copies the values that count to the front of `out`, without a branch for each. At least one must not count.
    fn pick<N: Copy>(self, values: &[N], start: usize, out: &mut [N; BLOCK]) -> usize {
        let mut picked = 0;
        for (row, _, word) in self.words(start..start + values.len()) {
            if word == 0 {
                continue;
            }
            for (bit, value) in values[row - start..].iter().take(64).enumerate() {
                out[picked % BLOCK] = *value;
                picked += (word >> bit) as usize & 1;
            }
        }
        picked
    }
}

/// Calls `visit` with the values of `rows` that count, in order, at most [`BLOCK`] of them at a time, never none. `scratch`
/// is kept from call to call.
pub(crate) fn each_block<N: Copy + Default>(
    values: &[N],
    validity: Option<Validity<'_>>,
    rows: Range<usize>,
    scratch: &mut Vec<N>,
    mut visit: impl FnMut(&[N]),
) {
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + BLOCK);
        let block = &values[start..end];
        match validity.map(|bits| (bits, bits.count(start..end))) {
            None => visit(block),
            Some((_, count)) if count == block.len() => visit(block),
            Some((_, 0)) => {}
            Some((bits, _)) => {
                scratch.resize(BLOCK, N::default());
                if let Some(out) = scratch.first_chunk_mut::<BLOCK>() {
                    let picked = bits.pick(block, start, out);
                    visit(&out[..picked]);
                }
            }
        }
        start = end;
    }
}

#[cfg(test)]
mod tests;
