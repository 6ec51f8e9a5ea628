//! Making, changing and dropping collections.

use serde_json::Value;

use super::definition::{CollectionSpec, Compatibility, Definition, IndexSpec, Reference, ReferenceSpec};
use super::index::Built;
use super::schema::SchemaVersion;
use super::{debris, definition, id, index, key, limits, reference, schema};
use crate::error::{Error, Result};
use crate::keyspace::{Access, Transaction};
use crate::shared::Shared;

/// The collections of a database, or as a transaction sees them.
///
/// ```
/// use alluvium::{CollectionSpec, Compatibility, Database, OnDelete};
/// use serde_json::json;
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// db.collections().create(CollectionSpec::new("sites"))?;
/// let devices = CollectionSpec::new("devices")
///     .compatibility(Compatibility::Backward)
///     .unique("by_serial", &["serial"])?
///     .reference("site", "sites", OnDelete::Restrict)?;
/// db.collections().create(devices)?;
/// db.collections().set_schema("devices", &json!({"type": "object", "required": ["serial"]}))?;
///
/// // A new version may ask for less, and not for more.
/// let more = json!({"type": "object", "required": ["serial", "model"]});
/// assert!(db.collections().set_schema("devices", &more).is_err());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Collections<A> {
    access: A,
}

impl<A: Access> Collections<A> {
    pub(crate) fn new(access: A) -> Self {
        Collections { access }
    }

    /// Makes a collection. [`Error::CollectionExists`] if there is one of that name.
    pub fn create(&mut self, spec: CollectionSpec) -> Result<()> {
        self.write(move |transaction, shared| create(transaction, shared, &spec))
    }

    /// All collections, by name.
    pub fn list(&self) -> Result<Vec<CollectionSpec>> {
        self.access.read(|transaction| {
            let shared = self.access.shared();
            definition::all(transaction)?.iter().map(|of| describe(transaction, shared, of)).collect()
        })
    }

    /// What a collection is.
    pub fn get(&self, name: &str) -> Result<CollectionSpec> {
        let shared = self.access.shared();
        self.access.read(|transaction| describe(transaction, shared, &*definition::find(transaction, shared, name)?))
    }

    /// Gives a collection another name.
    pub fn rename(&mut self, name: &str, new: &str) -> Result<()> {
        id::check_name("collection name", new)?;
        let (name, new) = (name.to_owned(), new.to_owned());
        self.write(move |transaction, shared| {
            let of = definition::find(transaction, shared, &name)?;
            refuse_existing(transaction, shared, &new)?;
            transaction.remove(key::collection(&name));
            put_named(transaction, &Definition { name: new, ..(*of).clone() })
        })
    }

    /// Drops a collection with all its documents, whose room is given back little by little. [`Error::Invalid`] while
    /// another refers to it.
    pub fn drop(&mut self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let shared = self.access.shared().clone();
        self.access.free(move |transaction| drop_collection(transaction, &shared, &name)).map(|((), _)| ())
    }

    /// Sets the schema that documents have to satisfy from now on, if it agrees with the one before as the collection asks
    /// ([`Error::Incompatible`]). Answers its version. Documents that are there stay as they are.
    pub fn set_schema(&mut self, name: &str, schema: &Value) -> Result<u32> {
        limits::text(schema, self.access.shared())?;
        schema::compile(schema)?;
        let (name, schema) = (name.to_owned(), schema.clone());
        self.write(move |transaction, shared| schema::set(transaction, shared, &name, &schema))
    }

    /// Lets documents be anything again. The versions of the schema are kept.
    pub fn remove_schema(&mut self, name: &str) -> Result<()> {
        self.set_schema(name, &Value::Bool(true)).map(drop)
    }

    /// All versions of the schema, oldest first.
    pub fn schemas(&self, name: &str) -> Result<Vec<SchemaVersion>> {
        let shared = self.access.shared();
        self.access.read(|transaction| schema::all(transaction, &*definition::find(transaction, shared, name)?))
    }

    /// Says how new versions of the schema have to agree with the one before.
    pub fn set_compatibility(&mut self, name: &str, compatibility: Compatibility) -> Result<()> {
        self.change(name, move |_, _, of| {
            of.compatibility = compatibility;
            Ok(())
        })
    }

    /// Says how many earlier revisions of each document are kept. What is more goes when the document is written again.
    pub fn set_history(&mut self, name: &str, revisions: u32) -> Result<()> {
        self.change(name, move |_, _, of| {
            of.history = revisions;
            Ok(())
        })
    }

    /// Begins to make an index. It is kept up to date from now on, and serves queries once it has every document.
    pub(crate) fn begin_index(&mut self, name: &str, spec: IndexSpec) -> Result<(u32, u32)> {
        self.change(name, move |transaction, _, of| {
            let number = of.add_index(spec, false)?;
            refuse_duplicate(of)?;
            index::begin(transaction, of, number);
            Ok((of.number, number))
        })
    }

    /// Begins to keep a reference, as [`Collections::begin_index`] does.
    pub(crate) fn begin_reference(&mut self, name: &str, spec: ReferenceSpec) -> Result<(u32, u32)> {
        self.change(name, move |transaction, shared, of| {
            let number = add_reference(transaction, shared, of, &spec, false)?;
            index::begin(transaction, of, number);
            Ok((of.number, number))
        })
    }

    /// Goes on with an index that was begun. Answers whether it is there.
    pub(crate) fn build(&mut self, index: (u32, u32)) -> Result<bool> {
        match self.write(move |transaction, shared| index::build(transaction, shared, index))? {
            Built::Partly => Ok(false),
            Built::Whole => Ok(true),
            Built::Refused(error) => Err(error),
        }
    }

    /// Drops an index. [`Error::Invalid`] if it serves a reference.
    pub fn drop_index(&mut self, name: &str, index: &str) -> Result<()> {
        let index = index.to_owned();
        self.change(name, move |transaction, _, of| {
            let found = of.indexes.iter().find(|found| found.name == index);
            let none = || Error::invalid(format!("collection {:?} has no index {index:?}", of.name));
            let number = found.ok_or_else(none)?.number;
            if of.serves_reference(number) {
                return Err(Error::invalid(format!("index {index:?} of collection {:?} serves a reference", of.name)));
            }
            index::remove(transaction, of, number);
            Ok(())
        })
    }

    /// Drops a reference, after which documents may refer to anything.
    pub fn drop_reference(&mut self, name: &str, path: &str) -> Result<()> {
        let path = super::Path::parse(path)?;
        self.change(name, move |transaction, shared, of| {
            let found = of.references.iter().find(|reference| reference.path == path).map(|reference| reference.index);
            let none = || Error::invalid(format!("collection {:?} has no reference at {path}", of.name));
            let number = found.ok_or_else(none)?;
            reference::forget(transaction, shared, of, number)?;
            index::remove(transaction, of, number);
            Ok(())
        })
    }

    fn change<T: Send + 'static>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Transaction, &Shared, &mut Definition) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let name = name.to_owned();
        self.write(move |transaction, shared| {
            let mut of = (*definition::find(transaction, shared, &name)?).clone();
            let answer = change(transaction, shared, &mut of)?;
            definition::put(transaction, &of)?;
            Ok(answer)
        })
    }

    fn write<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut Transaction, &Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.access.shared().clone();
        Ok(self.access.write(move |transaction| write(transaction, &shared))?.0)
    }
}

fn create(transaction: &mut Transaction, shared: &Shared, spec: &CollectionSpec) -> Result<()> {
    id::check_name("collection name", &spec.name)?;
    refuse_existing(transaction, shared, &spec.name)?;
    let number = next_number(transaction)?;
    let mut of = Definition {
        number,
        name: spec.name.clone(),
        soft_delete: spec.soft_delete,
        keep_deleted: spec.keep_deleted,
        history: spec.history,
        compatibility: spec.compatibility,
        schema: 0,
        indexes: Vec::new(),
        next_index: 0,
        references: Vec::new(),
        referrers: Vec::new(),
    };
    for index in &spec.indexes {
        of.add_index(index.clone(), true)?;
    }
    // A collection may refer to itself, so it has to be there.
    put_named(transaction, &of)?;
    for reference in &spec.references {
        add_reference(transaction, shared, &mut of, reference, true)?;
    }
    refuse_duplicate(&of)?;
    definition::put(transaction, &of)
}

/// Numbers are never given twice, lest what is left of a collection be taken for part of another.
fn next_number(transaction: &mut Transaction) -> Result<u32> {
    let wrong = || Error::Internal("the number of the next collection cannot be read".to_owned());
    let next = match transaction.get(&key::next_collection())? {
        Some((_, cell)) => u32::from_be_bytes(cell[..].try_into().map_err(|_| wrong())?),
        None => 1,
    };
    transaction.put(key::next_collection(), next.checked_add(1).ok_or_else(wrong)?.to_be_bytes().as_slice().into());
    Ok(next)
}

fn put_named(transaction: &mut Transaction, of: &Definition) -> Result<()> {
    transaction.put(key::collection_name(of.number), of.name.as_bytes().into());
    definition::put(transaction, of)
}

fn refuse_existing(transaction: &Transaction, shared: &Shared, name: &str) -> Result<()> {
    match definition::get(transaction, shared, name)? {
        Some(_) => Err(Error::CollectionExists { name: name.to_owned() }),
        None => Ok(()),
    }
}

fn refuse_duplicate(of: &Definition) -> Result<()> {
    match index::duplicate(of) {
        Some(name) => Err(Error::invalid(format!("collection {:?} has an index {name:?} already", of.name))),
        None => Ok(()),
    }
}

/// Answers the number of the index that serves it.
fn add_reference(
    transaction: &mut Transaction,
    shared: &Shared,
    of: &mut Definition,
    spec: &ReferenceSpec,
    is_built: bool,
) -> Result<u32> {
    if of.references.iter().any(|reference| reference.path == spec.path) {
        return Err(Error::invalid(format!("collection {:?} has a reference at {} already", of.name, spec.path)));
    }
    let serving = IndexSpec { name: format!("reference {}", spec.path), paths: vec![spec.path.clone()], unique: false };
    let index = of.add_index(serving, is_built)?;
    let refer = |to: &mut Definition, from: u32| {
        if !to.referrers.contains(&from) {
            to.referrers.push(from);
        }
        to.number
    };
    let number = of.number;
    let to = if spec.to == of.name {
        refer(of, number)
    } else {
        let mut to = (*definition::find(transaction, shared, &spec.to)?).clone();
        let to_number = refer(&mut to, number);
        definition::put(transaction, &to)?;
        to_number
    };
    of.references.push(Reference { path: spec.path.clone(), to, on_delete: spec.on_delete, index });
    Ok(index)
}

fn drop_collection(transaction: &mut Transaction, shared: &Shared, name: &str) -> Result<()> {
    let mut of = (*definition::find(transaction, shared, name)?).clone();
    for number in of.referrers.iter().filter(|number| **number != of.number) {
        if let Some(from) = definition::by_number(transaction, shared, *number)? {
            return Err(Error::invalid(format!("collection {:?} refers to collection {name:?}: drop it first", from.name)));
        }
    }
    for index in of.references.iter().map(|reference| reference.index).collect::<Vec<_>>() {
        reference::forget(transaction, shared, &mut of, index)?;
    }
    of.indexes.iter().for_each(|index| transaction.remove(key::building(of.number, index.number)));
    transaction.remove(key::collection(name));
    transaction.remove(key::collection_name(of.number));
    let left = [key::document(of.number, ""), key::histories(of.number), key::schemas(of.number), key::indexes(of.number)];
    left.iter().for_each(|beginning| debris::leave(transaction, beginning));
    Ok(())
}

fn describe(transaction: &Transaction, shared: &Shared, of: &Definition) -> Result<CollectionSpec> {
    let mut name_of = |number| Ok(definition::by_number(transaction, shared, number)?.map(|of| of.name.clone()));
    definition::describe(of, &mut name_of)
}
