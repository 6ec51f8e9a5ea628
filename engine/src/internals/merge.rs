//! Merging batches in memory.

use std::sync::Arc;

use crate::error::Result;
use crate::memtable::Run;
use crate::model::{Block, TableSchema};

/// Batches in memory, as they wait to be merged.
#[derive(Debug)]
pub struct Runs {
    schema: Arc<TableSchema>,
    runs: Vec<Arc<Run>>,
}

impl Runs {
    /// Sorts each block, oldest first.
    pub fn new(schema: Arc<TableSchema>, blocks: impl IntoIterator<Item = Block>) -> Result<Self> {
        let numbered = |(number, block)| Ok(Arc::new(Run::from_batch(&schema, block)?.numbered(number)));
        let runs = (1..).zip(blocks).map(numbered).collect::<Result<_>>()?;
        Ok(Runs { schema, runs })
    }

    /// One block of all, newest values winning.
    pub fn merge(&self) -> Result<Block> {
        Ok(Run::consolidate(&self.schema, &self.runs)?.block)
    }
}
