//! The runs of one table, oldest first, kept few by merging neighbours of like size.

use std::sync::Arc;

use super::Run;
use crate::error::Result;
use crate::model::{Sequence, TableSchema};

/// Neighbours of one level that are merged into a run of the next. A row is copied once per level, and a read looks at
/// about this many runs per level.
const FAN_IN: usize = 32;
/// Runs of the lowest level from which the writer merges, because whoever should have done it lags behind.
const LAGGING: usize = 4 * FAN_IN;
/// Runs are not merged beyond this many rows: what is gained no longer pays for the copy.
const MERGED_ROWS: usize = 1 << 17;

/// Unsealed rows of one table. Cloning is cheap: a snapshot shares the runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memtable {
    runs: Vec<(u8, Arc<Run>)>,
    /// Runs up to this record stay apart from later ones, since a deletion stands between them.
    barrier: Sequence,
    memory: usize,
}

/// Neighbours that are to become one run. Merging them needs no lock.
#[derive(Debug)]
pub(crate) struct Consolidation {
    level: u8,
    runs: Vec<Arc<Run>>,
}

impl Consolidation {
    /// The one run that says what they say.
    pub(crate) fn merge(&self, schema: &TableSchema) -> Result<Run> {
        Run::consolidate(schema, &self.runs)
    }
}

impl Memtable {
    /// Adds the newest run.
    pub(crate) fn push(&mut self, schema: &TableSchema, run: Arc<Run>) -> Result<()> {
        self.memory += run.memory;
        self.runs.push((0, run));
        if self.newest_small() >= LAGGING
            && let Some(due) = self.due()
        {
            let merged = due.merge(schema)?;
            self.replace(&due, merged);
        }
        Ok(())
    }

    /// Whether it is worth looking for something to merge.
    pub(crate) fn is_due(&self) -> bool {
        self.newest_small() >= FAN_IN
    }

    /// The oldest neighbours that are worth a merge.
    pub(crate) fn due(&self) -> Option<Consolidation> {
        let free = self.runs.iter().position(|(_, run)| run.sequences.0 > self.barrier)?;
        self.runs[free..].chunk_by(|(a, _), (b, _)| a == b).find_map(|alike| {
            let candidates = alike.get(..FAN_IN)?;
            let rows: usize = candidates.iter().map(|(_, run)| run.block.rows()).sum();
            let (level, _) = candidates.first()?;
            let runs = || candidates.iter().map(|(_, run)| run.clone()).collect();
            (rows <= MERGED_ROWS).then(|| Consolidation { level: *level, runs: runs() })
        })
    }

    /// Puts a merged run in the place of those it was made of, if they are still here.
    pub(crate) fn replace(&mut self, due: &Consolidation, merged: Run) {
        let Some(oldest) = due.runs.first() else { return };
        let Some(first) = self.runs.iter().position(|(_, run)| Arc::ptr_eq(run, oldest)) else { return };
        let merged = (due.level + 1, Arc::new(merged));
        self.runs.splice(first..first + due.runs.len(), [merged]);
        self.memory = self.runs.iter().map(|(_, run)| run.memory).sum();
    }

    /// Keeps the runs so far apart from those to come.
    pub(crate) fn set_barrier(&mut self, sequence: Sequence) {
        self.barrier = sequence;
    }

    /// The runs, oldest first.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Arc<Run>> + ExactSizeIterator {
        self.runs.iter().map(|(_, run)| run)
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// How many runs of the lowest level stand at the end.
    fn newest_small(&self) -> usize {
        self.runs.iter().rev().take_while(|(level, _)| *level == 0).count()
    }
}
