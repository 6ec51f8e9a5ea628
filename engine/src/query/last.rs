//! The last value of every series, from the newest piece back, and from statistics where they tell it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};

use super::assemble::{Assembler, BATCH_ROWS, filtered};
use super::plan::Plan;
use super::scan::{Known, Part, Piece, Verdict};
use crate::error::Result;
use crate::model::{Block, SeriesId, SeriesKey};

/// Streams one row per series: the latest present value of each field, at the time of the latest row.
pub(super) struct LastValues {
    plan: Plan,
    assembler: Assembler,
    next: usize,
    left: u64,
}

/// What is known of a series while its pieces are looked at, newest first.
struct Latest {
    time: Option<i64>,
    /// By projected field: the value as an array of one row.
    values: Vec<Option<ArrayRef>>,
}

impl LastValues {
    pub(super) fn new(plan: Plan) -> Self {
        let assembler = Assembler::new(plan.scan.schema.clone(), plan.projection.clone());
        let left = plan.limit.unwrap_or(u64::MAX);
        LastValues { plan, assembler, next: 0, left }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.assembler.rows() < BATCH_ROWS && (self.assembler.rows() as u64) < self.left {
            let Some(&series) = self.plan.scan.series.get(self.next) else { break };
            self.next += 1;
            if let Some(block) = self.latest(series)? {
                let key: SeriesKey = self.plan.table.key(series);
                self.assembler.push(&Arc::new(key), block);
            }
        }
        self.left -= self.assembler.rows() as u64;
        if self.assembler.rows() == 0 { Ok(None) } else { self.assembler.take().map(Some) }
    }

    fn latest(&self, series: SeriesId) -> Result<Option<Block>> {
        let mut pieces = self.plan.scan.pieces(series)?;
        // The newest last, so that they are taken from the end.
        pieces.sort_by_key(|piece| piece.times.1);
        let mut latest = Latest { time: None, values: vec![None; self.plan.projection.fields().len()] };
        while !latest.is_complete()
            && let Some(cluster) = newest_cluster(&mut pieces)
        {
            self.look_at(series, cluster, &mut latest)?;
        }
        let Some(time) = latest.time else { return Ok(None) };
        let mut block = Block { times: vec![time].into(), ..Block::default() };
        for (&field, value) in self.plan.projection.fields().iter().zip(latest.values) {
            block.set_column(field, value);
        }
        Ok(Some(block))
    }

    fn look_at(&self, series: SeriesId, cluster: Vec<Piece>, latest: &mut Latest) -> Result<()> {
        let (plan, fields) = (&self.plan, self.plan.projection.fields());
        let mut rows = plan.scan.rows_of(series, cluster);
        let unfiltered = plan.filters.fields.is_empty();
        let missing = fields.iter().zip(&latest.values).filter(|(_, value)| value.is_none());
        let wanted: Vec<usize> = missing.map(|(&field, _)| field).collect();
        let mut known = Vec::new();
        // Within a cluster rows come oldest first, so later ones take the place of earlier ones.
        let mut within = Latest { time: None, values: vec![None; fields.len()] };
        while let Some(part) = rows.next(&plan.scan, &mut |piece| {
            known = if unfiltered { piece.known_fields().unwrap_or_default() } else { Vec::new() };
            let told = !known.is_empty() && wanted.iter().all(|&field| known.get(field) != Some(&Known::Nothing));
            if told { Verdict::Known } else { Verdict::Read }
        })? {
            match part {
                Part::Known(piece) => within.know(piece.times.1, &known, plan),
                Part::Rows(block) => {
                    let mask = plan.filters.fields.mask(&block)?;
                    within.see(&filtered(block, mask)?, fields);
                }
            }
        }
        latest.fill(within);
        Ok(())
    }
}

/// The piece that reaches furthest, with all that overlap it.
fn newest_cluster(pieces: &mut Vec<Piece>) -> Option<Vec<Piece>> {
    let mut cluster = vec![pieces.pop()?];
    let mut since = cluster[0].times.0;
    while let Some(piece) = pieces.pop_if(|piece| piece.times.1 >= since) {
        since = since.min(piece.times.0);
        cluster.push(piece);
    }
    Some(cluster)
}

impl Latest {
    fn is_complete(&self) -> bool {
        self.time.is_some() && self.values.iter().all(Option::is_some)
    }

    /// Takes what is still missing from an older stretch.
    fn fill(&mut self, older: Latest) {
        self.time = self.time.or(older.time);
        for (value, older) in self.values.iter_mut().zip(older.values) {
            *value = value.take().or(older);
        }
    }

    /// Takes in rows that are newer than what was seen.
    fn see(&mut self, block: &Block, fields: &[usize]) {
        self.time = block.times.last().copied().or(self.time);
        for (&field, value) in fields.iter().zip(&mut self.values) {
            let Some(column) = block.column(field) else { continue };
            if let Some(row) = (0..column.len()).rev().find(|&row| column.is_valid(row)) {
                *value = Some(column.slice(row, 1));
            }
        }
    }

    /// Takes in rows, up to `time`, of which these statistics are known.
    fn know(&mut self, time: i64, known: &[Known], plan: &Plan) {
        self.time = Some(time);
        for (&field, value) in plan.projection.fields().iter().zip(&mut self.values) {
            if let Some(Known::Values(statistics)) = known.get(field) {
                *value = statistics.last.1.to_array(plan.scan.schema.fields[field].kind).or(value.take());
            }
        }
    }
}

impl Iterator for LastValues {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
