//! Collections.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{CollectionSpec, IndexSpec, Path, ReferenceSpec};
use clap::Args;
use serde_json::json;

use super::super::values::{say, time};
use super::super::{Context, Place};
use super::wanted::{Agreement, ChangedCollection, NewCollection, NewIndex, NewReference};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::{remote, told};

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name
    collection: String,
    /// Lets deleted documents be restored
    #[arg(long)]
    soft_delete: bool,
    /// Only for so long, as in 30d. Time during which the machine is off does not count
    #[arg(long, value_name = "DURATION", value_parser = time, requires = "soft_delete")]
    keep_deleted: Option<Duration>,
    /// How many earlier revisions of each document are kept
    #[arg(long, value_name = "REVISIONS", default_value_t = 0)]
    history: u32,
    /// How new versions of the schema have to agree with the one before
    #[arg(long, value_enum, default_value_t)]
    compatibility: Agreement,
    /// An index, as in by_room=site.room,kind
    #[arg(long, value_name = "NAME=PATH[,PATH…]")]
    index: Vec<String>,
    /// An index whose values no two documents share
    #[arg(long, value_name = "NAME=PATH[,PATH…]")]
    unique: Vec<String>,
    /// A reference to another collection, as in site=sites:cascade
    #[arg(long, value_name = "PATH=COLLECTION[:restrict|cascade|set-null]")]
    reference: Vec<String>,
}

impl Create {
    fn wanted(&self) -> Outcome<NewCollection> {
        let read = |texts: &'_ [String], unique| texts.iter().map(move |text| NewIndex::read(text, unique)).collect::<Vec<_>>();
        let indexes = read(&self.index, false).into_iter().chain(read(&self.unique, true));
        Ok(NewCollection {
            soft_delete: self.soft_delete,
            keep_deleted_seconds: self.keep_deleted.map(|time| time.as_secs_f64()),
            history: self.history,
            compatibility: self.compatibility,
            indexes: indexes.collect::<Outcome<_>>()?,
            references: self.reference.iter().map(|text| NewReference::read(text)).collect::<Outcome<_>>()?,
        })
    }
}

pub(super) fn create(context: &Context, arguments: &Create) -> Outcome {
    let (name, wanted) = (&arguments.collection, arguments.wanted()?);
    let spec = wanted.spec(name)?;
    let asked = remote::put(&["collections", name]).said(&wanted)?;
    context.place_or_make()?.order(|database| database.collections().create(spec), &asked)?;
    tell(context, name, "is there")
}

pub(super) fn rename(context: &Context, collection: &str, name: &str) -> Outcome {
    let wanted = ChangedCollection { name: Some(name.to_owned()), ..ChangedCollection::default() };
    let asked = remote::patch(&["collections", collection]).said(&wanted)?;
    context.place()?.order(|database| database.collections().rename(collection, name), &asked)?;
    tell(context, collection, &format!("is called {name} now"))
}

pub(super) fn drop(context: &Context, collection: &str) -> Outcome {
    let asked = remote::delete(&["collections", collection]);
    context.place()?.order(|database| database.collections().drop(collection), &asked)?;
    tell(context, collection, "is gone")
}

pub(super) fn list(context: &Context) -> Outcome {
    let counted: Vec<told::Collection> = match context.place()? {
        Place::Here(database) => {
            let all = database.collections().list().map_err(Failure::of_request)?;
            let counted = |spec: &CollectionSpec| {
                database.collection(&spec.name).count(alluvium::Where::all()).map(|count| describe(spec, count))
            };
            let counted = all.iter().map(counted).collect::<Result<_, _>>().map_err(Failure::of_request)?;
            database.close()?;
            counted
        }
        Place::There(remote) => remote.all("collections", &remote::get(&["collections"]))?,
    };
    if context.json {
        counted.iter().try_for_each(|one| context.print_json(one))?;
    } else if counted.is_empty() {
        terminal::remark("there are no collections yet: `alluvium doc create NAME` makes one");
    } else {
        let headings = [("collection", Align::Left), ("documents", Align::Right), ("indexes", Align::Left)];
        let mut table = Table::new(headings);
        for one in counted {
            let indexes = one.indexes.into_iter().map(|index| index.name).collect::<Vec<_>>().join(", ");
            table.push([one.collection, one.documents.to_string(), indexes]);
        }
        let mut out = io::stdout().lock();
        table.write(&mut out)?;
        out.flush()?;
    }
    Ok(())
}

/// What was done to a collection.
pub(super) fn tell(context: &Context, collection: &str, words: &str) -> Outcome {
    match context.json {
        true => context.print_json(&json!({ "collection": collection, "done": words })),
        false => say(&format!("{collection} {words}")),
    }
}

/// A collection for programs.
pub(crate) fn describe(spec: &CollectionSpec, count: u64) -> told::Collection {
    let paths = |paths: &[Path]| paths.iter().map(|path| path.as_str().to_owned()).collect();
    let index = |index: &IndexSpec| told::Index { name: index.name.clone(), paths: paths(&index.paths), unique: index.unique };
    let reference = |reference: &ReferenceSpec| told::Reference {
        path: reference.path.as_str().to_owned(),
        to: reference.to.clone(),
        on_delete: reference.on_delete.into(),
    };
    told::Collection {
        collection: spec.name.clone(),
        documents: count,
        soft_delete: spec.soft_delete,
        keep_deleted_seconds: spec.keep_deleted.map(|keep| keep.as_secs_f64()),
        history: spec.history,
        indexes: spec.indexes.iter().map(index).collect(),
        references: spec.references.iter().map(reference).collect(),
    }
}
