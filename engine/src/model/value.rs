//! One value of a field, for row builders, filters and statistics.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use serde::{Deserialize, Serialize};

use super::FieldType;

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

impl Value {
    /// An array of one row. `None` if the value is not of the field's type.
    pub(crate) fn to_array(&self, kind: FieldType) -> Option<ArrayRef> {
        Some(match (self, kind) {
            (Value::Float64(value), FieldType::Float64) => Arc::new(Float64Array::from(vec![*value])),
            (Value::Float32(value), FieldType::Float32) => Arc::new(Float32Array::from(vec![*value])),
            (Value::Int64(value), FieldType::Int64) => Arc::new(Int64Array::from(vec![*value])),
            (Value::UInt64(value), FieldType::UInt64) => Arc::new(UInt64Array::from(vec![*value])),
            (Value::Bool(value), FieldType::Bool) => Arc::new(BooleanArray::from(vec![*value])),
            (Value::Utf8(value), FieldType::Utf8) => Arc::new(StringArray::from(vec![value.as_str()])),
            (Value::Binary(value), FieldType::Binary) => Arc::new(BinaryArray::from(vec![value.as_slice()])),
            (Value::Decimal(value), FieldType::Decimal { .. }) => {
                Arc::new(Decimal64Array::from(vec![*value]).with_data_type(kind.arrow()))
            }
            _ => return None,
        })
    }
}
