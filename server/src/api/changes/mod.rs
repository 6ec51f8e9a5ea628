//! The change feed, pushed: every change that the caller may see, from any sequence on, as it happens; and cursors, which keep how
//! far somebody came.

mod asked;
mod follower;
mod seen;

use std::sync::Arc;

use alluvium::{Action, Target};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::serve::Server;
use asked::Asked;
use follower::{Follower, Form};

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/changes", get(read))
        .route("/cursors", get(cursors))
        .route("/cursors/{name}", put(acknowledge).delete(remove))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledged {
    /// The sequence up to which everything was dealt with.
    through: u64,
}

type Named = Result<Path<String>, PathRejection>;
type Pairs = Vec<(String, String)>;

/// Lines of JSON, or server-sent events for those who ask for them.
async fn read(guard: Guard, headers: HeaderMap, pairs: Result<Query<Pairs>, QueryRejection>) -> Answer<Response> {
    let Query(pairs) = pairs?;
    let form = Form::accepted(headers.get(header::ACCEPT));
    let mut asked = Asked::parse(pairs, form == Form::Events)?;
    // Where a browser was cut off.
    if let Some(seen) = headers.get("last-event-id") {
        let seen = seen.to_str().ok().and_then(|seen| seen.parse().ok()).and_then(|seen: u64| seen.checked_add(1));
        asked.from = Some(seen.ok_or_else(|| Problem::invalid("Last-Event-ID is no sequence of the feed"))?);
    }
    asked.permit(&guard)?;
    let (rows, follows) = (asked.rows, asked.follows);
    let changes = guard.engine(move |db| asked.begin(db)).await?;
    let body = Follower::new(guard, changes, form, rows, follows).into_body();
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn cursors(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Read, Target::Database)?;
    let cursors = guard.engine(alluvium::Database::cursors).await?;
    let cursors = cursors.iter().map(|cursor| json!({ "name": cursor.name, "through": cursor.acknowledged }));
    Ok(Json(json!({ "cursors": cursors.collect::<Vec<_>>() })))
}

/// Moves one forward, or makes it. History is kept for it from then on.
async fn acknowledge(guard: Guard, name: Named, through: Result<Json<Acknowledged>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Acknowledged { through })) = (name?, through?);
    guard.permit(Action::Operate, Target::Database)?;
    let called = name.clone();
    let through = guard.engine(move |db| {
        let mut cursor = db.cursor(&called)?;
        let at = cursor.begin(through)?;
        if at < through { cursor.acknowledge(through) } else { Ok(at) }
    });
    Ok(Json(json!({ "name": name, "through": through.await? })))
}

async fn remove(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    guard.permit(Action::Operate, Target::Database)?;
    let called = name.clone();
    let was_there = guard.engine(move |db| db.cursor(&called)?.remove()).await?;
    if was_there { Ok(StatusCode::NO_CONTENT) } else { Err(alluvium::Error::NoSuchCursor { name }.into()) }
}
