//! Imports from memory into memory.

use std::io::{Cursor, Read};
use std::sync::Arc;

use alluvium::{FieldType, TableSchema, TableSpec, TimeUnit};
use arrow::array::{ArrayRef, RecordBatch, new_null_array};

use crate::import::{self, Failure, FieldValue, Format, OnError, Sink, Source, Wishes};
use crate::output;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values.
    Csv,
    /// One JSON object per line.
    JsonLines,
    /// Influx line protocol.
    LineProtocol,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Format::Csv,
            Form::JsonLines => Format::JsonLines,
            Form::LineProtocol => Format::LineProtocol,
        }
    }
}

/// What came of an import into a table of its own or into a given one.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// The table as it then is, if there is one.
    pub table: Option<Arc<TableSchema>>,
    /// The rows, as they would be appended.
    pub batches: Vec<RecordBatch>,
    /// Rows appended, as reported.
    pub rows: u64,
    /// Values present in them, as reported.
    pub points: u64,
    /// Bad rows left out.
    pub rejected: u64,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
}

/// Imports `bytes`, which come `step` at a time, in batches of `batch_rows`. Bad rows are left out, or end the import.
pub fn import(
    form: Form,
    bytes: &[u8],
    table: Option<Arc<TableSchema>>,
    skip_bad: bool,
    batch_rows: usize,
    step: usize,
) -> Imported {
    let source = Source::stream(Box::new(Trickle { bytes: Cursor::new(bytes.to_vec()), step }), form.into());
    let wishes = Wishes { table: "t".to_owned(), batch_rows, ..Wishes::default() };
    let mut memory = Imported { table, ..Imported::default() };
    let on_error = if skip_bad { OnError::Skip } else { OnError::Abort };
    let (report, outcome) = import::run(&source, &wishes, on_error, &mut memory);
    let failure = outcome.err().map(|failure| format!("{failure:?}"));
    Imported { rows: report.rows, points: report.points, rejected: report.rejected, failure, ..memory }
}

/// The rows as `alluvium query` would write them, with all columns of the table.
///
/// # Errors
/// A sentence.
pub fn write(form: Form, table: &TableSchema, batches: &[RecordBatch]) -> Result<Vec<u8>, String> {
    let schema = table.arrow();
    let format = if form == Form::Csv { output::Format::Csv } else { output::Format::Json };
    let look = output::Look { colour: false, zone: jiff::tz::TimeZone::UTC };
    let mut out = Vec::new();
    let mut sink = output::sink(format, &mut out, &schema, &look, true).map_err(|failure| format!("{failure:?}"))?;
    for batch in batches {
        let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
            batch.column_by_name(field.name()).cloned().unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
        };
        let columns = schema.fields().iter().map(column).collect();
        let whole = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| error.to_string())?;
        sink.write(&whole).map_err(|failure| format!("{failure:?}"))?;
    }
    sink.finish().map_err(|failure| format!("{failure:?}"))?;
    Ok(out)
}

/// A line of line protocol: its measurement, tags, fields with their values as they would be written again, and time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Point {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, String)>,
    pub time: Option<i64>,
}

/// Reads a line of line protocol; `None` for a comment or nothing.
///
/// # Errors
/// What is wrong with it.
pub fn point(line: &str) -> Result<Option<Point>, String> {
    let Some(point) = import::parse_line(line)? else { return Ok(None) };
    let value = |value: FieldValue<'_>| match value {
        FieldValue::Float(_, digits) => digits.to_owned(),
        FieldValue::Int(_, digits) => format!("{digits}i"),
        FieldValue::UInt(_, digits) => format!("{digits}u"),
        FieldValue::Bool(flag) => flag.to_string(),
        FieldValue::Text(text) => format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
    };
    Ok(Some(Point {
        measurement: point.measurement.to_string(),
        tags: point.tags.into_iter().map(|(key, text)| (key.to_string(), text.to_string())).collect(),
        fields: point.fields.into_iter().map(|(key, found)| (key.to_string(), value(found))).collect(),
        time: point.time,
    }))
}

/// The time in a cell, counted in milliseconds, microseconds and nanoseconds, each where a table of that unit accepts it.
pub fn times(text: &str) -> Option<[Option<i64>; 3]> {
    let moment = import::parse_time(text, None).ok()?;
    Some([TimeUnit::Milli, TimeUnit::Micro, TimeUnit::Nano].map(|unit| moment.in_unit(unit).ok().map(|(count, _)| count)))
}

/// Gives a few bytes at a time.
struct Trickle {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.step.max(1).min(buffer.len());
        self.bytes.read(buffer.get_mut(..count).unwrap_or_default())
    }
}

impl Sink for Imported {
    fn table(&self, _name: &str) -> Result<Option<Arc<TableSchema>>, import::Failure> {
        Ok(self.table.clone())
    }

    fn create_table(&mut self, spec: TableSpec) -> Result<(), import::Failure> {
        self.table = Some(alluvium::internals::schema(spec)?);
        Ok(())
    }

    fn add_columns(&mut self, _table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<(), import::Failure> {
        let Some(table) = &self.table else { return Err(alluvium::Error::Internal("columns for no table".to_owned()).into()) };
        self.table = Some(Arc::new(table.extended(tags, fields)?));
        Ok(())
    }

    fn append(&mut self, _table: &str, rows: &RecordBatch) -> Result<(), import::Failure> {
        self.batches.push(rows.clone());
        Ok(())
    }

    fn durable(&mut self, _rows: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn note(&mut self, _note: &str) {}
}
