//! Rows of series become record batches: time, tags, fields.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringBuilder, make_array, new_null_array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat, filter};
use arrow::datatypes::{DataType, SchemaRef};

use super::projection::Projection;
use crate::error::Result;
use crate::model::{Block, SeriesKey, TableSchema};

/// Rows of a batch, about.
pub(super) const BATCH_ROWS: usize = 8_192;

/// Collects blocks of rows, each of one series, and makes batches of them.
#[derive(Debug)]
pub(super) struct Assembler {
    table: Arc<TableSchema>,
    projection: Projection,
    schema: SchemaRef,
    blocks: Vec<(Arc<SeriesKey>, Block)>,
    rows: usize,
}

impl Assembler {
    pub(super) fn new(table: Arc<TableSchema>, projection: Projection) -> Self {
        let schema = projection.row_schema(&table);
        Assembler { table, projection, schema, blocks: Vec::new(), rows: 0 }
    }

    /// Adds rows.
    pub(super) fn push(&mut self, key: &Arc<SeriesKey>, block: Block) {
        if block.rows() > 0 {
            self.rows += block.rows();
            self.blocks.push((key.clone(), block));
        }
    }

    /// Rows collected.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Forgets the rows collected.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.rows = 0;
    }

    /// All rows collected, as one batch.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let blocks = std::mem::take(&mut self.blocks);
        self.rows = 0;
        let mut columns = vec![self.times(&blocks)?];
        columns.extend((0..self.table.tags.len()).map(|tag| tag_column(&blocks, tag)));
        for &field in self.projection.fields() {
            columns.push(field_column(&blocks, field, &self.table.fields[field].kind.arrow())?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn times(&self, blocks: &[(Arc<SeriesKey>, Block)]) -> Result<ArrayRef> {
        let times: ScalarBuffer<i64> = match blocks {
            [(_, only)] => only.times.clone(),
            several => several.iter().flat_map(|(_, block)| block.times.iter().copied()).collect(),
        };
        as_times(times, self.schema.field(0).data_type())
    }
}

/// Rows of series as one batch with all columns of their table.
pub(crate) fn batch_of(table: Arc<TableSchema>, pieces: Vec<(Arc<SeriesKey>, Block)>) -> Result<RecordBatch> {
    let projection = Projection::new(&table, &[])?;
    let mut assembler = Assembler::new(table, projection);
    pieces.into_iter().for_each(|(key, block)| assembler.push(&key, block));
    assembler.take()
}

/// Integers as a column of the table's time type.
pub(super) fn as_times(times: ScalarBuffer<i64>, kind: &DataType) -> Result<ArrayRef> {
    let integers = Int64Array::new(times, None);
    Ok(make_array(integers.into_data().into_builder().data_type(kind.clone()).build()?))
}

fn tag_column(blocks: &[(Arc<SeriesKey>, Block)], tag: usize) -> ArrayRef {
    let rows = blocks.iter().map(|(_, block)| block.rows()).sum();
    let bytes = blocks.iter().map(|(key, block)| key.tag(tag).map_or(0, str::len) * block.rows()).sum();
    let mut column = StringBuilder::with_capacity(rows, bytes);
    for (key, block) in blocks {
        match key.tag(tag) {
            Some(value) => column.append_value_n(value, block.rows()),
            None => column.append_nulls(block.rows()),
        }
    }
    Arc::new(column.finish())
}

fn field_column(blocks: &[(Arc<SeriesKey>, Block)], field: usize, kind: &DataType) -> Result<ArrayRef> {
    let parts: Vec<ArrayRef> = blocks
        .iter()
        .map(|(_, block)| block.column(field).cloned().unwrap_or_else(|| new_null_array(kind, block.rows())))
        .collect();
    match parts.as_slice() {
        [] => Ok(new_null_array(kind, 0)),
        [only] => Ok(only.clone()),
        several => Ok(concat(&several.iter().map(|part| part as &dyn Array).collect::<Vec<_>>())?),
    }
}

/// The rows that a mask lets through.
pub(super) fn filtered(block: Block, mask: Option<BooleanArray>) -> Result<Block> {
    let Some(mask) = mask else { return Ok(block) };
    if mask.true_count() == block.rows() {
        return Ok(block);
    }
    let mut kept = Block {
        times: block.times.iter().zip(mask.values()).filter(|(_, keep)| *keep).map(|(&time, _)| time).collect(),
        ..Block::default()
    };
    for (position, column) in block.columns.iter().enumerate() {
        kept.set_column(position, column.as_ref().map(|column| filter(column, &mask)).transpose()?);
    }
    Ok(kept)
}
