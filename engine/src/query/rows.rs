//! Rows in the order they are kept: by tags, then time.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::assemble::{Assembler, BATCH_ROWS, filtered};
use super::plan::Plan;
use super::scan::{Part, SeriesRows, Verdict};
use crate::error::{Error, Result};
use crate::model::SeriesKey;

/// Streams the rows of a plan, series by series.
pub(super) struct RowStream {
    plan: Plan,
    assembler: Assembler,
    /// Position of the next series.
    next: usize,
    current: Option<(Arc<SeriesKey>, SeriesRows)>,
    /// Rows still allowed.
    left: u64,
}

impl RowStream {
    pub(super) fn new(plan: Plan) -> Self {
        let assembler = Assembler::new(plan.scan.schema.clone(), plan.projection.clone());
        let left = plan.limit.unwrap_or(u64::MAX);
        RowStream { plan, assembler, next: 0, current: None, left }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.assembler.rows() < BATCH_ROWS && (self.assembler.rows() as u64) < self.left {
            if !self.step()? {
                break;
            }
        }
        let rows = self.assembler.rows();
        if rows == 0 {
            return Ok(None);
        }
        let batch = self.assembler.take()?;
        let kept = (rows as u64).min(self.left);
        self.left -= kept;
        Ok(Some(batch.slice(0, kept as usize)))
    }

    /// Adds the next part of the current series, or goes on to the next one. Answers whether there was anything left.
    fn step(&mut self) -> Result<bool> {
        let scan = &self.plan.scan;
        let Some((key, rows)) = &mut self.current else {
            let Some(&series) = scan.series.get(self.next) else { return Ok(false) };
            self.next += 1;
            self.current = Some((Arc::new(self.plan.table.key(series)), scan.rows(series)?));
            return Ok(true);
        };
        let fields = &self.plan.filters.fields;
        match rows.next(scan, &mut |piece| if piece.may_match(fields) { Verdict::Read } else { Verdict::Skip })? {
            None => self.current = None,
            Some(Part::Rows(block)) => {
                let mask = fields.mask(&block)?;
                self.assembler.push(key, filtered(block, mask)?);
            }
            Some(Part::Known(_)) => return Err(Error::Internal("statistics in the place of rows".to_owned())),
        }
        Ok(true)
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
