//! `alluvium doc query`: conditions as text.

use std::io::{self, Write};
use std::ops::Bound;

use alluvium::{Database, DocumentQuery, Where};
use clap::Args;
use serde_json::{Value as Json, json};

use super::super::values::say;
use super::super::{Context, Place};
use super::documents::describe;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::remote::{self, Remote, Request};
use crate::told::{self, Explained, Found};

/// Characters of a document that a list shows.
const SHOWN: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The collection
    collection: String,
    /// Only documents with PATH=VALUE, PATH!=VALUE, PATH<VALUE, <=, >, >=, PATH^=BEGINNING or 'PATH in [JSON, …]'; all of
    /// these where several, and one of those that || separates
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    conditions: Vec<String>,
    /// By the value at a path, and then the next; PATH:desc for the largest first
    #[arg(long, value_name = "PATH")]
    order: Vec<String>,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// Goes on behind the page that ended with this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Says how the query would be answered
    #[arg(long, conflicts_with = "count")]
    explain: bool,
    /// Only counts them
    #[arg(long)]
    count: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let filter = filter(&arguments.conditions)?;
    let query = query(filter.clone(), &arguments.order, arguments.limit, arguments.after.as_deref())?;
    let answer = match context.place()? {
        Place::Here(database) => {
            let answer = answer_here(&database, arguments, filter, &query).map_err(Failure::of_request)?;
            database.close()?;
            answer
        }
        Place::There(remote) => answer_there(&remote, arguments)?,
    };
    match answer {
        Found::Count { count } if context.json => context.print_json(&json!({ "count": count })),
        Found::Count { count } => say(&count.to_string()),
        Found::Explained(plan) if context.json => context.print_json(&Explained { words: None, ..plan }),
        Found::Explained(plan) => say(&plan.words.unwrap_or_default()),
        Found::Documents { documents, next, .. } => tell(context, documents, next),
    }
}

fn tell(context: &Context, documents: Vec<told::Document>, cursor: Option<String>) -> Outcome {
    if context.json {
        documents.iter().try_for_each(|document| context.print_json(document))?;
        return cursor.map_or(Ok(()), |cursor| context.print_json(&json!({ "cursor": cursor })));
    }
    let mut table = Table::new([("id", Align::Left), ("revision", Align::Right), ("document", Align::Left)]);
    for told::Document { id, revision, document, .. } in documents {
        table.push([id, revision.to_string(), shown(&document)]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    if let Some(cursor) = cursor {
        writeln!(out, "there are more: --after {cursor}")?;
    }
    Ok(out.flush()?)
}

impl Arguments {
    /// As a server is asked for a page of it.
    fn request(&self, limit: usize, after: Option<&str>) -> Request {
        remote::post(&["collections", &self.collection, "query"]).body(json!({
            "where": self.conditions,
            "order": self.order,
            "limit": limit,
            "after": after,
            "count": self.count,
            "explain": self.explain,
        }))
    }
}

/// A server gives out pages: asks for as many as are wanted.
fn answer_there(remote: &Remote, arguments: &Arguments) -> Outcome<Found> {
    let (mut all, mut looked_at, mut after) = (Vec::new(), 0, arguments.after.clone());
    loop {
        let limit = (arguments.limit - all.len()).clamp(1, remote::PAGE);
        match remote.ask(&arguments.request(limit, after.as_deref()))? {
            Found::Documents { documents, next, examined } => {
                all.extend(documents);
                (after, looked_at) = (next, looked_at + examined);
            }
            other => return Ok(other),
        }
        if after.is_none() || all.len() >= arguments.limit {
            return Ok(Found::Documents { documents: all, next: after, examined: looked_at });
        }
    }
}

fn answer_here(database: &Database, arguments: &Arguments, filter: Where, query: &DocumentQuery) -> alluvium::Result<Found> {
    let name = &arguments.collection;
    if arguments.count {
        return Ok(Found::Count { count: database.collection(name).count(filter)? });
    }
    if arguments.explain {
        return explained(database, name, query).map(Found::Explained);
    }
    let page = database.collection(name).query(query)?;
    let documents = page.documents.iter().map(describe).collect();
    Ok(Found::Documents { documents, next: page.cursor, examined: page.examined })
}

/// How a query is answered.
pub(crate) fn explained(database: &Database, name: &str, query: &DocumentQuery) -> alluvium::Result<Explained> {
    let documents = database.collection(name);
    let (plan, page) = (documents.explain(query)?, documents.query(query)?);
    let (returned, examined) = (page.documents.len(), page.examined);
    let words = Some(format!("{plan}: {examined} documents examined, {returned} returned"));
    Ok(Explained { indexes: plan.indexes, in_order: plan.is_ordered, examined, returned, words })
}

/// All of the conditions.
pub(crate) fn filter(conditions: &[String]) -> Outcome<Where> {
    conditions.iter().try_fold(Where::all(), |all, text| Ok(all.and(condition(text)?)))
}

/// A page of what a filter lets through, in the order of some paths.
pub(crate) fn query(filter: Where, order: &[String], limit: usize, after: Option<&str>) -> Outcome<DocumentQuery> {
    let mut query = DocumentQuery::new().filter(filter).limit(limit);
    for order in order {
        let ordered = match order.strip_suffix(":desc") {
            Some(path) => query.descending(path),
            None => query.ascending(order.strip_suffix(":asc").unwrap_or(order)),
        };
        query = ordered.map_err(Failure::of_request)?;
    }
    Ok(after.map_or(query.clone(), |after| query.after(after)))
}

/// As much of a document as fits a line.
fn shown(content: &Json) -> String {
    let text = content.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// One of the conditions that || separates.
fn condition(text: &str) -> Outcome<Where> {
    let mut parts = text.split("||").map(single);
    let first = parts.next().unwrap_or_else(|| single(text))?;
    parts.try_fold(first, |any, part| Ok(any.or(part?)))
}

fn single(text: &str) -> Outcome<Where> {
    let text = text.trim();
    if let Some((path, list)) = text.split_once(" in ") {
        let values: Vec<Json> = serde_json::from_str(list)
            .map_err(|error| Failure::usage(format_args!("after {path:?} in comes a JSON array, as in [1, \"a\"]: {error}")))?;
        return Where::any_of(path.trim(), values).map_err(Failure::of_request);
    }
    let operator = text.find(['=', '<', '>', '!', '^']).map(|at| text.split_at(at));
    let usage = || Failure::usage(format_args!("{text:?} is no condition: write PATH=VALUE, or with !=, <, <=, >, >=, ^= or in"));
    let (path, rest) = operator.ok_or_else(usage)?;
    let path = path.trim();
    for (sign, meaning) in SIGNS {
        if let Some(value) = rest.strip_prefix(sign) {
            return meaning(path, value.trim()).map_err(Failure::of_request);
        }
    }
    Err(usage())
}

type Meaning = fn(&str, &str) -> alluvium::Result<Where>;

/// Longer signs before those they begin with.
const SIGNS: [(&str, Meaning); 7] = [
    ("!=", |path, text| Ok(Where::equal(path, value(text))?.not())),
    ("^=", Where::begins),
    ("<=", |path, text| Where::range(path, (Bound::Unbounded, Bound::Included(value(text))))),
    ("<", |path, text| Where::range(path, (Bound::Unbounded, Bound::Excluded(value(text))))),
    (">=", |path, text| Where::range(path, (Bound::Included(value(text)), Bound::Unbounded))),
    (">", |path, text| Where::range(path, (Bound::Excluded(value(text)), Bound::Unbounded))),
    ("=", |path, text| Where::equal(path, value(text))),
];

/// JSON, and text where it is none: A means "A".
fn value(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let is =
            |text: &str, expected: alluvium::Result<Where>| assert_eq!(condition(text).unwrap(), expected.unwrap(), "{text}");
        is("room=A", Where::equal("room", "A"));
        is("a.b = 7", Where::equal("/a/b", 7));
        is("a=\"7\"", Where::equal("a", "7"));
        is("n>=-2.5", Where::range("n", json!(-2.5)..));
        is("n<3", Where::range("n", ..json!(3)));
        is("name^=pump", Where::begins("name", "pump"));
        is("n in [1, \"a\"]", Where::any_of("n", [json!(1), json!("a")]));
        is("a!=1", Ok(Where::equal("a", 1).unwrap().not()));
        is("a=1 || b=2", Ok(Where::equal("a", 1).unwrap().or(Where::equal("b", 2).unwrap())));
        for wrong in ["room", "=1", "a in 1", "a!1", "a<[1]"] {
            assert!(matches!(condition(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn long_documents_are_cut() {
        assert_eq!(shown(&json!("é".repeat(200))).chars().count(), SHOWN + 1);
        assert_eq!(shown(&json!({"a": 1})), r#"{"a":1}"#);
    }
}
