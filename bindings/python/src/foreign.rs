//! Columns and rows that others have as Arrow.

use std::sync::Arc;

use alluvium::{Error, TableSchema, words};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use arrow::ffi_stream::ArrayStreamReader;
use jiff::tz::TimeZone;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::rows::{self, TIME};
use crate::{capsule, time};

/// A column that knows Arrow's interface; none where it does not.
pub(crate) fn column(values: &Bound<'_, PyAny>) -> Outcome<Option<ArrayRef>> {
    if let Some(array) = capsule::take_array(values)? {
        return Ok(Some(array));
    }
    let Some(stream) = capsule::take_stream(values)? else { return Ok(None) };
    let read = || ArrayStreamReader::try_new(stream).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let arrays = values.py().detach(read).map_err(Error::from)?;
    rows::joined(&arrays)
}

/// A batch as the table takes it: with its types where nothing is lost by that, and times without a zone from `zone`.
pub(crate) fn fitted(schema: &TableSchema, batch: RecordBatch, zone: Option<&str>) -> Outcome<RecordBatch> {
    let batch = alluvium_bindings::fitted(schema, batch)?;
    let (Some(zone), Some((at, field))) = (zone, batch.schema_ref().column_with_name(TIME)) else { return Ok(batch) };
    if !matches!(field.data_type(), DataType::Timestamp(_, None)) {
        return Ok(batch);
    }
    let times = in_utc(schema, batch.column(at), &words::zone(zone)?)?;
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields[at] = Arc::new(field.clone().with_data_type(times.data_type().clone()));
    let mut columns = batch.columns().to_vec();
    columns[at] = times;
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(Error::from)?)
}

/// What clocks on the wall showed, as times in UTC.
fn in_utc(schema: &TableSchema, column: &ArrayRef, zone: &TimeZone) -> Outcome<ArrayRef> {
    let DataType::Timestamp(unit, _) = column.data_type() else { return Ok(column.clone()) };
    let scale: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let counts = cast(column, &DataType::Int64).map_err(Error::from)?;
    let moved = counts.as_primitive::<Int64Type>().iter().enumerate().map(|(row, count)| {
        let Some(count) = count else { return Ok(None) };
        let nanos = time::local_nanos(i128::from(count) * scale, zone).map_err(|reason| bad_time(schema, row, reason))?;
        i64::try_from(nanos.div_euclid(scale)).map(Some).map_err(|_| bad_time(schema, row, "is beyond 64 bits".to_owned()))
    });
    let moved = moved.collect::<Outcome<Int64Array>>()?;
    let kind = DataType::Timestamp(*unit, Some("UTC".into()));
    Ok(make_array(moved.into_data().into_builder().data_type(kind).build().map_err(Error::from)?))
}

fn bad_time(schema: &TableSchema, row: usize, reason: String) -> Fault {
    let rows = vec![alluvium::BadRow { row, column: TIME.to_owned(), reason }];
    Error::BadRows { table: schema.name.clone(), rows }.into()
}
