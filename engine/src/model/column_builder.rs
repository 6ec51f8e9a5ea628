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
        match kind {
            FieldType::Float64 => ColumnBuilder::Float64(Float64Builder::new()),
            FieldType::Float32 => ColumnBuilder::Float32(Float32Builder::new()),
            FieldType::Int64 => ColumnBuilder::Int64(Int64Builder::new()),
            FieldType::UInt64 => ColumnBuilder::UInt64(UInt64Builder::new()),
            FieldType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            FieldType::Utf8 => ColumnBuilder::Utf8(StringBuilder::new()),
            FieldType::Binary => ColumnBuilder::Binary(BinaryBuilder::new()),
            FieldType::Decimal { .. } => ColumnBuilder::Decimal(Decimal64Builder::new().with_data_type(kind.arrow())),
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

    /// Values so far, the missing ones included.
    pub(crate) fn len(&self) -> usize {
        each!(self, builder => builder.len())
    }

    /// Adds a missing value.
    pub(crate) fn append_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    /// The column; the builder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}
