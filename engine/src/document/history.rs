//! What documents were before: the cell of each earlier revision, under its number.

use super::definition::Definition;
use super::form::{Document, Form};
use super::key;
use crate::catalog::Stored;
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, revision};
use crate::record::Key;

/// Keeps what a document was before it is put or deleted, and lets go of what is more than the collection asks for.
pub(super) fn keep(transaction: &mut Transaction, of: &Definition, id: &str, before: Option<&Stored>) -> Result<()> {
    let Some((sequence, cell)) = before.filter(|_| of.history > 0) else { return Ok(()) };
    let revision = revision(*sequence);
    // What the same transaction wrote was never there for others.
    if revision == 0 || Form::decode(cell)?.deleted_at.is_some() {
        return Ok(());
    }
    transaction.put(key::history(of.number, id, revision), cell.clone());
    let all = transaction.scan(prefix(&key::history_of(of.number, id)), Direction::Backward)?;
    let more: Vec<_> = all.skip(of.history as usize).map(|cell| Ok(cell?.0)).collect::<Result<_>>()?;
    more.into_iter().for_each(|key| transaction.remove(key));
    Ok(())
}

/// The earlier revisions of a document, newest first.
pub(super) fn all(transaction: &Transaction, of: &Definition, id: &str) -> Result<Vec<Document>> {
    let cells = transaction.scan(prefix(&key::history_of(of.number, id)), Direction::Backward)?;
    let document = |(key, (_, cell)): (Key, Stored)| {
        let mut document = Form::decode(&cell)?.document(id, key::history_revision(&key)?, transaction.at())?;
        // It is past.
        document.expires_in = None;
        Ok(document)
    };
    cells.map(|cell| document(cell?)).collect()
}

/// Lets go of all of them.
pub(super) fn forget(transaction: &mut Transaction, of: &Definition, id: &str) -> Result<()> {
    let cells = transaction.scan(prefix(&key::history_of(of.number, id)), Direction::Forward)?;
    let keys: Vec<_> = cells.map(|cell| Ok(cell?.0)).collect::<Result<_>>()?;
    keys.into_iter().for_each(|key| transaction.remove(key));
    Ok(())
}
