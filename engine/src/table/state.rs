//! What a table consists of at one moment. A query clones it and is untouched by what follows.

use std::sync::Arc;

use crate::error::Result;
use crate::memtable::{Memtable, Run};
use crate::model::{Sequence, SeriesId, TableSchema, TimeRange};
use crate::record::{Deletion, SegmentEntry, SegmentId};

/// A deletion that still masks rows of older sources.
#[derive(Debug, Clone)]
pub(crate) struct PendingDeletion {
    /// Its record: only older rows are masked.
    pub(crate) sequence: Sequence,
    pub(crate) deletion: Arc<Deletion>,
}

/// Sources of rows, oldest first: segments, runs being sealed, runs still gathering. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableState {
    /// By last sequence.
    pub(crate) segments: Arc<Vec<Arc<SegmentEntry>>>,
    /// Cut off by a seal that is under way.
    pub(crate) frozen: Vec<Arc<Run>>,
    /// Open to new rows.
    pub(crate) active: Memtable,
    /// By sequence.
    pub(crate) deletions: Arc<Vec<PendingDeletion>>,
    /// The last deletion that masks nothing any more, of those since the opening.
    pub(crate) retired_through: Sequence,
}

impl TableState {
    /// Adds rows.
    pub(crate) fn put(&mut self, schema: &TableSchema, run: Run) -> Result<()> {
        self.active.push(schema, Arc::new(run))
    }

    /// Adds a deletion; rows already here stay apart from later ones, which it does not concern.
    pub(crate) fn delete(&mut self, sequence: Sequence, deletion: Deletion) {
        self.active.set_barrier(sequence);
        Arc::make_mut(&mut self.deletions).push(PendingDeletion { sequence, deletion: Arc::new(deletion) });
    }

    /// Cuts: everything gathered so far is to be sealed.
    pub(crate) fn freeze(&mut self) {
        let active = std::mem::take(&mut self.active);
        self.frozen.extend(active.runs().cloned());
    }

    /// Segments take the place of the frozen runs.
    pub(crate) fn sealed(&mut self, added: impl IntoIterator<Item = Arc<SegmentEntry>>) {
        self.frozen.clear();
        self.replace_segments(&[], added);
    }

    /// Segments take the place of others. One that is here already is not here twice: a log read again says it again.
    pub(crate) fn replace_segments(&mut self, removed: &[SegmentId], added: impl IntoIterator<Item = Arc<SegmentEntry>>) {
        let added: Vec<_> = added.into_iter().collect();
        let stays = |id| !removed.contains(&id) && added.iter().all(|entry| entry.id != id);
        let mut segments: Vec<_> = self.segments.iter().filter(|entry| stays(entry.id)).cloned().collect();
        segments.extend(added);
        // By what they reach: after a rebuild a segment may hold again what lies in older ones, and must win over them.
        segments.sort_by_key(|entry| (entry.last_sequence, entry.id));
        self.segments = Arc::new(segments);
    }

    /// Forgets deletions that mask nothing any more.
    pub(crate) fn retire_deletions(&mut self, retired: &[Sequence]) {
        let own = self.deletions.iter().map(|pending| pending.sequence).filter(|sequence| retired.contains(sequence));
        if let Some(last) = own.max() {
            self.retired_through = self.retired_through.max(last);
            Arc::make_mut(&mut self.deletions).retain(|pending| !retired.contains(&pending.sequence));
        }
    }

    /// Bytes of memory in runs.
    pub(crate) fn memory(&self) -> usize {
        self.active.memory() + self.frozen.iter().map(|run| run.memory).sum::<usize>()
    }

    /// Rows in runs, each counted as often as it was written.
    pub(crate) fn unsealed_rows(&self) -> u64 {
        self.frozen.iter().chain(self.active.runs()).map(|run| run.block.rows() as u64).sum()
    }

    /// All runs, oldest first.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Arc<Run>> {
        self.frozen.iter().chain(self.active.runs())
    }

    /// The spans of time in which rows of `series` up to record `last` are deleted.
    pub(crate) fn masks(&self, series: SeriesId, last: Sequence) -> Vec<TimeRange> {
        let later = self.deletions.partition_point(|pending| pending.sequence <= last);
        let touching = self.deletions[later..].iter().filter(|pending| pending.deletion.series.contains(series));
        touching.map(|pending| pending.deletion.range).collect()
    }
}
