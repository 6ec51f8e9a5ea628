//! Key-value pairs.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, Put, Scan, Target};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::kv::describe;
use crate::commands::values::{bytes_of, condition};
use crate::serve::Server;

/// Pairs of a page.
const PAGE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/kv", get(list))
        .route("/kv/{key}", get(read).put(write).delete(remove))
        .route("/kv/{key}/increment", post(increment))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    beginning: String,
    after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    backward: bool,
}

/// A value, as text or in base64, and how it is put.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    value: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    if_absent: bool,
    if_revision: Option<u64>,
    expires_in_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyIf {
    if_revision: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct By {
    by: i64,
}

async fn list(guard: Guard, asked: Result<Query<Listed>, QueryRejection>) -> Answer<Json<Value>> {
    let Query(Listed { beginning, after, limit, backward }) = asked?;
    let limit = limit.unwrap_or(PAGE).min(PAGE);
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
    let next = match next {
        Some(key) if guard.may(Action::Read, Target::Key(&key))? => json!(key),
        Some(_) => return Err(Problem::invalid("some of these keys are not yours to read: ask for a narrower beginning")),
        None => Value::Null,
    };
    Ok(Json(json!({ "pairs": seen, "next": next })))
}

async fn read(guard: Guard, key: Result<Path<String>, PathRejection>) -> Answer<Json<Value>> {
    let Path(key) = key?;
    guard.permit(Action::Read, Target::Key(&key))?;
    let asked = key.clone();
    let pair = guard.engine(move |db| db.kv().get(&asked)).await?;
    pair.map(|pair| Json(describe(&key, &pair))).ok_or_else(|| absent(&key))
}

async fn write(
    guard: Guard,
    key: Result<Path<String>, PathRejection>,
    new: Result<Json<New>, JsonRejection>,
) -> Answer<Json<Value>> {
    let (Path(key), Json(new)) = (key?, new?);
    guard.permit(Action::Write, Target::Key(&key))?;
    let value = bytes_of(new.value, new.base64).map_err(Problem::invalid)?;
    let mut how = Put::default().only_if(condition(new.if_absent, new.if_revision));
    if let Some(seconds) = new.expires_in_seconds {
        how = how.time_to_live(Duration::try_from_secs_f64(seconds).map_err(Problem::invalid)?);
    }
    let put = key.clone();
    let revision = guard.engine(move |db| db.kv().put(&put, &value, how)).await?;
    Ok(Json(json!({ "key": key, "revision": revision })))
}

async fn remove(
    guard: Guard,
    key: Result<Path<String>, PathRejection>,
    only: Result<Query<OnlyIf>, QueryRejection>,
) -> Answer<Json<Value>> {
    let (Path(key), Query(OnlyIf { if_revision })) = (key?, only?);
    guard.permit(Action::Delete, Target::Key(&key))?;
    let asked = key.clone();
    let was_there = guard.engine(move |db| db.kv().delete(&asked, condition(false, if_revision))).await?;
    if was_there { Ok(Json(json!({ "key": key, "deleted": true }))) } else { Err(absent(&key)) }
}

async fn increment(
    guard: Guard,
    key: Result<Path<String>, PathRejection>,
    by: Result<Json<By>, JsonRejection>,
) -> Answer<Json<Value>> {
    let (Path(key), Json(By { by })) = (key?, by?);
    guard.permit(Action::Write, Target::Key(&key))?;
    let counted = key.clone();
    let value = guard.engine(move |db| db.kv().increment(&counted, by)).await?;
    Ok(Json(json!({ "key": key, "value": value })))
}

fn absent(key: &str) -> Problem {
    Problem::new(axum::http::StatusCode::NOT_FOUND, format!("there is no key {key:?}"))
}
