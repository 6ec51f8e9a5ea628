//! Doors to inner parts, for benchmarks and fuzzing. Nothing is promised about them.

mod log;
mod merge;
mod record;
mod segment;

pub use log::{Frame, Group, LogFile};
pub use merge::Runs;
pub use record::{Form, again};
pub use segment::{SegmentOnDisk, adopt, read_as_told};

use std::sync::Arc;

use crate::error::Result;
use crate::model::{TableId, TableSchema, TableSpec};

/// The schema of a table that is in no database.
pub fn schema(spec: TableSpec) -> Result<Arc<TableSchema>> {
    spec.into_schema(TableId(0)).map(Arc::new)
}
