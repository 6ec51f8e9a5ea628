//! Reading: what to ask, and how it is answered.

mod spec;

pub use spec::{Aggregate, Aggregation, Comparison, Filter, Order, Query, Window};
