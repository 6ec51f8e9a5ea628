//! Units that are not held yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::form::{PendingForm, SentForm, UnitForm, all_units, decode, units};
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

/// How a segment stands with a delivery, some cut of which has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// It holds a unit that was not sent.
    Wanted(Wanted),
    /// All its units were sent, and some not looked for since.
    Sent,
    /// All its units are held.
    Held,
}

/// Why a segment is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The incarnation that announced what it holds.
    pub(crate) incarnation: [u8; 16],
    /// When the cut was taken.
    pub(crate) taken_at: i64,
}

/// Whether any unit of a table is not seen to be held.
pub(crate) fn lacks_any(view: &View, delivery: u32, table: TableId) -> Result<bool> {
    Ok(view.scan(&prefix(&units(delivery, table)), Direction::Forward)?.next().transpose()?.is_some())
}

/// How a segment of a cut stands: for the oldest unit that it holds and that was not sent yet; else whether all are seen to be held.
pub(crate) fn within_segment(view: &View, delivery: u32, entry: &SegmentEntry) -> Result<Within> {
    let range = ending(delivery, entry.table, (entry.first_sequence, entry.last_sequence));
    let mut within = Within::Held;
    for cell in view.scan(&range, Direction::Forward)? {
        let (_, pending) = read(cell?)?;
        if !holds_unit(entry, &pending.unit) {
            continue;
        }
        if pending.sent.is_none() {
            return Ok(Within::Wanted(Wanted { incarnation: pending.incarnation, taken_at: pending.taken_at }));
        }
        within = Within::Sent;
    }
    Ok(within)
}

/// A segment that was sent and not looked for since.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// What it is called there.
    pub place: String,
    /// Its BLAKE3.
    pub hash: [u8; 32],
    /// Its bytes.
    pub bytes: u64,
    /// Its units.
    pub(super) units: Vec<Key>,
}

/// The segments that were sent and not looked for since: the first so many.
pub(crate) fn sent(transaction: &Transaction, delivery: u32, limit: usize) -> Result<Vec<Sent>> {
    let mut found: BTreeMap<SentForm, Vec<Key>> = BTreeMap::new();
    for cell in transaction.scan(prefix(&all_units(delivery)), Direction::Forward)? {
        let (key, pending) = read(cell?)?;
        let Some(sent) = pending.sent else { continue };
        if found.len() < limit || found.contains_key(&sent) {
            found.entry(sent).or_default().push(key);
        }
    }
    Ok(found.into_iter().map(|(SentForm { place, hash, bytes }, units)| Sent { place, hash, bytes, units }).collect())
}

/// The unit of a key, as it stands, if it was sent to a place and not elsewhere since.
pub(super) fn still(transaction: &Transaction, key: &Key, place: &str) -> Result<Option<PendingForm>> {
    let Some((_, cell)) = transaction.get(key)? else { return Ok(None) };
    let pending: PendingForm = decode(&cell)?;
    Ok(pending.sent.as_ref().is_some_and(|sent| sent.place == place).then_some(pending))
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
