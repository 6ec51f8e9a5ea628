//! The tables as they stand in memory: schema, series, unsealed runs, segment list, deletions.

mod registry;
mod series;
mod state;

#[cfg(test)]
mod tests;

pub(crate) use registry::{Registry, Table};
pub(crate) use series::{SeriesIndex, TagTest};
pub(crate) use state::{PendingDeletion, TableState};
