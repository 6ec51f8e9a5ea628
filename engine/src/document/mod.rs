//! Documents: JSON in named collections, with schemas, indexes, references, history and soft deletion.
//!
//! A document is one cell of the key space, under the number of its collection and its id; so are the definition of a
//! collection, each version of its schema and each earlier revision of a document. Index entries, notes of expiry and what
//! is left of dropped collections are derived cells.

mod cache;
mod collections;
mod debris;
mod definition;
mod extract;
mod form;
mod history;
mod id;
mod index;
mod key;
mod limits;
mod ordered;
mod path;
mod query;
mod reclaim;
mod reference;
mod schema;
mod store;
mod told;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jsonschema::Validator;
use serde_json::Value;

pub(crate) use cache::{Definitions, Validators};
pub use collections::Collections;
pub use definition::{CollectionSpec, Compatibility, IndexSpec, OnDelete, ReferenceSpec};
pub use form::Document;
pub use path::Path;
pub use query::{DocumentQuery, Page, Plan, Where};
pub(crate) use reclaim::{is_due, reclaim};
pub use schema::SchemaVersion;
pub use told::{CollectionState, DocumentState};
pub(crate) use told::{Told, told};

use crate::error::{Error, Result};
use crate::keyspace::{Access, IfRevision, Transaction};
use crate::model::Sequence;
use crate::shared::Shared;
use definition::Definition;
use form::Form;
use store::Content;

/// Documents put with one record, at most, when many are put.
const PUT_TOGETHER: usize = 256;

/// The documents of a collection, of a database or as a transaction sees them.
///
/// ```
/// use alluvium::{CollectionSpec, Database, DocumentQuery, IfRevision, PutDocument, Where};
/// use serde_json::json;
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// db.collections().create(CollectionSpec::new("devices").index("by_room", &["room"])?)?;
/// let mut devices = db.collection("devices");
/// let revision = devices.put("pump-7", &json!({"room": "cellar", "kw": 2.2}), PutDocument::default())?;
/// let id = devices.insert(&json!({"room": "attic"}))?; // a UUID of version 7
///
/// let still = PutDocument::default().only_if(IfRevision::Is(revision));
/// devices.put("pump-7", &json!({"room": "cellar", "kw": 3.0}), still)?;
/// assert!(devices.put("pump-7", &json!({}), still).is_err()); // it has another revision now
///
/// let page = devices.query(&DocumentQuery::new().filter(Where::equal("room", "attic")?))?;
/// assert_eq!(page.documents[0].id, id);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Collection<A> {
    access: A,
    name: String,
}

/// How a document is put.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutDocument {
    time_to_live: Option<Duration>,
    condition: IfRevision,
}

impl PutDocument {
    /// Lets the document expire after so long, by the engine's clock: time during which the machine is off does not count.
    /// Nobody may refer to it.
    #[must_use]
    pub fn time_to_live(self, time: Duration) -> Self {
        PutDocument { time_to_live: Some(time), ..self }
    }

    /// Refuses with [`Error::Stale`] unless this is true.
    #[must_use]
    pub fn only_if(self, condition: IfRevision) -> Self {
        PutDocument { condition, ..self }
    }
}

/// What became of many documents.
#[derive(Debug, Default)]
pub struct PutMany {
    /// Ids and revisions of those that were stored, in the order in which they were given.
    pub stored: Vec<(String, Sequence)>,
    /// Ids of those that were refused, and why.
    pub failed: Vec<(String, Error)>,
}

impl<A: Access> Collection<A> {
    pub(crate) fn new(access: A, name: &str) -> Self {
        Collection { access, name: name.to_owned() }
    }

    /// A document, unless there is none, or it was deleted or has expired.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        Ok(self.get_deleted(id)?.filter(|document| document.deleted_at.is_none()))
    }

    /// The same, also where it was deleted and can be restored.
    pub fn get_deleted(&self, id: &str) -> Result<Option<Document>> {
        id::check(id)?;
        self.read(|transaction, of| {
            let Some((sequence, cell)) = store::cell(transaction, of, id)? else { return Ok(None) };
            let form = Form::decode(&cell)?;
            if form.has_expired(transaction.at()) {
                return Ok(None);
            }
            form.document(id, sequence, transaction.at()).map(Some)
        })
    }

    /// Puts a document in the place of any there. Answers its revision, which within a transaction is known only once that
    /// is committed: until then it is 0.
    ///
    /// [`Error::InvalidDocument`] names where the schema does not allow it, [`Error::NotUnique`] the other document with the
    /// same values, [`Error::BrokenReference`] the document that is not there.
    pub fn put(&mut self, id: &str, content: &Value, how: PutDocument) -> Result<Sequence> {
        id::check(id)?;
        let checked = Arc::new(self.check(id, content)?);
        let put = move |transaction: &mut Transaction,
                        shared: &Shared,
                        of: &Definition,
                        checked: &Checked,
                        id: &str,
                        content: &Value| {
            checked.confirm(transaction, shared, of, id, content)?;
            put_one(transaction, shared, of, (id, checked.content(content)), how)
        };
        let early =
            |transaction: &mut Transaction, shared: &Shared, of: &Definition| put(transaction, shared, of, &checked, id, content);
        // Seldom needed, so it keeps only the text, from which the document can be had again.
        let (text, owned) = (checked.clone(), id.to_owned());
        let again = move |transaction: &mut Transaction, shared: &Shared, of: &Definition| {
            let content = form::content(&text.text)?;
            put(transaction, shared, of, &text, &owned, &content)
        };
        self.write_early(early, again).map(|((), sequence)| sequence)
    }

    /// An id that no document has: a UUID of version 7.
    pub fn new_id(&self) -> Result<String> {
        self.access.read(|transaction| id::new(self.access.shared(), transaction.at()))
    }

    /// Puts a document under a [new id](Self::new_id), which it answers.
    pub fn insert(&mut self, content: &Value) -> Result<String> {
        let id = self.new_id()?;
        self.put(&id, content, PutDocument::default().only_if(IfRevision::Absent))?;
        Ok(id)
    }

    /// Puts many documents; those without an id get one. Each that is refused is reported, and all others are stored, some
    /// hundred with each record.
    pub fn put_many(&mut self, documents: Vec<(Option<String>, Value)>) -> Result<PutMany> {
        let mut outcome = PutMany::default();
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let mut some = Vec::new();
            for (id, content) in documents.by_ref().take(PUT_TOGETHER) {
                let id = id.map_or_else(|| self.new_id(), Ok)?;
                match id::check(&id).and_then(|()| self.check(&id, &content)) {
                    Ok(checked) => some.push((id, content, checked)),
                    Err(error @ (Error::NoSuchCollection { .. } | Error::Closed)) => return Err(error),
                    Err(error) => outcome.failed.push((id, error)),
                }
            }
            let put = move |transaction: &mut Transaction, shared: &Shared, of: &Definition| {
                Ok(put_some(transaction, shared, of, &some))
            };
            let (outcomes, sequence) = self.write(put)?;
            for (id, stored) in outcomes {
                match stored {
                    Ok(()) => outcome.stored.push((id, sequence)),
                    Err(error) => outcome.failed.push((id, error)),
                }
            }
        }
        Ok(outcome)
    }

    /// Changes parts of a document: what `patch` holds takes the place of what is there, null takes it away (JSON Merge
    /// Patch, RFC 7396). It keeps its time to live. [`Error::NoSuchDocument`] if there is none.
    pub fn merge(&mut self, id: &str, patch: &Value, condition: IfRevision) -> Result<Sequence> {
        id::check(id)?;
        limits::check_depth(patch, self.access.shared())?;
        let (id, patch) = (id.to_owned(), patch.clone());
        let merge = move |transaction: &mut Transaction, shared: &Shared, of: &Definition| {
            condition.check(|| of.describe(&id), || store::live_revision(transaction, of, &id))?;
            let missing = || Error::NoSuchDocument { collection: of.name.clone(), id: id.clone() };
            let (_, cell) = store::cell(transaction, of, &id)?.ok_or_else(missing)?;
            let form = Form::decode(&cell)?;
            if !form.is_live(transaction.at()) {
                return Err(missing());
            }
            let mut content = form.content()?;
            merge_into(&mut content, &patch);
            if let Some(validator) = schema::validator(transaction, shared, of)? {
                schema::validate(&validator, of, &id, &content)?;
            }
            let text = limits::text(&content, shared)?;
            store::put(transaction, shared, of, &id, Content { value: &content, text: &text }, form.expires_at)
        };
        self.write(merge).map(|((), sequence)| sequence)
    }

    /// Deletes a document, so that it can be restored where its collection says so. Answers whether there was one.
    /// [`Error::Referenced`] if another refers to it and that is not allowed.
    pub fn delete(&mut self, id: &str, condition: IfRevision) -> Result<bool> {
        id::check(id)?;
        let id = id.to_owned();
        let delete = move |transaction: &mut Transaction, shared: &Shared, of: &Definition| {
            let found = store::live_revision(transaction, of, &id)?;
            condition.check(|| of.describe(&id), || Ok(found))?;
            let mut left = store::MOST_RELEASED;
            store::delete_live(transaction, shared, of, &id, &mut left)?;
            Ok(found.is_some())
        };
        self.free(delete).map(|(deleted, _)| deleted)
    }

    /// Brings back a document that was deleted. [`Error::NoSuchDocument`] if it cannot be had any more.
    pub fn restore(&mut self, id: &str) -> Result<Sequence> {
        id::check(id)?;
        let id = id.to_owned();
        let restore =
            move |transaction: &mut Transaction, shared: &Shared, of: &Definition| store::restore(transaction, shared, of, &id);
        self.write(restore).map(|((), sequence)| sequence)
    }

    /// Deletes a document for good, with its history. Answers whether there was anything of it.
    pub fn purge(&mut self, id: &str) -> Result<bool> {
        id::check(id)?;
        let id = id.to_owned();
        let purge =
            move |transaction: &mut Transaction, shared: &Shared, of: &Definition| store::purge(transaction, shared, of, &id);
        self.free(purge).map(|(there, _)| there)
    }

    /// What a document was before, newest first, as far as its collection keeps that.
    pub fn history(&self, id: &str) -> Result<Vec<Document>> {
        id::check(id)?;
        self.read(|transaction, of| history::all(transaction, of, id))
    }

    /// The documents that satisfy a query.
    pub fn query(&self, query: &DocumentQuery) -> Result<Page> {
        self.read(|transaction, of| query::run(transaction, of, query))
    }

    /// How a query would be answered.
    pub fn explain(&self, query: &DocumentQuery) -> Result<Plan> {
        self.read(|_, of| query::plan(of, query))
    }

    /// How many documents satisfy a condition.
    pub fn count(&self, filter: Where) -> Result<u64> {
        self.read(|transaction, of| query::count(transaction, of, &filter))
    }

    fn read<T>(&self, read: impl FnOnce(&Transaction, &Definition) -> Result<T>) -> Result<T> {
        let shared = self.access.shared();
        self.access.read(|transaction| read(transaction, &*definition::find(transaction, shared, &self.name)?))
    }

    fn write<T: Send + 'static>(
        &mut self,
        write: impl Fn(&mut Transaction, &Shared, &Definition) -> Result<T> + Send + Sync + 'static,
    ) -> Result<(T, Sequence)> {
        let write = Arc::new(write);
        let again = write.clone();
        self.write_early(
            |transaction, shared, of| write(transaction, shared, of),
            move |transaction, shared, of| again(transaction, shared, of),
        )
    }

    /// Writes what is found out early, and `again` where others have changed what that read.
    fn write_early<T: Send + 'static>(
        &mut self,
        early: impl FnOnce(&mut Transaction, &Shared, &Definition) -> Result<T>,
        again: impl FnOnce(&mut Transaction, &Shared, &Definition) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)> {
        let (shared, name) = (self.access.shared().clone(), self.name.clone());
        let early_too = |transaction: &mut Transaction| {
            let of = definition::find(transaction, &shared, &self.name)?;
            early(transaction, &shared, &of)
        };
        let (shared, name) = (shared.clone(), name);
        self.access.write_early(early_too, move |transaction| {
            let of = definition::find(transaction, &shared, &name)?;
            again(transaction, &shared, &of)
        })
    }

    /// Does what leaves less than there was.
    fn free<T: Send + 'static>(
        &mut self,
        write: impl Fn(&mut Transaction, &Shared, &Definition) -> Result<T> + Send + Sync + 'static,
    ) -> Result<(T, Sequence)> {
        let (shared, name) = (self.access.shared().clone(), self.name.clone());
        self.access.free(move |transaction| {
            let of = definition::find(transaction, &shared, &name)?;
            write(transaction, &shared, &of)
        })
    }

    /// Holds a document against the schema as it is now.
    fn check(&self, id: &str, content: &Value) -> Result<Checked> {
        let shared = self.access.shared();
        limits::check_depth(content, shared)?;
        let (of, validator) = self.access.read(|transaction| {
            let of = definition::find(transaction, shared, &self.name)?;
            Ok((of.clone(), schema::validator(transaction, shared, &of)?))
        })?;
        if let Some(validator) = &validator {
            schema::validate(validator, &of, id, content)?;
        }
        Ok(Checked { validator, text: limits::text(content, shared)? })
    }
}

/// A document's text, and what it was held against.
struct Checked {
    validator: Option<Arc<Validator>>,
    text: Vec<u8>,
}

impl Checked {
    fn content<'c>(&'c self, value: &'c Value) -> Content<'c> {
        Content { value, text: &self.text }
    }

    /// Holds it against the schema again if that is another by now.
    fn confirm(&self, transaction: &Transaction, shared: &Shared, of: &Definition, id: &str, content: &Value) -> Result<()> {
        match (schema::validator(transaction, shared, of)?, &self.validator) {
            (None, _) => Ok(()),
            (Some(now), Some(then)) if Arc::ptr_eq(&now, then) => Ok(()),
            (Some(now), _) => schema::validate(&now, of, id, content),
        }
    }
}

fn put_one(
    transaction: &mut Transaction,
    shared: &Shared,
    of: &Definition,
    (id, content): (&str, Content<'_>),
    how: PutDocument,
) -> Result<()> {
    how.condition.check(|| of.describe(id), || store::live_revision(transaction, of, id))?;
    let now = transaction.at().engine_micros;
    let expires_at = how.time_to_live.map(|time| now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
    store::put(transaction, shared, of, id, content, expires_at)
}

/// Puts each or says why not.
fn put_some(
    transaction: &mut Transaction,
    shared: &Shared,
    of: &Definition,
    documents: &[(String, Value, Checked)],
) -> Vec<(String, Result<()>)> {
    let put = |(id, content, checked): &(String, Value, Checked)| {
        let stored = transaction.whole(|transaction| {
            checked.confirm(transaction, shared, of, id, content)?;
            store::put(transaction, shared, of, id, checked.content(content), None)
        });
        (id.clone(), stored)
    };
    documents.iter().map(put).collect()
}

impl Definition {
    fn describe(&self, id: &str) -> String {
        format!("document {id:?} of collection {:?}", self.name)
    }
}

/// RFC 7396.
fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.shift_remove(name)),
            value => merge_into(fields.entry(name.as_str()).or_insert(Value::Null), value),
        }
    }
}
