//! Single documents, and many at once.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alluvium::{Collection, Database, Document, Error, PutDocument, PutMany};
use clap::Args;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value as Json, json};

use super::super::values::{condition, say, time};
use super::super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::remote::{self, Request};
use crate::told;

/// Documents that are put together.
const TOGETHER: usize = 256;
/// Bytes of their text, more or less.
const BYTES_TOGETHER: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The collection
    collection: String,
    /// The document's id
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The collection
    collection: String,
    /// The document's id; - makes a new one
    id: String,
    /// The document as JSON; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    document: String,
    /// How long it lasts, as in 90s, 1h or 30d. Time during which the machine is off does not count
    #[arg(long, value_name = "DURATION", value_parser = time)]
    ttl: Option<Duration>,
    /// Only if there is no such document
    #[arg(long, conflicts_with = "if_revision")]
    if_absent: bool,
    /// Only if the document is in this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The collection
    collection: String,
    /// Where the documents are, one a line; - reads standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The field that holds the id; documents without it get a new one
    #[arg(long, value_name = "FIELD", default_value = "id")]
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    name: Name,
    /// Also if it was deleted and can be restored
    #[arg(long)]
    deleted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    #[command(flatten)]
    name: Name,
    /// What to change, as JSON: null takes a field away; - reads it from standard input
    patch: String,
    /// Only if the document is in this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    name: Name,
    /// Only if the document is in this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    /// For good, with its history, also where it could be restored or was deleted before
    #[arg(long, conflicts_with = "if_revision")]
    purge: bool,
}

pub(super) fn put(context: &Context, arguments: &Put) -> Outcome {
    let content = super::json(&arguments.document)?;
    let put = match context.place()? {
        Place::Here(database) => {
            let put = put_here(&database, arguments, &content)?;
            database.close()?;
            put
        }
        Place::There(remote) => {
            let asked = remote::put(&["collections", &arguments.collection, "documents", &arguments.id]);
            let asked = asked.with("new", arguments.id == "-").with("if_absent", arguments.if_absent);
            let asked = asked.with_any("if_revision", arguments.if_revision);
            let time = arguments.ttl.map(|time| time.as_secs_f64());
            remote.ask(&asked.with_any("expires_in_seconds", time).body(content))?
        }
    };
    tell(context, &put)
}

fn put_here(database: &Database, arguments: &Put, content: &Json) -> Outcome<told::StoredDocument> {
    let how = PutDocument::default().only_if(condition(arguments.if_absent, arguments.if_revision));
    let how = arguments.ttl.map_or(how, |time| how.time_to_live(time));
    let mut documents = database.collection(&arguments.collection);
    let id = match arguments.id.as_str() {
        "-" => documents.new_id().map_err(Failure::of_request)?,
        id => id.to_owned(),
    };
    let revision = documents.put(&id, content, how).map_err(Failure::of_request)?;
    Ok(told::StoredDocument { id, revision })
}

impl Name {
    fn parts<'n>(&'n self, more: &[&'n str]) -> Vec<&'n str> {
        [&["collections", &self.collection, "documents", &self.id], more].concat()
    }
}

pub(super) fn merge(context: &Context, Merge { name, patch, if_revision }: &Merge) -> Outcome {
    let patch = super::json(patch)?;
    let asked = remote::patch(&name.parts(&[])).with_any("if_revision", *if_revision).body(patch.clone());
    let here = |documents: &mut Collection<&Database>| documents.merge(&name.id, &patch, condition(false, *if_revision));
    let merged = change(context, name, |documents| Ok(stored(name, here(documents)?)), &asked)?;
    tell(context, &merged.ok_or_else(|| absent(name))?)
}

pub(super) fn restore(context: &Context, name: &Name) -> Outcome {
    let here = |documents: &mut Collection<&Database>| Ok(stored(name, documents.restore(&name.id)?));
    let restored = change(context, name, here, &remote::post(&name.parts(&["restore"])))?;
    tell(context, &restored.ok_or_else(|| absent(name))?)
}

pub(super) fn delete(context: &Context, Delete { name, if_revision, purge }: &Delete) -> Outcome {
    let id = &name.id;
    let asked = remote::delete(&name.parts(&[])).with_any("if_revision", *if_revision).with("purge", purge);
    let here = |documents: &mut Collection<&Database>| {
        let was_there = if *purge { documents.purge(id)? } else { documents.delete(id, condition(false, *if_revision))? };
        if was_there { Ok(IgnoredAny) } else { Err(missing(name)) }
    };
    change(context, name, here, &asked)?.ok_or_else(|| absent(name))?;
    if context.json { context.print_json(&json!({ "id": id, "deleted": true })) } else { say(&format!("{id} is gone")) }
}

pub(super) fn get(context: &Context, Get { name, deleted }: &Get) -> Outcome {
    let here = |documents: &mut Collection<&Database>| {
        let found = if *deleted { documents.get_deleted(&name.id)? } else { documents.get(&name.id)? };
        found.as_ref().map(describe).ok_or_else(|| missing(name))
    };
    let found = change(context, name, here, &remote::get(&name.parts(&[])).with("deleted", deleted))?;
    let document: told::Document = found.ok_or_else(|| absent(name))?;
    if context.json {
        return context.print_json(&document);
    }
    let text = serde_json::to_string_pretty(&document.document).map_err(|error| Failure::failed(error.to_string()))?;
    say(&text)
}

pub(super) fn history(context: &Context, name: &Name) -> Outcome {
    let past: Vec<told::Document> = match context.place()? {
        Place::Here(database) => {
            let past = database.collection(&name.collection).history(&name.id).map_err(Failure::of_request)?;
            database.close()?;
            past.iter().map(describe).collect()
        }
        Place::There(remote) => remote.all("documents", &remote::get(&name.parts(&["history"])))?,
    };
    past.iter().try_for_each(|document| match context.json {
        true => context.print_json(document),
        false => say(&format!("{} {}", document.revision, document.document)),
    })
}

pub(super) fn load(context: &Context, arguments: &Load) -> Outcome {
    let place = context.place()?;
    let (mut lines, mut stored, mut failed) = (lines(&arguments.file)?.enumerate(), 0, 0);
    loop {
        let (mut some, mut bytes, mut is_last) = (Vec::new(), 0, true);
        for (number, line) in lines.by_ref().take(TOGETHER) {
            is_last = false;
            let line = line.map_err(|error| Failure::io("read", arguments.file.display(), &error))?;
            match parse(&line, &arguments.id) {
                Some(Ok(document)) => some.push(document),
                Some(Err(error)) => {
                    failed += 1;
                    refused(context, &format!("line {}", number + 1), &error)?;
                }
                None => {}
            }
            bytes += line.len();
            if bytes >= BYTES_TOGETHER {
                break;
            }
        }
        if is_last {
            break;
        }
        let told::StoredDocuments { stored: many, errors, .. } = put_many(&place, &arguments.collection, some)?;
        stored += many;
        failed += errors.len();
        errors.iter().try_for_each(|told::NotStored { id, error }| refused(context, id, error))?;
    }
    place.close()?;
    match context.json {
        true => context.print_json(&json!({ "stored": stored, "failed": failed }))?,
        false => say(&format!("{stored} stored, {failed} refused"))?,
    }
    if failed == 0 { Ok(()) } else { Err(Failure::failed(format_args!("{failed} documents were refused"))) }
}

fn put_many(place: &Place, collection: &str, some: Vec<(Option<String>, Json)>) -> Outcome<told::StoredDocuments> {
    match place {
        Place::Here(database) => database.collection(collection).put_many(some).map(describe_stored).map_err(Failure::of_request),
        Place::There(remote) => {
            let described = |(id, document): (Option<String>, Json)| json!({ "id": id, "document": document });
            let body = json!({ "documents": some.into_iter().map(described).collect::<Vec<_>>() });
            remote.ask(&remote::post(&["collections", collection, "documents"]).body(body))
        }
    }
}

/// What became of many documents, for programs.
pub(crate) fn describe_stored(outcome: PutMany) -> told::StoredDocuments {
    let documents: Vec<_> = outcome.stored.into_iter().map(|(id, revision)| told::StoredDocument { id, revision }).collect();
    let errors: Vec<_> = outcome.failed.into_iter().map(|(id, error)| told::NotStored { id, error: error.to_string() }).collect();
    told::StoredDocuments { stored: documents.len(), failed: errors.len(), documents, errors }
}

/// One line as a document with its id; `None` where it is empty.
fn parse(line: &str, id: &str) -> Option<Result<(Option<String>, Json), String>> {
    if line.trim().is_empty() {
        return None;
    }
    let parsed = serde_json::from_str::<Json>(line).map_err(|error| error.to_string());
    Some(parsed.and_then(|content| match content.get(id) {
        None | Some(Json::Null) => Ok((None, content)),
        Some(Json::String(id)) => Ok((Some(id.clone()), content)),
        Some(Json::Number(number)) => Ok((Some(number.to_string()), content)),
        Some(odd) => Err(format!("{odd} is no id")),
    }))
}

fn lines(file: &Path) -> Outcome<Box<dyn Iterator<Item = io::Result<String>>>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lines()));
    }
    let opened = File::open(file).map_err(|error| Failure::io("open", file.display(), &error))?;
    Ok(Box::new(BufReader::new(opened).lines()))
}

fn refused(context: &Context, what: &str, error: &str) -> Outcome {
    match context.json {
        true => context.print_json(&json!({ "id": what, "error": error })),
        false => Ok(writeln!(io::stderr(), "alluvium: {what}: {error}")?),
    }
}

/// Does one thing to a document, and answers what is said of it; `None` where there is no such document.
fn change<T: DeserializeOwned>(
    context: &Context,
    name: &Name,
    here: impl FnOnce(&mut Collection<&Database>) -> alluvium::Result<T>,
    there: &Request,
) -> Outcome<Option<T>> {
    match context.place()? {
        Place::Here(database) => {
            let answer = match here(&mut database.collection(&name.collection)) {
                Err(Error::NoSuchDocument { .. }) => None,
                answer => Some(answer.map_err(Failure::of_request)?),
            };
            database.close()?;
            Ok(answer)
        }
        Place::There(remote) => {
            let answer = remote.find(there)?;
            if answer.is_none() {
                // Where there is not even the collection, that is what is said.
                remote.order(&remote::get(&["collections", &name.collection]))?;
            }
            Ok(answer)
        }
    }
}

fn stored(name: &Name, revision: u64) -> told::StoredDocument {
    told::StoredDocument { id: name.id.clone(), revision }
}

fn missing(Name { collection, id }: &Name) -> Error {
    Error::NoSuchDocument { collection: collection.clone(), id: id.clone() }
}

fn tell(context: &Context, put: &told::StoredDocument) -> Outcome {
    match context.json {
        true => context.print_json(put),
        false => say(&format!("{} is at revision {}", put.id, put.revision)),
    }
}

fn absent(name: &Name) -> Failure {
    let Name { collection, id } = name;
    Failure::failed(format_args!(
        "collection {collection:?} has no document {id:?}: `alluvium doc query {collection}` lists them"
    ))
}

/// A document for programs.
pub(crate) fn describe(document: &Document) -> told::Document {
    told::Document {
        id: document.id.clone(),
        revision: document.revision,
        document: document.content.clone(),
        expires_in_seconds: document.expires_in.map(|left| left.as_secs_f64()),
        deleted_at_micros: document.deleted_at,
    }
}
