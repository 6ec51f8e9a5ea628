//! The one place where documents are put and taken away, with everything that goes with it.

use serde_json::Value;

use super::definition::Definition;
use super::form::Form;
use super::{history, index, key, limits, reference};
use crate::catalog::Stored;
use crate::error::{Error, Result};
use crate::keyspace::{Transaction, revision};
use crate::model::Sequence;
use crate::shared::Shared;

/// Other documents that one deletion may change or delete.
pub(super) const MOST_RELEASED: usize = 10_000;

/// The cell of a document, whatever state it is in.
pub(super) fn cell(transaction: &Transaction, of: &Definition, id: &str) -> Result<Option<Stored>> {
    transaction.get(&key::document(of.number, id))
}

/// The revision of a document, if it is there for readers.
pub(super) fn live_revision(transaction: &Transaction, of: &Definition, id: &str) -> Result<Option<Sequence>> {
    let Some((sequence, cell)) = cell(transaction, of, id)? else { return Ok(None) };
    Ok(Form::decode(&cell)?.is_live(transaction.at()).then(|| revision(sequence)))
}

/// A document, and its text by [`limits::text`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'c> {
    pub(super) value: &'c Value,
    pub(super) text: &'c [u8],
}

/// Puts a document that its schema allows in the place of whatever is there.
pub(super) fn put(
    transaction: &mut Transaction,
    shared: &Shared,
    of: &Definition,
    id: &str,
    Content { value: content, text }: Content<'_>,
    expires_at: Option<u64>,
) -> Result<()> {
    reference::check(transaction, shared, of, id, content)?;
    if expires_at.is_some() {
        reference::check_none(transaction, shared, of, id)?;
    }
    let before = cell(transaction, of, id)?;
    let indexed = before.as_ref().map(indexed).transpose()?.flatten();
    index::update(transaction, of, id, indexed, Some(content))?;
    let form = Form { expires_at, deleted_at: None, text };
    replace(transaction, of, id, before.as_ref(), form)
}

/// The JSON for which a document has entries in indexes.
fn indexed((_, cell): &Stored) -> Result<Option<&[u8]>> {
    let form = Form::decode(cell)?;
    // What has expired keeps its entries until it is taken away.
    Ok(form.deleted_at.is_none().then_some(form.text))
}

/// Puts the cell, keeps what was there before where that is asked for, and notes when it expires.
fn replace(transaction: &mut Transaction, of: &Definition, id: &str, before: Option<&Stored>, form: Form<'_>) -> Result<()> {
    if let Some((_, cell)) = before {
        forget_expiry(transaction, of, id, cell)?;
    }
    history::keep(transaction, of, id, before)?;
    if let Some(at) = form.expires_at {
        transaction.put(key::expiry(at, of.number, id), [].into());
    }
    transaction.put(key::document(of.number, id), form.encode());
    Ok(())
}

fn forget_expiry(transaction: &mut Transaction, of: &Definition, id: &str, cell: &[u8]) -> Result<()> {
    if let Some(at) = Form::decode(cell)?.expires_at {
        transaction.remove(key::expiry(at, of.number, id));
    }
    Ok(())
}

/// Deletes a document that is there for readers, or does nothing: so that it can be restored, where its collection says so.
pub(super) fn delete_live(
    transaction: &mut Transaction,
    shared: &Shared,
    of: &Definition,
    id: &str,
    left: &mut usize,
) -> Result<()> {
    let Some(before) = cell(transaction, of, id)? else { return Ok(()) };
    let form = Form::decode(&before.1)?;
    if !form.is_live(transaction.at()) {
        return Ok(());
    }
    // It goes first, so that references in a circle come to an end.
    index::update(transaction, of, id, Some(form.text), None)?;
    if of.soft_delete {
        let keep = of.keep_deleted.map(|keep| u64::try_from(keep.as_micros()).unwrap_or(u64::MAX));
        let at = transaction.at();
        let expires_at = keep.map(|keep| at.engine_micros.saturating_add(keep));
        replace(transaction, of, id, Some(&before), Form { expires_at, deleted_at: Some(at.wall_micros), text: form.text })?;
    } else {
        forget_expiry(transaction, of, id, &before.1)?;
        history::keep(transaction, of, id, Some(&before))?;
        transaction.remove(key::document(of.number, id));
    }
    reference::release(transaction, shared, of, id, left)
}

/// Brings back a document that was deleted.
pub(super) fn restore(transaction: &mut Transaction, shared: &Shared, of: &Definition, id: &str) -> Result<()> {
    let missing = || Error::NoSuchDocument { collection: of.name.clone(), id: id.to_owned() };
    let (_, before) = cell(transaction, of, id)?.ok_or_else(missing)?;
    let form = Form::decode(&before)?;
    if form.is_live(transaction.at()) {
        return Ok(());
    }
    if form.deleted_at.is_none() || form.has_expired(transaction.at()) {
        return Err(missing());
    }
    let content = form.content()?;
    if let Some(validator) = super::schema::validator(transaction, shared, of)? {
        super::schema::validate(&validator, of, id, &content)?;
    }
    let text = limits::text(&content, shared)?;
    put(transaction, shared, of, id, Content { value: &content, text: &text }, None)
}

/// Takes away a document and all that is kept of it.
pub(super) fn purge(transaction: &mut Transaction, shared: &Shared, of: &Definition, id: &str) -> Result<bool> {
    let hard = Definition { soft_delete: false, history: 0, ..of.clone() };
    let there = cell(transaction, of, id)?.is_some();
    let mut left = MOST_RELEASED;
    delete_live(transaction, shared, &hard, id, &mut left)?;
    erase(transaction, of, id)?;
    Ok(there)
}

/// Takes away what nobody sees any more, and all that is kept of it.
pub(super) fn erase(transaction: &mut Transaction, of: &Definition, id: &str) -> Result<()> {
    if let Some(before) = cell(transaction, of, id)? {
        index::update(transaction, of, id, indexed(&before)?, None)?;
        forget_expiry(transaction, of, id, &before.1)?;
        transaction.remove(key::document(of.number, id));
    }
    history::forget(transaction, of, id)
}
