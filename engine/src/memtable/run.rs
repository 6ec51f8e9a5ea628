//! A run: rows that arrived together, sorted by series and time, each (series, time) once.

use std::ops::Range;

use arrow::buffer::ScalarBuffer;

use crate::error::Result;
use crate::merge::{MergePlan, PlanBuilder, Stretch, gather};
use crate::model::{Block, Sequence, SeriesId, TableSchema};

/// Sorted rows that never change once they are here.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The first and last record they came from.
    pub(crate) sequences: (Sequence, Sequence),
    /// The rows, by series number and time.
    pub(crate) block: Block,
    /// Earliest and latest time, both within.
    pub(crate) times: (i64, i64),
    /// The series present, rising, each with its first row.
    series: Vec<(SeriesId, u32)>,
    /// Bytes of memory.
    pub(crate) memory: usize,
}

impl Run {
    /// Sorts a batch: of rows with the same key the later ones win, field by field.
    pub(crate) fn from_batch(schema: &TableSchema, block: Block) -> Result<Run> {
        let key = |row: usize| (block.series[row], block.times[row]);
        if (1..block.rows()).all(|row| key(row - 1) < key(row)) {
            return Ok(Run::of_sorted((0, 0), block));
        }
        let mut order: Vec<u32> = (0..block.rows() as u32).collect();
        order.sort_by_key(|&row| key(row as usize));
        let mut plan = PlanBuilder::default();
        let mut series = Vec::with_capacity(order.len());
        for rows in order.chunk_by(|&a, &b| key(a as usize) == key(b as usize)) {
            plan.push_row(key(rows[0] as usize).1, rows.iter().map(|&row| (0, row)));
            series.push(block.series[rows[0] as usize]);
        }
        Run::merged(schema, (0, 0), &[block], &plan.finish(), series)
    }

    /// One run of several, oldest first.
    pub(crate) fn consolidate(schema: &TableSchema, runs: &[std::sync::Arc<Run>]) -> Result<Run> {
        let sequences = (runs.first().map_or(0, |run| run.sequences.0), runs.last().map_or(0, |run| run.sequences.1));
        let mut present: Vec<SeriesId> = runs.iter().flat_map(|run| run.series()).collect();
        // The stable sort makes use of each run being sorted already.
        present.sort();
        present.dedup();
        let mut plan = PlanBuilder::default();
        let mut series = Vec::new();
        let mut stretches = Vec::new();
        // Of each run, the position of the next of its series: all are passed once, in order.
        let mut next = vec![0; runs.len()];
        for &id in &present {
            stretches.clear();
            for ((source, run), at) in (0..).zip(runs).zip(&mut next) {
                if run.series.get(*at).is_some_and(|&(series, _)| series == id) {
                    let rows = run.rows_at(*at);
                    stretches.push(Stretch { source, first_row: rows.start as u32, times: &run.block.times[rows] });
                    *at += 1;
                }
            }
            let rows = plan.push_series(&stretches, |_, _| false);
            series.resize(series.len() + rows, id.0);
        }
        let blocks: Vec<Block> = runs.iter().map(|run| run.block.clone()).collect();
        Run::merged(schema, sequences, &blocks, &plan.finish(), series)
    }

    fn merged(
        schema: &TableSchema,
        sequences: (Sequence, Sequence),
        blocks: &[Block],
        plan: &MergePlan,
        series: Vec<u32>,
    ) -> Result<Run> {
        let width = blocks.iter().map(|block| block.columns.len()).max().unwrap_or(0);
        let mut sources = blocks;
        let fields = schema.fields.iter().enumerate().take(width);
        let columns = fields.map(|(position, field)| gather(plan, &mut sources, position, &field.kind.arrow(), 0..plan.rows()));
        let columns = columns.collect::<Result<_>>()?;
        Ok(Run::of_sorted(sequences, Block { series: series.into(), times: ScalarBuffer::from(plan.times.clone()), columns }))
    }

    fn of_sorted(sequences: (Sequence, Sequence), block: Block) -> Run {
        let mut series: Vec<(SeriesId, u32)> = Vec::new();
        for (row, &id) in block.series.iter().enumerate() {
            if series.last().is_none_or(|&(last, _)| last.0 != id) {
                series.push((SeriesId(id), row as u32));
            }
        }
        let times = block.times.iter().fold((i64::MAX, i64::MIN), |(min, max), &time| (min.min(time), max.max(time)));
        let memory = block.memory() + series.capacity() * size_of::<(SeriesId, u32)>() + size_of::<Run>();
        Run { sequences, block, times, series, memory }
    }

    /// The same rows, now that their record has its number.
    pub(crate) fn numbered(mut self, sequence: Sequence) -> Run {
        self.sequences = (sequence, sequence);
        self
    }

    /// The rows but those that `dropped` names by series and time.
    pub(crate) fn without(&self, schema: &TableSchema, dropped: impl Fn(SeriesId, i64) -> bool) -> Result<Run> {
        let mut plan = PlanBuilder::default();
        let mut series = Vec::new();
        for id in self.series() {
            let rows = plan.push_series(self.stretch(0, id).as_slice(), |_, time| dropped(id, time));
            series.resize(series.len() + rows, id.0);
        }
        Run::merged(schema, self.sequences, std::slice::from_ref(&self.block), &plan.finish(), series)
    }

    /// The series present, rising.
    pub(crate) fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.series.iter().map(|&(id, _)| id)
    }

    /// The rows of one series, which may be none.
    pub(crate) fn rows_of(&self, series: SeriesId) -> Range<usize> {
        match self.series.binary_search_by_key(&series, |&(id, _)| id) {
            Ok(at) => self.rows_at(at),
            Err(_) => 0..0,
        }
    }

    /// The rows of the series that is number `at` among those present.
    fn rows_at(&self, at: usize) -> Range<usize> {
        let end = self.series.get(at + 1).map_or(self.block.rows(), |&(_, row)| row as usize);
        self.series[at].1 as usize..end
    }

    /// The times of one series, for a merge in which this run is `source`.
    pub(crate) fn stretch(&self, source: u32, series: SeriesId) -> Option<Stretch<'_>> {
        let rows = self.rows_of(series);
        (!rows.is_empty()).then(|| Stretch { source, first_row: rows.start as u32, times: &self.block.times[rows] })
    }
}
