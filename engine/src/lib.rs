//! Alluvium: an embedded historian for IoT gateways.
//!
//! Every mutation is one record in one log; columns (memtable, then Parquet segments) and tables (the catalog) are
//! materialised from it. The directories of this crate stand in the order data flows.

mod error;
pub mod format;
pub mod io;
pub mod model;
mod query;
pub mod record;
mod settings;

pub use error::{BadRow, Error, ErrorKind, Result};
pub use model::{FieldType, Partitioning, Sequence, SeriesId, SeriesKey, TableSchema, TableSpec, TimeRange, TimeUnit, Value};
pub use query::{Aggregate, Aggregation, Comparison, Filter, Order, Query, Window};
pub use settings::{Durability, OnDamage, Profile, Settings};
