//! The write path: validate → resolve series → encode → append to the group → write → sync → publish → acknowledge.
//!
//! The first three stages run in the caller's thread, the rest in whichever writer leads the group.

mod builder;
mod commit;
mod definitions;
mod group;
mod publish;
mod resolve;
mod validate;

pub use builder::{RowBuilder, RowWriter};
pub(crate) use commit::Committer;
pub(crate) use group::{Mutation, Work};
pub(crate) use publish::{Publisher, compacted_changes, sealed_changes};

use crate::error::Result;
use crate::memtable::Run;
use crate::record::encode_rows;
use crate::settings::Durability;
use crate::table::Table;
use crate::wal::Payload;
use arrow::array::RecordBatch;

/// What the engine answers for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The record's place in the log. 0 for a batch without rows, which makes none.
    pub sequence: u64,
    /// What is true now: [`Durability::Durable`] if a power cut cannot take the write back.
    pub durability: Durability,
}

/// Turns a batch into work for the log: everything that needs no lock is done here, in the caller's thread.
pub(crate) fn prepare(table: &Table, batch: &RecordBatch, batch_bytes: usize) -> Result<Option<Work>> {
    let schema = table.schema();
    let validated = validate::validate(&schema, batch, batch_bytes)?;
    if validated.rows() == 0 {
        return Ok(None);
    }
    let block = resolve::resolve(table, &schema, validated)?;
    let run = Run::from_batch(&schema, block)?;
    let payload = Payload::new(encode_rows(schema.id, &run.block)?)?;
    Ok(Some(Work::new(Mutation::Rows { table: schema.id, run }, payload)))
}
