//! Writers: what makes repeated batches of the same sender count once.
//!
//! A sender that may have to send again, because an acknowledgement was lost or it was cut off, numbers its batches from 1 under an id
//! of its own. Which of them was applied last is one cell of the key space, changed in the same record as what the batch writes: so
//! a batch is there if and only if its number is, whatever happens in between.

mod form;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;

pub(crate) use form::cells_of;

use crate::error::{Error, Result};
use crate::keyspace::{Access, Direction, Transaction};
use form::{Form, key};

/// How long a writer is remembered that writes nothing, by the engine's clock.
const IDLE_MICROS: u64 = 90 * 86_400 * 1_000_000;

/// Tells a writer from all others: random, and kept by the sender with what it has yet to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(pub [u8; 16]);

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a sender knows of its past when it begins or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterPast {
    /// Nothing was ever sent under this id.
    New,
    /// Something was, and batches up to this number were acknowledged; 0 if none was.
    Acknowledged(u64),
}

/// A writer and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterState {
    /// The writer.
    pub id: WriterId,
    /// The number of its last batch that was applied; 0 before the first.
    pub applied_through: u64,
    /// When that was, in microseconds of the engine's clock.
    pub used_at: u64,
}

/// The writers of principals, of a database or as a transaction sees them.
///
/// ```
/// use alluvium::{Database, Put, WriterId, WriterPast};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let id = WriterId([7; 16]); // random, in earnest
/// assert_eq!(db.writers().open("pump-7", id, WriterPast::New)?, 0);
/// let receive = |number: u64| {
///     db.transaction(|tx| {
///         if tx.writers().advance("pump-7", id, number)? {
///             tx.kv().increment("starts", 1)?;
///         }
///         Ok::<_, alluvium::Error>(())
///     })
/// };
/// receive(1)?;
/// receive(1)?; // the acknowledgement was lost
/// assert_eq!(db.kv().increment("starts", 0)?, 1);
/// assert!(receive(3).is_err()); // 2 is missing
/// assert_eq!(db.writers().open("pump-7", id, WriterPast::Acknowledged(0))?, 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Writers<A> {
    access: A,
}

impl<A: Access> Writers<A> {
    pub(crate) fn new(access: A) -> Self {
        Writers { access }
    }

    /// Begins a writer, or goes on with one, and answers which of its batches was applied last.
    ///
    /// [`Error::WriterExpired`] for one that is not known and is not new: it may have been idle for 90 days, and what became of
    /// what it sent cannot be told. [`Error::WriterBehind`] where more was acknowledged than is there, as after a backup was
    /// restored. [`Error::Limit`] if the principal has too many writers that are not idle.
    pub fn open(&mut self, principal: &str, id: WriterId, past: WriterPast) -> Result<u64> {
        let most = self.access.shared().writers;
        let principal = principal.to_owned();
        let open = move |transaction: &mut Transaction| {
            if let Some(state) = read(transaction, &principal, id)? {
                return state.checked(past);
            }
            if past != WriterPast::New {
                return Err(Error::WriterExpired { writer: id.to_string() });
            }
            make_room(transaction, &principal, most)?;
            put(transaction, &principal, id, 0);
            Ok(0)
        };
        self.access.write(open).map(|(applied, _)| applied)
    }

    /// Whether a batch is to be applied: it is the next of its writer, and counts as applied if the transaction is committed. It is
    /// not if it was applied before. [`Error::WriterGap`] if there is one missing before it.
    pub fn advance(&mut self, principal: &str, id: WriterId, number: u64) -> Result<bool> {
        self.advance_through(principal, id, number..=number)
    }

    /// The same of several batches, all of them or none. [`Error::WriterGap`] also if only some of them were applied before: they
    /// are then to be told one by one.
    pub fn advance_through(&mut self, principal: &str, id: WriterId, numbers: RangeInclusive<u64>) -> Result<bool> {
        let principal = principal.to_owned();
        let (first, last) = numbers.into_inner();
        let advance = move |transaction: &mut Transaction| {
            let state = read(transaction, &principal, id)?;
            let state = state.ok_or_else(|| Error::WriterExpired { writer: id.to_string() })?;
            let expected = state.applied_through.saturating_add(1);
            if last < expected {
                return Ok(false);
            }
            if first != expected || last < first {
                return Err(Error::WriterGap { writer: id.to_string(), expected, found: first });
            }
            put(transaction, &principal, id, last);
            Ok(true)
        };
        self.access.write(advance).map(|(next, _)| next)
    }

    /// The writers of a principal that are remembered.
    pub fn list(&self, principal: &str) -> Result<Vec<WriterState>> {
        self.access.read(|transaction| list(transaction, principal))
    }

    /// Forgets a writer. Answers whether there was one.
    pub fn remove(&mut self, principal: &str, id: WriterId) -> Result<bool> {
        let principal = principal.to_owned();
        let remove = move |transaction: &mut Transaction| {
            let key = key(&principal, id);
            let there = transaction.get(&key)?.is_some();
            if there {
                transaction.remove(key);
            }
            Ok(there)
        };
        self.access.free(remove).map(|(there, _)| there)
    }
}

impl WriterState {
    fn is_idle(&self, transaction: &Transaction) -> bool {
        transaction.at().engine_micros.saturating_sub(self.used_at) >= IDLE_MICROS
    }

    /// Which batch was applied last, if that agrees with what its sender knows.
    fn checked(self, past: WriterPast) -> Result<u64> {
        match past {
            WriterPast::Acknowledged(acknowledged) if acknowledged > self.applied_through => {
                Err(Error::WriterBehind { writer: self.id.to_string(), applied: self.applied_through, acknowledged })
            }
            // One that calls itself new, and of which something was applied, is another of the same id.
            WriterPast::New if self.applied_through > 0 => {
                Err(Error::invalid(format!("writer {} is not new: give another an id of its own", self.id)))
            }
            _ => Ok(self.applied_through),
        }
    }
}

/// A writer, unless it has been idle for too long.
fn read(transaction: &Transaction, principal: &str, id: WriterId) -> Result<Option<WriterState>> {
    let Some((_, cell)) = transaction.get(&key(principal, id))? else { return Ok(None) };
    Ok(Some(Form::decode(&cell)?.state(id)).filter(|state| !state.is_idle(transaction)))
}

fn put(transaction: &mut Transaction, principal: &str, id: WriterId, applied_through: u64) {
    let form = Form { applied_through, used_at: transaction.at().engine_micros };
    transaction.put(key(principal, id), form.encode());
}

fn list(transaction: &Transaction, principal: &str) -> Result<Vec<WriterState>> {
    let cells = transaction.scan(cells_of(principal), Direction::Forward)?;
    cells.map(|cell| cell.and_then(|(key, (_, cell))| Ok(Form::decode(&cell)?.state(form::id_of(&key)?)))).collect()
}

/// Forgets writers that are idle, and refuses one more where there are still too many.
fn make_room(transaction: &mut Transaction, principal: &str, most: usize) -> Result<()> {
    let (idle, busy): (Vec<_>, Vec<_>) = list(transaction, principal)?.into_iter().partition(|state| state.is_idle(transaction));
    idle.into_iter().for_each(|state| transaction.remove(key(principal, state.id)));
    crate::format::limits::check("writers of a principal", busy.len() as u64 + 1, most as u64, "writers")
}
