//! Which pairs expire when.

use super::pair;
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::record::Key;

/// Pairs taken away at once, lest others wait long.
const AT_ONCE: usize = 256;

/// Where it is noted that a pair expires: by time, then key.
fn noted(key: &[u8], at: u64) -> Key {
    [space::KEY_VALUE_EXPIRY].into_iter().chain(at.to_be_bytes()).chain(key.iter().copied()).collect()
}

/// Notes when a pair expires.
pub(super) fn note(transaction: &mut Transaction, key: &[u8], at: u64) {
    transaction.put(noted(key, at), [].into());
}

/// Takes back what was noted of a pair that is there.
pub(super) fn forget(transaction: &mut Transaction, key: &[u8]) -> Result<()> {
    let Some((_, cell)) = transaction.get(key)? else { return Ok(()) };
    if let Some(at) = pair::expires_at(&cell)? {
        transaction.remove(noted(key, at));
    }
    Ok(())
}

/// Whether there is anything for [`reclaim`].
pub(crate) fn has_expired(transaction: &Transaction) -> Result<bool> {
    Ok(!expired(transaction, 1)?.is_empty())
}

/// Removes some of what has expired, which nobody sees any more.
pub(crate) fn reclaim(transaction: &mut Transaction) -> Result<()> {
    for (note, key) in expired(transaction, AT_ONCE)? {
        transaction.remove(note);
        transaction.remove(key);
    }
    Ok(())
}

/// Notes of what has expired, with its keys.
fn expired(transaction: &Transaction, limit: usize) -> Result<Vec<(Key, Key)>> {
    let now = transaction.at().engine_micros;
    let mut expired = Vec::new();
    for cell in transaction.scan(prefix(&[space::KEY_VALUE_EXPIRY]), Direction::Forward)?.take(limit) {
        let (note, _) = cell?;
        let Some((at, key)) = note.get(1..).and_then(|rest| rest.split_first_chunk()) else { continue };
        if u64::from_be_bytes(*at) > now {
            break;
        }
        let key = Key::from(key);
        expired.push((note, key));
    }
    Ok(expired)
}
