//! Deletions that were told, kept for whoever forgets that he was: once they are carried out nothing else here knows of them.

use super::form::{erased_key, erased_of, unreadable};
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::model::Sequence;
use crate::record::{Deletion, persist};

/// Those of so many records are kept, the last.
const KEPT: usize = 4_096;

/// Deletions with their records, in the order of these.
pub(super) type Erasures = Vec<(Sequence, Deletion)>;

/// Those that are kept and of which `is_new` says so.
pub(super) fn kept(transaction: &Transaction, is_new: impl Fn(Sequence) -> bool) -> Result<Erasures> {
    let mut kept = Vec::new();
    for cell in transaction.scan(prefix(&[space::ERASED]), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        let sequence = erased_of(&key)?;
        if is_new(sequence) {
            let deletions = persist::deletion::decode_all(&cell).map_err(|error| unreadable(&error))?;
            kept.extend(deletions.into_iter().map(|deletion| (sequence, deletion)));
        }
    }
    Ok(kept)
}

/// Keeps some more, and lets go of the oldest of too many.
pub(super) fn keep(transaction: &mut Transaction, erasures: &[(Sequence, Deletion)]) -> Result<()> {
    if erasures.is_empty() {
        return Ok(());
    }
    for of_one in erasures.chunk_by(|a, b| a.0 == b.0) {
        let deletions: Vec<_> = of_one.iter().map(|(_, deletion)| deletion.clone()).collect();
        let key = erased_key(of_one.first().map_or(0, |(sequence, _)| *sequence));
        transaction.put(key, persist::deletion::encode_all(&deletions).into());
    }
    let mut keys = Vec::new();
    for cell in transaction.scan(prefix(&[space::ERASED]), Direction::Forward)? {
        keys.push(cell?.0);
    }
    let too_many = keys.len().saturating_sub(KEPT);
    keys.into_iter().take(too_many).for_each(|key| transaction.remove(key));
    Ok(())
}
