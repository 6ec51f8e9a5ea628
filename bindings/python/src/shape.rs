//! How an answer is shown: which of its columns, and its times in which zone. Nothing is copied for it; of views only the views are made.

use std::sync::Arc;

use alluvium::{Error, words};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use crate::error::Outcome;

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look<'a> {
    /// The zone of its times; UTC without.
    pub(crate) zone: Option<&'a str>,
    /// Texts and bytes as views, for whoever would otherwise make them of what is there, more slowly.
    pub(crate) has_views: bool,
}

/// The columns of an answer as they are shown.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    schema: SchemaRef,
    columns: Vec<usize>,
    zone: Option<Arc<str>>,
}

impl Shape {
    /// Those columns of a schema that are wanted.
    pub(crate) fn new(schema: &Schema, is_wanted: impl Fn(&str) -> bool, look: Look<'_>) -> Outcome<Self> {
        let zone = look.zone.map(zone_name).transpose()?;
        let columns: Vec<_> = (0..schema.fields().len()).filter(|&at| is_wanted(schema.field(at).name())).collect();
        let shown = |&at: &usize| {
            let field = schema.field(at).clone();
            let kind = shown_type(field.data_type(), zone.as_ref(), look.has_views);
            field.with_data_type(kind)
        };
        let fields: Vec<_> = columns.iter().map(shown).collect();
        let schema = Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone()));
        Ok(Shape { schema, columns, zone })
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// A batch so.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let columns = self.columns.iter().zip(self.schema.fields()).map(|(&at, field)| {
            let column = batch.column(at);
            match (field.data_type(), &self.zone) {
                (DataType::Utf8View | DataType::BinaryView, _) => Ok(cast(column, field.data_type())?),
                (_, Some(zone)) => Ok(column_in_zone(column, zone)),
                _ => Ok(column.clone()),
            }
        });
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_, Error>>()?)?)
    }
}

fn shown_type(kind: &DataType, zone: Option<&Arc<str>>, has_views: bool) -> DataType {
    match (kind, zone) {
        (DataType::Timestamp(unit, _), Some(zone)) => DataType::Timestamp(*unit, Some(zone.clone())),
        (DataType::Utf8, _) if has_views => DataType::Utf8View,
        (DataType::Binary, _) if has_views => DataType::BinaryView,
        _ => kind.clone(),
    }
}

fn zone_name(name: &str) -> Outcome<Arc<str>> {
    let zone = words::zone(name)?;
    Ok(Arc::from(zone.iana_name().unwrap_or(name)))
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
