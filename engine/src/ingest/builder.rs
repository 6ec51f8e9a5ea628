//! Rows one by one, for callers without Arrow.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringBuilder, make_array};

use crate::error::{Error, Result};
use crate::model::{ColumnBuilder, TableSchema, Value};

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
    fields: Vec<ColumnBuilder>,
}

impl RowBuilder {
    /// An empty batch for a table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        let tags = schema.tags.iter().map(|_| StringBuilder::new()).collect();
        let fields = schema.fields.iter().map(|field| ColumnBuilder::new(field.kind)).collect();
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
        columns.extend(self.fields.iter_mut().map(ColumnBuilder::finish));
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
