//! Queries: conditions on values, an order, a page at a time.
//!
//! Conditions, indexes and orders all compare values by their [ordered](super::ordered) form, so that it makes no
//! difference to an answer whether an index serves it.

mod cursor;
mod filter;
mod plan;
mod run;
mod spec;

pub use plan::Plan;
pub use run::Page;
pub use spec::{DocumentQuery, Where};

pub(super) use plan::plan;
pub(super) use run::{count, run};
