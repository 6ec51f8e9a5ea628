//! Changes to the catalog, many in one transaction.

use std::array;

use redb::{AccessGuard, Durability, ReadableTable, Table, WriteTransaction};

use super::guard::Failure;
use super::tables::{self, Kind, State};
use crate::clock::EngineTime;
use crate::error::Error;
use crate::model::{Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{Deletion, Effect, Receipt, SegmentEntry, SegmentId, is_derived, persist};

/// One change of the catalog. Making it twice is the same as making it once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A table, new or changed.
    PutTable(TableSchema),
    /// A table is gone, with its series, segments and deletions. Its number stays taken.
    DropTable(TableSchema),
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
    /// Deletions that some segment is older than.
    PutDeletions {
        /// Their record.
        sequence: Sequence,
        /// All that it deletes.
        deletions: Vec<Deletion>,
    },
    /// Every segment has applied what a record deletes.
    RemoveDeletions(Sequence),
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
    /// What the engine's clock shows.
    EngineTime(EngineTime),
    /// Keys of metadata with what the last record made of each.
    PutCells(Vec<Cell>),
}

impl Change {
    /// The cells that it is of, if it is of cells.
    pub(super) fn cells(&self) -> Option<&[Cell]> {
        if let Change::PutCells(cells) = self { Some(cells) } else { None }
    }
}

/// A key of metadata with what a record made of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// The record.
    pub(crate) sequence: Sequence,
    /// The key and its value.
    pub(crate) effect: Effect,
}

impl Cell {
    /// Of key and value.
    pub(super) fn bytes(&self) -> u64 {
        (self.effect.key.len() + self.effect.value.as_ref().map_or(0, |value| value.len())) as u64
    }
}

/// The tables of a write transaction, each opened when first needed.
pub(super) struct Writer<'t> {
    transaction: &'t WriteTransaction,
    tables: [Option<Table<'t, &'static [u8], &'static [u8]>>; Kind::ALL.len()],
    /// Bytes of keys and values more than before, or less.
    growth: i64,
}

impl<'t> Writer<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
        Writer { transaction, tables: array::from_fn(|_| None), growth: 0 }
    }

    fn table(&mut self, kind: Kind) -> Result<&mut Table<'t, &'static [u8], &'static [u8]>, Failure> {
        let transaction = self.transaction;
        let [state, schemas, series, segments, index, deletions, receipts, cells, changed, dropped] = &mut self.tables;
        let table = match kind {
            Kind::State => state,
            Kind::Tables => schemas,
            Kind::Series => series,
            Kind::Segments => segments,
            Kind::SegmentIndex => index,
            Kind::Deletions => deletions,
            Kind::Receipts => receipts,
            Kind::Cells => cells,
            Kind::Changed => changed,
            Kind::Dropped => dropped,
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

    pub(super) fn put(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let before = self.table(kind)?.insert(key, value)?.map_or(0, |before| bytes(key, before.value()));
        self.growth += bytes(key, value) - before;
        Ok(())
    }

    fn put_numbered(&mut self, kind: Kind, number: u64, value: &[u8]) -> Result<(), Failure> {
        self.put(kind, &tables::number_key(number), value)
    }

    pub(super) fn put_state(&mut self, state: State, value: u64) -> Result<(), Failure> {
        self.put_numbered(Kind::State, state as u64, &value.to_le_bytes())
    }

    fn put_time(&mut self, time: &EngineTime) -> Result<(), Failure> {
        let (boot, since) = time.machine.map_or((0, 0), |(boot, since)| (boot.get(), since));
        self.put_state(State::EngineMicros, time.engine_micros)?;
        self.put_state(State::Boot, boot)?;
        self.put_state(State::SinceBoot, since)
    }

    fn remove_numbered(&mut self, kind: Kind, number: u64) -> Result<(), Failure> {
        let key = tables::number_key(number);
        let before = self.table(kind)?.remove(&key[..])?.map_or(0, |before| bytes(&key, before.value()));
        self.growth -= before;
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Failure> {
        match change {
            Change::PutTable(schema) => self.put_numbered(Kind::Tables, u64::from(schema.id.0), &persist::table::encode(schema)),
            Change::DropTable(schema) => self.drop_table(schema),
            Change::PutSeries { table, first, keys } => {
                let mut value = Vec::new();
                let rows = self.table(Kind::Series)?;
                for (key, number) in keys.iter().zip(tables::series_number(*table, *first)..) {
                    value.clear();
                    tables::encode_series(key, &mut value);
                    rows.insert(&tables::number_key(number)[..], &value[..])?;
                }
                Ok(())
            }
            Change::PutSegment(entry) => {
                self.put_numbered(Kind::SegmentIndex, entry.id.0, &entry.index)?;
                self.put_numbered(Kind::Segments, entry.id.0, &tables::encode_segment(entry))
            }
            Change::RemoveSegment(id) => {
                self.remove_numbered(Kind::SegmentIndex, id.0)?;
                self.remove_numbered(Kind::Segments, id.0)
            }
            Change::PutDeletions { sequence, deletions } => {
                self.put_numbered(Kind::Deletions, *sequence, &persist::deletion::encode_all(deletions))
            }
            Change::RemoveDeletions(sequence) => self.remove_numbered(Kind::Deletions, *sequence),
            Change::PutReceipt { sequence, receipt } => {
                self.put_numbered(Kind::Receipts, *sequence, &persist::receipt::encode(receipt))
            }
            Change::SealedThrough(sequence) => self.put_state(State::SealedThrough, *sequence),
            Change::BytesWritten(bytes) => self.put_state(State::BytesWritten, *bytes),
            Change::EngineTime(time) => self.put_time(time),
            Change::PutCells(cells) => self.put_cells(cells),
        }
    }

    fn drop_table(&mut self, schema: &TableSchema) -> Result<(), Failure> {
        let table = schema.id;
        self.put_numbered(Kind::Dropped, u64::from(table.0), &persist::table::encode(schema))?;
        self.remove_numbered(Kind::Tables, u64::from(table.0))?;
        let series = [SeriesId(0), SeriesId(u32::MAX)].map(|id| tables::number_key(tables::series_number(table, id)));
        self.table(Kind::Series)?.retain_in(&series[0][..]..=&series[1][..], |_, _| false)?;
        let mut segments = Vec::new();
        for row in self.table(Kind::Segments)?.iter()? {
            let (key, value) = row?;
            let entry = tables::number_of(key.value()).and_then(|number| tables::decode_segment(number, value.value()));
            segments.extend(entry.ok().filter(|entry| entry.table == table).map(|entry| entry.id));
        }
        segments.into_iter().try_for_each(|id| self.apply(&Change::RemoveSegment(id)))?;
        self.forget_deletions(table)
    }

    /// What records deleted of a table; what they deleted of others stays.
    fn forget_deletions(&mut self, table: TableId) -> Result<(), Failure> {
        let mut left = Vec::new();
        for row in self.table(Kind::Deletions)?.iter()? {
            let (key, value) = row?;
            let deletions = tables::number_of(key.value()).and_then(|key| Ok((key, tables::decode_deletions(value.value())?)));
            let of_it = |(_, deletions): &(_, Vec<Deletion>)| deletions.iter().any(|deletion| deletion.table == table);
            left.extend(deletions.ok().filter(of_it));
        }
        for (sequence, mut deletions) in left {
            deletions.retain(|deletion| deletion.table != table);
            match deletions.is_empty() {
                true => self.apply(&Change::RemoveDeletions(sequence))?,
                false => self.apply(&Change::PutDeletions { sequence, deletions })?,
            }
        }
        Ok(())
    }

    /// Each key is noted under the last record that changed it, and under no other.
    pub(super) fn put_cells(&mut self, cells: &[Cell]) -> Result<(), Failure> {
        let mut row = Vec::new();
        for Cell { sequence, effect: Effect { key, value } } in cells {
            let cells = self.table(Kind::Cells)?;
            let before = match value {
                Some(value) => {
                    tables::encode_cell(*sequence, value, &mut row);
                    sequence_of(cells.insert(&**key, &row[..])?)?
                }
                None => {
                    row.clear();
                    sequence_of(cells.remove(&**key)?)?
                }
            };
            let (before, old) = before.map_or((None, 0), |(sequence, len)| (Some(sequence), len as i64 + key.len() as i64));
            self.growth += if value.is_some() { bytes(key, &row) } else { 0 } - old;
            if is_derived(key) {
                continue;
            }
            let changed = self.table(Kind::Changed)?;
            if let Some(before) = before {
                tables::changed_key(before, key, &mut row);
                changed.remove(&row[..])?;
            }
            tables::changed_key(*sequence, key, &mut row);
            changed.insert(&row[..], &[u8::from(value.is_none())][..])?;
        }
        Ok(())
    }
}

fn bytes(key: &[u8], value: &[u8]) -> i64 {
    (key.len() + value.len()) as i64
}

/// The record that put a cell which is no more, and the bytes it had.
fn sequence_of(cell: Option<AccessGuard<'_, &'static [u8]>>) -> Result<Option<(Sequence, usize)>, Failure> {
    let Some(cell) = cell else { return Ok(None) };
    let (sequence, _) = tables::decode_cell(cell.value()).map_err(|error| Failure::Own(Error::Internal(error.to_string())))?;
    Ok(Some((sequence, cell.value().len())))
}

/// Runs one transaction that is visible at once and durable with the next checkpoint. Answers how many bytes of keys and values
/// there are more, or less.
pub(super) fn transact(
    database: &redb::Database,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Failure>,
) -> Result<i64, Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::None)?;
    let mut writer = Writer::new(&transaction);
    body(&mut writer)?;
    let growth = writer.growth;
    drop(writer);
    transaction.commit()?;
    Ok(growth)
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
