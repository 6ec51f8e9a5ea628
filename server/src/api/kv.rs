//! Key-value pairs.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use alluvium::{Action, Put, Scan, Target};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::says;
use super::page::Limit;
use super::{Answer, Guard, Problem};
use crate::commands::kv::describe;
use crate::commands::values::{bytes_of, condition};
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let pair = get_with(read, says("kv_read", "A pair."))
        .put_with(write, says("kv_put", "Puts a pair, in the place of any there."))
        .delete_with(remove, says("kv_delete", "Removes a pair."));
    ApiRouter::new()
        .api_route("/kv", get_with(list, says("kv_list", "Pairs by key, of those that one may read.")))
        .api_route("/kv/{key}", pair)
        .api_route("/kv/{key}/increment", post_with(increment, says("kv_increment", "Adds to a counter, which begins at 0.")))
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Key {
    /// The key, in which `/` is written `%2F`.
    key: String,
}

type Keyed = Result<Path<Key>, PathRejection>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// What keys begin with.
    #[serde(default)]
    beginning: String,
    /// Goes on behind this: the `next` of the page before.
    after: Option<String>,
    /// Pairs at most.
    #[serde(default)]
    limit: Limit,
    /// From the last key to the first.
    #[serde(default)]
    backward: bool,
}

/// A value, as text or in base64, and how it is put.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPair")]
struct New {
    /// The value as text.
    value: Option<String>,
    /// The value in base64.
    base64: Option<String>,
    /// Only if there is none.
    #[serde(default)]
    if_absent: bool,
    /// Only if it is of this revision.
    if_revision: Option<u64>,
    #[schemars(range(min = 0.0))]
    expires_in_seconds: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Pairs {
    pairs: Vec<told::Pair>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

/// A pair that was removed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedPair")]
struct Deleted {
    key: String,
    deleted: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnlyIf {
    /// Only if it is of this revision.
    if_revision: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct By {
    by: i64,
}

async fn list(guard: Guard, asked: Result<Query<Listed>, QueryRejection>) -> Answer<Json<Pairs>> {
    let Query(Listed { beginning, after, limit, backward }) = asked?;
    let limit = limit.get();
    let mut scan = Scan::of(&beginning).limit(limit);
    scan = if let Some(after) = &after { scan.after(after) } else { scan };
    scan = if backward { scan.backward() } else { scan };
    let pairs = guard.engine(move |db| db.kv().scan(&scan)).await?;
    let next = pairs.last().filter(|_| pairs.len() == limit).map(|(key, _)| key.clone());
    let mut seen = Vec::new();
    for (key, pair) in &pairs {
        if guard.may(Action::Read, Target::Key(key))? {
            seen.push(describe(key, pair));
        }
    }
    // Where it goes on tells of a key only to whoever may read it.
    match next {
        Some(key) if !guard.may(Action::Read, Target::Key(&key))? => {
            Err(Problem::invalid("some of these keys are not yours to read: ask for a narrower beginning"))
        }
        next => Ok(Json(Pairs { pairs: seen, next })),
    }
}

async fn read(guard: Guard, key: Keyed) -> Answer<Json<told::Pair>> {
    let Path(Key { key }) = key?;
    guard.permit(Action::Read, Target::Key(&key))?;
    let asked = key.clone();
    let pair = guard.engine(move |db| db.kv().get(&asked)).await?;
    pair.map(|pair| Json(describe(&key, &pair))).ok_or_else(|| absent(&key))
}

async fn write(guard: Guard, key: Keyed, new: Result<Json<New>, JsonRejection>) -> Answer<Json<told::PutPair>> {
    let (Path(Key { key }), Json(new)) = (key?, new?);
    guard.permit(Action::Write, Target::Key(&key))?;
    let value = bytes_of(new.value, new.base64).map_err(Problem::invalid)?;
    let mut how = Put::default().only_if(condition(new.if_absent, new.if_revision));
    if let Some(seconds) = new.expires_in_seconds {
        how = how.time_to_live(Duration::try_from_secs_f64(seconds).map_err(Problem::invalid)?);
    }
    let put = key.clone();
    let revision = guard.engine(move |db| db.kv().put(&put, &value, how)).await?;
    Ok(Json(told::PutPair { key, revision }))
}

async fn remove(guard: Guard, key: Keyed, only: Result<Query<OnlyIf>, QueryRejection>) -> Answer<Json<Deleted>> {
    let (Path(Key { key }), Query(OnlyIf { if_revision })) = (key?, only?);
    guard.permit(Action::Delete, Target::Key(&key))?;
    let asked = key.clone();
    let was_there = guard.engine(move |db| db.kv().delete(&asked, condition(false, if_revision))).await?;
    if was_there { Ok(Json(Deleted { key, deleted: true })) } else { Err(absent(&key)) }
}

async fn increment(guard: Guard, key: Keyed, by: Result<Json<By>, JsonRejection>) -> Answer<Json<told::Counter>> {
    let (Path(Key { key }), Json(By { by })) = (key?, by?);
    guard.permit(Action::Write, Target::Key(&key))?;
    let counted = key.clone();
    let value = guard.engine(move |db| db.kv().increment(&counted, by)).await?;
    Ok(Json(told::Counter { key, value }))
}

fn absent(key: &str) -> Problem {
    Problem::new(axum::http::StatusCode::NOT_FOUND, format!("there is no key {key:?}"))
}
