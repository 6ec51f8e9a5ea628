//! References between documents, each found backwards through an index over its path.

use std::sync::Arc;

use serde_json::Value;

use super::definition::{Definition, OnDelete, Reference};
use super::form::Form;
use super::store::Content;
use super::{definition, index, key, limits, ordered, store};
use crate::error::{BrokenReference, Error, Result};
use crate::keyspace::{Direction, Transaction, prefix};
use crate::shared::Shared;

/// Refuses a document that refers to one that is not there, or that will be gone by itself.
pub(super) fn check(transaction: &Transaction, shared: &Shared, of: &Definition, id: &str, content: &Value) -> Result<()> {
    of.references.iter().try_for_each(|reference| check_reference(transaction, shared, (of, reference), id, content))
}

/// The same for the reference that an index serves, if it does.
pub(super) fn check_one(
    transaction: &Transaction,
    shared: &Shared,
    of: &Definition,
    index: u32,
    id: &str,
    content: &Value,
) -> Result<()> {
    let served = of.references.iter().filter(|reference| reference.index == index);
    served.into_iter().try_for_each(|reference| check_reference(transaction, shared, (of, reference), id, content))
}

fn check_reference(
    transaction: &Transaction,
    shared: &Shared,
    (of, reference): (&Definition, &Reference),
    id: &str,
    content: &Value,
) -> Result<()> {
    let broken = |to: &str, why: String| {
        let (collection, path) = (of.name.clone(), reference.path.to_string());
        Err(BrokenReference { collection, id: id.to_owned(), path, to: to.to_owned(), why }.into())
    };
    let other = match reference.path.find(content) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(other)) => other,
        Some(odd) => return broken("", format!("{odd} is no id")),
    };
    let Some(to) = definition::by_number(transaction, shared, reference.to)? else {
        return broken("", "the collection was dropped".to_owned());
    };
    // A document may refer to itself.
    if to.number == of.number && other == id {
        return Ok(());
    }
    let there = transaction.get(&key::document(to.number, other))?;
    match there.as_ref().map(|(_, cell)| Form::decode(cell)).transpose()? {
        Some(form) if !form.is_live(transaction.at()) => broken(&to.name, format!("there is no document {other:?}")),
        Some(form) if form.expires_at.is_some() => broken(&to.name, format!("document {other:?} expires")),
        Some(_) => Ok(()),
        None => broken(&to.name, format!("there is no document {other:?}")),
    }
}

/// Whoever refers to a document, with the reference; `most` of them.
fn referring(
    transaction: &Transaction,
    shared: &Shared,
    to: &Definition,
    id: &str,
    most: usize,
) -> Result<Vec<(Arc<Definition>, Reference, String)>> {
    let value = ordered::encoded(Some(&Value::String(id.to_owned())));
    let mut found = Vec::new();
    for number in &to.referrers {
        let Some(from) = definition::by_number(transaction, shared, *number)? else { continue };
        for reference in from.references.iter().filter(|reference| reference.to == to.number) {
            let Some(index) = from.index(reference.index) else { continue };
            let entries = prefix(&key::index(from.number, index.number, &value));
            for cell in transaction.scan(entries, Direction::Forward)? {
                if found.len() == most {
                    return Ok(found);
                }
                let other = index::id_of(index, &cell?.0)?.to_owned();
                let itself = (from.number, other.as_str()) == (to.number, id);
                // What has expired keeps its entries until it is taken away, but nobody sees it.
                if !itself && store::live_revision(transaction, &from, &other)?.is_some() {
                    found.push((from.clone(), reference.clone(), other));
                }
            }
        }
    }
    Ok(found)
}

/// Refuses that a document expires to which others refer.
pub(super) fn check_none(transaction: &Transaction, shared: &Shared, to: &Definition, id: &str) -> Result<()> {
    match referring(transaction, shared, to, id, 1)?.pop() {
        None => Ok(()),
        Some((from, _, other)) => {
            Err(Error::Referenced { collection: to.name.clone(), id: id.to_owned(), by: from.name.clone(), other })
        }
    }
}

/// Does to those that refer to a document about to be deleted what their collections say. `left` bounds how many there may be.
pub(super) fn release(transaction: &mut Transaction, shared: &Shared, to: &Definition, id: &str, left: &mut usize) -> Result<()> {
    for (from, reference, other) in referring(transaction, shared, to, id, left.saturating_add(1))? {
        *left = left.checked_sub(1).ok_or(Error::Limit {
            what: "documents that one deletion changes",
            found: store::MOST_RELEASED as u64 + 1,
            limit: store::MOST_RELEASED as u64,
            setting: "",
        })?;
        match reference.on_delete {
            OnDelete::Restrict => {
                let (collection, by) = (to.name.clone(), from.name.clone());
                return Err(Error::Referenced { collection, id: id.to_owned(), by, other });
            }
            OnDelete::Cascade => store::delete_live(transaction, shared, &from, &other, left)?,
            OnDelete::SetNull => set_null(transaction, shared, &from, &other, (to.number, id))?,
        }
    }
    Ok(())
}

fn set_null(transaction: &mut Transaction, shared: &Shared, from: &Definition, id: &str, (to, gone): (u32, &str)) -> Result<()> {
    let Some((_, cell)) = transaction.get(&key::document(from.number, id))? else { return Ok(()) };
    let form = Form::decode(&cell)?;
    let mut content = form.content()?;
    // All at once, since none of them may refer to what is gone.
    for reference in from.references.iter().filter(|reference| reference.to == to && reference.on_delete == OnDelete::SetNull) {
        match reference.path.find_mut(&mut content) {
            Some(value) if value.as_str() == Some(gone) => *value = Value::Null,
            _ => {}
        }
    }
    if let Some(validator) = super::schema::validator(transaction, shared, from)? {
        super::schema::validate(&validator, from, id, &content)?;
    }
    let text = limits::text(&content, shared)?;
    store::put(transaction, shared, from, id, Content { value: &content, text: &text }, form.expires_at)
}

/// Takes away the reference that an index served.
pub(super) fn forget(transaction: &mut Transaction, shared: &Shared, of: &mut Definition, index: u32) -> Result<()> {
    let Some(place) = of.references.iter().position(|reference| reference.index == index) else { return Ok(()) };
    let gone = of.references.remove(place);
    if of.references.iter().any(|reference| reference.to == gone.to) {
        return Ok(());
    }
    if gone.to == of.number {
        of.referrers.retain(|number| *number != of.number);
    } else if let Some(to) = definition::by_number(transaction, shared, gone.to)? {
        let mut to = (*to).clone();
        to.referrers.retain(|number| *number != of.number);
        definition::put(transaction, &to)?;
    }
    Ok(())
}
