//! Compaction: neighbouring segments become one, deletions are carried out, spill segments are split.

mod policy;
mod source;

pub(crate) use policy::{Effort, Job, by_partition, next_job, retirable_deletions};

use std::sync::Arc;

use crate::error::Result;
use crate::record::{SegmentEntry, SegmentId};
use crate::seal::{MergedRows, plan, series_runs};
use crate::segment::{self, SegmentSpec};
use crate::settings::Profile;
use crate::store::Store;
use crate::table::{Table, TableState};
use source::{SegmentColumns, SeriesTimes};

/// Writes the segments that take the place of a job's inputs, and adds them to `added`: also those written before something
/// failed. Nothing refers to them yet. Ends with [`Error::Closed`](crate::Error::Closed) soon after the store was stopped.
pub(crate) fn run(
    store: &Arc<Store>,
    profile: Profile,
    table: &Table,
    state: &TableState,
    job: &Job,
    mut next_id: impl FnMut() -> SegmentId,
    added: &mut Vec<SegmentEntry>,
) -> Result<()> {
    let schema = table.schema();
    let segments = job.inputs.iter().map(|entry| store.open(entry)).collect::<Result<Vec<_>>>()?;
    let times = segments.iter().map(SeriesTimes::read).collect::<Result<Vec<_>>>()?;
    let ordered = table.ordered_series();
    // Every deletion known now is carried out, later ones are not.
    let deletions_through = state.deletions.last().map_or(0, |pending| pending.sequence).max(job.sequences().1);
    for target in job.targets(&times, schema.time_unit) {
        let (plan, counts) = plan(
            &ordered,
            |id, found| {
                found.extend(times.iter().zip(0..).filter_map(|(times, source)| target.narrow(times.stretch(source, id)?)))
            },
            |id, source| state.masks(id, job.inputs[source as usize].deletions_through),
            &target,
        );
        if plan.rows() == 0 {
            continue;
        }
        let columns = SegmentColumns::new(schema.clone(), segments.clone(), store.clone());
        let mut rows = MergedRows::new(schema.clone(), columns, plan, series_runs(table, &counts));
        let spec =
            SegmentSpec { schema: &schema, id: next_id(), partition: target.partition, sequences: job.sequences(), profile };
        let entry = segment::write(&**store.disk(), store.dir(), &spec, &mut rows)?;
        added.push(SegmentEntry { deletions_through, ..entry });
    }
    Ok(())
}
