//! How an answer is shown: which of its columns, and its times in which zone. Nothing is copied for it.

use std::sync::Arc;

use alluvium::{Error, words};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use crate::error::Outcome;

/// The columns of an answer as they are shown.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    schema: SchemaRef,
    columns: Vec<usize>,
    zone: Option<Arc<str>>,
}

impl Shape {
    /// Those columns of a schema that are wanted, in a time zone if one is said.
    pub(crate) fn new(schema: &Schema, is_wanted: impl Fn(&str) -> bool, zone: Option<&str>) -> Outcome<Self> {
        let zone = zone.map(zone_name).transpose()?;
        let columns: Vec<_> = (0..schema.fields().len()).filter(|&at| is_wanted(schema.field(at).name())).collect();
        let fields: Vec<_> = columns.iter().map(|&at| in_zone(schema.field(at), zone.as_ref())).collect();
        let schema = Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone()));
        Ok(Shape { schema, columns, zone })
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// A batch so.
    pub(crate) fn of(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let columns = self.columns.iter().map(|&at| match &self.zone {
            Some(zone) => column_in_zone(batch.column(at), zone),
            None => batch.column(at).clone(),
        });
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect())?)
    }
}

fn zone_name(name: &str) -> Outcome<Arc<str>> {
    let zone = words::zone(name)?;
    Ok(Arc::from(zone.iana_name().unwrap_or(name)))
}

fn in_zone(field: &Field, zone: Option<&Arc<str>>) -> Field {
    match (field.data_type(), zone) {
        (DataType::Timestamp(unit, _), Some(zone)) => {
            field.clone().with_data_type(DataType::Timestamp(*unit, Some(zone.clone())))
        }
        _ => field.clone(),
    }
}

fn column_in_zone(column: &ArrayRef, zone: &Arc<str>) -> ArrayRef {
    let zone = zone.clone();
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Arc::new(column.as_primitive::<TimestampMillisecondType>().clone().with_timezone(zone))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Arc::new(column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(zone))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Arc::new(column.as_primitive::<TimestampNanosecondType>().clone().with_timezone(zone))
        }
        _ => column.clone(),
    }
}
