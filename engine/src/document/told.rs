//! What cells of documents say, one by one: for the change feed.

use serde_json::Value;

use super::definition::{CollectionSpec, Definition};
use super::form::Form;
use super::schema::SchemaVersion;
use super::{definition, key, schema};
use crate::error::{Error, Result};
use crate::keyspace::space;

/// What the change feed tells of a cell.
#[derive(Debug)]
pub(crate) enum Told {
    /// The definition of a collection.
    Collection { name: String, state: Option<Definition> },
    /// A document.
    Document { collection: u32, id: String, state: Option<DocumentState> },
    /// A version of a schema.
    Schema { collection: u32, version: u32, schema: Option<SchemaVersion> },
}

/// A collection as the change feed shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionState {
    /// It keeps this number when it is renamed, and no other collection ever has it.
    pub number: u32,
    /// What it is. References to collections that were dropped since are to `#` and their number.
    pub spec: CollectionSpec,
}

/// A document as the change feed shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentState {
    /// Its content, as JSON.
    pub json: String,
    /// When it expires, in microseconds of the engine's clock; `None` if it does not.
    pub expires_at: Option<u64>,
    /// When it was deleted, in microseconds UTC, if it was and can be restored.
    pub deleted_at: Option<i64>,
}

impl DocumentState {
    /// Its content.
    pub fn content(&self) -> Result<Value> {
        serde_json::from_str(&self.json).map_err(|error| Error::Internal(format!("a stored document is no JSON: {error}")))
    }
}

/// Reads a cell of collections, documents or schemas; `None` if it is none of those.
pub(crate) fn told(key: &[u8], cell: Option<&[u8]>) -> Result<Option<Told>> {
    let told = match key.first() {
        Some(&space::COLLECTION) => {
            let name = key::text(key.get(1..).unwrap_or_default())?;
            let state = cell.map(|cell| Definition::decode(name, cell)).transpose()?;
            Told::Collection { name: name.to_owned(), state }
        }
        Some(&space::DOCUMENT) => {
            let (collection, id) = key::read_document(key)?;
            Told::Document { collection, id: id.to_owned(), state: cell.map(document).transpose()? }
        }
        Some(&space::SCHEMA) => {
            let (collection, version) = key::read_pair(key)?;
            let schema = cell.map(|cell| schema::decode(version, cell)).transpose()?;
            Told::Schema { collection, version, schema }
        }
        _ => return Ok(None),
    };
    Ok(Some(told))
}

fn document(cell: &[u8]) -> Result<DocumentState> {
    let Form { expires_at, deleted_at, text } = Form::decode(cell)?;
    Ok(DocumentState { json: key::text(text)?.to_owned(), expires_at, deleted_at })
}

impl Definition {
    /// For the change feed, with names of other collections looked up by number.
    pub(crate) fn state(&self, mut name_of: impl FnMut(u32) -> Result<Option<String>>) -> Result<CollectionState> {
        Ok(CollectionState { number: self.number, spec: definition::describe(self, &mut name_of)? })
    }
}
