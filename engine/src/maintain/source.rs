//! Columns of several segments, read a page at a time for a merge.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, new_null_array};
use arrow::compute::concat;

use crate::error::Result;
use crate::merge::{ColumnSource, Stretch};
use crate::model::{Column, SeriesId, TableSchema};
use crate::segment::{ColumnRef, PageCache, Segment};
use crate::store::Store;

/// Decoded pages kept while a column is gathered: a few per input.
const PAGES_BYTES: usize = 4 << 20;

/// All times of a segment, to plan a merge by.
#[derive(Debug)]
pub(super) struct SeriesTimes {
    segment: Arc<Segment>,
    pub(super) times: Vec<i64>,
}

impl SeriesTimes {
    pub(super) fn read(segment: &Arc<Segment>) -> Result<Self> {
        let passing = PageCache::new(0);
        let mut times = Vec::with_capacity(segment.index().rows());
        for page in 0..segment.index().pages.len() {
            times.extend_from_slice(&segment.times(page, &passing)?);
        }
        Ok(SeriesTimes { segment: segment.clone(), times })
    }

    pub(super) fn stretch(&self, source: u32, series: SeriesId) -> Option<Stretch<'_>> {
        let slices = self.segment.index().slices.get(self.segment.index().series_slices(series))?;
        let (first, last) = (slices.first()?, slices.last()?);
        let rows = first.first_row as usize..(last.first_row + last.rows) as usize;
        Some(Stretch { source, first_row: first.first_row, times: self.times.get(rows)? })
    }
}

/// The columns of some segments.
#[derive(Debug)]
pub(super) struct SegmentColumns {
    schema: Arc<TableSchema>,
    segments: Vec<Arc<Segment>>,
    pages: PageCache,
    store: Arc<Store>,
}

impl SegmentColumns {
    pub(super) fn new(schema: Arc<TableSchema>, segments: Vec<Arc<Segment>>, store: Arc<Store>) -> Self {
        SegmentColumns { schema, segments, pages: PageCache::new(PAGES_BYTES), store }
    }
}

impl ColumnSource for SegmentColumns {
    fn column(&mut self, source: u32, field: usize, rows: Range<usize>) -> Result<Column> {
        self.store.check_going_on()?;
        let segment = &self.segments[source as usize];
        let pages = &segment.index().pages;
        let first = pages.partition_point(|page| (page.first_row + page.rows) as usize <= rows.start);
        let mut parts = Vec::new();
        for (number, page) in pages.iter().enumerate().skip(first).take_while(|(_, page)| (page.first_row as usize) < rows.end) {
            let start = rows.start.saturating_sub(page.first_row as usize);
            let end = (rows.end - page.first_row as usize).min(page.rows as usize);
            let column = segment.page(ColumnRef::Field(field), number, &self.pages)?;
            parts.push(column.map_or_else(|| Err(end - start), |column| Ok(column.slice(start, end - start))));
        }
        if parts.iter().all(Result::is_err) {
            return Ok(None);
        }
        let kind = self.schema.fields[field].kind.arrow();
        let arrays: Vec<_> = parts.into_iter().map(|part| part.unwrap_or_else(|rows| new_null_array(&kind, rows))).collect();
        match arrays.as_slice() {
            [only] => Ok(Some(only.clone())),
            several => Ok(Some(concat(&several.iter().map(|array| array as &dyn Array).collect::<Vec<_>>())?)),
        }
    }
}
