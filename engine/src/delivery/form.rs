//! The cells of deliveries, in postcard, and their keys.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cut::Unit;
use crate::error::{Error, Result};
use crate::keyspace::space;
use crate::model::{Partition, PartitionKind, TableId, TimeRange};
use crate::record::{DecodeError, Key, persist};

/// A delivery, under [`space::DELIVERY`] and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeliveryForm {
    pub(super) number: u32,
    pub(super) incarnation: [u8; 16],
    /// The last cut, the record it ends with, and the wall time at which it was taken.
    pub(super) cuts: u64,
    pub(super) through: u64,
    pub(super) taken_at: i64,
    /// The last cut that was announced, likewise, as whose, and the hash it has there.
    pub(super) announced: u64,
    pub(super) announced_through: u64,
    pub(super) announced_at: i64,
    pub(super) announced_incarnation: [u8; 16],
    pub(super) announced_hash: [u8; 32],
    /// Of which record on metadata were not sent yet.
    pub(super) metadata_through: u64,
    /// Tables whose drop some cut tells of.
    pub(super) dropped: Vec<u32>,
}

/// A cut that was not announced yet, or of which a unit is not held, under [`space::CUT`], the delivery's number and its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutForm {
    pub(super) after: u64,
    pub(super) through: u64,
    pub(super) taken_at: i64,
    /// When the cut before was taken.
    pub(super) before_at: i64,
    /// Units that are not held.
    pub(super) left: u64,
    /// What it is to be announced with; nothing more once it was.
    pub(super) content: Option<ContentForm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentForm {
    pub(super) audit: Option<(u64, [u8; 32])>,
    pub(super) units: Vec<UnitForm>,
    pub(super) dropped: Vec<u32>,
    /// Deletions with their records, as the log has them.
    pub(super) erasures: Vec<(u64, Vec<u8>)>,
    /// Receipts, as the log has them.
    pub(super) losses: Vec<Vec<u8>>,
    /// Units of cuts before that no segment holds any more.
    pub(super) voids: Vec<UnitForm>,
}

/// A unit, within its cut; and under [`space::UNIT`] while it is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitForm {
    pub(super) table: u32,
    pub(super) kind: u8,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) records: (u64, u64),
    pub(super) rows: u64,
    pub(super) times: (i64, i64),
}

/// What is noted of a unit that is not held: its cut, whose that is and when it was taken, what it is, and where it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingForm {
    pub(super) cut: u64,
    pub(super) incarnation: [u8; 16],
    pub(super) taken_at: i64,
    pub(super) unit: UnitForm,
    pub(super) sent: Option<SentForm>,
}

/// What a unit was sent in, which was not seen there since.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct SentForm {
    pub(super) place: String,
    pub(super) hash: [u8; 32],
    pub(super) bytes: u64,
}

/// A unit that turned out to be void, under [`space::VOIDED`], the delivery's number and that of the cut that says so: as it stood, and
/// its cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoidedForm {
    pub(super) pending: PendingForm,
    pub(super) cut: CutForm,
}

impl UnitForm {
    pub(super) fn of(unit: &Unit) -> Self {
        UnitForm {
            table: unit.table.0,
            kind: code(unit.partition.kind),
            start: unit.partition.range.start,
            end: unit.partition.range.end,
            records: unit.records,
            rows: unit.rows,
            times: unit.times,
        }
    }

    pub(super) fn unit(self) -> Result<Unit> {
        let kind = PartitionKind::ALL.into_iter().find(|kind| code(*kind) == self.kind);
        let kind = kind.ok_or_else(|| unknown("a unit of a delivery"))?;
        let partition = Partition { kind, range: TimeRange::new(self.start, self.end) };
        Ok(Unit { table: TableId(self.table), partition, records: self.records, rows: self.rows, times: self.times })
    }
}

fn code(kind: PartitionKind) -> u8 {
    match kind {
        PartitionKind::Hour => 0,
        PartitionKind::Day => 1,
        PartitionKind::Month => 2,
        PartitionKind::Year => 3,
    }
}

pub(super) fn encode<T: Serialize>(form: &T) -> Arc<[u8]> {
    persist::write(form).into()
}

pub(super) fn decode<'a, T: Deserialize<'a>>(cell: &'a [u8]) -> Result<T> {
    persist::read("delivery", cell).map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &DecodeError) -> Error {
    Error::Internal(format!("what is noted of a delivery cannot be read: {error}"))
}

fn unknown(what: &str) -> Error {
    Error::Internal(format!("{what} is of a form that is not known"))
}

/// The cell of a delivery.
pub(super) fn delivery_key(name: &str) -> Key {
    [space::DELIVERY].iter().chain(name.as_bytes()).copied().collect()
}

/// The name in the key of a delivery.
pub(super) fn name_of(key: &[u8]) -> Result<String> {
    let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| unknown("the name of a delivery"))
}

/// The cell of a cut.
pub(super) fn cut_key(delivery: u32, cut: u64) -> Key {
    cuts(delivery).into_iter().chain(cut.to_be_bytes()).collect()
}

/// The cell of what a record deleted and was told.
pub(super) fn erased_key(record: u64) -> Key {
    [space::ERASED].into_iter().chain(record.to_be_bytes()).collect()
}

/// The record in its key.
pub(super) fn erased_of(key: &[u8]) -> Result<u64> {
    let record = key.get(1..).and_then(<[u8]>::first_chunk);
    record.map(|record| u64::from_be_bytes(*record)).ok_or_else(|| unknown("the record of a deletion that was told"))
}

/// The beginning of those of all cuts of a delivery.
pub(super) fn cuts(delivery: u32) -> Vec<u8> {
    beginning(space::CUT, delivery)
}

/// The number in the key of a cut.
pub(super) fn cut_of(key: &[u8]) -> Result<u64> {
    key.last_chunk().map(|number| u64::from_be_bytes(*number)).ok_or_else(|| unknown("the number of a cut"))
}

/// The cell of a unit: those of a table in the order of their last records.
pub(super) fn unit_key(delivery: u32, unit: &UnitForm) -> Key {
    key_of(delivery, TableId(unit.table), (unit.kind, unit.start), unit.records)
}

/// The same of a partition that begins then.
pub(super) fn unit_key_of(delivery: u32, table: TableId, (kind, start): (PartitionKind, i64), records: (u64, u64)) -> Key {
    key_of(delivery, table, (code(kind), start), records)
}

fn key_of(delivery: u32, table: TableId, (kind, start): (u8, i64), (first, last): (u64, u64)) -> Key {
    let mut key = units(delivery, table);
    key.extend([last, first].into_iter().flat_map(u64::to_be_bytes));
    key.push(kind);
    key.extend((start ^ i64::MIN).to_be_bytes());
    Key::from(key)
}

/// The beginning of those of a table's units.
pub(super) fn units(delivery: u32, table: TableId) -> Vec<u8> {
    let mut key = beginning(space::UNIT, delivery);
    key.extend(table.0.to_be_bytes());
    key
}

/// The beginning of those of all units of a delivery.
pub(super) fn all_units(delivery: u32) -> Vec<u8> {
    beginning(space::UNIT, delivery)
}

/// The cell of a unit that a cut says to be void.
pub(super) fn voided_key(delivery: u32, told_by: u64, unit: &UnitForm) -> Key {
    let of_unit = unit_key(delivery, unit);
    let unit = of_unit.get(all_units(delivery).len()..).unwrap_or_default();
    voided_by(delivery, told_by).into_iter().chain(unit.iter().copied()).collect()
}

/// The beginning of those that a cut says to be void.
pub(super) fn voided_by(delivery: u32, told_by: u64) -> Vec<u8> {
    all_voided(delivery).into_iter().chain(told_by.to_be_bytes()).collect()
}

/// The beginning of those of a delivery.
pub(super) fn all_voided(delivery: u32) -> Vec<u8> {
    beginning(space::VOIDED, delivery)
}

/// The cell of a note.
pub(super) fn note_key(delivery: u32, name: &[u8]) -> Key {
    beginning(space::DELIVERY_NOTE, delivery).into_iter().chain(name.iter().copied()).collect()
}

/// The beginning of those of all notes of a delivery.
pub(super) fn all_notes(delivery: u32) -> Vec<u8> {
    beginning(space::DELIVERY_NOTE, delivery)
}

fn beginning(space: u8, delivery: u32) -> Vec<u8> {
    [space].into_iter().chain(delivery.to_be_bytes()).collect()
}
