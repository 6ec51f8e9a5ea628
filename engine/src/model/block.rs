//! Rows as columns: the form in which rows move between log, memtable, segments and queries.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::ScalarBuffer;

use super::SeriesId;

/// The values of one field; `None` where every row lacks it.
pub type Column = Option<ArrayRef>;

/// Rows of one table as columns of equal length. Field columns stand at the positions of the table's fields; fields added
/// to the table later may be absent at the end.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// The series of each row; empty where all rows belong to one series that the context names.
    pub series: ScalarBuffer<u32>,
    /// The time of each row, in the table's unit.
    pub times: ScalarBuffer<i64>,
    /// The fields.
    pub columns: Vec<Column>,
}

impl Block {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The series of a row.
    pub fn series_at(&self, row: usize) -> SeriesId {
        SeriesId(self.series[row])
    }

    /// The column of the field at `position`.
    pub fn column(&self, position: usize) -> Option<&ArrayRef> {
        self.columns.get(position).and_then(Option::as_ref)
    }

    /// Puts a column at the field's position.
    pub fn set_column(&mut self, position: usize, column: Column) {
        if self.columns.len() <= position {
            self.columns.resize(position + 1, None);
        }
        self.columns[position] = column;
    }

    /// How many values are present, all fields together.
    pub fn points(&self) -> u64 {
        self.columns.iter().flatten().map(|column| (column.len() - column.null_count()) as u64).sum()
    }

    /// Bytes of memory that the columns hold on to.
    pub fn memory(&self) -> usize {
        let columns: usize = self.columns.iter().flatten().map(|column| column.get_buffer_memory_size()).sum();
        self.series.inner().capacity() + self.times.inner().capacity() + columns
    }

    /// Rows `[start, start + len)`, sharing memory.
    pub fn slice(&self, start: usize, len: usize) -> Block {
        Block {
            series: if self.series.is_empty() { self.series.clone() } else { self.series.slice(start, len) },
            times: self.times.slice(start, len),
            columns: self.columns.iter().map(|column| column.as_ref().map(|array| array.slice(start, len))).collect(),
        }
    }
}
