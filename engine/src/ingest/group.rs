//! What waits to be committed.

use crate::error::{Error, Result};
use crate::memtable::Run;
use crate::model::{TableId, TableSchema};
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
