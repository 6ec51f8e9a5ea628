//! What is known of a stretch of values without reading them.

use super::Value;

/// An exact or compensated sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sum {
    /// Of floats: the unevaluated sum `high + low` (Neumaier's compensated summation, 1974).
    Float {
        /// The running sum.
        high: f64,
        /// The error it has made so far.
        low: f64,
    },
    /// Of integers and unscaled decimals: exact, since 2^63 values of 64 bits fit.
    Integer(i128),
}

impl Sum {
    /// Nothing summed yet, as floats.
    pub const FLOAT: Sum = Sum::Float { high: 0.0, low: 0.0 };
    /// Nothing summed yet, as integers.
    pub const INTEGER: Sum = Sum::Integer(0);

    /// Adds a float by Neumaier's method. A sum of integers is left as it is.
    pub fn add_float(&mut self, value: f64) {
        if let Sum::Float { high, low } = self {
            (*high, *low) = add_compensated(*high, *low, value);
        }
    }

    /// Adds an integer. A sum of floats is left as it is.
    pub fn add_integer(&mut self, value: i128) {
        if let Sum::Integer(total) = self {
            *total += value;
        }
    }

    /// Adds another sum of the same kind.
    pub fn merge(&mut self, other: Sum) {
        match other {
            Sum::Float { high, low } => {
                self.add_float(high);
                self.add_float(low);
            }
            Sum::Integer(total) => self.add_integer(total),
        }
    }

    /// The sum as a double.
    pub fn as_f64(self) -> f64 {
        match self {
            Sum::Float { high, low } => high + low,
            Sum::Integer(total) => total as f64,
        }
    }
}

/// Neumaier's step: `value` added to the unevaluated sum `high + low`.
pub(super) fn add_compensated(high: f64, low: f64, value: f64) -> (f64, f64) {
    let total = high + value;
    let error = if high.abs() >= value.abs() { (high - total) + value } else { (value - total) + high };
    // An infinity's error term is NaN, which would hide it.
    (total, if error.is_finite() { low + error } else { low })
}

/// Statistics of one field over some rows of one series. There is one only where at least one value is present.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldStatistics {
    /// Values present.
    pub count: u64,
    /// Their sum; `None` for booleans, text and bytes.
    pub sum: Option<Sum>,
    /// The least; NaN counts as greater than every number.
    pub min: Value,
    /// The greatest; NaN only where there is nothing else.
    pub max: Value,
    /// Time and value of the earliest.
    pub first: (i64, Value),
    /// Time and value of the latest.
    pub last: (i64, Value),
}
