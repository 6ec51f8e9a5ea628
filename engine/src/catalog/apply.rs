//! Changes to the catalog, many in one transaction.

use std::array;

use redb::{Durability, Table, WriteTransaction};

use super::guard::Failure;
use super::tables::{self, Kind, State};
use crate::model::{Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{Deletion, Receipt, SegmentEntry, SegmentId, persist};

/// One change of the catalog. Making it twice is the same as making it once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A table, new or changed.
    PutTable(TableSchema),
    /// Series with dense numbers `first`, `first + 1`, …
    PutSeries {
        /// Their table.
        table: TableId,
        /// The number of the first.
        first: SeriesId,
        /// Their tag values.
        keys: Vec<SeriesKey>,
    },
    /// A segment, with its index.
    PutSegment(SegmentEntry),
    /// A segment and its index are gone.
    RemoveSegment(SegmentId),
    /// A deletion that some segment is older than.
    PutDeletion {
        /// Its record.
        sequence: Sequence,
        /// What it deletes.
        deletion: Deletion,
    },
    /// A deletion that every segment has applied.
    RemoveDeletion(Sequence),
    /// A statement of loss.
    PutReceipt {
        /// Its record.
        sequence: Sequence,
        /// What it says.
        receipt: Receipt,
    },
    /// Everything up to here lies in segments.
    SealedThrough(Sequence),
    /// Bytes written to the database directory since it was created.
    BytesWritten(u64),
}

/// The tables of a write transaction, each opened when first needed.
pub(super) struct Writer<'t> {
    transaction: &'t WriteTransaction,
    tables: [Option<Table<'t, u64, &'static [u8]>>; Kind::ALL.len()],
}

impl<'t> Writer<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
        Writer { transaction, tables: array::from_fn(|_| None) }
    }

    fn table(&mut self, kind: Kind) -> Result<&mut Table<'t, u64, &'static [u8]>, Failure> {
        let transaction = self.transaction;
        let [state, schemas, series, segments, index, deletions, receipts] = &mut self.tables;
        let table = match kind {
            Kind::State => state,
            Kind::Tables => schemas,
            Kind::Series => series,
            Kind::Segments => segments,
            Kind::SegmentIndex => index,
            Kind::Deletions => deletions,
            Kind::Receipts => receipts,
        };
        match table {
            Some(table) => Ok(table),
            none => Ok(none.insert(transaction.open_table(kind.definition())?)),
        }
    }

    /// Makes sure that a table exists.
    pub(super) fn create(&mut self, kind: Kind) -> Result<(), Failure> {
        self.table(kind).map(drop)
    }

    pub(super) fn put(&mut self, kind: Kind, key: u64, value: &[u8]) -> Result<(), Failure> {
        self.table(kind)?.insert(key, value)?;
        Ok(())
    }

    pub(super) fn put_state(&mut self, state: State, value: u64) -> Result<(), Failure> {
        self.put(Kind::State, state as u64, &value.to_le_bytes())
    }

    fn remove(&mut self, kind: Kind, key: u64) -> Result<(), Failure> {
        self.table(kind)?.remove(key)?;
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Failure> {
        match change {
            Change::PutTable(schema) => self.put(Kind::Tables, u64::from(schema.id.0), &persist::table::encode(schema)),
            Change::PutSeries { table, first, keys } => {
                let mut value = Vec::new();
                let rows = self.table(Kind::Series)?;
                for (key, number) in keys.iter().zip(tables::series_key(*table, *first)..) {
                    value.clear();
                    tables::encode_series(key, &mut value);
                    rows.insert(number, &value[..])?;
                }
                Ok(())
            }
            Change::PutSegment(entry) => {
                self.put(Kind::SegmentIndex, entry.id.0, &entry.index)?;
                self.put(Kind::Segments, entry.id.0, &tables::encode_segment(entry))
            }
            Change::RemoveSegment(id) => {
                self.remove(Kind::SegmentIndex, id.0)?;
                self.remove(Kind::Segments, id.0)
            }
            Change::PutDeletion { sequence, deletion } => {
                self.put(Kind::Deletions, *sequence, &persist::deletion::encode(deletion))
            }
            Change::RemoveDeletion(sequence) => self.remove(Kind::Deletions, *sequence),
            Change::PutReceipt { sequence, receipt } => self.put(Kind::Receipts, *sequence, &persist::receipt::encode(receipt)),
            Change::SealedThrough(sequence) => self.put_state(State::SealedThrough, *sequence),
            Change::BytesWritten(bytes) => self.put_state(State::BytesWritten, *bytes),
        }
    }
}

/// Runs one transaction that is visible at once and durable with the next checkpoint.
pub(super) fn transact(
    database: &redb::Database,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::None)?;
    body(&mut Writer::new(&transaction))?;
    transaction.commit()?;
    Ok(())
}

/// Runs the transaction that ends a checkpoint: the image is complete and opens without a repair afterwards.
pub(super) fn conclude(
    database: &redb::Database,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    body(&mut Writer::new(&transaction))?;
    transaction.commit()?;
    Ok(())
}
