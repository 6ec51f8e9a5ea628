//! Collections as maps: slow, obvious, and independent of the engine.
//!
//! The name of a collection says what it is, so that nothing else has to.

use std::collections::BTreeMap;

use alluvium::{CollectionSpec, OnDelete, Result};
use serde_json::{Map, Value, json};

use crate::model::Lasts;

/// Collections there are at most, each of another kind.
pub const COLLECTIONS: [&str; 3] = [PLAIN, KEPT, REFERRING];
/// With an index and a unique one; others refer to it.
pub const PLAIN: &str = "docs/0";
/// What is deleted can be restored, and earlier revisions are kept.
pub const KEPT: &str = "docs/1";
/// Refers to documents of the first, and goes with them by one path and not by the other.
pub const REFERRING: &str = "docs/2";
/// Earlier revisions that [`KEPT`] keeps.
const REVISIONS: usize = 2;
/// The index that comes and goes.
pub const INDEX: &str = "by_also";

/// What is done to a collection.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentChange {
    /// Makes it.
    Create,
    /// Drops it.
    Drop,
    /// Makes an index, or drops it.
    Index(bool),
    /// Puts a document.
    Put(String, Content, Lasts),
    /// Deletes one that is there.
    Delete(String),
    /// Restores one that was deleted.
    Restore(String),
}

impl DocumentChange {
    /// The document it is about.
    pub fn id(&self) -> Option<&String> {
        match self {
            DocumentChange::Put(id, ..) | DocumentChange::Delete(id) | DocumentChange::Restore(id) => Some(id),
            DocumentChange::Create | DocumentChange::Drop | DocumentChange::Index(_) => None,
        }
    }
}

/// What a document holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Content {
    /// Indexed.
    pub n: Option<i64>,
    /// Indexed, and unique.
    pub u: Option<String>,
    /// Anything.
    pub text: String,
    /// A document that this one goes with.
    pub parent: Option<String>,
    /// A document that this one outlives: afterwards it is null.
    pub also: Option<Option<String>>,
}

impl Content {
    /// The document.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Option<Value>| value.map(|value| object.insert(name.to_owned(), value));
        put("also", self.also.as_ref().map(|also| json!(also)));
        put("n", self.n.map(Value::from));
        put("parent", self.parent.as_deref().map(Value::from));
        put("text", Some(json!(self.text)));
        put("u", self.u.as_deref().map(Value::from));
        Value::Object(object)
    }
}

/// What a collection has to be made as.
pub fn spec(name: &str) -> Result<CollectionSpec> {
    let spec = CollectionSpec::new(name).index("by_n", &["n"])?;
    match name {
        PLAIN => spec.unique("by_u", &["u"]),
        KEPT => Ok(spec.soft_delete(None).history(REVISIONS as u32)),
        _ => spec.reference("parent", PLAIN, OnDelete::Cascade)?.reference("also", PLAIN, OnDelete::SetNull),
    }
}

/// A document that can be read, or restored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stored {
    /// What it holds.
    pub content: Content,
    /// Whether it was deleted.
    pub deleted: bool,
    /// What it was before, newest first.
    pub before: Vec<Content>,
}

/// One collection.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The how-manieth it is.
    pub number: u32,
    /// By id.
    pub documents: BTreeMap<String, Stored>,
    /// Whether [`INDEX`] is there.
    pub indexed: bool,
}

/// All collections.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    collections: BTreeMap<String, Collection>,
    /// How many were made, dropped ones included.
    made: u32,
}

impl Documents {
    /// All collections, by name.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Collection)> {
        self.collections.iter()
    }

    /// A collection, if there is one of that name.
    pub fn get(&self, name: &str) -> Option<&Collection> {
        self.collections.get(name)
    }

    /// Does what a change does.
    pub fn apply(&mut self, name: &str, change: &DocumentChange) {
        match change {
            DocumentChange::Create => {
                self.made += 1;
                let collection = Collection { number: self.made, documents: BTreeMap::new(), indexed: false };
                self.collections.insert(name.to_owned(), collection);
            }
            DocumentChange::Drop => drop(self.collections.remove(name)),
            DocumentChange::Index(there) => self.of(name).indexed = *there,
            DocumentChange::Put(id, content, lasts) => self.of(name).put(name, id, content, *lasts),
            DocumentChange::Delete(id) => self.delete(name, id),
            DocumentChange::Restore(id) => self.of(name).document(id).deleted = false,
        }
    }

    fn of(&mut self, name: &str) -> &mut Collection {
        self.collections.get_mut(name).unwrap_or_else(|| panic!("the model has no collection {name}"))
    }

    fn delete(&mut self, name: &str, id: &str) {
        match name {
            KEPT => self.of(name).document(id).delete(),
            _ => drop(self.of(name).documents.remove(id)),
        }
        if name == PLAIN
            && let Some(referring) = self.collections.get_mut(REFERRING)
        {
            referring.documents.retain(|_, stored| stored.content.parent.as_deref() != Some(id));
            for stored in referring.documents.values_mut() {
                stored.content.also.iter_mut().filter(|also| also.as_deref() == Some(id)).for_each(|also| *also = None);
            }
        }
    }
}

impl Collection {
    fn document(&mut self, id: &str) -> &mut Stored {
        self.documents.get_mut(id).unwrap_or_else(|| panic!("the model has no document {id}"))
    }

    fn put(&mut self, name: &str, id: &str, content: &Content, lasts: Lasts) {
        if lasts == Lasts::NotAtAll {
            self.documents.remove(id);
            return;
        }
        let mut before = self.documents.remove(id).map_or_else(Vec::new, Stored::keep);
        before.truncate(if name == KEPT { REVISIONS } else { 0 });
        self.documents.insert(id.to_owned(), Stored { content: content.clone(), deleted: false, before });
    }
}

impl Stored {
    /// What it was before, now that it is something else. What was deleted is kept already.
    fn keep(mut self) -> Vec<Content> {
        if !self.deleted {
            self.before.insert(0, self.content);
        }
        self.before
    }

    fn delete(&mut self) {
        self.before.insert(0, self.content.clone());
        self.before.truncate(REVISIONS);
        self.deleted = true;
    }
}

/// What can be read from a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CollectionView {
    /// Whether [`INDEX`] is there.
    pub indexed: bool,
    /// By id: its content, unless it was deleted or never there.
    pub documents: BTreeMap<String, String>,
    /// What was deleted, likewise.
    pub deleted: BTreeMap<String, String>,
    /// What was before, newest first, where that is kept.
    pub before: BTreeMap<String, Vec<String>>,
    /// Ids, by `n`, then themselves.
    pub by_n: Vec<String>,
}

/// Every id there is.
pub fn ids() -> impl Iterator<Item = String> {
    (0..IDS).map(|number| format!("id/{number}"))
}

/// Documents of a collection, at most.
pub const IDS: u8 = 24;

impl Collection {
    /// What can be read.
    pub fn view(&self) -> CollectionView {
        let text = |content: &Content| content.json().to_string();
        let some = |deleted: bool| {
            let documents = self.documents.iter().filter(move |(_, stored)| stored.deleted == deleted);
            documents.map(|(id, stored)| (id.clone(), text(&stored.content))).collect::<BTreeMap<_, _>>()
        };
        let before = self.documents.iter().filter(|(_, stored)| !stored.before.is_empty());
        let mut by_n: Vec<_> = self.documents.iter().filter(|(_, stored)| !stored.deleted).collect();
        by_n.sort_by_key(|(id, stored)| (stored.content.n, *id));
        CollectionView {
            indexed: self.indexed,
            documents: some(false),
            deleted: some(true),
            before: before.map(|(id, stored)| (id.clone(), stored.before.iter().map(text).collect())).collect(),
            by_n: by_n.into_iter().map(|(id, _)| id.clone()).collect(),
        }
    }
}
