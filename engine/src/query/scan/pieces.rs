//! Where the rows of a series lie: a few sorted stretches in runs and segment pages.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::ScalarBuffer;

use super::Scan;
use crate::error::Result;
use crate::memtable::Run;
use crate::model::{Block, Sequence, SeriesId, TimeRange, Value};
use crate::query::filter::FieldFilter;
use crate::segment::{ColumnRef, Known, Segment, Slice};

/// A sorted stretch of one series in one source.
#[derive(Debug, Clone)]
pub(in crate::query) struct Piece {
    /// Age of the source: of two rows with the same time, that of the higher rank is the newer.
    pub(super) rank: u32,
    /// Deletions up to this record are carried out in the source; later ones mask its rows.
    pub(super) masked_after: Sequence,
    /// Times of its first and last row, which may lie outside the range asked for.
    pub(in crate::query) times: (i64, i64),
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Run { run: Arc<Run>, rows: Range<usize> },
    Slice { segment: Arc<Segment>, slice: Slice, position: usize },
}

impl Scan {
    /// All pieces of a series that touch the range, in no particular order.
    pub(in crate::query) fn pieces(&self, series: SeriesId) -> Result<Vec<Piece>> {
        self.cancel.check()?;
        let mut pieces = Vec::new();
        for (rank, entry) in self.state.segments.iter().enumerate() {
            if !self.range.touches(entry.times.0, entry.times.1) {
                continue;
            }
            let segment = self.store.open(entry)?;
            for position in segment.index().series_slices(series) {
                let slice = segment.index().slices[position];
                if self.range.touches(slice.min_time, slice.max_time) {
                    pieces.push(Piece {
                        rank: rank as u32,
                        masked_after: entry.deletions_through,
                        times: (slice.min_time, slice.max_time),
                        place: Place::Slice { segment: segment.clone(), slice, position },
                    });
                }
            }
        }
        let older = self.state.segments.len() as u32;
        for (rank, run) in (older..).zip(self.state.runs()) {
            pieces.extend(self.run_piece(series, rank, run));
        }
        Ok(pieces)
    }

    /// Whether no row of a piece was deleted later.
    pub(super) fn is_unmasked(&self, series: SeriesId, piece: &Piece) -> bool {
        let (first, last) = piece.times;
        !self.state.masks(series, piece.masked_after).iter().any(|mask| mask.touches(first, last))
    }

    /// Whether what is known of a piece that nothing overlaps is all there is to know of it.
    pub(in crate::query) fn is_whole(&self, series: SeriesId, piece: &Piece) -> bool {
        self.range.covers(piece.times.0, piece.times.1) && self.is_unmasked(series, piece)
    }

    fn run_piece(&self, series: SeriesId, rank: u32, run: &Arc<Run>) -> Option<Piece> {
        if !self.range.touches(run.times.0, run.times.1) {
            return None;
        }
        let rows = within(&run.block.times, run.rows_of(series), self.range);
        let (first, last) = (*run.block.times.get(rows.start)?, *run.block.times.get(rows.end.checked_sub(1)?)?);
        (!rows.is_empty()).then(|| Piece {
            rank,
            masked_after: run.sequences.1,
            times: (first, last),
            place: Place::Run { run: run.clone(), rows },
        })
    }
}

/// The part of sorted `rows` whose times lie in the range.
fn within(times: &[i64], rows: Range<usize>, range: TimeRange) -> Range<usize> {
    let stretch = &times[rows.clone()];
    if let (Some(&first), Some(&last)) = (stretch.first(), stretch.last())
        && range.covers(first, last)
    {
        return rows;
    }
    let start = stretch.partition_point(|&time| time < range.start);
    let end = stretch.partition_point(|&time| time < range.end);
    rows.start + start..rows.start + end.max(start)
}

impl Piece {
    /// What is known of a field without reading it.
    pub(in crate::query) fn known(&self, field: usize) -> Known {
        match &self.place {
            Place::Run { .. } => Known::Nothing,
            Place::Slice { segment, position, .. } => segment.index().statistics(*position, field),
        }
    }

    /// The last value of a field, which may be none; `None` where its rows must be read.
    #[expect(clippy::option_option, reason = "no value is not the same as not known")]
    pub(in crate::query) fn last_value(&self, field: usize) -> Option<Option<Value>> {
        match &self.place {
            Place::Run { .. } => None,
            Place::Slice { segment, position, .. } => segment.index().last_value(*position, field),
        }
    }

    /// Whether rows may pass the filter. Only of a piece that nothing overlaps: a merge may change values.
    pub(in crate::query) fn may_match(&self, filter: &FieldFilter) -> bool {
        filter.fields().into_iter().all(|field| match self.known(field) {
            Known::Nothing => true,
            Known::NoValues => false,
            Known::Values(statistics) => filter.may_match(field, &statistics),
        })
    }

    /// Whether all rows surely pass the filter.
    pub(in crate::query) fn must_match(&self, filter: &FieldFilter) -> bool {
        filter.fields().into_iter().all(|field| match self.known(field) {
            Known::Nothing | Known::NoValues => false,
            Known::Values(statistics) => filter.must_match(field, &statistics, self.rows() as u64),
        })
    }

    fn rows(&self) -> usize {
        match &self.place {
            Place::Run { rows, .. } => rows.len(),
            Place::Slice { slice, .. } => slice.rows as usize,
        }
    }

    /// Reads the rows that lie in the range. Without `times` they may come as zeroes.
    pub(in crate::query) fn load(&self, scan: &Scan, times: bool) -> Result<Block> {
        match &self.place {
            Place::Run { run, rows } => Ok(load_run(scan, run, rows)),
            Place::Slice { segment, slice, .. } => load_slice(scan, segment, slice, times),
        }
    }
}

fn load_run(scan: &Scan, run: &Run, rows: &Range<usize>) -> Block {
    let mut block = Block { times: run.block.times.slice(rows.start, rows.len()), ..Block::default() };
    for &field in scan.fields.iter() {
        block.set_column(field, run.block.column(field).map(|column| column.slice(rows.start, rows.len())));
    }
    block
}

fn load_slice(scan: &Scan, segment: &Segment, slice: &Slice, times: bool) -> Result<Block> {
    let page = slice.page as usize;
    let first = slice.first_row as usize - segment.index().pages[page].first_row as usize;
    let whole = first..first + slice.rows as usize;
    let (rows, times) = if !times && scan.range.covers(slice.min_time, slice.max_time) {
        (whole.clone(), ScalarBuffer::from(vec![0; whole.len()]))
    } else {
        let times = segment.times(page, &scan.store.pages)?;
        let rows = within(&times, whole, scan.range);
        (rows.clone(), times.slice(rows.start, rows.len()))
    };
    let mut block = Block { times, ..Block::default() };
    for &field in scan.fields.iter() {
        let column = segment.page(ColumnRef::Field(field), page, &scan.store.pages)?;
        block.set_column(field, column.map(|column| column.slice(rows.start, rows.len())));
    }
    Ok(block)
}
