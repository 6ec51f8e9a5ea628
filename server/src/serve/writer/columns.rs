//! Rows as they come over the wire, turned into columns.

use alluvium_protocol::rows::{Row, Value};
use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int64Array, Int64Builder, RecordBatch,
    RecordBatchOptions, StringBuilder, UInt64Builder, make_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

/// Columns being filled.
#[derive(Debug)]
pub(super) struct Columns {
    times: Vec<i64>,
    tags: Vec<StringBuilder>,
    fields: Vec<Column>,
}

/// Values of one field.
#[derive(Debug)]
enum Column {
    Float64(Float64Builder),
    Float32(Float32Builder),
    Int64(Int64Builder),
    Uint64(UInt64Builder),
    Bool(BooleanBuilder),
    Utf8(StringBuilder),
    Binary(BinaryBuilder),
    /// A decimal too, as a whole number of its last digit.
    Decimal(Int64Builder),
}

impl Columns {
    /// Of a batch of so many bytes; the first column is the time, then come so many tags.
    pub(super) fn new(schema: &SchemaRef, tags: usize, bytes: usize) -> Self {
        let fields: Vec<_> = schema.fields().iter().skip(1 + tags).map(|field| Column::new(field.data_type())).collect();
        // As many as would be there if all had values of eight bytes.
        let times = Vec::with_capacity(bytes / (8 * (1 + fields.len())));
        Columns { times, tags: (0..tags).map(|_| StringBuilder::new()).collect(), fields }
    }

    /// Adds a row, which has as many tags and values as there are columns.
    pub(super) fn push(&mut self, row: &Row<'_>) {
        self.times.push(row.time);
        self.tags.iter_mut().zip(&row.tags).for_each(|(tag, value)| tag.append_option(*value));
        self.fields.iter_mut().zip(&row.values).for_each(|(field, value)| field.push(*value));
    }

    /// The rows.
    pub(super) fn finish(mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let rows = self.times.len();
        let time = typed(Int64Array::from(self.times), schema.field(0).data_type())?;
        let tags = self.tags.iter_mut().map(|tag| ArrayBuilder::finish(tag));
        let mut columns: Vec<ArrayRef> = [time].into_iter().chain(tags).collect();
        for field in &mut self.fields {
            let kind = schema.field(columns.len()).data_type();
            columns.push(field.finish(kind)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
    }
}

impl Column {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Float64 => Column::Float64(Float64Builder::new()),
            DataType::Float32 => Column::Float32(Float32Builder::new()),
            DataType::Int64 => Column::Int64(Int64Builder::new()),
            DataType::UInt64 => Column::Uint64(UInt64Builder::new()),
            DataType::Boolean => Column::Bool(BooleanBuilder::new()),
            DataType::Utf8 => Column::Utf8(StringBuilder::new()),
            DataType::Binary => Column::Binary(BinaryBuilder::new()),
            _ => Column::Decimal(Int64Builder::new()),
        }
    }

    /// Adds a value. It is of this field's type, or missing.
    fn push(&mut self, value: Option<Value<'_>>) {
        match (self, value) {
            (Column::Float64(column), Some(Value::Float64(value))) => column.append_value(value),
            (Column::Float32(column), Some(Value::Float32(value))) => column.append_value(value),
            (Column::Int64(column), Some(Value::Int64(value))) => column.append_value(value),
            (Column::Uint64(column), Some(Value::Uint64(value))) => column.append_value(value),
            (Column::Bool(column), Some(Value::Bool(value))) => column.append_value(value),
            (Column::Utf8(column), Some(Value::Utf8(value))) => column.append_value(value),
            (Column::Binary(column), Some(Value::Binary(value))) => column.append_value(value),
            (Column::Decimal(column), Some(Value::Decimal(value))) => column.append_value(value),
            (column, _) => column.push_missing(),
        }
    }

    fn push_missing(&mut self) {
        match self {
            Column::Float64(column) => column.append_null(),
            Column::Float32(column) => column.append_null(),
            Column::Int64(column) | Column::Decimal(column) => column.append_null(),
            Column::Uint64(column) => column.append_null(),
            Column::Bool(column) => column.append_null(),
            Column::Utf8(column) => column.append_null(),
            Column::Binary(column) => column.append_null(),
        }
    }

    fn finish(&mut self, kind: &DataType) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Column::Float64(column) => ArrayBuilder::finish(column),
            Column::Float32(column) => ArrayBuilder::finish(column),
            Column::Int64(column) => ArrayBuilder::finish(column),
            Column::Uint64(column) => ArrayBuilder::finish(column),
            Column::Bool(column) => ArrayBuilder::finish(column),
            Column::Utf8(column) => ArrayBuilder::finish(column),
            Column::Binary(column) => ArrayBuilder::finish(column),
            Column::Decimal(column) => typed(column.finish(), kind)?,
        })
    }
}

/// Whole numbers as another type that is stored so.
fn typed(numbers: Int64Array, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    use arrow::array::Array;
    Ok(make_array(numbers.into_data().into_builder().data_type(kind.clone()).build()?))
}
