//! What need not be kept here: which rows are let go of to make room, and for what reason.
//!
//! Rows go by whole [`Group`]s, all segments of a partition together, so that no value is left behind that a later one stood above. By default
//! only those go that all who have to hold them are seen to hold.

mod group;
mod plan;
mod spec;
mod total;

#[cfg(test)]
mod tests;

pub(crate) use group::{Group, groups_of};
pub(crate) use plan::{Candidate, Scales, Standing, plan};
pub use plan::{Eviction, EvictionReason};
pub use spec::{Keep, Retention, Unheld};
pub(crate) use total::{add, of_table, total};
