//! Aggregates: statistics where they will do, rows where not.

use arrow::array::RecordBatch;

use super::group::{Answer, Groups};
use super::plan::Plan;
use super::scan::{Known, Part, Piece, Verdict};
use crate::error::Result;
use crate::model::FieldStatistics;

/// Streams the groups of an aggregating query.
pub(super) struct Totals {
    plan: Plan,
    groups: Option<Groups>,
    next: usize,
    answer: Option<Answer>,
    left: u64,
}

impl Totals {
    pub(super) fn new(plan: Plan, groups: Groups) -> Self {
        let left = plan.limit.unwrap_or(u64::MAX);
        Totals { plan, groups: Some(groups), next: 0, answer: None, left }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(groups) = &mut self.groups {
            if let Some(batch) = groups.next_ready() {
                return Ok(Some(batch));
            }
            match self.plan.scan.series.get(self.next) {
                Some(&series) => {
                    self.next += 1;
                    let key = self.plan.table.key(series);
                    feed(&self.plan, groups, series, &key)?;
                }
                None => self.answer = self.groups.take().map(Groups::finish),
            }
        }
        self.answer.as_mut().and_then(Iterator::next).transpose()
    }
}

fn feed(plan: &Plan, groups: &mut Groups, series: crate::model::SeriesId, key: &crate::model::SeriesKey) -> Result<()> {
    let mut rows = plan.scan.rows(series)?;
    while let Some(part) = rows.next(&plan.scan, &mut |piece| judge(plan, groups, piece))? {
        match part {
            Part::Rows(block) => {
                let mask = plan.filters.fields.mask(&block)?;
                groups.feed(key, &block, mask.as_ref())?;
            }
            Part::Known(piece) => {
                let fields: Vec<(usize, Option<FieldStatistics>)> =
                    groups.reads().map(|(field, _)| (field, statistics(&piece, field))).collect();
                let of = |field| fields.iter().find(|(other, _)| *other == field).and_then(|(_, known)| known.as_ref());
                groups.feed_statistics(key, piece.times, of)?;
            }
        }
    }
    Ok(())
}

fn statistics(piece: &Piece, field: usize) -> Option<FieldStatistics> {
    match piece.known(field) {
        Known::Values(statistics) => Some(statistics),
        Known::NoValues | Known::Nothing => None,
    }
}

/// Whether a stretch of rows has to be read.
fn judge(plan: &Plan, groups: &mut Groups, piece: &Piece) -> Verdict {
    let filter = &plan.filters.fields;
    if !piece.may_match(filter) {
        return Verdict::Skip;
    }
    let whole = groups.takes_statistics()
        && piece.must_match(filter)
        && groups.in_one_bucket(piece.times.0, piece.times.1)
        && groups.reads().all(|(field, _)| piece.known(field) != Known::Nothing);
    if whole { Verdict::Known } else { Verdict::Read }
}

impl Iterator for Totals {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let batch = self.next_batch().transpose()?;
        Some(batch.map(|batch| {
            let kept = (batch.num_rows() as u64).min(self.left);
            self.left -= kept;
            batch.slice(0, kept as usize)
        }))
    }
}
