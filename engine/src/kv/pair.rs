//! The cell of a pair.

use std::sync::Arc;
use std::time::Duration;

use super::expiry;
use crate::catalog::Stored;
use crate::error::{Error, Result};
use crate::keyspace::{Transaction, revision, space};
use crate::model::Sequence;
use crate::record::Key;

/// A value, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The value.
    pub value: Vec<u8>,
    /// Changes with every write. 0 for what the same transaction has written.
    pub revision: Sequence,
    /// How much longer it lasts; `None` if it does not expire.
    pub expires_in: Option<Duration>,
    /// When it expires, in microseconds of the engine's clock.
    pub(super) expires_at: Option<u64>,
}

/// What lies in the cell: when it expires, in microseconds and big-endian, or eight bytes of ones; then the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'v> {
    pub(super) expires_at: Option<u64>,
    pub(super) value: &'v [u8],
}

const NEVER: u64 = u64::MAX;

impl<'v> Form<'v> {
    fn encode(self) -> Arc<[u8]> {
        let expires_at = self.expires_at.unwrap_or(NEVER).to_be_bytes();
        expires_at.iter().chain(self.value).copied().collect()
    }

    fn decode(cell: &'v [u8]) -> Result<Self> {
        let wrong = || Error::Internal("a key-value pair of too few bytes".to_owned());
        let (expires_at, value) = cell.split_first_chunk().ok_or_else(wrong)?;
        let expires_at = Some(u64::from_be_bytes(*expires_at)).filter(|at| *at != NEVER);
        Ok(Form { expires_at, value })
    }
}

/// The cell of a key.
pub(super) fn key(key: &str) -> Key {
    [space::KEY_VALUE].iter().chain(key.as_bytes()).copied().collect()
}

/// The pair of a key, unless there is none or it has expired.
pub(super) fn get(transaction: &Transaction, name: &str) -> Result<Option<Pair>> {
    let Some(stored) = transaction.get(&key(name))? else { return Ok(None) };
    read(transaction, &stored)
}

/// A cell as a pair with its key, unless it has expired.
pub(super) fn open(transaction: &Transaction, key: &[u8], stored: &Stored) -> Result<Option<(String, Pair)>> {
    let name = name_of(key).ok_or_else(|| Error::Internal("a key that is no text".to_owned()))?;
    Ok(read(transaction, stored)?.map(|pair| (name.to_owned(), pair)))
}

fn read(transaction: &Transaction, (sequence, cell): &Stored) -> Result<Option<Pair>> {
    let Form { expires_at, value } = Form::decode(cell)?;
    let left = expires_at.map(|at| at.saturating_sub(transaction.at().engine_micros));
    if left == Some(0) {
        return Ok(None);
    }
    let expires_in = left.map(Duration::from_micros);
    Ok(Some(Pair { value: value.to_owned(), revision: revision(*sequence), expires_in, expires_at }))
}

/// Puts a pair in the place of any there.
pub(super) fn put(transaction: &mut Transaction, name: &str, form: Form<'_>) -> Result<()> {
    let key = key(name);
    expiry::forget(transaction, &key)?;
    if let Some(at) = form.expires_at {
        expiry::note(transaction, &key, at);
    }
    transaction.put(key, form.encode());
    Ok(())
}

/// Removes a pair, expired or not.
pub(super) fn remove(transaction: &mut Transaction, name: &str) -> Result<()> {
    let key = key(name);
    expiry::forget(transaction, &key)?;
    if transaction.get(&key)?.is_some() {
        transaction.remove(key);
    }
    Ok(())
}

/// What callers call the pair of a key; `None` where the key is none.
pub(crate) fn name_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

/// When the pair of a cell expires, in microseconds of the engine's clock, and its value; `None` where it is no cell.
pub(crate) fn read_cell(cell: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let Form { expires_at, value } = Form::decode(cell).ok()?;
    Some((expires_at, value))
}

/// When the pair of a cell expires, expired or not.
pub(super) fn expires_at(cell: &[u8]) -> Result<Option<u64>> {
    Ok(Form::decode(cell)?.expires_at)
}
