//! What is left of collections and indexes that were dropped: beginnings of keys, whose cells are removed little by little.

use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};

/// Cells taken away at once, lest others wait long.
const AT_ONCE: usize = 512;

/// Leaves all keys with a beginning to be removed.
pub(super) fn leave(transaction: &mut Transaction, beginning: &[u8]) {
    transaction.put(super::key::debris(beginning), [].into());
}

/// Whether there is anything for [`sweep`].
pub(super) fn exists(transaction: &Transaction) -> Result<bool> {
    Ok(transaction.scan(prefix(&[space::DEBRIS]), Direction::Forward)?.next().transpose()?.is_some())
}

/// Removes some.
pub(super) fn sweep(transaction: &mut Transaction) -> Result<()> {
    let first = transaction.scan(prefix(&[space::DEBRIS]), Direction::Forward)?.next().transpose()?;
    let Some((note, _)) = first else { return Ok(()) };
    let beginning = note.get(1..).unwrap_or_default();
    let cells = transaction.scan(prefix(beginning), Direction::Forward)?.take(AT_ONCE);
    let keys: Vec<_> = cells.map(|cell| Ok(cell?.0)).collect::<Result<_>>()?;
    if keys.len() < AT_ONCE {
        transaction.remove(note.clone());
    }
    keys.into_iter().for_each(|key| transaction.remove(key));
    Ok(())
}
