//! Reading: what to ask, and how it is answered.

mod accumulate;
mod aggregate;
mod assemble;
mod cancel;
mod compare;
mod filter;
mod group;
mod last;
mod literal;
mod plan;
mod projection;
mod rows;
mod scan;
mod spec;
mod stream;
mod time_order;
mod totals;
mod window;

pub use cancel::Cancel;
pub use spec::{Aggregate, Aggregation, Comparison, Filter, Order, Query, Window};
pub use stream::QueryStream;

pub(crate) use assemble::batch_of;
pub(crate) use plan::{select_for_deletion, series_read};
pub(crate) use stream::{run, run_on, run_within};
