//! What waits to be committed.

use std::fmt;

use super::reads::RowsOutcome;
use crate::error::{Error, Result};
use crate::keyspace::{self, Transaction};
use crate::memtable::Run;
use crate::model::{TableId, TableSchema};
use crate::record::{Compacted, Deletion, Effect, Evicted, Receipt, Record, RecordKind, Sealed};
use crate::settings::Durability;
use crate::wal::Payload;

/// A mutation on its way through the log, in the form in which it is published afterwards.
#[derive(Debug)]
pub(crate) enum Mutation {
    CreateTable(TableSchema),
    AlterTable(TableSchema),
    DropTable(TableSchema),
    Rows { table: TableId, run: Run },
    Delete(Deletion),
    Sealed(Sealed),
    Compacted(Compacted),
    Evicted(Evicted),
    Receipt(Receipt),
    Transaction(Effects),
}

/// What a transaction does.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) cells: Vec<Effect>,
    /// At most one for each table.
    pub(crate) rows: Vec<(TableId, Run)>,
    /// Of older rows than `rows`.
    pub(crate) deletions: Vec<Deletion>,
}

/// Something to be committed.
#[derive(Debug)]
pub(crate) enum Work {
    /// What nothing that others do can change.
    Prepared(Prepared),
    /// What depends on everything before it, and is decided when that is known.
    Decision(Decision),
}

/// A mutation and its encoded record.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) mutation: Mutation,
    pub(crate) kind: RecordKind,
    pub(crate) payload: Payload,
    pub(crate) durability: Durability,
}

/// Finds out what a transaction does.
pub(super) type Decide = Box<dyn FnOnce(&mut Transaction) -> Result<()> + Send>;

/// A transaction that is yet to be decided.
pub(crate) enum Decision {
    /// What it does is found out on the state that everything before it leaves. Quick, since others wait.
    Now(Decide),
    /// What it does is known, and stands if what it read still holds. Otherwise it is found out again, or a conflict.
    IfUnchanged(Outcome, Option<Decide>),
}

/// What a transaction read, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) keys: keyspace::Outcome,
    pub(crate) rows: RowsOutcome,
}

impl From<Outcome> for Work {
    fn from(outcome: Outcome) -> Self {
        Work::Decision(Decision::IfUnchanged(outcome, None))
    }
}

impl Work {
    /// Rows with their encoded record.
    pub(crate) fn rows(table: TableId, run: Run, payload: Payload, durability: Durability) -> Self {
        Work::Prepared(Prepared { mutation: Mutation::Rows { table, run }, kind: RecordKind::PutRows, payload, durability })
    }

    /// A transaction of keys that is decided at its turn.
    pub(crate) fn decide(decide: impl FnOnce(&mut Transaction) -> Result<()> + Send + 'static) -> Self {
        Work::Decision(Decision::Now(Box::new(decide)))
    }

    /// A transaction of keys that was decided early, and is decided again at its turn where others have changed what it read.
    pub(crate) fn decided_early(
        keys: keyspace::Outcome,
        again: impl FnOnce(&mut Transaction) -> Result<()> + Send + 'static,
    ) -> Self {
        Work::Decision(Decision::IfUnchanged(Outcome { keys, rows: RowsOutcome::default() }, Some(Box::new(again))))
    }

    /// Bytes of memory that its rows will take.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Work::Prepared(Prepared { mutation: Mutation::Rows { run, .. }, .. }) => run.memory,
            Work::Decision(Decision::IfUnchanged(Outcome { rows, .. }, _)) => rows.runs.iter().map(|(_, run)| run.memory).sum(),
            _ => 0,
        }
    }

    /// Whether it depends on rows that it read.
    pub(super) fn read_rows(&self) -> bool {
        matches!(self, Work::Decision(Decision::IfUnchanged(Outcome { rows, .. }, _)) if !rows.reads.is_empty())
    }

    /// Bytes it will take in the log, as far as that is known.
    pub(crate) fn frame_bytes(&self) -> usize {
        match self {
            Work::Prepared(prepared) => prepared.payload.frame_bytes(),
            Work::Decision(Decision::Now(_)) => 0,
            Work::Decision(Decision::IfUnchanged(Outcome { keys, rows }, _)) => {
                keys.bytes() + rows.runs.iter().map(|(_, run)| run.memory).sum::<usize>()
            }
        }
    }

    /// Any record but rows and transactions.
    pub(crate) fn record(record: Record) -> Result<Self> {
        let kind = record.kind();
        let payload = Payload::new(record.encode()?)?;
        let mutation = match record {
            Record::CreateTable(schema) => Mutation::CreateTable(schema),
            Record::AlterTable(schema) => Mutation::AlterTable(schema),
            Record::DropTable(schema) => Mutation::DropTable(schema),
            Record::DeleteRows(deletion) => Mutation::Delete(deletion),
            Record::Sealed(sealed) => Mutation::Sealed(sealed),
            Record::Compacted(compacted) => Mutation::Compacted(compacted),
            Record::Evicted(evicted) => Mutation::Evicted(evicted),
            Record::Receipt(receipt) => Mutation::Receipt(receipt),
            Record::PutRows { .. } | Record::CreateSeries { .. } | Record::Transaction(_) => {
                return Err(Error::Internal("rows, series and transactions have a path of their own".to_owned()));
            }
        };
        Ok(Work::Prepared(Prepared { mutation, kind, payload, durability: Durability::Durable }))
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Decision::Now(_) => "Now",
            Decision::IfUnchanged(..) => "IfUnchanged",
        })
    }
}
