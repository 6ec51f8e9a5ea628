//! Pushing, and the keys that keep the same thing from being pushed twice.

use super::bytes::Reader;
use super::desk::Desk;
use super::item::Prepared;
use super::keys;
use super::state::{AT_ONCE, Order, Place, State};
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::record::Key;

/// Expired keys taken away at once, lest others wait long.
const AT_ONCE_EXPIRED: usize = 256;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The number of the item.
    pub id: u64,
    /// Whether it is the number of one pushed before with the same deduplication key, so that nothing was pushed now.
    pub duplicate: bool,
}

pub(super) fn push(transaction: &mut Transaction, queue: &str, items: Vec<Prepared>) -> Result<Vec<Pushed>> {
    Desk::change(transaction, queue, |transaction, desk| {
        items.into_iter().map(|item| push_one(transaction, desk, item)).collect()
    })
}

fn push_one(transaction: &mut Transaction, desk: &mut Desk, item: Prepared) -> Result<Pushed> {
    let Prepared { content, priority, due, deduplication } = item;
    if let Some(key) = &deduplication
        && let Some(id) = pushed_before(transaction, desk, key)?
    {
        return Ok(Pushed { id, duplicate: true });
    }
    let id = desk.draw();
    let place = match due {
        Some(due) if due > desk.now.wall_micros => Place::Scheduled { due },
        // Its own number is its first place in line.
        due => Place::Ready(Order { available: desk.now.engine_micros, due: due.unwrap_or(AT_ONCE), number: id }),
    };
    transaction.put(keys::item(desk.id(), id), content);
    desk.put(transaction, id, &State { priority, tries: 0, pushed: desk.now.wall_micros, place })?;
    if let Some(key) = &deduplication {
        remember(transaction, desk, key, id)?;
    }
    Ok(Pushed { id, duplicate: false })
}

/// What a deduplication key was last pushed with: to when that counts by the engine's clock, and the item.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    until: u64,
    item: u64,
}

impl Remembered {
    fn load(transaction: &Transaction, key: &[u8]) -> Result<Option<Self>> {
        let Some((_, cell)) = transaction.get(key)? else { return Ok(None) };
        let mut reader = Reader::new("deduplication key", &cell);
        Ok(Some(Remembered { until: reader.u64()?, item: reader.u64()? }))
    }
}

/// The item that was pushed with a key, if its window is still open.
fn pushed_before(transaction: &Transaction, desk: &Desk, key: &str) -> Result<Option<u64>> {
    let remembered = Remembered::load(transaction, &keys::deduplication(desk.id(), key))?;
    Ok(remembered.filter(|before| before.until > desk.now.engine_micros).map(|before| before.item))
}

/// Keeps others with the same key out for as long as the queue says.
fn remember(transaction: &mut Transaction, desk: &Desk, key: &str, item: u64) -> Result<()> {
    let cell = keys::deduplication(desk.id(), key);
    forget(transaction, desk.id(), &cell)?;
    let until = desk.now.engine_micros.saturating_add(desk.settings.deduplication);
    if until > desk.now.engine_micros {
        transaction.put(keys::expiry(until, desk.id(), key.as_bytes()), [].into());
        transaction.put(cell, [until.to_be_bytes(), item.to_be_bytes()].concat().into());
    }
    Ok(())
}

/// Removes the cell of a deduplication key, and where it is noted when it expires.
pub(super) fn forget(transaction: &mut Transaction, queue: u32, cell: &Key) -> Result<()> {
    let Some(Remembered { until, .. }) = Remembered::load(transaction, cell)? else { return Ok(()) };
    let key = cell.get(1 + size_of::<u32>()..).unwrap_or_default();
    transaction.remove(keys::expiry(until, queue, key));
    transaction.remove(cell.clone());
    Ok(())
}

/// Whether there is anything for [`reclaim_expired_keys`].
pub(crate) fn has_expired_keys(transaction: &Transaction) -> Result<bool> {
    Ok(!expired(transaction, 1)?.is_empty())
}

/// Removes some of the deduplication keys whose windows have closed.
pub(crate) fn reclaim_expired_keys(transaction: &mut Transaction) -> Result<()> {
    for (note, cell) in expired(transaction, AT_ONCE_EXPIRED)? {
        transaction.remove(note);
        transaction.remove(cell);
    }
    Ok(())
}

/// Notes of keys whose windows have closed, with the cells of the keys.
fn expired(transaction: &Transaction, limit: usize) -> Result<Vec<(Key, Key)>> {
    let mut expired = Vec::new();
    for cell in transaction.scan(prefix(&[space::QUEUE_DEDUPLICATION_EXPIRY]), Direction::Forward)?.take(limit) {
        let (note, _) = cell?;
        let mut reader = Reader::new("expiry of a key", note.get(1..).unwrap_or_default());
        if reader.u64()? > transaction.at().engine_micros {
            break;
        }
        // The queue and the key, as in the cell.
        let cell = [space::QUEUE_DEDUPLICATION].iter().chain(reader.rest()).copied().collect();
        expired.push((note, cell));
    }
    Ok(expired)
}
