//! What a segment is written from.

use std::ops::Range;

use super::layout::{PageSpan, SeriesRun};
use super::values::{ColumnKind, PageValues, Values};
use arrow::array::Array;

use crate::error::Result;
use crate::model::{Column, FieldType, TimeUnit};

/// Rows already sorted by (tags, time) and merged, one per (series, time).
pub(crate) trait RowSource {
    /// How many rows.
    fn rows(&self) -> usize {
        self.times().len()
    }
    /// The series, in order of rows, each once.
    fn runs(&self) -> &[SeriesRun];
    /// The time of each row.
    fn times(&self) -> &[i64];
    /// Rows of the field at `position`, as an array of the field's own type. Called column by column; within one pass over a
    /// column the ranges rise, and there may be several passes.
    fn column(&mut self, position: usize, rows: Range<usize>) -> Result<Column>;
}

/// Arrow memory of one column that is kept between passes; larger columns are asked for again.
const HELD_BYTES: usize = 8 << 20;

/// Serves one column page by page, as often as asked.
pub(super) enum Feed<'a> {
    Time { times: &'a [i64], pages: &'a [PageSpan], unit: TimeUnit },
    Field { source: &'a mut dyn RowSource, position: usize, kind: FieldType, pages: &'a [PageSpan], held: Held },
}

/// The pages of a column seen so far, while they are few enough.
#[derive(Default)]
pub(super) struct Held {
    pages: Vec<Column>,
    bytes: usize,
}

impl<'a> Feed<'a> {
    pub(super) fn field(source: &'a mut dyn RowSource, position: usize, kind: FieldType, pages: &'a [PageSpan]) -> Feed<'a> {
        Feed::Field { source, position, kind, pages, held: Held::default() }
    }

    pub(super) fn kind(&self) -> ColumnKind {
        match self {
            Feed::Time { unit, .. } => ColumnKind::Time(*unit),
            Feed::Field { kind, .. } => ColumnKind::Field(*kind),
        }
    }

    /// The times of all rows.
    pub(super) fn times(&self) -> &[i64] {
        match self {
            Feed::Time { times, .. } => times,
            Feed::Field { source, .. } => source.times(),
        }
    }

    /// The values of one page.
    pub(super) fn page(&mut self, page: usize) -> Result<PageValues> {
        match self {
            Feed::Time { times, pages, .. } => {
                let times = &times[pages[page].range()];
                let words = times.iter().map(|time| time.cast_unsigned()).collect();
                Ok(PageValues { rows: times.len(), nulls: None, values: Values::Words(words) })
            }
            Feed::Field { source, position, kind, pages, held } => {
                let rows = pages[page].range();
                if let Some(column) = held.pages.get(page) {
                    return PageValues::of_field(*kind, column, rows.len());
                }
                let column = source.column(*position, rows.clone())?;
                let values = PageValues::of_field(*kind, &column, rows.len())?;
                let size = column.as_ref().map_or(0, |array| array.to_data().get_slice_memory_size().unwrap_or(HELD_BYTES));
                held.bytes = held.bytes.saturating_add(size);
                if held.bytes > HELD_BYTES {
                    held.pages = Vec::new();
                } else if held.pages.len() == page {
                    held.pages.push(column);
                }
                Ok(values)
            }
        }
    }
}
