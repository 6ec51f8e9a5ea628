//! A table as a writer stream describes it, and the batches of its rows.

use std::sync::Arc;

use alluvium::{FieldType, TableSpec, TimeUnit};
use alluvium_protocol::code::Code;
use alluvium_protocol::frame::Frame;
use alluvium_protocol::message::{DescribeTable, Failed};
use alluvium_protocol::rows::{ARROW_BATCH, FieldKind, Layout, Reader, Row, split};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::columns::Columns;
use crate::serve::{failed, ipc};

/// What a batch of rows begins with.
const TIME: &str = "time";

/// A described table.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) table: Arc<str>,
    layout: Layout,
    tags: usize,
    /// The columns of its batches: time, tags, fields.
    schema: SchemaRef,
}

impl Slot {
    /// Of a description, if it can be one of a table.
    pub(super) fn new(described: &DescribeTable) -> Result<Slot, Failed> {
        let layout = Layout::of(described).ok_or_else(|| invalid("a field is of no type that is known"))?;
        let spec = spec(described)?;
        let time = DataType::Timestamp(spec.time_unit.arrow(), Some("UTC".into()));
        let mut columns = vec![Field::new(TIME, time, false)];
        columns.extend(spec.tags.iter().map(|tag| Field::new(tag, DataType::Utf8, true)));
        columns.extend(spec.fields.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true)));
        let tags = spec.tags.len();
        Ok(Slot { table: described.table.as_str().into(), layout, tags, schema: Arc::new(Schema::new(columns)) })
    }

    /// The rows of a batch. They are looked at closer by the engine.
    pub(super) fn decode(&self, frame: &Frame) -> Result<RecordBatch, Failed> {
        if frame.kind == ARROW_BATCH { self.decode_arrow(frame) } else { self.decode_rows(frame) }
    }

    fn decode_rows(&self, frame: &Frame) -> Result<RecordBatch, Failed> {
        self.decode_together(&[frame])
    }

    /// The rows of batches of rows, one after the other.
    pub(super) fn decode_together(&self, frames: &[&Frame]) -> Result<RecordBatch, Failed> {
        let read = |malformed| failed::malformed(&malformed);
        let bytes = frames.iter().map(|frame| frame.payload.len()).sum();
        let mut columns = Columns::new(&self.schema, self.tags, bytes);
        for frame in frames {
            let mut rows = Reader::new(&self.layout, frame.kind, &frame.payload).map_err(read)?;
            let mut row = Row::default();
            while rows.read(&mut row).map_err(read)? {
                columns.push(&row);
            }
        }
        columns.finish(&self.schema).map_err(|error| invalid(error.to_string()))
    }

    fn decode_arrow(&self, frame: &Frame) -> Result<RecordBatch, Failed> {
        let (head, bytes) = split(frame.kind, &frame.payload).map_err(|malformed| failed::malformed(&malformed))?;
        let batch = ipc::decode(bytes, &self.schema)
            .map_err(|why| Failed::new(Code::Protocol, format!("batch {} is no Arrow stream: {why}", head.number)))?;
        if batch.num_rows() == head.rows as usize {
            return Ok(batch);
        }
        let said = format!("batch {} announces {} rows and has {}", head.number, head.rows, batch.num_rows());
        Err(Failed::new(Code::Protocol, said))
    }

    /// The names of its tags.
    pub(super) fn tags(&self) -> Vec<&str> {
        self.schema.fields().iter().skip(1).take(self.tags).map(|field| field.name().as_str()).collect()
    }
}

/// The table that a description makes, if it is to.
pub(super) fn spec(described: &DescribeTable) -> Result<TableSpec, Failed> {
    let unit = match described.time_unit {
        0 => TimeUnit::Micro,
        1 => TimeUnit::Milli,
        2 => TimeUnit::Nano,
        unit => return Err(invalid(format!("{unit} is no unit of time"))),
    };
    let mut spec = TableSpec::new(&described.table).time_unit(unit);
    for tag in &described.tags {
        spec = spec.tag(tag);
    }
    for field in &described.fields {
        let kind = FieldKind::from_number(field.kind).ok_or_else(|| invalid("a field is of no type that is known"))?;
        spec = spec.field(&field.name, field_type(kind, field.scale)?);
    }
    let mut names: Vec<&str> = described.tags.iter().map(String::as_str).chain([TIME]).collect();
    names.extend(described.fields.iter().map(|field| field.name.as_str()));
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(invalid(format!("table {:?} is described with two columns {:?}", described.table, pair[0]))),
        None => Ok(spec),
    }
}

fn field_type(kind: FieldKind, scale: u8) -> Result<FieldType, Failed> {
    Ok(match kind {
        FieldKind::Float64 => FieldType::Float64,
        FieldKind::Float32 => FieldType::Float32,
        FieldKind::Int64 => FieldType::Int64,
        FieldKind::Uint64 => FieldType::UInt64,
        FieldKind::Bool => FieldType::Bool,
        FieldKind::Utf8 => FieldType::Utf8,
        FieldKind::Binary => FieldType::Binary,
        FieldKind::Decimal if scale <= FieldType::DECIMAL_PRECISION => FieldType::Decimal { scale },
        FieldKind::Decimal => return Err(invalid(format!("a decimal of {scale} digits behind the point"))),
    })
}

fn invalid(why: impl Into<String>) -> Failed {
    Failed::new(Code::Invalid, why)
}
