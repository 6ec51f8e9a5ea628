//! One value of a field, for row builders, filters and statistics.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type};
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
    /// The value in a row of a column; `None` where it is missing or the column is not of this type.
    pub(crate) fn in_row(column: &dyn Array, kind: FieldType, row: usize) -> Option<Value> {
        if !column.is_valid(row) {
            return None;
        }
        Some(match kind {
            FieldType::Float64 => Value::Float64(column.as_primitive_opt::<Float64Type>()?.value(row)),
            FieldType::Float32 => Value::Float32(column.as_primitive_opt::<Float32Type>()?.value(row)),
            FieldType::Int64 => Value::Int64(column.as_primitive_opt::<Int64Type>()?.value(row)),
            FieldType::UInt64 => Value::UInt64(column.as_primitive_opt::<UInt64Type>()?.value(row)),
            FieldType::Bool => Value::Bool(column.as_boolean_opt()?.value(row)),
            FieldType::Utf8 => Value::Utf8(column.as_string_opt::<i32>()?.value(row).to_owned()),
            FieldType::Binary => Value::Binary(column.as_binary_opt::<i32>()?.value(row).to_owned()),
            FieldType::Decimal { .. } => Value::Decimal(column.as_primitive_opt::<Decimal64Type>()?.value(row)),
        })
    }
}
