//! What tables have let go of, summed up.

use super::group::Group;
use crate::error::{Error, Result};
use crate::keyspace::{Transaction, space};
use crate::model::TableId;
use crate::record::{Effect, Evicted, Evictions, Key, persist};

/// The cell of a table's total.
fn key(table: TableId) -> Key {
    [space::EVICTIONS].into_iter().chain(table.0.to_be_bytes()).collect()
}

/// What an eviction makes of the total.
pub(crate) fn total(evicted: &Evicted) -> Effect {
    Effect { key: key(evicted.table), value: Some(persist::evicted::encode_total(&evicted.total).into()) }
}

/// What a table has let go of; `None` where that is nothing.
pub(crate) fn of_table(transaction: &Transaction, table: TableId) -> Result<Option<Evictions>> {
    let Some((_, cell)) = transaction.get(&key(table))? else { return Ok(None) };
    let unreadable = |error| Error::Internal(format!("what a table has let go of cannot be read: {error}"));
    persist::evicted::decode_total(&cell).map(Some).map_err(unreadable)
}

/// A total with one group more.
pub(crate) fn add(before: Option<Evictions>, group: &Group, is_unheld: bool, at_micros: i64) -> Evictions {
    let none = Evictions { segments: 0, rows: 0, bytes: 0, unheld_rows: 0, times: group.times, last_sequence: 0, at_micros };
    let before = before.unwrap_or(none);
    Evictions {
        segments: before.segments.saturating_add(group.segments.len() as u64),
        rows: before.rows.saturating_add(group.rows()),
        bytes: before.bytes.saturating_add(group.bytes()),
        unheld_rows: before.unheld_rows.saturating_add(if is_unheld { group.rows() } else { 0 }),
        times: (before.times.0.min(group.times.0), before.times.1.max(group.times.1)),
        last_sequence: before.last_sequence.max(group.records().1),
        at_micros,
    }
}
