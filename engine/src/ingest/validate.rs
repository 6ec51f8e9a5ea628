//! The first stage: a batch is checked whole, and every bad row is named.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray, make_array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal64Type, Int64Type, TimeUnit as ArrowUnit};

use crate::error::{BadRow, Error, Result};
use crate::format::limits;
use crate::model::{Column, FieldType, TIME_COLUMN, TableSchema};

/// At most so many bad rows are named one by one.
const NAMED_BAD_ROWS: usize = 1_000;

/// A batch of the right columns and types, in the order of the table.
pub(super) struct Validated {
    pub(super) times: ScalarBuffer<i64>,
    /// By tag; `None` where the batch lacks the column.
    pub(super) tags: Vec<Option<StringArray>>,
    /// By field.
    pub(super) columns: Vec<Column>,
    /// Memory of the fields.
    pub(super) bytes: usize,
}

impl Validated {
    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }
}

/// Checks a batch against a schema. Nothing is dropped in silence: one bad row refuses the batch.
pub(super) fn validate(schema: &TableSchema, batch: &RecordBatch, batch_bytes: usize) -> Result<Validated> {
    check_columns(schema, batch)?;
    limits::check("rows of a batch", batch.num_rows() as u64, limits::BLOCK_ROWS, "")?;
    let mut bad = BadRows::default();
    let times = times(schema, batch, &mut bad)?;
    let tags = schema.tags.iter().map(|tag| tag_column(schema, batch, &tag.name, &mut bad)).collect::<Result<_>>()?;
    let fields = schema.fields.iter().map(|field| field_column(schema, batch, &field.name, field.kind, &mut bad));
    let columns: Vec<Column> = fields.collect::<Result<_>>()?;
    let bytes: usize = columns.iter().flatten().map(|column| column.get_array_memory_size()).sum();
    limits::check("bytes of a batch", bytes as u64, batch_bytes as u64, "batch_bytes")?;
    bad.refuse(&schema.name)?;
    Ok(Validated { times, tags, columns, bytes })
}

#[derive(Default)]
struct BadRows(Vec<BadRow>);

impl BadRows {
    fn push(&mut self, row: usize, column: &str, reason: impl FnOnce() -> String) {
        if self.0.len() < NAMED_BAD_ROWS {
            self.0.push(BadRow { row, column: column.to_owned(), reason: reason() });
        }
    }

    fn refuse(self, table: &str) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::BadRows { table: table.to_owned(), rows: self.0 }) }
    }
}

fn check_columns(schema: &TableSchema, batch: &RecordBatch) -> Result<()> {
    let mut seen = HashSet::new();
    for column in batch.schema_ref().fields() {
        let name = column.name();
        if !seen.insert(name.as_str()) {
            return Err(Error::invalid(format_args!(
                "a batch for table {:?} has two columns named {name:?}: rename one",
                schema.name
            )));
        }
        let known = name == TIME_COLUMN || schema.tag_position(name).is_some() || schema.field_position(name).is_some();
        if !known {
            return Err(Error::NoSuchColumn {
                table: schema.name.clone(),
                what: "column",
                name: name.clone(),
                known: schema.column_names(),
            });
        }
    }
    Ok(())
}

fn wrong_type(schema: &TableSchema, name: &str, expected: &str, found: &DataType) -> Error {
    Error::invalid(format_args!(
        "column {name:?} of table {:?} takes {expected}, the batch has {found}: convert it first",
        schema.name
    ))
}

/// The time column in the table's own unit.
fn times(schema: &TableSchema, batch: &RecordBatch, bad: &mut BadRows) -> Result<ScalarBuffer<i64>> {
    let column = batch.column_by_name(TIME_COLUMN).ok_or_else(|| {
        Error::invalid(format_args!("a batch for table {:?} has no column {TIME_COLUMN:?}: every row needs a time", schema.name))
    })?;
    let unit = match column.data_type() {
        DataType::Timestamp(unit, _) => *unit,
        DataType::Int64 => schema.time_unit.arrow(),
        other => return Err(wrong_type(schema, TIME_COLUMN, "a timestamp or int64", other)),
    };
    let as_integers = make_array(column.to_data().into_builder().data_type(DataType::Int64).build()?);
    let given = as_integers.as_primitive::<Int64Type>();
    for row in (0..given.len()).filter(|&row| given.is_null(row)) {
        bad.push(row, TIME_COLUMN, || "has no time".to_owned());
    }
    let accepted = schema.time_unit.accepted();
    let converted = convert_unit(given, unit, schema, bad);
    for (row, &time) in converted.iter().enumerate() {
        if !accepted.contains(time) && given.is_valid(row) {
            bad.push(row, TIME_COLUMN, || format!("{time} is outside the accepted years 1 to 9999 (nanoseconds: 1677 to 2262)"));
        }
    }
    Ok(converted)
}

fn convert_unit(
    given: &PrimitiveArray<Int64Type>,
    unit: ArrowUnit,
    schema: &TableSchema,
    bad: &mut BadRows,
) -> ScalarBuffer<i64> {
    let per_second = match unit {
        ArrowUnit::Second => 1,
        ArrowUnit::Millisecond => 1_000,
        ArrowUnit::Microsecond => 1_000_000,
        ArrowUnit::Nanosecond => 1_000_000_000,
    };
    let ours = schema.time_unit.per_second();
    if per_second == ours {
        let times = given.values();
        // A slice of something much larger would keep all of it in memory.
        let slice = times.inner().capacity() > 2 * size_of_val(&times[..]) + 1_024;
        return if slice { times.to_vec().into() } else { times.clone() };
    }
    let converted = given.values().iter().enumerate().map(|(row, &time)| {
        if ours > per_second {
            return time.saturating_mul(ours / per_second);
        }
        let factor = per_second / ours;
        if time % factor != 0 && given.is_valid(row) {
            bad.push(row, TIME_COLUMN, || format!("{time} is finer than the table's unit of time"));
        }
        time.div_euclid(factor)
    });
    converted.collect()
}

fn tag_column(schema: &TableSchema, batch: &RecordBatch, name: &str, bad: &mut BadRows) -> Result<Option<StringArray>> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    let text = match column.data_type() {
        DataType::Utf8 => column.clone(),
        DataType::LargeUtf8 | DataType::Utf8View => cast(column, &DataType::Utf8)?,
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => cast(column, &DataType::Utf8)?,
        DataType::Null => return Ok(None),
        other => return Err(wrong_type(schema, name, "text", other)),
    };
    let text = text.as_string::<i32>().clone();
    for (row, lengths) in text.value_offsets().windows(2).enumerate() {
        let len = i64::from(lengths[1]) - i64::from(lengths[0]);
        if len.unsigned_abs() > limits::TAG_BYTES {
            bad.push(row, name, || format!("a tag value of {len} bytes, the limit is {}", limits::TAG_BYTES));
        }
    }
    Ok(Some(text))
}

fn field_column(schema: &TableSchema, batch: &RecordBatch, name: &str, kind: FieldType, bad: &mut BadRows) -> Result<Column> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    if column.data_type() == &DataType::Null {
        return Ok(None);
    }
    if column.data_type() != &kind.arrow() {
        return Err(wrong_type(schema, name, &kind.to_string(), column.data_type()));
    }
    if column.null_count() == column.len() {
        return Ok(None);
    }
    if let FieldType::Decimal { .. } = kind {
        check_digits(name, column, bad);
    }
    Ok(Some(owned(column)?))
}

fn check_digits(name: &str, column: &ArrayRef, bad: &mut BadRows) {
    const LIMIT: u64 = 10_u64.pow(FieldType::DECIMAL_PRECISION as u32);
    let values = column.as_primitive::<Decimal64Type>();
    for (row, value) in values.values().iter().enumerate() {
        if value.unsigned_abs() >= LIMIT && values.is_valid(row) {
            bad.push(row, name, || format!("{value} has more than {} digits", FieldType::DECIMAL_PRECISION));
        }
    }
}

/// A slice of something much larger is copied, so that rows in memory weigh what they seem to.
fn owned(column: &ArrayRef) -> Result<ArrayRef> {
    let holds = column.get_buffer_memory_size();
    let needs = column.to_data().get_slice_memory_size()?;
    if holds <= 2 * needs + 1_024 {
        return Ok(column.clone());
    }
    let all = arrow::array::UInt32Array::from_iter_values(0..column.len() as u32);
    Ok(Arc::clone(&arrow::compute::take(column, &all, None)?))
}
