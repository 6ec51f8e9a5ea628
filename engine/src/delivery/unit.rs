//! Units that are not held yet.

use std::ops::Bound;

use super::form::{PendingForm, UnitForm, decode, units};
use crate::catalog::{KeyRange, Stored};
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, View, prefix};
use crate::model::{Partition, TableId};
use crate::record::{Key, SegmentEntry};

/// A unit that is not held, and its key.
pub(super) type Pending = (Key, PendingForm);

/// Whether a segment of a partition and some records holds all of a unit.
pub(super) fn holds(partition: Partition, (first, last): (u64, u64), unit: &UnitForm) -> bool {
    let range = partition.range;
    first <= unit.records.0 && unit.records.1 <= last && range.start <= unit.start && unit.end <= range.end
}

/// Whether an entry does.
pub(super) fn holds_unit(entry: &SegmentEntry, unit: &UnitForm) -> bool {
    let records = (entry.first_sequence, entry.last_sequence);
    entry.partition.is_some_and(|partition| holds(partition, records, unit))
}

/// The keys of units of a table that end with one of some records.
fn ending(delivery: u32, table: TableId, (first, last): (u64, u64)) -> KeyRange {
    let key = |record: u64| units(delivery, table).into_iter().chain(record.to_be_bytes()).collect::<Vec<u8>>();
    (Bound::Included(Key::from(key(first))), prefix(&key(last)).1)
}

/// The units of an incarnation that a segment holds which nobody else does yet.
pub(super) fn within(
    transaction: &Transaction,
    delivery: u32,
    entry: &SegmentEntry,
    incarnation: [u8; 16],
) -> Result<Vec<Pending>> {
    let range = ending(delivery, entry.table, (entry.first_sequence, entry.last_sequence));
    let mut found = Vec::new();
    for cell in transaction.scan(range, Direction::Forward)? {
        let (key, pending) = read(cell?)?;
        if pending.incarnation == incarnation && holds_unit(entry, &pending.unit) {
            found.push((key, pending));
        }
    }
    Ok(found)
}

/// Why a segment is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The incarnation that announced what it holds.
    pub(crate) incarnation: [u8; 16],
    /// When the cut was taken.
    pub(crate) taken_at: i64,
}

/// The oldest unit that a segment holds and nobody else does yet; `None` where there is none.
pub(crate) fn oldest_within(view: &View, delivery: u32, entry: &SegmentEntry) -> Result<Option<Wanted>> {
    let range = ending(delivery, entry.table, (entry.first_sequence, entry.last_sequence));
    for cell in view.scan(&range, Direction::Forward)? {
        let (_, pending) = read(cell?)?;
        if holds_unit(entry, &pending.unit) {
            return Ok(Some(Wanted { incarnation: pending.incarnation, taken_at: pending.taken_at }));
        }
    }
    Ok(None)
}

/// All units of a table that are not held, those that end with the oldest records first.
pub(super) fn of_table<'t>(
    transaction: &'t Transaction,
    delivery: u32,
    table: TableId,
) -> Result<impl Iterator<Item = Result<Pending>> + 't> {
    let cells = transaction.scan(prefix(&units(delivery, table)), Direction::Forward)?;
    Ok(cells.map(|cell| read(cell?)))
}

fn read((key, (_, cell)): (Key, Stored)) -> Result<Pending> {
    Ok((key, decode(&cell)?))
}
