//! Segments that go together.

use std::sync::Arc;

use crate::maintain;
use crate::model::{Partition, TableSchema, TimeUnit};
use crate::record::SegmentEntry;
use crate::table::TableState;

/// The segments of a partition, and of those within it.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Their table.
    pub(crate) table: Arc<TableSchema>,
    /// The widest of their partitions.
    pub(crate) partition: Partition,
    pub(crate) segments: Vec<Arc<SegmentEntry>>,
    /// Earliest and latest time, both within, in the table's unit.
    pub(crate) times: (i64, i64),
    /// The latest time, in microseconds since 1970.
    pub(crate) latest_micros: i128,
    /// Whether rows of it lie in a segment that was not split yet.
    pub(crate) is_spilled: bool,
}

impl Group {
    pub(crate) fn rows(&self) -> u64 {
        self.segments.iter().map(|entry| entry.rows).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|entry| entry.bytes).sum()
    }

    /// The first and the last of the records that it may hold rows of.
    pub(crate) fn records(&self) -> (u64, u64) {
        let first = self.segments.iter().map(|entry| entry.first_sequence).min().unwrap_or(0);
        (first, self.segments.iter().map(|entry| entry.last_sequence).max().unwrap_or(0))
    }
}

/// All groups of a table, in no order.
pub(crate) fn groups_of(table: &Arc<TableSchema>, state: &TableState) -> Vec<Group> {
    let spills: Vec<_> = state.segments.iter().filter(|entry| entry.partition.is_none()).map(|entry| entry.times).collect();
    let group = |(partition, segments): (Partition, Vec<Arc<SegmentEntry>>)| {
        let times = segments.iter().map(|entry| entry.times).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        let times = times.unwrap_or((partition.range.start, partition.range.start));
        let is_spilled = spills.iter().any(|(first, last)| partition.range.touches(*first, *last));
        Group { table: table.clone(), partition, segments, times, latest_micros: micros(times.1, table.time_unit), is_spilled }
    };
    maintain::by_partition(state).into_iter().map(group).collect()
}

fn micros(time: i64, unit: TimeUnit) -> i128 {
    i128::from(time) * 1_000_000 / i128::from(unit.per_second())
}
