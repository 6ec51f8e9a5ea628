//! Alluvium, at its default settings but for what [`StoreKind`] names.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Aggregate, Comparison, Database, FieldType, Filter, Profile, Query, Settings, TableSpec, TimeRange, Window};
use anyhow::{Context, Result, bail};
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal64Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};

use super::{Footprint, Store, StoreKind};
use crate::fleet::{FIELDS, Question, QuestionKind, Rows, decimals, device_name, field_name};

/// The table of the fleet.
pub(crate) const TABLE: &str = "fleet";
const TAG: &str = "device";

/// A database with the table of the fleet.
pub(crate) struct Alluvium {
    database: Database,
    schema: SchemaRef,
}

impl Store for Alluvium {
    type Batch = RecordBatch;
    type Answer = Vec<RecordBatch>;

    fn open(kind: StoreKind, directory: &Path) -> Result<Self> {
        let profile = if kind == StoreKind::AlluviumCompact { Profile::Compact } else { Profile::Open };
        let database = Database::builder().settings(Settings { profile, ..Settings::default() }).open(directory)?;
        let table = match database.table(TABLE) {
            Ok(table) => table,
            Err(_) => database.create_table(table_of(kind == StoreKind::AlluviumDecimal))?,
        };
        Ok(Alluvium { database, schema: table.arrow() })
    }

    fn batch(&self, rows: &Rows) -> Result<RecordBatch> {
        batch_of(&self.schema, rows)
    }

    fn append(&self, batch: &RecordBatch) -> Result<()> {
        self.database.append(TABLE, batch)?;
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.database.seal()?;
        self.database.compact()?;
        Ok(())
    }

    fn rows(&self) -> Result<u64> {
        let query = Query::table(TABLE).field(field_name(0)).aggregate([Aggregate::Count]);
        let mut rows = 0;
        for batch in self.database.query(&query)? {
            rows += numbers_of(&[batch?])?.iter().sum::<f64>() as u64;
        }
        Ok(rows)
    }

    fn footprint(&self) -> Result<Footprint> {
        let inspection = self.database.inspect()?;
        let data = inspection.tables.iter().map(|table| table.bytes_on_disk).sum();
        Ok(Footprint { data, log: inspection.log_bytes, catalog: inspection.catalog_bytes })
    }

    fn close(self) -> Result<()> {
        Ok(self.database.close()?)
    }

    fn empty_cache(&self) -> Result<()> {
        self.database.clear_page_cache();
        Ok(())
    }

    fn answer(&self, question: &Question) -> Result<Vec<RecordBatch>> {
        let batches = self.database.query(&query_of(question))?;
        Ok(batches.collect::<Result<_, _>>()?)
    }

    fn numbers(answer: Vec<RecordBatch>) -> Result<Vec<f64>> {
        numbers_of(&answer)
    }
}

/// That table: with declared types, or doubles throughout.
pub(crate) fn table_of(declared: bool) -> TableSpec {
    (0..FIELDS).fold(TableSpec::new(TABLE).tag(TAG), |table, field| {
        let kind = match decimals(field) {
            Some(0) if declared => FieldType::Int64,
            Some(scale) if declared => FieldType::Decimal { scale },
            _ => FieldType::Float64,
        };
        table.field(field_name(field), kind)
    })
}

fn column(rows: &Rows, field: usize, kind: &DataType) -> Result<ArrayRef> {
    let exact = rows.exact.get(field).cloned();
    Ok(match (kind, exact) {
        (DataType::Float64, _) => Arc::new(Float64Array::from(rows.values(field))),
        (DataType::Int64, Some(values)) => Arc::new(Int64Array::from(values)),
        (DataType::Decimal64(..), Some(values)) => Arc::new(Decimal64Array::from(values).with_data_type(kind.clone())),
        (other, _) => bail!("field {field} cannot be written as {other}"),
    })
}

fn query_of(question: &Question) -> Query {
    let query = Query::table(TABLE);
    let of_device = || Filter::equal(TAG, device_name(question.device).as_str());
    let field = field_name(question.field);
    let range = TimeRange::new(question.start, question.end);
    match question.kind {
        QuestionKind::Q1 => query.filter(of_device()).field(field).range(range),
        QuestionKind::Q2 => query.filter(of_device()).range(range),
        QuestionKind::Q3 => query
            .filter(of_device())
            .field(field)
            .aggregate([Aggregate::Mean, Aggregate::Min, Aggregate::Max])
            .every(Window::Fixed { micros: QuestionKind::MINUTE }),
        QuestionKind::Q4 => {
            query.field(field).aggregate([Aggregate::Mean]).every(Window::Fixed { micros: QuestionKind::FIVE_MINUTES })
        }
        QuestionKind::Q5 => query.last(),
        QuestionKind::Q6 => query.field(field).aggregate([Aggregate::Count, Aggregate::Sum]),
        QuestionKind::Q6Filtered => query
            .filter(Filter::new(field.as_str(), Comparison::GreaterOrEqual, question.threshold))
            .field(field)
            .aggregate([Aggregate::Count, Aggregate::Sum]),
    }
}

/// Every column as float64 (times as microseconds, devices as their number), row by row.
/// Rows as a batch of the table.
pub(crate) fn batch_of(schema: &SchemaRef, rows: &Rows) -> Result<RecordBatch> {
    let devices: StringArray = rows.devices.iter().map(|&device| Some(device_name(device))).collect();
    let times = TimestampMicrosecondArray::from(rows.times.clone()).with_timezone("UTC");
    let mut columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(devices)];
    let types = schema.fields().iter().skip(columns.len()).map(|field| field.data_type());
    for (field, kind) in types.enumerate() {
        columns.push(column(rows, field, kind)?);
    }
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn numbers_of(batches: &[RecordBatch]) -> Result<Vec<f64>> {
    let mut numbers = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(numbers_of_column).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            numbers.extend(columns.iter().map(|column| column.value(row)));
        }
    }
    Ok(numbers)
}

fn numbers_of_column(column: &ArrayRef) -> Result<Float64Array> {
    if column.null_count() > 0 {
        bail!("a missing value in an answer where every value is present");
    }
    match column.data_type() {
        DataType::Timestamp(..) => {
            let micros = cast(column, &DataType::Int64)?;
            Ok(micros.as_primitive::<Int64Type>().unary(|time| time as f64))
        }
        DataType::Utf8 | DataType::Dictionary(..) => {
            let names = cast(column, &DataType::Utf8)?;
            let numbers = names.as_string::<i32>().iter().map(|name| number_of_device(name.unwrap_or_default()));
            Ok(Float64Array::from(numbers.collect::<Result<Vec<_>>>()?))
        }
        _ => Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone()),
    }
}

fn number_of_device(name: &str) -> Result<f64> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().with_context(|| format!("{name:?} is not the name of a device"))
}
