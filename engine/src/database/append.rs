//! Appending: batches on their way from the caller into one group.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::inner::Inner;
use crate::error::{Error, Result};
use crate::ingest::{self, Ack, Work};
use crate::model::Sequence;
use crate::settings::Durability;
use crate::table::Table;

impl Inner {
    /// Appends batches in one group; answers an [`Ack`] for each, in order.
    pub(super) fn append(&self, batches: &[(&str, &RecordBatch)], durability: Durability) -> Result<Vec<Ack>> {
        self.check_open()?;
        let find = |(name, batch): &(&str, _)| Ok((self.publisher.registry.get(name)?, *batch));
        let batches = batches.iter().map(find).collect::<Result<Vec<_>>>()?;
        let works = ingest::prepare(&batches, self.settings.batch_bytes, durability)?;
        let mut sequences = self.submit_rows(works)?.into_iter();
        let acknowledge = |(table, batch): &(Arc<Table>, &RecordBatch)| {
            let sequence = if batch.num_rows() > 0 { sequences.next() } else { None };
            if sequence.is_some() {
                self.after_write(Some(table));
            }
            // A batch without rows made no record.
            Ack { sequence: sequence.unwrap_or(0), durability }
        };
        Ok(batches.iter().map(acknowledge).collect())
    }

    fn submit_rows(&self, works: Vec<Work>) -> Result<Vec<Sequence>> {
        if works.is_empty() {
            return Ok(Vec::new());
        }
        self.admit(works.iter().map(Work::memory).sum())?;
        let submitted: Result<Vec<_>> = self.committer.submit_all(works).into_iter().collect();
        if matches!(submitted, Err(Error::DiskFull { .. })) {
            self.make_room();
        }
        submitted
    }
}
