//! Rows by time across series, either way, in bounded memory.
//!
//! Time is cut into spans that hold about a batch's worth of rows. Each is scanned in the order rows are kept and sorted;
//! spans grow where there is little and shrink where there is much.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType};

use super::assemble::{Assembler, filtered};
use super::plan::Plan;
use super::scan::{Part, Verdict};
use crate::error::Result;
use crate::model::{TimeRange, TimeUnit};

/// Rows that a span should hold.
const SPAN_ROWS: u64 = 32_768;
/// A span with more rows than this is cut again.
const SPAN_ROWS_MOST: u64 = 4 * SPAN_ROWS;

/// Streams the rows of a plan by time.
pub(super) struct TimeOrdered {
    plan: Plan,
    assembler: Assembler,
    descending: bool,
    /// What is still to be read.
    rest: TimeRange,
    width: i64,
    left: u64,
}

impl TimeOrdered {
    pub(super) fn new(plan: Plan, descending: bool) -> Self {
        let assembler = Assembler::new(plan.scan.schema.clone(), plan.projection.clone());
        let left = plan.limit.unwrap_or(u64::MAX);
        let (rest, width) = match plan.scan.extent() {
            None => (TimeRange::new(0, 0), 1),
            Some((min, max, rows)) => {
                let rest = plan.scan.range.intersect(TimeRange::new(min, max.saturating_add(1)));
                let span = rest.end.saturating_sub(rest.start).max(1);
                // A limit wants no more than its rows; twice as many, since rows are never spread evenly.
                let wanted = SPAN_ROWS.min(left.saturating_mul(2).max(1));
                (rest, (span as f64 * (wanted as f64 / rows.max(1) as f64).min(1.0)) as i64)
            }
        };
        TimeOrdered { plan, assembler, descending, rest, width: width.max(1), left }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 && !self.rest.is_empty() {
            let span = self.span();
            if !self.collect(span)? {
                self.width = (self.width / 2).max(1);
                continue;
            }
            if self.descending {
                self.rest.end = span.start;
            } else {
                self.rest.start = span.end;
            }
            let rows = self.assembler.rows();
            if (rows as u64) < SPAN_ROWS / 2 {
                self.width = self.width.saturating_mul(2);
            }
            if rows > 0 {
                return self.sorted().map(Some);
            }
        }
        Ok(None)
    }

    fn span(&self) -> TimeRange {
        let TimeRange { start, end } = self.rest;
        if self.descending {
            TimeRange::new(start.max(end.saturating_sub(self.width)), end)
        } else {
            TimeRange::new(start, end.min(start.saturating_add(self.width)))
        }
    }

    /// Reads a span; answers no where it holds too many rows and can be cut again.
    fn collect(&mut self, span: TimeRange) -> Result<bool> {
        let scan = self.plan.scan.within(span);
        let fields = &self.plan.filters.fields;
        for &series in scan.series.iter() {
            let mut rows = scan.rows(series)?;
            if rows.is_done() {
                continue;
            }
            let key = Arc::new(self.plan.table.key(series));
            while let Some(part) =
                rows.next(&scan, &mut |piece| if piece.may_match(fields) { Verdict::Read } else { Verdict::Skip })?
            {
                let Part::Rows(block) = part else { continue };
                let mask = fields.mask(&block)?;
                self.assembler.push(&key, filtered(block, mask)?);
            }
            if self.assembler.rows() as u64 > SPAN_ROWS_MOST && self.width > 1 {
                self.assembler.clear();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn sorted(&mut self) -> Result<RecordBatch> {
        let batch = self.assembler.take()?;
        let times = match self.plan.scan.schema.time_unit {
            TimeUnit::Milli => batch.column(0).as_primitive::<TimestampMillisecondType>().values().clone(),
            TimeUnit::Micro => batch.column(0).as_primitive::<TimestampMicrosecondType>().values().clone(),
            TimeUnit::Nano => batch.column(0).as_primitive::<TimestampNanosecondType>().values().clone(),
        };
        let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
        // Stable, so that equal times stay in tag order whichever way time runs.
        if self.descending {
            order.sort_by_key(|&row| std::cmp::Reverse(times[row as usize]));
        } else {
            order.sort_by_key(|&row| times[row as usize]);
        }
        order.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= order.len() as u64;
        Ok(take_record_batch(&batch, &UInt32Array::from(order))?)
    }
}

impl Iterator for TimeOrdered {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
