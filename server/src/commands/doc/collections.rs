//! Collections, their schemas, indexes and references.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{CollectionSpec, Compatibility, Database, IndexSpec, OnDelete, Path, ReferenceSpec};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::values::{say, time};
use super::super::{Context, Place};
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

/// How versions of a schema agree.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Agreement {
    /// Not at all
    #[default]
    None,
    /// The new one allows what the old one does
    Backward,
    /// The old one allows what the new one does
    Forward,
    /// Both
    Full,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The collection
    collection: String,
    /// A new version, as JSON Schema of draft 2020-12; - reads it from standard input
    schema: Option<String>,
    /// Says how new versions have to agree with the one before, this one included
    #[arg(long, value_enum)]
    compatibility: Option<Agreement>,
    /// Lets documents be anything again
    #[arg(long, conflicts_with = "schema")]
    remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Index {
    /// The collection
    collection: String,
    /// Its name
    index: String,
    /// What it is over, in order
    #[arg(required = true)]
    paths: Vec<String>,
    /// No two documents may share its values
    #[arg(long)]
    unique: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reference {
    /// The collection
    collection: String,
    /// The reference, as in site=sites:cascade
    #[arg(value_name = "PATH=COLLECTION[:restrict|cascade|set-null]")]
    reference: String,
}

pub(super) fn create(context: &Context, arguments: Create) -> Outcome {
    let mut spec = CollectionSpec::new(&arguments.collection).history(arguments.history);
    spec = spec.compatibility(arguments.compatibility.into());
    if arguments.soft_delete {
        spec = spec.soft_delete(arguments.keep_deleted);
    }
    for (texts, unique) in [(&arguments.index, false), (&arguments.unique, true)] {
        for text in texts {
            spec.indexes.push(IndexSpec { unique, ..index_spec(text)? });
        }
    }
    for text in &arguments.reference {
        spec.references.push(reference_spec(text)?);
    }
    let database = context.open_or_make()?;
    database.collections().create(spec).map_err(Failure::of_request)?;
    done(context, database, &arguments.collection, "is there")
}

pub(super) fn rename(context: &Context, collection: &str, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    database.collections().rename(collection, name).map_err(Failure::of_request)?;
    done(context, database, collection, &format!("is called {name} now"))
}

pub(super) fn drop(context: &Context, collection: &str) -> Outcome {
    match context.place()? {
        Place::Here(database) => {
            database.collections().drop(collection).map_err(Failure::of_request)?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::delete(&["collections", collection]))?;
        }
    }
    tell(context, collection, "is gone")
}

pub(super) fn index(context: &Context, arguments: &Index) -> Outcome {
    let paths: Vec<_> = arguments.paths.iter().map(String::as_str).collect();
    let spec = IndexSpec::new(&arguments.index, &paths).map_err(Failure::of_request)?;
    let database = context.open_quiet()?;
    let unique = arguments.unique;
    database.create_index(&arguments.collection, IndexSpec { unique, ..spec }).map_err(Failure::of_request)?;
    done(context, database, &arguments.collection, &format!("has index {}", arguments.index))
}

pub(super) fn drop_index(context: &Context, collection: &str, index: &str) -> Outcome {
    let database = context.open_quiet()?;
    database.collections().drop_index(collection, index).map_err(Failure::of_request)?;
    done(context, database, collection, &format!("has no index {index} any more"))
}

pub(super) fn reference(context: &Context, arguments: Reference) -> Outcome {
    let spec = reference_spec(&arguments.reference)?;
    let database = context.open_quiet()?;
    let words = format!("refers to {}", spec.to);
    database.create_reference(&arguments.collection, spec).map_err(Failure::of_request)?;
    done(context, database, &arguments.collection, &words)
}

pub(super) fn schema(context: &Context, arguments: &Schema) -> Outcome {
    let schema = arguments.schema.as_deref().map(super::json).transpose()?;
    let database = context.open_quiet()?;
    let (mut collections, name) = (database.collections(), &arguments.collection);
    if let Some(compatibility) = arguments.compatibility {
        collections.set_compatibility(name, compatibility.into()).map_err(Failure::of_request)?;
    }
    if let Some(schema) = &schema {
        let version = collections.set_schema(name, schema).map_err(Failure::of_request)?;
        return done(context, database, name, &format!("has version {version} of its schema"));
    }
    if arguments.remove {
        collections.remove_schema(name).map_err(Failure::of_request)?;
        return done(context, database, name, "allows any document");
    }
    let versions = collections.schemas(name).map_err(Failure::of_request)?;
    database.close()?;
    versions.iter().try_for_each(|version| match context.json {
        true => context.print_json(&json!({
            "version": version.version, "set_at_micros": version.set_at, "schema": version.schema,
        })),
        false => say(&format!("{} {}", version.version, version.schema)),
    })
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

fn done(context: &Context, database: Database, collection: &str, words: &str) -> Outcome {
    database.close()?;
    tell(context, collection, words)
}

fn tell(context: &Context, collection: &str, words: &str) -> Outcome {
    match context.json {
        true => context.print_json(&json!({ "collection": collection, "done": words })),
        false => say(&format!("{collection} {words}")),
    }
}

/// A collection for programs.
pub(crate) fn describe(spec: &CollectionSpec, count: u64) -> told::Collection {
    let paths = |paths: &[Path]| paths.iter().map(|path| path.as_str().to_owned()).collect();
    let index = |index: &IndexSpec| told::Index { name: index.name.clone(), paths: paths(&index.paths), unique: index.unique };
    let reference = |reference: &ReferenceSpec| {
        let on_delete = match reference.on_delete {
            OnDelete::Restrict => "restrict",
            OnDelete::Cascade => "cascade",
            OnDelete::SetNull => "set-null",
        };
        told::Reference { path: reference.path.as_str().to_owned(), to: reference.to.clone(), on_delete: on_delete.into() }
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

/// `NAME=PATH,PATH`.
fn index_spec(text: &str) -> Outcome<IndexSpec> {
    let usage = || Failure::usage(format_args!("{text:?} is no index: write NAME=PATH or NAME=PATH,PATH"));
    let (name, paths) = text.split_once('=').ok_or_else(usage)?;
    IndexSpec::new(name, &paths.split(',').collect::<Vec<_>>()).map_err(Failure::of_request)
}

/// `PATH=COLLECTION:cascade`.
fn reference_spec(text: &str) -> Outcome<ReferenceSpec> {
    let wrong = "write PATH=COLLECTION, and behind it :restrict, :cascade or :set-null";
    let usage = || Failure::usage(format_args!("{text:?} is no reference: {wrong}"));
    let (path, to) = text.split_once('=').ok_or_else(usage)?;
    let (to, on_delete) = match to.rsplit_once(':') {
        None | Some((_, "restrict")) => (to.trim_end_matches(":restrict"), OnDelete::Restrict),
        Some((to, "cascade")) => (to, OnDelete::Cascade),
        Some((to, "set-null")) => (to, OnDelete::SetNull),
        Some(_) => return Err(usage()),
    };
    Ok(ReferenceSpec { path: Path::parse(path).map_err(Failure::of_request)?, to: to.to_owned(), on_delete })
}

impl From<Agreement> for Compatibility {
    fn from(agreement: Agreement) -> Self {
        match agreement {
            Agreement::None => Compatibility::None,
            Agreement::Backward => Compatibility::Backward,
            Agreement::Forward => Compatibility::Forward,
            Agreement::Full => Compatibility::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_and_references_are_read() {
        assert_eq!(index_spec("by_room=site.room,kind").unwrap(), IndexSpec::new("by_room", &["/site/room", "kind"]).unwrap());
        let reference = |text: &str| reference_spec(text).unwrap();
        let spec = |on_delete| ReferenceSpec { path: Path::parse("site").unwrap(), to: "sites".into(), on_delete };
        assert_eq!(reference("site=sites"), spec(OnDelete::Restrict));
        assert_eq!(reference("site=sites:restrict"), spec(OnDelete::Restrict));
        assert_eq!(reference("site=sites:cascade"), spec(OnDelete::Cascade));
        assert_eq!(reference("site=sites:set-null"), spec(OnDelete::SetNull));
        assert!(index_spec("by_room").is_err() && reference_spec("site").is_err() && reference_spec("site=a:b").is_err());
    }
}
