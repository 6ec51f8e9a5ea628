//! Secondary indexes: for every document and index a derived cell, whose key holds the values and the id.
//!
//! Every document has an entry in every index, also where it lacks the values, so that an index can serve an order.

use std::collections::BTreeSet;

use serde_json::Value;

use super::definition::{Definition, Index};
use super::extract::extract;
use super::form::Form;
use super::{debris, definition, key, ordered, reference};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, prefix};
use crate::record::Key;
use crate::shared::Shared;

/// Bytes of the values of an entry, at most.
const VALUES_BYTES: usize = 2_048;
/// Documents for which entries are made at once, while others wait.
const AT_ONCE: usize = 256;

/// The values of a document in an index.
fn values(index: &Index, content: &Value) -> Vec<u8> {
    let mut values = Vec::new();
    index.paths.iter().for_each(|path| ordered::encode(path.find(content), &mut values));
    values
}

/// The values of a stored document in all indexes, one after the other.
fn stored_values(of: &Definition, text: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut found = extract(text, of.indexes.iter().flat_map(|index| &index.paths))?.into_iter();
    let mut values = |index: &Index| {
        let mut values = Vec::new();
        found.by_ref().take(index.paths.len()).for_each(|value| ordered::encode(value.as_ref(), &mut values));
        values
    };
    Ok(of.indexes.iter().map(&mut values).collect())
}

fn entry(of: &Definition, index: &Index, values: &[u8], id: &str) -> Key {
    key::entry(of.number, index.number, values, id)
}

/// The id in the key of an entry.
pub(super) fn id_of<'k>(index: &Index, entry: &'k [u8]) -> Result<&'k str> {
    let wrong = || Error::Internal(format!("an entry of index {:?} cannot be read", index.name));
    let mut rest = entry.get(key::INDEX_PREFIX..).ok_or_else(wrong)?;
    for _ in &index.paths {
        rest = rest.get(ordered::len(rest).ok_or_else(wrong)?..).ok_or_else(wrong)?;
    }
    std::str::from_utf8(rest).map_err(|_| wrong())
}

/// Puts the entries of a document in the place of those it had. Refuses what a unique index does not allow. `before` is the JSON
/// for which it has entries.
pub(super) fn update(
    transaction: &mut Transaction,
    of: &Definition,
    id: &str,
    before: Option<&[u8]>,
    now: Option<&Value>,
) -> Result<()> {
    let mut stored = before.map(|text| stored_values(of, text)).transpose()?.map(Vec::into_iter);
    for index in &of.indexes {
        let before = stored.as_mut().and_then(Iterator::next);
        let now = now.map(|content| values(index, content));
        if before == now {
            continue;
        }
        if let Some(values) = &now {
            check(transaction, of, index, values, id)?;
            transaction.put(entry(of, index, values, id), [].into());
        }
        if let Some(values) = &before {
            transaction.remove(entry(of, index, values, id));
        }
    }
    Ok(())
}

/// Refuses values that are too large, or that another document has in a unique index.
fn check(transaction: &Transaction, of: &Definition, index: &Index, values: &[u8], id: &str) -> Result<()> {
    if values.len() > VALUES_BYTES {
        let (what, found, limit) = ("bytes of the values of an index entry", values.len() as u64, VALUES_BYTES as u64);
        return Err(Error::Limit { what, found, limit, setting: "" });
    }
    if !index.unique {
        return Ok(());
    }
    let forms = split(index, values);
    if forms.iter().any(|form| ordered::is_nested(form)) {
        let paths = index.paths.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::invalid(format!(
            "document {id:?} of collection {:?} has an array or object at {paths}, which the unique index {:?} cannot compare",
            of.name, index.name
        )));
    }
    if !forms.iter().all(|form| ordered::is_comparable(form)) {
        return Ok(());
    }
    match other(transaction, of, index, values, id)? {
        None => Ok(()),
        Some(other) => Err(Error::NotUnique { collection: of.name.clone(), index: index.name.clone(), id: id.to_owned(), other }),
    }
}

/// The forms of the values of an entry.
fn split<'v>(index: &Index, mut values: &'v [u8]) -> Vec<&'v [u8]> {
    let mut forms = Vec::new();
    for _ in &index.paths {
        let (form, rest) = values.split_at(ordered::len(values).unwrap_or(values.len()));
        forms.push(form);
        values = rest;
    }
    forms
}

/// Another document with the same values, unless its time is over.
fn other(transaction: &Transaction, of: &Definition, index: &Index, values: &[u8], id: &str) -> Result<Option<String>> {
    for cell in transaction.scan(prefix(&key::index(of.number, index.number, values)), Direction::Forward)? {
        let (entry, _) = cell?;
        let found = id_of(index, &entry)?;
        if found != id && is_live(transaction, of, found)? {
            return Ok(Some(found.to_owned()));
        }
    }
    Ok(None)
}

fn is_live(transaction: &Transaction, of: &Definition, id: &str) -> Result<bool> {
    let Some((_, cell)) = transaction.get(&key::document(of.number, id))? else { return Ok(false) };
    Ok(Form::decode(&cell)?.is_live(transaction.at()))
}

/// Notes that an index is to be built.
pub(super) fn begin(transaction: &mut Transaction, of: &Definition, index: u32) {
    transaction.put(key::building(of.number, index), [].into());
}

/// Some index that is being built, as numbers of collection and index.
pub(super) fn unfinished(transaction: &Transaction) -> Result<Option<(u32, u32)>> {
    let mut cells = transaction.scan(prefix(&[crate::keyspace::space::BUILDING]), Direction::Forward)?;
    cells.next().map(|cell| key::read_pair(&cell?.0)).transpose()
}

/// How the building of an index went on.
#[derive(Debug)]
pub(super) enum Built {
    /// There is more to do.
    Partly,
    /// It is built, or there is none to build.
    Whole,
    /// It cannot be built, and was taken away.
    Refused(Error),
}

/// Makes entries for some documents that were there before the index. What cannot be indexed takes the index away.
pub(super) fn build(transaction: &mut Transaction, shared: &Shared, (collection, number): (u32, u32)) -> Result<Built> {
    let note = key::building(collection, number);
    let Some((_, after)) = transaction.get(&note)? else { return Ok(Built::Whole) };
    let of = definition::by_number(transaction, shared, collection)?;
    let Some((of, index)) = of.as_ref().and_then(|of| Some((of, of.index(number)?))) else {
        transaction.remove(note);
        return Ok(Built::Whole);
    };
    match transaction.whole(|transaction| build_some(transaction, shared, (of, index), &after)) {
        Ok(Some(last)) => {
            transaction.put(note, last.as_bytes().into());
            Ok(Built::Partly)
        }
        Ok(None) => {
            transaction.remove(note);
            let mut of = (**of).clone();
            of.indexes.iter_mut().filter(|index| index.number == number).for_each(|index| index.is_built = true);
            definition::put(transaction, &of)?;
            Ok(Built::Whole)
        }
        Err(error @ (Error::NotUnique { .. } | Error::BrokenReference(_) | Error::Limit { .. } | Error::Invalid(_))) => {
            let mut of = (**of).clone();
            remove(transaction, &mut of, number);
            reference::forget(transaction, shared, &mut of, number)?;
            definition::put(transaction, &of)?;
            Ok(Built::Refused(error))
        }
        Err(error) => Err(error),
    }
}

/// Answers the last id that was done; `None` if there is no more.
fn build_some(
    transaction: &mut Transaction,
    shared: &Shared,
    (of, index): (&Definition, &Index),
    after: &[u8],
) -> Result<Option<String>> {
    let (start, end) = prefix(&key::document(of.number, ""));
    let start = match std::str::from_utf8(after) {
        Ok(after) if !after.is_empty() => std::ops::Bound::Excluded(key::document(of.number, after)),
        _ => start,
    };
    let cells: Vec<_> = transaction.scan((start, end), Direction::Forward)?.take(AT_ONCE).collect::<Result<_>>()?;
    let mut last = None;
    for (document, (_, cell)) in &cells {
        let (id, form) = (key::document_id(document)?, Form::decode(cell)?);
        if form.is_live(transaction.at()) {
            let content = form.content()?;
            let values = values(index, &content);
            check(transaction, of, index, &values, id)?;
            reference::check_one(transaction, shared, of, index.number, id, &content)?;
            transaction.put(entry(of, index, &values, id), [].into());
        }
        last = Some(id.to_owned());
    }
    Ok(last.filter(|_| cells.len() == AT_ONCE))
}

/// Takes an index away; its entries go later.
pub(super) fn remove(transaction: &mut Transaction, of: &mut Definition, number: u32) {
    of.indexes.retain(|index| index.number != number);
    transaction.remove(key::building(of.number, number));
    debris::leave(transaction, &key::index(of.number, number, &[]));
}

/// Names that two indexes of a collection share.
pub(super) fn duplicate(of: &Definition) -> Option<&str> {
    let mut seen = BTreeSet::new();
    of.indexes.iter().map(|index| index.name.as_str()).find(|name| !seen.insert(*name))
}
