//! Which changes are asked for.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use alluvium::{Action, ChangeKind, Changes, Database, Target};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::super::document::hears;
use super::super::{Answer, Guard, Problem};
use crate::commands::changes::{kind, kinds};

/// What follows the path, as it stands there: names may come several times.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Pairs(Vec<(String, String)>);

impl JsonSchema for Pairs {
    fn schema_name() -> Cow<'static, str> {
        "ChangesAsked".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = |of: &str| json!({ "type": "array", "items": { "type": "string" }, "description": of });
        json_schema!({ "type": "object", "properties": {
            "from": { "type": "integer", "minimum": 0, "description": "The sequence to begin with." },
            "limit": { "type": "integer", "minimum": 0, "description": "Changes at most." },
            "follow": { "type": "boolean", "description": "Whether to wait for more at the end; events do unless told otherwise." },
            "rows": { "type": "boolean", "description": "Whether rows are told, and not only how many there are." },
            "cursor": { "type": "string", "description": "A cursor, behind which it begins." },
            "kind": {
                "type": "array",
                "items": { "type": "string", "enum": kinds() },
                "description": "Changes of these kinds only.",
            },
            "table": names("Changes of these tables only."),
            "collection": names("Changes of these collections only."),
            "queue": names("Changes of these queues only."),
            "prefix": names("Changes of keys that begin so only."),
        } })
    }
}

/// What a browser heard last that was cut off.
#[derive(Debug)]
pub(super) struct Heard(Option<u64>);

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the document of the API is made of it")]
struct Headers {
    /// The sequence of the last event that was heard, behind which it goes on; before `from` and `cursor`.
    #[schemars(rename = "Last-Event-ID")]
    last_event_id: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Heard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Heard> {
        let Some(heard) = parts.headers.get("last-event-id") else { return Ok(Heard(None)) };
        let heard = heard.to_str().ok().and_then(|heard| heard.parse().ok()).filter(|heard| *heard < u64::MAX);
        heard.map(|heard| Heard(Some(heard))).ok_or_else(|| Problem::invalid("Last-Event-ID is no sequence of the feed"))
    }
}

impl OperationInput for Heard {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        hears::<Headers>(context, operation);
    }
}

/// What follows the path, as it is meant.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The sequence to begin with, whatever the cursor.
    from: Option<u64>,
    /// Whether to wait for more at the end.
    pub(super) follows: bool,
    /// Whether rows are told, and not only how many there are.
    pub(super) rows: bool,
    limit: Option<u64>,
    cursor: Option<String>,
    kinds: Vec<ChangeKind>,
    tables: Vec<String>,
    collections: Vec<String>,
    queues: Vec<String>,
    prefixes: Vec<String>,
}

impl Asked {
    /// Names may come several times. Those who take events follow unless they say otherwise.
    pub(super) fn parse(Pairs(pairs): Pairs, follows: bool) -> Answer<Asked> {
        let mut asked = Asked { follows, ..Asked::default() };
        for (name, value) in pairs {
            match name.as_str() {
                "from" => asked.from = Some(parse(&name, &value)?),
                "limit" => asked.limit = Some(parse(&name, &value)?),
                "follow" => asked.follows = parse(&name, &value)?,
                "rows" => asked.rows = parse(&name, &value)?,
                "cursor" => asked.cursor = Some(value),
                "kind" => asked.kinds.push(kind(&value).map_err(Problem::invalid)?),
                "table" => asked.tables.push(value),
                "collection" => asked.collections.push(value),
                "queue" => asked.queues.push(value),
                "prefix" => asked.prefixes.push(value),
                _ => {
                    let known = "from, limit, follow, rows, cursor, kind, table, collection, queue and prefix";
                    return Err(Problem::invalid(format_args!("{name:?} says nothing here: there are {known}")));
                }
            }
        }
        if asked.cursor.is_some() && asked.from.is_some() {
            return Err(Problem::invalid("a cursor says where to begin: leave out either cursor or from"));
        }
        Ok(asked)
    }

    /// Goes on behind what was heard already.
    pub(super) fn behind(self, Heard(heard): Heard) -> Asked {
        Asked { from: heard.map(|heard| heard + 1).or(self.from), ..self }
    }

    /// Refuses what is named and may not be seen at all. Of all else that is left out.
    pub(super) fn permit(&self, guard: &Guard) -> Answer<()> {
        for table in &self.tables {
            guard.server.access.scope(&guard.caller, Action::Read, table)?;
        }
        let collections = self.collections.iter().map(|name| Target::Collection(name));
        let queues = self.queues.iter().map(|name| Target::Queue(name));
        let cursor = self.cursor.iter().map(|_| Target::Database);
        collections.chain(queues).chain(cursor).try_for_each(|target| guard.permit(Action::Read, target))
    }

    /// Begins to read.
    pub(super) fn begin(&self, db: &Database) -> alluvium::Result<Changes> {
        let mut wanted = match (self.from, &self.cursor) {
            (None, Some(name)) => db.cursor(name)?.changes()?,
            (from, _) => db.changes().from(from.unwrap_or(1)),
        };
        wanted = self.kinds.iter().fold(wanted, |wanted, kind| wanted.kind(*kind));
        wanted = self.tables.iter().fold(wanted, |wanted, table| wanted.table(table));
        wanted = self.collections.iter().fold(wanted, |wanted, name| wanted.collection(name));
        wanted = self.queues.iter().fold(wanted, |wanted, name| wanted.queue(name));
        wanted = self.prefixes.iter().fold(wanted, |wanted, prefix| wanted.prefix(prefix));
        wanted.limit(self.limit.unwrap_or(u64::MAX)).read()
    }
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: &str) -> Answer<T> {
    value.parse().map_err(|error| Problem::invalid(format_args!("{name}={value}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Answer<Asked> {
        Asked::parse(Pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()), false)
    }

    #[test]
    fn names_may_come_several_times_and_no_others() {
        let several =
            asked(&[("table", "air"), ("table", "water"), ("kind", "rows"), ("from", "7"), ("follow", "true")]).unwrap();
        assert_eq!(several.tables, ["air", "water"]);
        assert_eq!((several.kinds, several.from, several.follows), (vec![ChangeKind::Rows], Some(7), true));
        let described = serde_json::Value::from(Pairs::json_schema(&mut SchemaGenerator::default()));
        for (name, schema) in described["properties"].as_object().unwrap() {
            let value = match (schema["type"].as_str(), name.as_str()) {
                (Some("integer"), _) => "1",
                (Some("boolean"), _) => "true",
                (_, "kind") => "rows",
                _ => "x",
            };
            assert!(asked(&[(name, value)]).is_ok(), "{name} is in the document");
        }
        for wrong in [&[("tabel", "air")][..], &[("kind", "row")], &[("from", "-1")], &[("from", "1"), ("cursor", "a")]] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
