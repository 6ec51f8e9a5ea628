//! What is known of a collection.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::path::Path;
use super::{id, key};
use crate::catalog::Stored;
use crate::error::{Error, Result};
use crate::format::limits;
use crate::keyspace::{Direction, Transaction, prefix};
use crate::record::Key;
use crate::shared::Shared;

/// How a new version of a schema has to agree with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compatibility {
    /// Not at all.
    #[default]
    None,
    /// Every document that the old one allows, the new one allows too: who knows the new schema can read old documents.
    Backward,
    /// Every document that the new one allows, the old one allows too: who knows the old schema can read new documents.
    Forward,
    /// Both.
    Full,
}

/// What becomes of documents that refer to one that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// It cannot be deleted.
    #[default]
    Restrict,
    /// They are deleted too.
    Cascade,
    /// The reference becomes null.
    SetNull,
}

/// A collection to be made, or as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionSpec {
    /// Its name.
    pub name: String,
    /// Whether what is deleted can be restored.
    pub soft_delete: bool,
    /// How long it can, by the engine's clock; for good where it does not say.
    pub keep_deleted: Option<Duration>,
    /// How many earlier revisions of each document are kept.
    pub history: u32,
    /// How new versions of the schema have to agree with the one before.
    pub compatibility: Compatibility,
    /// References to documents of other collections.
    pub references: Vec<ReferenceSpec>,
    /// Indexes, besides those of references.
    pub indexes: Vec<IndexSpec>,
}

/// A reference of the documents of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceSpec {
    /// Where the id of the other document is. Null, or nothing, refers to none.
    pub path: Path,
    /// The collection of the other document.
    pub to: String,
    /// What becomes of it when the other document is deleted.
    pub on_delete: OnDelete,
}

/// An index to be made, or as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// Its name.
    pub name: String,
    /// What it is over, in order.
    pub paths: Vec<Path>,
    /// Whether no two documents may have the same values, unless one of these is null or missing.
    pub unique: bool,
}

impl CollectionSpec {
    /// A collection without anything else.
    pub fn new(name: &str) -> Self {
        CollectionSpec { name: name.to_owned(), ..CollectionSpec::default() }
    }

    /// Lets deleted documents be restored, for so long by the engine's clock, or for good.
    #[must_use]
    pub fn soft_delete(self, keep: Option<Duration>) -> Self {
        CollectionSpec { soft_delete: true, keep_deleted: keep, ..self }
    }

    /// Keeps so many earlier revisions of each document.
    #[must_use]
    pub fn history(self, revisions: u32) -> Self {
        CollectionSpec { history: revisions, ..self }
    }

    /// Says how new versions of the schema have to agree with the one before.
    #[must_use]
    pub fn compatibility(self, compatibility: Compatibility) -> Self {
        CollectionSpec { compatibility, ..self }
    }

    /// Adds an index over some paths.
    pub fn index(mut self, name: &str, paths: &[&str]) -> Result<Self> {
        self.indexes.push(IndexSpec::new(name, paths)?);
        Ok(self)
    }

    /// Adds an index over some paths whose values no two documents share.
    pub fn unique(mut self, name: &str, paths: &[&str]) -> Result<Self> {
        self.indexes.push(IndexSpec { unique: true, ..IndexSpec::new(name, paths)? });
        Ok(self)
    }

    /// Adds a reference to the documents of a collection.
    pub fn reference(mut self, path: &str, to: &str, on_delete: OnDelete) -> Result<Self> {
        self.references.push(ReferenceSpec { path: Path::parse(path)?, to: to.to_owned(), on_delete });
        Ok(self)
    }
}

impl IndexSpec {
    /// An index over one to four paths.
    pub fn new(name: &str, paths: &[&str]) -> Result<Self> {
        id::check_name("index name", name)?;
        if paths.is_empty() || paths.len() > MOST_PATHS {
            return Err(Error::invalid(format!("an index is over 1 to {MOST_PATHS} paths, not {}", paths.len())));
        }
        let paths = paths.iter().map(|path| Path::parse(path)).collect::<Result<_>>()?;
        Ok(IndexSpec { name: name.to_owned(), paths, unique: false })
    }
}

/// Paths of an index, at most.
const MOST_PATHS: usize = 4;
/// Indexes of a collection, at most: each is looked at with every write.
const MOST_INDEXES: u64 = 64;

/// A collection as the engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) soft_delete: bool,
    pub(super) keep_deleted: Option<Duration>,
    pub(super) history: u32,
    pub(super) compatibility: Compatibility,
    /// The version of the schema; 0 where there is none.
    pub(super) schema: u32,
    pub(super) indexes: Vec<Index>,
    pub(super) next_index: u32,
    pub(super) references: Vec<Reference>,
    /// Numbers of the collections that refer to this one.
    pub(super) referrers: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Index {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) paths: Vec<Path>,
    pub(super) unique: bool,
    /// Whether it has an entry for every document. One that is being built has those that were written since it was begun.
    pub(super) is_built: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    pub(super) path: Path,
    pub(super) to: u32,
    pub(super) on_delete: OnDelete,
    /// The index over the path.
    pub(super) index: u32,
}

/// The same on disk, in postcard.
#[derive(Serialize, Deserialize)]
struct DefinitionForm {
    number: u32,
    soft_delete: bool,
    keep_deleted_micros: Option<u64>,
    history: u32,
    /// 0 none, 1 backward, 2 forward, 3 full.
    compatibility: u8,
    schema: u32,
    indexes: Vec<IndexForm>,
    next_index: u32,
    references: Vec<ReferenceForm>,
    referrers: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct IndexForm {
    number: u32,
    name: String,
    paths: Vec<String>,
    unique: bool,
    is_built: bool,
}

#[derive(Serialize, Deserialize)]
struct ReferenceForm {
    path: String,
    to: u32,
    /// 0 restrict, 1 cascade, 2 set null.
    on_delete: u8,
    index: u32,
}

const COMPATIBILITIES: [Compatibility; 4] =
    [Compatibility::None, Compatibility::Backward, Compatibility::Forward, Compatibility::Full];
const ON_DELETES: [OnDelete; 3] = [OnDelete::Restrict, OnDelete::Cascade, OnDelete::SetNull];

impl Definition {
    pub(super) fn encode(&self) -> Result<Arc<[u8]>> {
        let paths = |paths: &[Path]| paths.iter().map(|path| path.as_str().to_owned()).collect();
        let form = DefinitionForm {
            number: self.number,
            soft_delete: self.soft_delete,
            keep_deleted_micros: self.keep_deleted.map(|keep| u64::try_from(keep.as_micros()).unwrap_or(u64::MAX)),
            history: self.history,
            compatibility: self.compatibility as u8,
            schema: self.schema,
            indexes: (self.indexes.iter())
                .map(|index| IndexForm {
                    number: index.number,
                    name: index.name.clone(),
                    paths: paths(&index.paths),
                    unique: index.unique,
                    is_built: index.is_built,
                })
                .collect(),
            next_index: self.next_index,
            references: (self.references.iter())
                .map(|reference| ReferenceForm {
                    path: reference.path.as_str().to_owned(),
                    to: reference.to,
                    on_delete: reference.on_delete as u8,
                    index: reference.index,
                })
                .collect(),
            referrers: self.referrers.clone(),
        };
        let bytes = postcard::to_stdvec(&form).map_err(|error| Error::Internal(format!("a definition: {error}")))?;
        Ok(bytes.into())
    }

    pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let wrong = |why: &str| Error::Internal(format!("the definition of collection {name:?} cannot be read: {why}"));
        let form: DefinitionForm = match postcard::take_from_bytes(bytes) {
            Ok((form, [])) => form,
            Ok(_) => return Err(wrong("it is too long")),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        let compatibility = *COMPATIBILITIES.get(usize::from(form.compatibility)).ok_or_else(|| wrong("its compatibility"))?;
        let index = |form: IndexForm| {
            let paths = form.paths.iter().map(|path| Path::parse(path)).collect::<Result<_>>()?;
            Ok(Index { number: form.number, name: form.name, paths, unique: form.unique, is_built: form.is_built })
        };
        let reference = |form: ReferenceForm| {
            let on_delete = *ON_DELETES.get(usize::from(form.on_delete)).ok_or_else(|| wrong("a reference"))?;
            Ok(Reference { path: Path::parse(&form.path)?, to: form.to, on_delete, index: form.index })
        };
        Ok(Definition {
            number: form.number,
            name: name.to_owned(),
            soft_delete: form.soft_delete,
            keep_deleted: form.keep_deleted_micros.map(Duration::from_micros),
            history: form.history,
            compatibility,
            schema: form.schema,
            indexes: form.indexes.into_iter().map(index).collect::<Result<_>>()?,
            next_index: form.next_index,
            references: form.references.into_iter().map(reference).collect::<Result<_>>()?,
            referrers: form.referrers,
        })
    }

    pub(super) fn index(&self, number: u32) -> Option<&Index> {
        self.indexes.iter().find(|index| index.number == number)
    }

    /// Adds an index, which is built when there is nothing to build it of.
    pub(super) fn add_index(&mut self, spec: IndexSpec, is_built: bool) -> Result<u32> {
        limits::check("indexes of a collection, with those of references,", self.indexes.len() as u64 + 1, MOST_INDEXES, "")?;
        let number = self.next_index;
        self.next_index = number.saturating_add(1);
        self.indexes.push(Index { number, name: spec.name, paths: spec.paths, unique: spec.unique, is_built });
        Ok(number)
    }

    /// Whether an index serves a reference.
    pub(super) fn serves_reference(&self, index: u32) -> bool {
        self.references.iter().any(|reference| reference.index == index)
    }
}

/// A collection by its name, if there is one.
pub(super) fn get(transaction: &Transaction, shared: &Shared, name: &str) -> Result<Option<Arc<Definition>>> {
    let Some((sequence, cell)) = transaction.get(&key::collection(name))? else { return Ok(None) };
    shared.definitions.get(name, sequence, || Definition::decode(name, &cell)).map(Some)
}

/// A collection by its name.
pub(super) fn find(transaction: &Transaction, shared: &Shared, name: &str) -> Result<Arc<Definition>> {
    get(transaction, shared, name)?.ok_or_else(|| Error::NoSuchCollection { name: name.to_owned() })
}

/// A collection by its number, unless it was dropped.
pub(super) fn by_number(transaction: &Transaction, shared: &Shared, number: u32) -> Result<Option<Arc<Definition>>> {
    let Some((_, name)) = transaction.get(&key::collection_name(number))? else { return Ok(None) };
    let name = std::str::from_utf8(&name).map_err(|_| Error::Internal("a collection's name is no text".to_owned()))?;
    get(transaction, shared, name)
}

/// All collections, by name.
pub(super) fn all(transaction: &Transaction) -> Result<Vec<Definition>> {
    let cells = transaction.scan(prefix(&key::collection("")), Direction::Forward)?;
    let definition = |cell: Result<(Key, Stored)>| {
        let (key, (_, cell)) = cell?;
        let name = std::str::from_utf8(key.get(1..).unwrap_or_default());
        Definition::decode(name.map_err(|_| Error::Internal("a collection's name is no text".to_owned()))?, &cell)
    };
    cells.map(definition).collect()
}

/// Puts a definition in the place of the one before.
pub(super) fn put(transaction: &mut Transaction, definition: &Definition) -> Result<()> {
    transaction.put(key::collection(&definition.name), definition.encode()?);
    Ok(())
}

/// A collection for its users, with names of others looked up by number.
pub(super) fn describe(of: &Definition, name_of: &mut dyn FnMut(u32) -> Result<Option<String>>) -> Result<CollectionSpec> {
    let reference = |reference: &Reference| {
        let to = name_of(reference.to)?.unwrap_or_else(|| format!("#{}", reference.to));
        Ok(ReferenceSpec { path: reference.path.clone(), to, on_delete: reference.on_delete })
    };
    let own = of.indexes.iter().filter(|index| !of.serves_reference(index.number));
    let index = |index: &Index| IndexSpec { name: index.name.clone(), paths: index.paths.clone(), unique: index.unique };
    Ok(CollectionSpec {
        name: of.name.clone(),
        soft_delete: of.soft_delete,
        keep_deleted: of.keep_deleted,
        history: of.history,
        compatibility: of.compatibility,
        references: of.references.iter().map(reference).collect::<Result<_>>()?,
        indexes: own.map(index).collect(),
    })
}
