//! What waits to be committed, and the place where its outcome is left.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::memtable::Run;
use crate::model::{Sequence, TableId, TableSchema};
use crate::record::{Compacted, Deletion, Receipt, Record, RecordKind, Sealed};
use crate::settings::Durability;
use crate::wal::Payload;

/// A mutation on its way through the log, in the form in which it is published afterwards.
#[derive(Debug)]
pub(crate) enum Mutation {
    CreateTable(TableSchema),
    AlterTable(TableSchema),
    Rows { table: TableId, run: Run },
    Delete(Deletion),
    Sealed(Sealed),
    Compacted(Compacted),
    Receipt(Receipt),
}

/// A mutation and its encoded record.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) mutation: Mutation,
    pub(crate) kind: RecordKind,
    pub(crate) payload: Payload,
    pub(crate) durability: Durability,
}

impl Work {
    /// Rows with their encoded record.
    pub(crate) fn new(mutation: Mutation, payload: Payload) -> Self {
        Work { mutation, kind: RecordKind::PutRows, payload, durability: Durability::Durable }
    }

    /// Bytes of memory that its rows will take.
    pub(crate) fn memory(&self) -> usize {
        match &self.mutation {
            Mutation::Rows { run, .. } => run.memory,
            _ => 0,
        }
    }

    /// Any record but rows.
    pub(crate) fn record(record: Record) -> Result<Self> {
        let kind = record.kind();
        let payload = Payload::new(record.encode()?)?;
        let mutation = match record {
            Record::CreateTable(schema) => Mutation::CreateTable(schema),
            Record::AlterTable(schema) => Mutation::AlterTable(schema),
            Record::DeleteRows(deletion) => Mutation::Delete(deletion),
            Record::Sealed(sealed) => Mutation::Sealed(sealed),
            Record::Compacted(compacted) => Mutation::Compacted(compacted),
            Record::Receipt(receipt) => Mutation::Receipt(receipt),
            Record::PutRows { .. } | Record::CreateSeries { .. } => {
                return Err(Error::Internal("rows and series have a path of their own".to_owned()));
            }
        };
        Ok(Work { mutation, kind, payload, durability: Durability::Durable })
    }
}

/// Where a writer finds the outcome of its work.
#[derive(Debug, Default, Clone)]
pub(super) struct Slot(Arc<Mutex<Option<Result<Sequence>>>>);

impl Slot {
    pub(super) fn put(&self, outcome: Result<Sequence>) {
        *self.0.lock() = Some(outcome);
    }

    pub(super) fn take(&self) -> Option<Result<Sequence>> {
        self.0.lock().take()
    }
}

/// Work in the queue.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) work: Work,
    pub(super) slot: Slot,
}
