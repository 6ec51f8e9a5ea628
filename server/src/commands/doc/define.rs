//! Schemas, indexes and references of collections.

use alluvium::{Compatibility, Database, SchemaVersion};
use clap::Args;

use super::super::values::say;
use super::super::{Context, Place};
use super::collections::tell;
use super::wanted::{Agreement, ChangedCollection, NewIndex, NewReference};
use crate::failure::{Failure, Outcome};
use crate::remote::{self, Remote};
use crate::told;

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

pub(super) fn index(context: &Context, arguments: &Index) -> Outcome {
    let Index { collection, index, paths, unique } = arguments;
    let wanted = NewIndex { name: index.clone(), paths: paths.clone(), unique: *unique };
    let spec = wanted.spec()?;
    let asked = remote::post(&["collections", collection, "indexes"]).said(&wanted)?;
    context.place()?.order(|database| database.create_index(collection, spec), &asked)?;
    tell(context, collection, &format!("has index {index}"))
}

pub(super) fn drop_index(context: &Context, collection: &str, index: &str) -> Outcome {
    let asked = remote::delete(&["collections", collection, "indexes", index]);
    context.place()?.order(|database| database.collections().drop_index(collection, index), &asked)?;
    tell(context, collection, &format!("has no index {index} any more"))
}

pub(super) fn reference(context: &Context, Reference { collection, reference }: &Reference) -> Outcome {
    let wanted = NewReference::read(reference)?;
    let spec = wanted.spec()?;
    let asked = remote::post(&["collections", collection, "references"]).said(&wanted)?;
    context.place()?.order(|database| database.create_reference(collection, spec), &asked)?;
    tell(context, collection, &format!("refers to {}", wanted.to))
}

pub(super) fn schema(context: &Context, arguments: &Schema) -> Outcome {
    let (name, schema) = (&arguments.collection, arguments.schema.as_deref().map(super::json).transpose()?);
    let place = context.place()?;
    if let Some(compatibility) = arguments.compatibility {
        agree(&place, name, compatibility)?;
    }
    let versions = if let Some(schema) = &schema {
        let version = set(&place, name, schema)?;
        tell(context, name, &format!("has version {version} of its schema"))?;
        Vec::new()
    } else if arguments.remove {
        remove(&place, name)?;
        tell(context, name, "allows any document")?;
        Vec::new()
    } else {
        versions(&place, name)?
    };
    place.close()?;
    versions.iter().try_for_each(|version| match context.json {
        true => context.print_json(version),
        false => say(&format!("{} {}", version.version, version.schema)),
    })
}

fn agree(place: &Place, name: &str, compatibility: Agreement) -> Outcome {
    match place {
        Place::Here(database) => {
            database.collections().set_compatibility(name, Compatibility::from(compatibility)).map_err(Failure::of_request)
        }
        Place::There(remote) => {
            let wanted = ChangedCollection { compatibility: Some(compatibility), ..ChangedCollection::default() };
            remote.order(&remote::patch(&["collections", name]).said(&wanted)?)
        }
    }
}

fn set(place: &Place, name: &str, schema: &serde_json::Value) -> Outcome<u32> {
    match place {
        Place::Here(database) => database.collections().set_schema(name, schema).map_err(Failure::of_request),
        Place::There(remote) => {
            let asked = remote::put(&["collections", name, "schema"]).body(schema.clone());
            Ok(remote.ask::<told::SetSchema>(&asked)?.version)
        }
    }
}

fn remove(place: &Place, name: &str) -> Outcome {
    match place {
        Place::Here(database) => database.collections().remove_schema(name).map_err(Failure::of_request),
        Place::There(remote) => remote.order(&remote::delete(&["collections", name, "schema"])),
    }
}

fn versions(place: &Place, name: &str) -> Outcome<Vec<told::SchemaVersion>> {
    let here = |database: &Database| database.collections().schemas(name).map_err(Failure::of_request);
    let there = |remote: &Remote| remote.all("versions", &remote::get(&["collections", name, "schema"]));
    match place {
        Place::Here(database) => Ok(here(database)?.into_iter().map(describe).collect()),
        Place::There(remote) => there(remote),
    }
}

/// A version of a schema for programs.
pub(crate) fn describe(SchemaVersion { version, schema, set_at }: SchemaVersion) -> told::SchemaVersion {
    told::SchemaVersion { version, set_at_micros: set_at, schema }
}
