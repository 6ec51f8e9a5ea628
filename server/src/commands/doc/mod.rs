//! `alluvium doc`: JSON documents in collections.

pub(crate) mod collections;
pub(crate) mod define;
pub(crate) mod documents;
pub(crate) mod query;
pub(crate) mod wanted;

use clap::Subcommand;

use super::Context;
use crate::failure::{Failure, Outcome};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a collection. What its documents have to be, `doc schema` says
    Create(collections::Create),
    /// Lists the collections
    Collections,
    /// Gives a collection another name
    Rename {
        /// The collection
        collection: String,
        /// Its new name
        name: String,
    },
    /// Drops a collection with all its documents
    Drop {
        /// The collection
        collection: String,
    },
    /// Shows the versions of a collection's schema, or sets a new one
    Schema(define::Schema),
    /// Makes an index over documents that are there
    Index(define::Index),
    /// Drops an index
    DropIndex {
        /// The collection
        collection: String,
        /// The index
        index: String,
    },
    /// Has documents that are there refer to those of another collection
    Reference(define::Reference),
    /// Puts a document, in the place of any there
    Put(documents::Put),
    /// Puts many documents, one JSON text a line, and reports each that is refused
    Load(documents::Load),
    /// Prints a document
    Get(documents::Get),
    /// Changes parts of a document (JSON Merge Patch)
    Merge(documents::Merge),
    /// Deletes a document
    Delete(documents::Delete),
    /// Brings back a document that was deleted
    Restore(documents::Name),
    /// Shows what a document was before, newest first
    History(documents::Name),
    /// Lists documents that satisfy conditions
    Query(query::Arguments),
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Create(arguments) => collections::create(context, &arguments),
        Command::Collections => collections::list(context),
        Command::Rename { collection, name } => collections::rename(context, &collection, &name),
        Command::Drop { collection } => collections::drop(context, &collection),
        Command::Schema(arguments) => define::schema(context, &arguments),
        Command::Index(arguments) => define::index(context, &arguments),
        Command::DropIndex { collection, index } => define::drop_index(context, &collection, &index),
        Command::Reference(arguments) => define::reference(context, &arguments),
        Command::Put(arguments) => documents::put(context, &arguments),
        Command::Load(arguments) => documents::load(context, &arguments),
        Command::Get(arguments) => documents::get(context, &arguments),
        Command::Merge(arguments) => documents::merge(context, &arguments),
        Command::Delete(arguments) => documents::delete(context, &arguments),
        Command::Restore(name) => documents::restore(context, &name),
        Command::History(name) => documents::history(context, &name),
        Command::Query(arguments) => query::run(context, &arguments),
    }
}

/// JSON from the command line; `-` reads it from standard input.
fn json(text: &str) -> Outcome<serde_json::Value> {
    let parsed = match text {
        "-" => serde_json::from_slice(&super::values::standard_input()?),
        text => serde_json::from_str(text),
    };
    parsed.map_err(|error| Failure::usage(format_args!("this is no JSON: {error}")))
}
