//! Newest-wins merge of sorted rows: the one rule by which memtable, seal, compaction and queries agree.
//!
//! Sources are given oldest first. Rows with the same (series, time) become one row, each field taking its newest value
//! that is present. A [`MergePlan`] fixes which rows of which source make each row of the result; columns are gathered
//! from it one at a time, so that a merge never holds more than one column of the result.

mod dense;
mod gather;
mod needed;
mod plan;

#[cfg(test)]
mod tests;

pub(crate) use gather::{ColumnSource, gather};
pub(crate) use plan::{MergePlan, PlanBuilder, Stretch};
