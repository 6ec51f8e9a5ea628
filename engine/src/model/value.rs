//! One value of a field, for row builders, filters and statistics.

use serde::{Deserialize, Serialize};

/// One value. A decimal is its unscaled integer; the scale belongs to the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// IEEE 754 double.
    Float64(f64),
    /// IEEE 754 single.
    Float32(f32),
    /// Signed integer.
    Int64(i64),
    /// Unsigned integer.
    UInt64(u64),
    /// True or false.
    Bool(bool),
    /// Text.
    Utf8(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// `unscaled × 10^-scale`.
    Decimal(i64),
}

macro_rules! value_from {
    ($($rust:ty => $variant:ident),* $(,)?) => {
        $(impl From<$rust> for Value {
            fn from(value: $rust) -> Self {
                Value::$variant(value.into())
            }
        })*
    };
}

value_from! {
    f64 => Float64, f32 => Float32, i64 => Int64, i32 => Int64, u64 => UInt64, u32 => UInt64,
    bool => Bool, String => Utf8, &str => Utf8, Vec<u8> => Binary, &[u8] => Binary,
}
