//! Newest-wins rows of one table, series by series, from a snapshot of its sources.

mod pieces;
mod series;

use std::sync::Arc;

use crate::error::Result;
use crate::model::{SeriesId, TableSchema, TimeRange};
use crate::query::cancel::Cancel;
use crate::store::Store;
use crate::table::TableState;

pub(super) use pieces::Piece;
pub(super) use series::{Part, SeriesRows, Verdict};

pub(super) use crate::segment::Known;

/// A snapshot to read from. Untouched by writes, seals and compactions that come after.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) schema: Arc<TableSchema>,
    pub(super) state: Arc<TableState>,
    pub(super) store: Arc<Store>,
    /// The series to read, in tag order.
    pub(super) series: Arc<[SeriesId]>,
    pub(super) range: TimeRange,
    /// Positions of the fields to read.
    pub(super) fields: Arc<[usize]>,
    /// Whether times are read too. Without them blocks carry zeroes.
    pub(super) times: bool,
    /// Whether somebody still wants to know.
    pub(super) cancel: Cancel,
}

impl Scan {
    /// The same snapshot over another span of time.
    pub(super) fn within(&self, range: TimeRange) -> Scan {
        Scan { range: self.range.intersect(range), ..self.clone() }
    }

    /// The rows of one series, rising by time.
    pub(super) fn rows(&self, series: SeriesId) -> Result<SeriesRows> {
        Ok(SeriesRows::new(series, self.pieces(series)?))
    }

    /// The rows of some pieces of one series, rising by time.
    pub(super) fn rows_of(&self, series: SeriesId, pieces: Vec<Piece>) -> SeriesRows {
        SeriesRows::new(series, pieces)
    }

    /// The earliest and latest time there may be, and about how many rows.
    pub(super) fn extent(&self) -> Option<(i64, i64, u64)> {
        let segments = self.state.segments.iter().map(|entry| (entry.times, entry.rows));
        let runs = self.state.runs().map(|run| (run.times, run.block.rows() as u64));
        let touching = segments.chain(runs).filter(|((min, max), _)| self.range.touches(*min, *max));
        touching.fold(None, |extent, ((min, max), rows)| match extent {
            None => Some((min, max, rows)),
            Some((earliest, latest, total)) => Some((min.min(earliest), max.max(latest), total + rows)),
        })
    }
}
