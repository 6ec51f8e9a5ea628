//! The cells of documents.
//!
//! Ids hold no control characters, so a zero byte ends them. Numbers are big-endian.

use crate::error::{Error, Result};
use crate::keyspace::space;
use crate::model::Sequence;
use crate::record::Key;

fn key(space: u8, parts: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(space);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key.into()
}

/// The definition of a collection.
pub(super) fn collection(name: &str) -> Key {
    key(space::COLLECTION, &[name.as_bytes()])
}

/// What the collection of a number is called.
pub(super) fn collection_name(number: u32) -> Key {
    key(space::COLLECTION_NAME, &[&number.to_be_bytes()])
}

/// The number of the next collection.
pub(super) fn next_collection() -> Key {
    key(space::NEXT_COLLECTION, &[])
}

/// A document; with an empty id, the beginning of all keys of a collection's documents.
pub(super) fn document(collection: u32, id: &str) -> Key {
    key(space::DOCUMENT, &[&collection.to_be_bytes(), id.as_bytes()])
}

/// The id in the key of a document.
pub(super) fn document_id(key: &[u8]) -> Result<&str> {
    text(key.get(5..).unwrap_or_default())
}

/// Collection and id in the key of a document.
pub(super) fn read_document(key: &[u8]) -> Result<(u32, &str)> {
    let parts = key.get(1..).and_then(<[u8]>::split_first_chunk);
    let (collection, id) = parts.ok_or_else(|| Error::Internal("a key of a document of too few bytes".to_owned()))?;
    Ok((u32::from_be_bytes(*collection), text(id)?))
}

/// A version of a collection's schema.
pub(super) fn schema(collection: u32, version: u32) -> Key {
    key(space::SCHEMA, &[&collection.to_be_bytes(), &version.to_be_bytes()])
}

/// The beginning of the keys of all versions of a collection's schema.
pub(super) fn schemas(collection: u32) -> Key {
    key(space::SCHEMA, &[&collection.to_be_bytes()])
}

/// The beginning of the keys of what a document was before.
pub(super) fn history_of(collection: u32, id: &str) -> Key {
    key(space::HISTORY, &[&collection.to_be_bytes(), id.as_bytes(), &[0]])
}

/// What a document was in a revision.
pub(super) fn history(collection: u32, id: &str, revision: Sequence) -> Key {
    key(space::HISTORY, &[&collection.to_be_bytes(), id.as_bytes(), &[0], &revision.to_be_bytes()])
}

/// The beginning of the keys of all history of a collection.
pub(super) fn histories(collection: u32) -> Key {
    key(space::HISTORY, &[&collection.to_be_bytes()])
}

/// The revision in the key of a piece of history.
pub(super) fn history_revision(key: &[u8]) -> Result<Sequence> {
    let revision = key.last_chunk().ok_or_else(|| Error::Internal("a key of history without a revision".to_owned()))?;
    Ok(Sequence::from_be_bytes(*revision))
}

/// The beginning of the keys of all indexes of a collection.
pub(super) fn indexes(collection: u32) -> Key {
    key(space::INDEX, &[&collection.to_be_bytes()])
}

/// The beginning of the keys of an index, followed by values and id.
pub(super) fn index(collection: u32, index: u32, values: &[u8]) -> Key {
    key(space::INDEX, &[&collection.to_be_bytes(), &index.to_be_bytes(), values])
}

/// The key of an index entry.
pub(super) fn entry(collection: u32, index: u32, values: &[u8], id: &str) -> Key {
    key(space::INDEX, &[&collection.to_be_bytes(), &index.to_be_bytes(), values, id.as_bytes()])
}

/// Bytes before the values in the key of an index entry.
pub(super) const INDEX_PREFIX: usize = 9;

/// Where it is noted that a document expires.
pub(super) fn expiry(at: u64, collection: u32, id: &str) -> Key {
    key(space::DOCUMENT_EXPIRY, &[&at.to_be_bytes(), &collection.to_be_bytes(), id.as_bytes()])
}

/// Time, collection and id in such a note.
pub(super) fn read_expiry(key: &[u8]) -> Result<(u64, u32, &str)> {
    let parts = key.get(1..).and_then(|rest| {
        let (at, rest) = rest.split_first_chunk()?;
        let (collection, id) = rest.split_first_chunk()?;
        Some((u64::from_be_bytes(*at), u32::from_be_bytes(*collection), id))
    });
    let (at, collection, id) = parts.ok_or_else(|| Error::Internal("a note of expiry of too few bytes".to_owned()))?;
    Ok((at, collection, text(id)?))
}

/// Where it is noted that an index is being built.
pub(super) fn building(collection: u32, index: u32) -> Key {
    key(space::BUILDING, &[&collection.to_be_bytes(), &index.to_be_bytes()])
}

/// The two numbers in a key: collection and index, or collection and version.
pub(super) fn read_pair(key: &[u8]) -> Result<(u32, u32)> {
    let parts = key.get(1..).and_then(|rest| {
        let (collection, second) = rest.split_first_chunk()?;
        Some((u32::from_be_bytes(*collection), u32::from_be_bytes(second.try_into().ok()?)))
    });
    parts.ok_or_else(|| Error::Internal("a key of two numbers of other bytes".to_owned()))
}

/// Where it is noted that keys with a beginning are to be removed.
pub(super) fn debris(beginning: &[u8]) -> Key {
    key(space::DEBRIS, &[beginning])
}

/// What has to be text: a name, an id, JSON.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::Internal("a cell of a document that is no text".to_owned()))
}
