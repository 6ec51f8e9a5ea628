//! Columns of any field type, built value by value.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Decimal64Builder, Float32Builder, Float64Builder, Int64Builder,
    StringBuilder, UInt64Builder,
};

use super::{FieldType, Value};

/// A column that is being built.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Float64(Float64Builder),
    Float32(Float32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Bool(BooleanBuilder),
    Utf8(StringBuilder),
    Binary(BinaryBuilder),
    Decimal(Decimal64Builder),
}

/// Calls the same method on whichever builder there is.
macro_rules! each {
    ($self:expr, $builder:ident => $body:expr) => {
        match $self {
            ColumnBuilder::Float64($builder) => $body,
            ColumnBuilder::Float32($builder) => $body,
            ColumnBuilder::Int64($builder) => $body,
            ColumnBuilder::UInt64($builder) => $body,
            ColumnBuilder::Bool($builder) => $body,
            ColumnBuilder::Utf8($builder) => $body,
            ColumnBuilder::Binary($builder) => $body,
            ColumnBuilder::Decimal($builder) => $body,
        }
    };
}

impl ColumnBuilder {
    /// An empty column.
    pub(crate) fn new(kind: FieldType) -> Self {
        ColumnBuilder::with_capacity(kind, 0, 0)
    }

    /// An empty column with room for so many values; if these are text or bytes, for so many bytes of them.
    pub(crate) fn with_capacity(kind: FieldType, values: usize, bytes: usize) -> Self {
        match kind {
            FieldType::Float64 => ColumnBuilder::Float64(Float64Builder::with_capacity(values)),
            FieldType::Float32 => ColumnBuilder::Float32(Float32Builder::with_capacity(values)),
            FieldType::Int64 => ColumnBuilder::Int64(Int64Builder::with_capacity(values)),
            FieldType::UInt64 => ColumnBuilder::UInt64(UInt64Builder::with_capacity(values)),
            FieldType::Bool => ColumnBuilder::Bool(BooleanBuilder::with_capacity(values)),
            FieldType::Utf8 => ColumnBuilder::Utf8(StringBuilder::with_capacity(values, bytes)),
            FieldType::Binary => ColumnBuilder::Binary(BinaryBuilder::with_capacity(values, bytes)),
            FieldType::Decimal { .. } => {
                ColumnBuilder::Decimal(Decimal64Builder::with_capacity(values).with_data_type(kind.arrow()))
            }
        }
    }

    /// Adds a value; gives it back if it is not of the column's type.
    pub(crate) fn append(&mut self, value: Value) -> Result<(), Value> {
        match (self, value) {
            (ColumnBuilder::Float64(builder), Value::Float64(value)) => builder.append_value(value),
            (ColumnBuilder::Float32(builder), Value::Float32(value)) => builder.append_value(value),
            (ColumnBuilder::Int64(builder), Value::Int64(value)) => builder.append_value(value),
            (ColumnBuilder::UInt64(builder), Value::UInt64(value)) => builder.append_value(value),
            (ColumnBuilder::Bool(builder), Value::Bool(value)) => builder.append_value(value),
            (ColumnBuilder::Utf8(builder), Value::Utf8(value)) => builder.append_value(value),
            (ColumnBuilder::Binary(builder), Value::Binary(value)) => builder.append_value(value),
            (ColumnBuilder::Decimal(builder), Value::Decimal(value)) => builder.append_value(value),
            (_, value) => return Err(value),
        }
        Ok(())
    }

    /// Adds a text; gives it back where the column takes none.
    pub(crate) fn append_text<'v>(&mut self, value: &'v str) -> Result<(), &'v str> {
        match self {
            ColumnBuilder::Utf8(builder) => builder.append_value(value),
            _ => return Err(value),
        }
        Ok(())
    }

    /// Adds bytes; gives them back where the column takes none.
    pub(crate) fn append_bytes<'v>(&mut self, value: &'v [u8]) -> Result<(), &'v [u8]> {
        match self {
            ColumnBuilder::Binary(builder) => builder.append_value(value),
            _ => return Err(value),
        }
        Ok(())
    }

    /// Values so far, the missing ones included.
    pub(crate) fn len(&self) -> usize {
        each!(self, builder => builder.len())
    }

    /// Adds a missing value.
    pub(crate) fn append_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    /// The bytes of its texts, or whatever they are; none of numbers.
    pub(crate) fn value_bytes(&self) -> usize {
        match self {
            ColumnBuilder::Utf8(builder) => builder.values_slice().len(),
            ColumnBuilder::Binary(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }

    /// The column; the builder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}
