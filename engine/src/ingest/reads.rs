//! What a transaction read of rows, and whether it still holds.

use crate::memtable::Run;
use crate::model::{Sequence, SeriesId, TableId, TimeRange};
use crate::record::Deletion;
use crate::table::TableState;

/// Rows read of one table.
#[derive(Debug, Clone)]
pub(crate) struct RowsRead {
    pub(crate) table: TableId,
    pub(crate) range: TimeRange,
    /// Of these series, rising; `None` for all there are.
    pub(crate) series: Option<Vec<SeriesId>>,
    /// How many series there were: later ones could be meant too.
    pub(crate) known: u32,
}

/// What a transaction does to rows, and what it read of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowsOutcome {
    /// At most one run for each table.
    pub(crate) runs: Vec<(TableId, Run)>,
    /// Of older rows than those.
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) reads: Vec<RowsRead>,
    /// The last record published when it began.
    pub(crate) since: Sequence,
}

/// What a member of a group does to rows that another member may have read.
#[derive(Debug)]
pub(super) enum Touch {
    Rows { table: TableId, times: (i64, i64), series: Vec<SeriesId> },
    Deletion(Deletion),
}

impl Touch {
    pub(super) fn of_run(table: TableId, run: &Run) -> Touch {
        Touch::Rows { table, times: run.times, series: run.series().collect() }
    }
}

impl RowsRead {
    /// Whether something changed after a record that may have been read. Says so too often where rows lie in segments by now, or
    /// were merged with older ones; what is tried again then finds them there.
    pub(crate) fn is_changed(&self, state: &TableState, since: Sequence) -> bool {
        let segment = state.segments.iter().any(|entry| {
            let newer = entry.last_sequence > since || entry.deletions_through > since;
            newer && self.range.touches(entry.times.0, entry.times.1)
        });
        let run = |run: &Run| run.sequences.1 > since && self.is_touched(run.times, run.series());
        let deletion = |sequence, deletion| sequence > since && self.is_deleted(deletion);
        segment
            || state.retired_through > since
            || state.runs().any(|one| run(one))
            || state.deletions.iter().any(|pending| deletion(pending.sequence, &pending.deletion))
    }

    /// Whether a member of the same group changes it.
    pub(super) fn is_changed_by(&self, touch: &Touch) -> bool {
        match touch {
            Touch::Rows { table, times, series } => *table == self.table && self.is_touched(*times, series.iter().copied()),
            Touch::Deletion(deletion) => deletion.table == self.table && self.is_deleted(deletion),
        }
    }

    fn is_touched(&self, times: (i64, i64), mut series: impl Iterator<Item = SeriesId>) -> bool {
        self.range.touches(times.0, times.1) && series.any(|id| self.wants(id))
    }

    fn is_deleted(&self, deletion: &Deletion) -> bool {
        let meets = self.range.start < deletion.range.end && deletion.range.start < self.range.end;
        meets && self.series.as_ref().is_none_or(|series| series.iter().any(|id| deletion.series.contains(*id)))
    }

    fn wants(&self, series: SeriesId) -> bool {
        series.0 >= self.known || self.series.as_ref().is_none_or(|wanted| wanted.binary_search(&series).is_ok())
    }
}
