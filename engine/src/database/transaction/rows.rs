//! The rows of a transaction: what it puts and deletes, and what it reads through that.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::super::inner::Inner;
use crate::error::{Error, Result};
use crate::ingest::{self, RowsOutcome, RowsRead};
use crate::memtable::Run;
use crate::model::{Sequence, TableId, TimeRange};
use crate::query::{self, Filter, Query, QueryStream};
use crate::record::Deletion;
use crate::table::{Table, TableState};

/// What a transaction does to rows is numbered from here on until it has a record: above all there are.
const OWN: Sequence = 1 << 62;

/// What a transaction did to rows so far, and what it read of them.
#[derive(Debug)]
pub(super) struct StagedRows {
    /// The last record published when it began.
    began: Sequence,
    tables: Vec<(Arc<Table>, Vec<Act>)>,
    reads: Vec<RowsRead>,
}

/// What was done to a table.
#[derive(Debug)]
enum Act {
    Put(Run),
    Delete(Deletion),
}

impl StagedRows {
    pub(super) fn begin(inner: &Inner) -> Self {
        StagedRows { began: inner.publisher.published(), tables: Vec::new(), reads: Vec::new() }
    }

    pub(super) fn append(&mut self, inner: &Inner, table: &str, batch: &RecordBatch) -> Result<()> {
        let table = inner.publisher.registry.get(table)?;
        if let Some((_, run)) = ingest::prepare_run(&table, batch, inner.settings.batch_bytes)? {
            self.act(table, Act::Put(run));
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, inner: &Inner, table: &str, filters: &[Filter], range: TimeRange) -> Result<()> {
        let table = inner.publisher.registry.get(table)?;
        // Series that are new by then would have been meant as well.
        let known = table.series.read().len();
        let series = query::select_for_deletion(&table, filters, None)?;
        if !filters.is_empty() {
            self.reads.push(RowsRead { table: table.id, range, series: Some(Vec::new()), known });
        }
        let deletion = Deletion { table: table.id, series, range };
        self.act(table, Act::Delete(deletion));
        Ok(())
    }

    pub(super) fn query(&mut self, inner: &Inner, query: &Query) -> Result<QueryStream> {
        let table = inner.publisher.registry.get(&query.table)?;
        let known = table.series.read().len();
        let series = query::series_read(&table, query)?;
        let read = RowsRead { table: table.id, range: query.range, series, known };
        let state = table.snapshot();
        let changed = read.is_changed(&state, self.began);
        self.reads.push(read);
        if changed {
            // A state that never was would be read with what was read before.
            return Err(Error::Conflict);
        }
        let state = self.over(&table, state)?;
        query::run_on(&table, state, &inner.store, query)
    }

    /// A table with what was done to it here.
    fn over(&self, table: &Table, mut state: TableState) -> Result<TableState> {
        let Some((_, acts)) = self.tables.iter().find(|(other, _)| other.id == table.id) else { return Ok(state) };
        let schema = table.schema();
        for (number, act) in (OWN..).zip(acts) {
            match act {
                Act::Put(run) => state.put(&schema, run.clone().numbered(number))?,
                Act::Delete(deletion) => state.delete(number, deletion.clone()),
            }
        }
        Ok(state)
    }

    fn act(&mut self, table: Arc<Table>, act: Act) {
        match self.tables.iter_mut().find(|(other, _)| other.id == table.id) {
            Some((_, acts)) => acts.push(act),
            None => self.tables.push((table, vec![act])),
        }
    }

    /// Ends it.
    pub(super) fn finish(self) -> Result<RowsOutcome> {
        let mut outcome = RowsOutcome { reads: self.reads, since: self.began, ..RowsOutcome::default() };
        for (table, acts) in self.tables {
            outcome.runs.extend(merge(&table, &acts)?);
            outcome.deletions.extend(acts.into_iter().filter_map(|act| match act {
                Act::Delete(deletion) => Some(deletion),
                Act::Put(_) => None,
            }));
        }
        Ok(outcome)
    }

    /// Only what it read.
    pub(super) fn reads(self) -> RowsOutcome {
        RowsOutcome { reads: self.reads, since: self.began, ..RowsOutcome::default() }
    }
}

/// The rows that are put in the end, if any: without those deleted again.
fn merge(table: &Table, acts: &[Act]) -> Result<Option<(TableId, Run)>> {
    let schema = table.schema();
    let mut runs: Vec<Arc<Run>> = Vec::new();
    for act in acts {
        match act {
            Act::Put(run) => runs.push(Arc::new(run.clone())),
            Act::Delete(deletion) => {
                let without = |run: Arc<Run>| {
                    run.without(&schema, |series, time| deletion.series.contains(series) && deletion.range.contains(time))
                };
                runs = runs.into_iter().map(without).map(|run| run.map(Arc::new)).collect::<Result<_>>()?;
            }
        }
    }
    runs.retain(|run| run.block.rows() > 0);
    if runs.is_empty() {
        return Ok(None);
    }
    Run::consolidate(&schema, &runs).map(|run| Some((table.id, run)))
}
