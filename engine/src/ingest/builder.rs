//! Rows one by one, for callers without Arrow.

use std::sync::Arc;

use arrow::array::Array;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal64Builder, Float32Builder, Float64Builder, Int64Array, Int64Builder,
    RecordBatch, StringBuilder, UInt64Builder, make_array,
};

use crate::error::{Error, Result};
use crate::model::{FieldType, TableSchema, Value};

/// Collects rows of one table and turns them into a batch.
///
/// ```
/// use alluvium::{Database, FieldType, RowBuilder, TableSpec};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let table = db.create_table(TableSpec::new("air").tag("room").field("co2", FieldType::Float64))?;
/// let mut rows = RowBuilder::new(table);
/// rows.row(1_700_000_000_000_000).tag("room", "A")?.value("co2", 612.5)?;
/// rows.row(1_700_000_060_000_000).tag("room", "A")?.value("co2", 615.0)?;
/// db.append("air", &rows.finish()?)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RowBuilder {
    schema: Arc<TableSchema>,
    times: Vec<i64>,
    tags: Vec<StringBuilder>,
    fields: Vec<FieldBuilder>,
}

#[derive(Debug)]
enum FieldBuilder {
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
            FieldBuilder::Float64($builder) => $body,
            FieldBuilder::Float32($builder) => $body,
            FieldBuilder::Int64($builder) => $body,
            FieldBuilder::UInt64($builder) => $body,
            FieldBuilder::Bool($builder) => $body,
            FieldBuilder::Utf8($builder) => $body,
            FieldBuilder::Binary($builder) => $body,
            FieldBuilder::Decimal($builder) => $body,
        }
    };
}

impl FieldBuilder {
    fn new(kind: FieldType) -> Self {
        match kind {
            FieldType::Float64 => FieldBuilder::Float64(Float64Builder::new()),
            FieldType::Float32 => FieldBuilder::Float32(Float32Builder::new()),
            FieldType::Int64 => FieldBuilder::Int64(Int64Builder::new()),
            FieldType::UInt64 => FieldBuilder::UInt64(UInt64Builder::new()),
            FieldType::Bool => FieldBuilder::Bool(BooleanBuilder::new()),
            FieldType::Utf8 => FieldBuilder::Utf8(StringBuilder::new()),
            FieldType::Binary => FieldBuilder::Binary(BinaryBuilder::new()),
            FieldType::Decimal { .. } => FieldBuilder::Decimal(Decimal64Builder::new().with_data_type(kind.arrow())),
        }
    }

    /// Gives back a value that is not of the builder's type.
    fn append(&mut self, value: Value) -> Result<(), Value> {
        match (self, value) {
            (FieldBuilder::Float64(builder), Value::Float64(value)) => builder.append_value(value),
            (FieldBuilder::Float32(builder), Value::Float32(value)) => builder.append_value(value),
            (FieldBuilder::Int64(builder), Value::Int64(value)) => builder.append_value(value),
            (FieldBuilder::UInt64(builder), Value::UInt64(value)) => builder.append_value(value),
            (FieldBuilder::Bool(builder), Value::Bool(value)) => builder.append_value(value),
            (FieldBuilder::Utf8(builder), Value::Utf8(value)) => builder.append_value(value),
            (FieldBuilder::Binary(builder), Value::Binary(value)) => builder.append_value(value),
            (FieldBuilder::Decimal(builder), Value::Decimal(value)) => builder.append_value(value),
            (_, value) => return Err(value),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        each!(self, builder => builder.len())
    }

    fn append_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}

impl RowBuilder {
    /// An empty batch for a table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        let tags = schema.tags.iter().map(|_| StringBuilder::new()).collect();
        let fields = schema.fields.iter().map(|field| FieldBuilder::new(field.kind)).collect();
        RowBuilder { schema, times: Vec::new(), tags, fields }
    }

    /// Begins a row at `time`, in the table's unit. What it is not given is missing.
    pub fn row(&mut self, time: i64) -> RowWriter<'_> {
        self.fill_up();
        self.times.push(time);
        RowWriter { builder: self }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The rows as a batch; the builder is empty again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        use arrow::array::ArrayBuilder;
        self.fill_up();
        let unit = self.schema.time_field().data_type().clone();
        let times = Int64Array::from(std::mem::take(&mut self.times));
        let mut columns: Vec<ArrayRef> = vec![make_array(times.into_data().into_builder().data_type(unit).build()?)];
        columns.extend(self.tags.iter_mut().map(|tag| ArrayBuilder::finish(tag)));
        columns.extend(self.fields.iter_mut().map(FieldBuilder::finish));
        Ok(RecordBatch::try_new(self.schema.arrow(), columns)?)
    }

    fn fill_up(&mut self) {
        use arrow::array::ArrayBuilder;
        let rows = self.times.len();
        for tag in self.tags.iter_mut().filter(|tag| tag.len() < rows) {
            tag.append_null();
        }
        for field in self.fields.iter_mut().filter(|field| field.len() < rows) {
            field.append_null();
        }
    }
}

/// One row being filled in.
#[derive(Debug)]
pub struct RowWriter<'a> {
    builder: &'a mut RowBuilder,
}

impl RowWriter<'_> {
    /// Sets a tag.
    pub fn tag(self, name: &str, value: &str) -> Result<Self> {
        use arrow::array::ArrayBuilder;
        let RowBuilder { schema, tags, times, .. } = &mut *self.builder;
        let position = schema.tag_position(name).ok_or_else(|| unknown(schema, "tag", name))?;
        if tags[position].len() == times.len() {
            return Err(twice(name));
        }
        tags[position].append_value(value);
        Ok(self)
    }

    /// Sets a field. The value must be of the field's type.
    pub fn value(self, name: &str, value: impl Into<Value>) -> Result<Self> {
        let RowBuilder { schema, fields, times, .. } = &mut *self.builder;
        let position = schema.field_position(name).ok_or_else(|| unknown(schema, "field", name))?;
        if fields[position].len() == times.len() {
            return Err(twice(name));
        }
        let refused = |value: Value| {
            let kind = schema.fields[position].kind;
            Error::invalid(format_args!("field {name:?} takes {kind}, not {value:?}"))
        };
        fields[position].append(value.into()).map_err(refused)?;
        Ok(self)
    }
}

fn unknown(schema: &TableSchema, what: &'static str, name: &str) -> Error {
    Error::NoSuchColumn { table: schema.name.clone(), what, name: name.to_owned(), known: schema.column_names() }
}

fn twice(name: &str) -> Error {
    Error::invalid(format_args!("{name:?} is set twice in one row"))
}
