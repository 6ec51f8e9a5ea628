//! Background work on documents: what has expired goes, indexes are built, and what was dropped is swept up.

use super::{debris, definition, index, key, store};
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::record::Key;
use crate::shared::Shared;

/// Documents taken away at once, lest others wait long.
const AT_ONCE: usize = 128;

/// Whether there is anything for [`reclaim`].
pub(crate) fn is_due(transaction: &Transaction) -> Result<bool> {
    Ok(!expired(transaction, 1)?.is_empty() || index::unfinished(transaction)?.is_some() || debris::exists(transaction)?)
}

/// Does some of it.
pub(crate) fn reclaim(transaction: &mut Transaction, shared: &Shared) -> Result<()> {
    for (note, collection, id) in expired(transaction, AT_ONCE)? {
        match definition::by_number(transaction, shared, collection)? {
            Some(of) => store::erase(transaction, &of, &id)?,
            None => transaction.remove(note),
        }
    }
    if let Some(unfinished) = index::unfinished(transaction)?
        && let index::Built::Refused(error) = index::build(transaction, shared, unfinished)?
    {
        tracing::warn!(%error, "an index cannot be built and was taken away");
    }
    debris::sweep(transaction)
}

fn expired(transaction: &Transaction, limit: usize) -> Result<Vec<(Key, u32, String)>> {
    let now = transaction.at().engine_micros;
    let mut expired = Vec::new();
    for cell in transaction.scan(prefix(&[space::DOCUMENT_EXPIRY]), Direction::Forward)?.take(limit) {
        let (note, _) = cell?;
        let (at, collection, id) = key::read_expiry(&note)?;
        if at > now {
            break;
        }
        let id = id.to_owned();
        expired.push((note, collection, id));
    }
    Ok(expired)
}
