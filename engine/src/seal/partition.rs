//! Which partitions rows belong to, and how long partitions are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::memtable::Run;
use crate::merge::Stretch;
use crate::model::{Partition, PartitionKind, Partitioning, TableSchema, TimeRange, TimeUnit};
use crate::table::TableState;

/// Rows that a partition should hold, so that its segments are worth their overhead.
const ROWS_PER_PARTITION: f64 = (1 << 20) as f64;
/// A seal that touches more partitions than this puts the meagre ones into one spill segment.
const PARTITIONS_PER_SEAL: usize = 8;
/// A partition with fewer rows than this is meagre.
const MEAGRE_ROWS: usize = 2_048;

/// Where some rows of a seal or compaction go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `None` for a spill segment.
    pub(crate) partition: Option<Partition>,
    /// Partitions with segments of their own, rising by time, which a spill leaves out.
    elsewhere: Vec<TimeRange>,
}

impl Target {
    /// The rows of one partition.
    pub(crate) fn partition(partition: Partition) -> Self {
        Target { partition: Some(partition), elsewhere: Vec::new() }
    }

    /// Whether a row at `time` goes here.
    pub(crate) fn takes(&self, time: i64) -> bool {
        match self.partition {
            Some(partition) => partition.range.contains(time),
            None => {
                let after = self.elsewhere.partition_point(|range| range.start <= time);
                after == 0 || !self.elsewhere[after - 1].contains(time)
            }
        }
    }

    /// The part of a stretch that may go here.
    pub(crate) fn narrow<'a>(&self, stretch: Stretch<'a>) -> Option<Stretch<'a>> {
        let Some(partition) = self.partition else { return Some(stretch) };
        let start = stretch.times.partition_point(|&time| time < partition.range.start);
        let end = stretch.times.partition_point(|&time| time < partition.range.end);
        let first_row = stretch.first_row + start as u32;
        (start < end).then(|| Stretch { first_row, times: &stretch.times[start..end], ..stretch })
    }
}

/// The partitions that rows of these runs go to; the last may be a spill.
pub(crate) fn targets(runs: &[Arc<Run>], kind: PartitionKind, unit: TimeUnit) -> Vec<Target> {
    let mut rows: BTreeMap<i64, (Partition, usize)> = BTreeMap::new();
    for run in runs {
        let mut current: Option<Partition> = None;
        let mut count = 0;
        for &time in run.block.times.iter() {
            let partition = match current {
                Some(partition) if partition.range.contains(time) => partition,
                _ => {
                    add(&mut rows, current, std::mem::take(&mut count));
                    kind.of(time, unit)
                }
            };
            current = Some(partition);
            count += 1;
        }
        add(&mut rows, current, count);
    }
    split_off_spill(rows.into_values().collect())
}

fn add(rows: &mut BTreeMap<i64, (Partition, usize)>, partition: Option<Partition>, count: usize) {
    if let Some(partition) = partition {
        rows.entry(partition.range.start).or_insert((partition, 0)).1 += count;
    }
}

fn split_off_spill(partitions: Vec<(Partition, usize)>) -> Vec<Target> {
    let many = partitions.len() > PARTITIONS_PER_SEAL;
    let (own, spilled): (Vec<_>, Vec<_>) = partitions.into_iter().partition(|&(_, rows)| !many || rows >= MEAGRE_ROWS);
    let mut targets: Vec<_> = own.iter().map(|&(partition, _)| Target::partition(partition)).collect();
    match spilled.as_slice() {
        [] => {}
        [(only, _)] => targets.push(Target::partition(*only)),
        _ => targets.push(Target { partition: None, elsewhere: own.iter().map(|(partition, _)| partition.range).collect() }),
    }
    targets
}

/// The length of partitions for a table: as declared, or the shortest that the observed rate fills, and never shorter than
/// `so_far`.
pub(super) fn choose_kind(schema: &TableSchema, state: &TableState, so_far: Option<PartitionKind>) -> PartitionKind {
    match (schema.partitioning, so_far) {
        (Partitioning::Hour, _) => PartitionKind::Hour,
        (Partitioning::Day, _) => PartitionKind::Day,
        (Partitioning::Month, _) => PartitionKind::Month,
        (Partitioning::Year, _) => PartitionKind::Year,
        // Nothing new was observed.
        (Partitioning::Auto, Some(so_far)) if state.frozen.is_empty() => so_far,
        (Partitioning::Auto, so_far) => {
            let rate = rows_per_second(state, schema.time_unit);
            let fills = |kind: &PartitionKind| rate * kind.seconds() as f64 >= ROWS_PER_PARTITION;
            let observed = PartitionKind::ALL.into_iter().find(fills).unwrap_or(PartitionKind::Year);
            so_far.map_or(observed, |so_far| so_far.max(observed))
        }
    }
}

/// Rows per second of their own time, from the middle half of them, so that stray clocks do not count.
fn rows_per_second(state: &TableState, unit: TimeUnit) -> f64 {
    const SAMPLES: usize = 4_096;
    let unsealed: usize = state.frozen.iter().map(|run| run.block.rows()).sum();
    let (rows, mut times) = if unsealed > 0 {
        let all = state.frozen.iter().flat_map(|run| run.block.times.iter().copied());
        (unsealed, all.step_by(unsealed / SAMPLES + 1).collect::<Vec<_>>())
    } else {
        // Only spill segments so far: their ends have to do.
        let rows = state.segments.iter().map(|entry| entry.rows as usize).sum();
        (rows, state.segments.iter().flat_map(|entry| [entry.times.0, entry.times.0, entry.times.1, entry.times.1]).collect())
    };
    if times.len() < 4 {
        return 0.0;
    }
    times.sort_unstable();
    let (early, late) = (times[times.len() / 4], times[times.len() * 3 / 4]);
    let seconds = (late as f64 - early as f64) / unit.per_second() as f64;
    rows as f64 / 2.0 / seconds.max(1e-9)
}
