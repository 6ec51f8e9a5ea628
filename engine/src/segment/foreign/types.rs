//! The types of foreign columns and what they become here.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, TimeUnit};

use super::pages::invalid;
use crate::error::{Error, Result};
use crate::model::FieldType;

/// What a foreign column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignType {
    /// Values that a field can take, in the field's Arrow type.
    Field(FieldType),
    /// Moments, as Arrow timestamps of this unit. Those without a time zone count as UTC.
    Timestamp(TimeUnit),
    /// Days, as Arrow's `Date32`.
    Date,
    /// Nothing but missing values, of no type.
    Nothing,
}

/// A column of a foreign file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ForeignType,
}

/// What a column of a foreign file becomes; an error names the column.
pub(super) fn foreign_column(field: &Field) -> Result<ForeignColumn> {
    let kind = foreign_type(field.data_type()).ok_or_else(|| {
        Error::invalid(format_args!(
            "column {:?} of the Parquet file is of type {}, which no field can hold: leave it out or convert it",
            field.name(),
            field.data_type()
        ))
    })?;
    Ok(ForeignColumn { name: field.name().clone(), kind })
}

fn foreign_type(kind: &DataType) -> Option<ForeignType> {
    let field = match kind {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => FieldType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => FieldType::UInt64,
        DataType::Float16 | DataType::Float32 => FieldType::Float32,
        DataType::Float64 => FieldType::Float64,
        DataType::Boolean => FieldType::Bool,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => FieldType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => FieldType::Binary,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => {
            let scale = u8::try_from(*scale).ok().filter(|scale| *scale <= FieldType::DECIMAL_PRECISION)?;
            FieldType::Decimal { scale }
        }
        DataType::Dictionary(_, values) => return foreign_type(values),
        DataType::Timestamp(unit, _) => return Some(ForeignType::Timestamp(*unit)),
        DataType::Date32 => return Some(ForeignType::Date),
        DataType::Null => return Some(ForeignType::Nothing),
        _ => return None,
    };
    Some(ForeignType::Field(field))
}

/// The field to have the decoder make: text and bytes as views, so that a dictionary's values are not copied for each row before
/// their number is known.
pub(super) fn decoded_as(field: &Field) -> Field {
    let values = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    let kind = match values {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        kind => kind.clone(),
    };
    field.clone().with_data_type(kind)
}

/// Bytes that a row of a decoded column takes at least, whether it has a value or not.
pub(super) fn row_bytes(field: &Field) -> usize {
    match decoded_as(field).data_type() {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(usize::MAX),
        // A number and its share of a null bitmap, generously.
        _ => 9,
    }
}

impl ForeignType {
    /// The Arrow type in which its values are given.
    pub fn arrow(self) -> DataType {
        match self {
            ForeignType::Field(field) => field.arrow(),
            ForeignType::Timestamp(unit) => DataType::Timestamp(unit, None),
            ForeignType::Date => DataType::Date32,
            ForeignType::Nothing => DataType::Null,
        }
    }

    /// Converts decoded values. None is changed: what does not fit is an error that names the column.
    pub(super) fn convert(self, name: &str, array: &ArrayRef) -> Result<ArrayRef> {
        // A timestamp's zone is how to show it, not when it is; casting it away would shift it.
        if let (ForeignType::Timestamp(_), DataType::Timestamp(..)) = (self, array.data_type()) {
            let data = array.to_data().into_builder().data_type(self.arrow());
            return Ok(arrow::array::make_array(data.build()?));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, &self.arrow(), &options).map_err(|error| invalid(format_args!("column {name:?}: {error}")))
    }
}

/// Bytes of text or binary in each row of a view, or none.
pub(super) fn lengths(array: &ArrayRef) -> Option<Box<dyn Iterator<Item = usize> + '_>> {
    // The low 32 bits of a view are its length.
    match array.data_type() {
        DataType::Utf8View => Some(Box::new(array.as_string_view().views().iter().map(|view| *view as u32 as usize))),
        DataType::BinaryView => Some(Box::new(array.as_binary_view().views().iter().map(|view| *view as u32 as usize))),
        _ => None,
    }
}
