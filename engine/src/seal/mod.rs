//! Sealing: unsealed rows become segments. And what compaction shares with it: planning, partitions, writing.

mod partition;
mod rows;

pub(crate) use partition::Target;
use partition::{choose_kind, targets};
pub(crate) use rows::{MergedRows, plan, series_runs};

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::io::Disk;
use crate::memtable::Run;
use crate::merge::MergePlan;
use crate::model::{Block, PartitionKind, Sequence, SeriesId, TableSchema};
use crate::record::{SegmentEntry, SegmentId};
use crate::segment::{self, SegmentSpec};
use crate::settings::Profile;
use crate::table::{Table, TableState};

/// Writes the frozen runs of one table as segments, one per partition touched, and adds them to `entries`: also those written
/// before something failed. Nothing refers to them yet.
pub(crate) fn write_table(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    profile: Profile,
    table: &Table,
    through: Sequence,
    mut next_id: impl FnMut() -> SegmentId,
    entries: &mut Vec<SegmentEntry>,
) -> Result<()> {
    let schema = table.schema();
    let state = table.snapshot();
    let Some(first) = state.frozen.iter().map(|run| run.sequences.0).min() else { return Ok(()) };
    let series = present(table, &state.frozen);
    let kind = partition_kind(&schema, &state);
    let blocks: Vec<Block> = state.frozen.iter().map(|run| run.block.clone()).collect();
    for target in targets(&state.frozen, kind, schema.time_unit) {
        let (plan, counts) = plan_frozen(&state, &series, &target);
        if plan.rows() == 0 {
            continue;
        }
        let mut rows = MergedRows::new(schema.clone(), blocks.clone(), plan, series_runs(table, &counts));
        let spec =
            SegmentSpec { schema: &schema, id: next_id(), partition: target.partition, sequences: (first, through), profile };
        entries.push(segment::write(&**disk, dir, &spec, &mut rows)?);
    }
    Ok(())
}

/// The length of a table's partitions: as declared, or by observed rate but never shorter than before.
pub(crate) fn partition_kind(schema: &TableSchema, state: &TableState) -> PartitionKind {
    let so_far = state.segments.iter().filter_map(|entry| entry.partition).map(|partition| partition.kind).max();
    choose_kind(schema, state, so_far)
}

/// The series that have rows in some runs, in tag order.
fn present(table: &Table, runs: &[Arc<Run>]) -> Vec<SeriesId> {
    let ordered = table.ordered_series();
    let mut here = vec![false; ordered.len()];
    for id in runs.iter().flat_map(|run| run.series()) {
        if let Some(mark) = here.get_mut(id.0 as usize) {
            *mark = true;
        }
    }
    ordered.iter().copied().filter(|id| here.get(id.0 as usize) == Some(&true)).collect()
}

fn plan_frozen(state: &TableState, series: &[SeriesId], target: &Target) -> (MergePlan, Vec<(SeriesId, usize)>) {
    let runs = &state.frozen;
    plan(
        series,
        |id, stretches| {
            stretches.extend(runs.iter().enumerate().filter_map(|(source, run)| target.narrow(run.stretch(source as u32, id)?)))
        },
        |id, source| state.masks(id, runs[source as usize].sequences.1),
        target,
    )
}
