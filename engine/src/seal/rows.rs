//! Rows to be written as a segment: a merge plan over runs or older segments, series in tag order.

use std::ops::Range;
use std::sync::Arc;

use super::Target;
use crate::error::Result;
use crate::merge::{ColumnSource, MergePlan, PlanBuilder, Stretch, gather};
use crate::model::{Column, SeriesId, TableSchema, TimeRange};
use crate::segment::{RowSource, SeriesRun};
use crate::table::Table;

/// Plans the merge of some series, given in tag order. `stretches` adds the stretches of a series, oldest source first;
/// `masks` tells which times of a series are deleted from a source. Answers the plan and each series' share of its rows.
pub(crate) fn plan<'a>(
    series: &[SeriesId],
    mut stretches: impl FnMut(SeriesId, &mut Vec<Stretch<'a>>),
    masks: impl Fn(SeriesId, u32) -> Vec<TimeRange>,
    target: &Target,
) -> (MergePlan, Vec<(SeriesId, usize)>) {
    let mut builder = PlanBuilder::default();
    let mut counts = Vec::new();
    let mut found = Vec::new();
    for &id in series {
        found.clear();
        stretches(id, &mut found);
        let masked: Vec<(u32, TimeRange)> =
            found.iter().flat_map(|stretch| masks(id, stretch.source).into_iter().map(|range| (stretch.source, range))).collect();
        let dropped = |source: u32, time: i64| {
            !target.takes(time) || masked.iter().any(|&(masked, range)| masked == source && range.contains(time))
        };
        let rows = builder.push_series(&found, dropped);
        if rows > 0 {
            counts.push((id, rows));
        }
    }
    (builder.finish(), counts)
}

/// The series runs of a segment, with their tag values.
pub(crate) fn series_runs(table: &Table, counts: &[(SeriesId, usize)]) -> Vec<SeriesRun> {
    let keys = table.keys(counts.iter().map(|&(series, _)| series));
    counts.iter().zip(keys).map(|(&(series, rows), key)| SeriesRun { series, key, rows }).collect()
}

/// Merged rows of some sources, column by column.
#[derive(Debug)]
pub(crate) struct MergedRows<C> {
    schema: Arc<TableSchema>,
    columns: C,
    plan: MergePlan,
    runs: Vec<SeriesRun>,
}

impl<C> MergedRows<C> {
    pub(crate) fn new(schema: Arc<TableSchema>, columns: C, plan: MergePlan, runs: Vec<SeriesRun>) -> Self {
        MergedRows { schema, columns, plan, runs }
    }
}

impl<C: ColumnSource> RowSource for MergedRows<C> {
    fn rows(&self) -> usize {
        self.plan.rows()
    }

    fn runs(&self) -> &[SeriesRun] {
        &self.runs
    }

    fn times(&self) -> &[i64] {
        &self.plan.times
    }

    fn column(&mut self, position: usize, rows: Range<usize>) -> Result<Column> {
        let kind = self.schema.fields[position].kind.arrow();
        gather(&self.plan, &mut self.columns, position, &kind, rows)
    }
}
