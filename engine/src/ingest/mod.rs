//! The write path: validate → resolve series → encode → decide → append to the group → write → sync → publish → acknowledge.
//!
//! The first three stages run in the caller's thread, the rest in whichever writer leads the group. Only transactions have
//! anything to be decided: what is costly to find out, documents for one, is decided in the caller's thread as well, and stands
//! at its turn unless others have changed what it read.

mod builder;
mod commit;
mod company;
mod decide;
mod definitions;
mod group;
mod leader;
mod monitor;
mod publish;
mod reads;
mod resolve;
mod validate;

pub use builder::{RowBuilder, RowWriter};
pub(crate) use commit::Committer;
pub(crate) use group::{Effects, Mutation, Outcome, Work};
pub(crate) use publish::{News, Publisher, compacted_changes, evicted_changes, sealed_changes};
pub(crate) use reads::{RowsOutcome, RowsRead};

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::format::limits;
use crate::memtable::Run;
use crate::model::{TableId, TableSchema};
use crate::record::encode_rows;
use crate::settings::Durability;
use crate::table::Table;
use crate::wal::Payload;
use validate::Validated;

/// What the engine answers for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The record's place in the log. 0 for a batch without rows, which makes none.
    pub sequence: u64,
    /// What is true now: [`Durability::Durable`] if a power cut cannot take the write back.
    pub durability: Durability,
}

/// Turns batches into work for the log, one for each that has rows: everything that needs no lock is done here, in the
/// caller's thread. All are validated before any is resolved, so that a refusal leaves no new series behind.
pub(crate) fn prepare(batches: &[(Arc<Table>, &RecordBatch)], batch_bytes: usize, durability: Durability) -> Result<Vec<Work>> {
    let validate = |(table, batch): &(Arc<Table>, &RecordBatch)| {
        let schema = table.schema();
        let validated = validate::validate(&schema, batch, batch_bytes)?;
        Ok((table.clone(), schema, validated))
    };
    let mut validated = batches.iter().map(validate).collect::<Result<Vec<_>>>()?;
    let bytes: usize = validated.iter().map(|(.., batch)| batch.bytes).sum();
    limits::check("bytes of batches appended together", bytes as u64, batch_bytes as u64, "batch_bytes")?;
    validated.retain(|(.., batch)| batch.rows() > 0);
    let encode = |(table, schema, validated): (Arc<Table>, Arc<TableSchema>, Validated)| {
        let run = Run::from_batch(&schema, resolve::resolve(&table, validated)?)?;
        let payload = Payload::new(encode_rows(schema.id, &run.block)?)?;
        Ok(Work::rows(schema.id, run, payload, durability))
    };
    validated.into_iter().map(encode).collect()
}

/// Turns a batch into rows that a transaction is to put; `None` where it has none.
pub(crate) fn prepare_run(table: &Table, batch: &RecordBatch, batch_bytes: usize) -> Result<Option<(TableId, Run)>> {
    let schema = table.schema();
    let validated = validate::validate(&schema, batch, batch_bytes)?;
    if validated.rows() == 0 {
        return Ok(None);
    }
    Ok(Some((schema.id, Run::from_batch(&schema, resolve::resolve(table, validated)?)?)))
}
