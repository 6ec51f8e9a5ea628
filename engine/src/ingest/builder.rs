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
    /// Rows and bytes of text that there is room for after a batch as large as the last one: rows of a steady stream then allocate nothing.
    room: Room,
}

/// What a batch took.
#[derive(Debug, Clone, Default)]
struct Room {
    rows: usize,
    /// By tag.
    tag_bytes: Vec<usize>,
    /// By field; none of numbers.
    field_bytes: Vec<usize>,
}

impl RowBuilder {
    /// An empty batch for a table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        let tags = schema.tags.iter().map(|_| StringBuilder::new()).collect();
        let fields = schema.fields.iter().map(|field| ColumnBuilder::new(field.kind)).collect();
        RowBuilder { schema, times: Vec::new(), tags, fields, room: Room::default() }
    }

    /// Begins a row at `time`, in the table's unit. What it is not given is missing.
    pub fn row(&mut self, time: i64) -> RowWriter<'_> {
        self.fill_up();
        self.times.push(time);
        RowWriter { builder: self }
    }

    /// Goes on with the row that was begun last; none before the first.
    #[inline]
    pub fn last_row(&mut self) -> Option<RowWriter<'_>> {
        (!self.times.is_empty()).then_some(RowWriter { builder: self })
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The rows as a batch; the builder is empty again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        use arrow::array::ArrayBuilder;
        self.fill_up();
        self.note_room();
        let unit = self.schema.time_field().data_type().clone();
        let times = Int64Array::from(std::mem::take(&mut self.times));
        let mut columns: Vec<ArrayRef> = vec![make_array(times.into_data().into_builder().data_type(unit).build()?)];
        columns.extend(self.tags.iter_mut().map(|tag| ArrayBuilder::finish(tag)));
        columns.extend(self.fields.iter_mut().map(ColumnBuilder::finish));
        self.make_room();
        Ok(RecordBatch::try_new(self.schema.arrow(), columns)?)
    }

    /// Forgets the rows so far.
    pub fn clear(&mut self) {
        self.times.clear();
        self.make_room();
    }

    /// The table, as it stood when this was made.
    #[inline]
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn note_room(&mut self) {
        self.room.rows = self.times.len();
        self.room.tag_bytes.clear();
        self.room.tag_bytes.extend(self.tags.iter().map(|tag| tag.values_slice().len()));
        self.room.field_bytes.clear();
        self.room.field_bytes.extend(self.fields.iter().map(ColumnBuilder::value_bytes));
    }

    fn make_room(&mut self) {
        let rows = self.room.rows;
        self.times.reserve(rows);
        for (position, tag) in self.tags.iter_mut().enumerate() {
            *tag = StringBuilder::with_capacity(rows, self.room.tag_bytes.get(position).copied().unwrap_or_default());
        }
        for (position, (field, of)) in self.fields.iter_mut().zip(&self.schema.fields).enumerate() {
            *field =
                ColumnBuilder::with_capacity(of.kind, rows, self.room.field_bytes.get(position).copied().unwrap_or_default());
        }
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
        let schema = &self.builder.schema;
        let position = schema.tag_position(name).ok_or_else(|| unknown(schema, "tag", name))?;
        self.tag_at(position, value)
    }

    /// Sets a field. The value must be of the field's type.
    pub fn value(self, name: &str, value: impl Into<Value>) -> Result<Self> {
        let schema = &self.builder.schema;
        let position = schema.field_position(name).ok_or_else(|| unknown(schema, "field", name))?;
        self.value_at(position, value)
    }

    /// Sets the tag at this position of the schema, for those who look it up once.
    pub fn tag_at(self, position: usize, value: &str) -> Result<Self> {
        use arrow::array::ArrayBuilder;
        let RowBuilder { schema, tags, times, .. } = &mut *self.builder;
        let tag = tags.get_mut(position).ok_or_else(|| unknown(schema, "tag", &position.to_string()))?;
        if tag.len() == times.len() {
            return Err(twice(&schema.tags[position].name));
        }
        tag.append_value(value);
        Ok(self)
    }

    /// Sets the field at this position of the schema.
    pub fn value_at(self, position: usize, value: impl Into<Value>) -> Result<Self> {
        self.at(position, value.into(), ColumnBuilder::append, |value| format!("{value:?}"))
    }

    /// The same of text, which is not kept.
    pub fn text_at(self, position: usize, value: &str) -> Result<Self> {
        self.at(position, value, ColumnBuilder::append_text, |value| format!("{value:?}"))
    }

    /// The same of bytes.
    pub fn bytes_at(self, position: usize, value: &[u8]) -> Result<Self> {
        self.at(position, value, ColumnBuilder::append_bytes, |value| format!("{} bytes", value.len()))
    }

    fn at<V>(
        self,
        position: usize,
        value: V,
        append: impl FnOnce(&mut ColumnBuilder, V) -> Result<(), V>,
        shown: impl FnOnce(V) -> String,
    ) -> Result<Self> {
        let RowBuilder { schema, fields, times, .. } = &mut *self.builder;
        let field = fields.get_mut(position).ok_or_else(|| unknown(schema, "field", &position.to_string()))?;
        let of = &schema.fields[position];
        if field.len() == times.len() {
            return Err(twice(&of.name));
        }
        append(field, value)
            .map_err(|value| Error::invalid(format_args!("field {:?} takes {}, not {}", of.name, of.kind, shown(value))))?;
        Ok(self)
    }
}

#[cold]
fn unknown(schema: &TableSchema, what: &'static str, name: &str) -> Error {
    Error::NoSuchColumn { table: schema.name.clone(), what, name: name.to_owned(), known: schema.column_names() }
}

#[cold]
fn twice(name: &str) -> Error {
    Error::invalid(format_args!("{name:?} is set twice in one row"))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::model::{FieldType, TableId, TableSpec};

    fn builder() -> RowBuilder {
        let spec = TableSpec::new("air").tag("room").field("co2", FieldType::Float64).field("note", FieldType::Utf8);
        let spec = spec.field("raw", FieldType::Binary);
        RowBuilder::new(Arc::new(spec.into_schema(TableId(1)).unwrap()))
    }

    #[test]
    fn positions_mean_the_same_as_names() {
        let mut named = builder();
        named.row(1).tag("room", "A").unwrap().value("co2", 1.5).unwrap().value("note", "open").unwrap();
        let mut positioned = builder();
        positioned.row(1).tag_at(0, "A").unwrap().value_at(0, 1.5).unwrap();
        positioned.last_row().unwrap().text_at(1, "open").unwrap();
        assert_eq!(named.finish().unwrap(), positioned.finish().unwrap());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_row_goes_on() {
        let mut rows = builder();
        assert!(rows.last_row().is_none());
        let refused = |result: Result<RowWriter<'_>>| result.map(drop).unwrap_err().to_string();
        rows.row(1);
        let mut on = |set: fn(RowWriter<'_>) -> Result<RowWriter<'_>>| refused(set(rows.last_row().unwrap()));
        assert!(on(|row| row.value_at(9, 1.0)).contains("no field"));
        assert!(on(|row| row.tag_at(1, "A")).contains("no tag"));
        assert!(on(|row| row.text_at(0, "A")).contains("float64"));
        assert!(on(|row| row.bytes_at(1, b"A")).contains("1 bytes"));
        assert!(on(|row| row.value_at(0, 1.0)?.value_at(0, 2.0)).contains("twice"));
        let batch = rows.finish().unwrap();
        assert_eq!(batch.column(2).as_primitive::<Float64Type>().values(), &[1.0]);
    }

    #[test]
    fn what_was_cleared_is_forgotten() {
        let mut rows = builder();
        rows.row(1).tag("room", "A").unwrap();
        rows.clear();
        rows.row(2).tag("room", "B").unwrap();
        let batch = rows.finish().unwrap();
        assert_eq!((batch.num_rows(), batch.column(1).as_string::<i32>().value(0)), (1, "B"));
    }
}
