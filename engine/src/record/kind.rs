//! Kinds of records, and their codes in the log.

use super::{DecodeError, Record, encode_rows, persist, rows, transaction};
use crate::error::Result;

/// What a record is about. The numbers are those in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A table was made.
    CreateTable = 1,
    /// A table gained columns or got another name.
    AlterTable = 2,
    /// Series were made.
    CreateSeries = 3,
    /// Rows were put.
    PutRows = 4,
    /// Rows were deleted.
    DeleteRows = 5,
    /// Everything up to a sequence became segments.
    Sealed = 6,
    /// Segments were replaced by others.
    Compacted = 7,
    /// Something was lost.
    Receipt = 8,
    /// A transaction.
    Transaction = 9,
    /// A table was dropped.
    DropTable = 10,
    /// Segments were let go of.
    Evicted = 11,
}

impl RecordKind {
    /// The number in the log.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a number, if there is one.
    pub const fn from_code(code: u8) -> Option<RecordKind> {
        Some(match code {
            1 => RecordKind::CreateTable,
            2 => RecordKind::AlterTable,
            3 => RecordKind::CreateSeries,
            4 => RecordKind::PutRows,
            5 => RecordKind::DeleteRows,
            6 => RecordKind::Sealed,
            7 => RecordKind::Compacted,
            8 => RecordKind::Receipt,
            9 => RecordKind::Transaction,
            10 => RecordKind::DropTable,
            11 => RecordKind::Evicted,
            _ => return None,
        })
    }
}

impl Record {
    /// What it is about.
    pub fn kind(&self) -> RecordKind {
        match self {
            Record::CreateTable(_) => RecordKind::CreateTable,
            Record::AlterTable(_) => RecordKind::AlterTable,
            Record::CreateSeries { .. } => RecordKind::CreateSeries,
            Record::PutRows { .. } => RecordKind::PutRows,
            Record::DeleteRows(_) => RecordKind::DeleteRows,
            Record::Sealed(_) => RecordKind::Sealed,
            Record::Compacted(_) => RecordKind::Compacted,
            Record::Receipt(_) => RecordKind::Receipt,
            Record::Transaction(_) => RecordKind::Transaction,
            Record::DropTable(_) => RecordKind::DropTable,
            Record::Evicted(_) => RecordKind::Evicted,
        }
    }

    /// Its bytes in the log, without the kind. Only rows and transactions can fail, as [`encode_rows`] says.
    pub fn encode(&self) -> Result<Vec<u8>> {
        Ok(match self {
            Record::CreateTable(schema) | Record::AlterTable(schema) | Record::DropTable(schema) => {
                persist::table::encode(schema)
            }
            Record::CreateSeries { table, first, keys } => persist::series::encode(*table, *first, keys),
            Record::PutRows { table, block } => encode_rows(*table, block)?,
            Record::DeleteRows(deletion) => persist::deletion::encode(deletion),
            Record::Sealed(sealed) => persist::segment::encode_sealed(sealed),
            Record::Compacted(compacted) => persist::segment::encode_compacted(compacted),
            Record::Receipt(receipt) => persist::receipt::encode(receipt),
            Record::Transaction(transaction) => transaction::encode(transaction)?,
            Record::Evicted(evicted) => persist::evicted::encode(evicted),
        })
    }

    /// Reads a record back. The bytes may be anything: what is not a record is an error, and memory stays bounded.
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Record, DecodeError> {
        let unknown = || DecodeError::new("record", format!("unknown kind {kind}"));
        Ok(match RecordKind::from_code(kind).ok_or_else(unknown)? {
            RecordKind::CreateTable => Record::CreateTable(persist::table::decode(payload)?),
            RecordKind::AlterTable => Record::AlterTable(persist::table::decode(payload)?),
            RecordKind::CreateSeries => {
                let (table, first, keys) = persist::series::decode(payload)?;
                Record::CreateSeries { table, first, keys }
            }
            RecordKind::PutRows => {
                let (table, block) = rows::decode(payload)?;
                Record::PutRows { table, block }
            }
            RecordKind::DeleteRows => Record::DeleteRows(persist::deletion::decode(payload)?),
            RecordKind::Sealed => Record::Sealed(persist::segment::decode_sealed(payload)?),
            RecordKind::Compacted => Record::Compacted(persist::segment::decode_compacted(payload)?),
            RecordKind::Receipt => Record::Receipt(persist::receipt::decode(payload)?),
            RecordKind::Transaction => Record::Transaction(transaction::decode(payload)?),
            RecordKind::DropTable => Record::DropTable(persist::table::decode(payload)?),
            RecordKind::Evicted => Record::Evicted(persist::evicted::decode(payload)?),
        })
    }
}
