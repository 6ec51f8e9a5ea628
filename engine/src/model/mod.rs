//! What the engine stores: tables, series, fields, rows and time.

mod block;
mod column_builder;
pub(crate) mod kernels;
mod partition;
mod schema;
mod series;
mod statistics;
#[cfg(test)]
pub(crate) mod summary;
mod time;
mod value;

pub use block::{Block, Column};
pub(crate) use column_builder::ColumnBuilder;
pub use partition::{Partition, PartitionKind};
pub use schema::{Field, FieldType, Partitioning, TIME_COLUMN, TableId, TableSchema, TableSpec, Tag};
pub use series::{SeriesId, SeriesKey};
pub use statistics::{FieldStatistics, Sum};
pub use time::{TimeRange, TimeUnit};
pub use value::Value;

/// The position of a record in the log: one rising number for every mutation of any kind. 0 is before the first.
pub type Sequence = u64;
