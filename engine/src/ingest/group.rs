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
    pub(crate) fn rows(table: TableId, run: Run, payload: Payload, durability: Durability) -> Self {
        Work { mutation: Mutation::Rows { table, run }, kind: RecordKind::PutRows, payload, durability }
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

/// What became of the works of one writer, in their order.
pub(super) type Outcomes = Vec<Result<Sequence>>;

/// Where a writer finds what became of its works.
#[derive(Debug, Default, Clone)]
pub(super) struct Slot(Arc<Mutex<Option<Outcomes>>>);

impl Slot {
    pub(super) fn put(&self, outcomes: Outcomes) {
        *self.0.lock() = Some(outcomes);
    }

    pub(super) fn take(&self) -> Option<Outcomes> {
        self.0.lock().take()
    }
}

/// Works of one writer in the queue; they go into one group.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) works: Vec<Work>,
    pub(super) slot: Slot,
}

impl Pending {
    /// Bytes of their records in the log.
    pub(super) fn frame_bytes(&self) -> usize {
        self.works.iter().map(|work| work.payload.frame_bytes()).sum()
    }
}
