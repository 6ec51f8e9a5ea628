//! The runs of one table, oldest first, kept few by merging neighbours of like size.

use std::sync::Arc;

use super::Run;
use crate::error::Result;
use crate::model::{Sequence, TableSchema};

/// Neighbours of one level that are merged into a run of the next. A row is copied once per level, and a read looks at
/// most at this many runs per level.
const FAN_IN: usize = 32;
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

impl Memtable {
    /// Adds the newest run, and merges its neighbours where that pays.
    pub(crate) fn push(&mut self, schema: &TableSchema, run: Arc<Run>) -> Result<()> {
        self.memory += run.memory;
        self.runs.push((0, run));
        while let Some((level, first)) = self.mergeable() {
            let runs: Vec<_> = self.runs[first..].iter().map(|(_, run)| run.clone()).collect();
            let merged = Run::consolidate(schema, &runs)?;
            self.runs.truncate(first);
            self.runs.push((level + 1, Arc::new(merged)));
            self.memory = self.runs.iter().map(|(_, run)| run.memory).sum();
        }
        Ok(())
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

    /// The level and position of the first of `FAN_IN` newest runs of one level that may become one.
    fn mergeable(&self) -> Option<(u8, usize)> {
        let first = self.runs.len().checked_sub(FAN_IN)?;
        let (level, oldest) = &self.runs[first];
        let candidates = &self.runs[first..];
        let rows: usize = candidates.iter().map(|(_, run)| run.block.rows()).sum();
        let alike = candidates.iter().all(|(other, _)| other == level);
        (alike && rows <= MERGED_ROWS && oldest.sequences.0 > self.barrier).then_some((*level, first))
    }
}
