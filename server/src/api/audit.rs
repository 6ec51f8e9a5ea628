//! The audit trail.

use std::sync::Arc;

use alluvium::{Action, Target};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard};
use crate::commands::access::audit::{describe, describe_head};
use crate::serve::Server;

/// Entries of a page.
const PAGE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/audit", get(list)).route("/audit/head", get(head))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "first")]
    from: u64,
    limit: Option<usize>,
}

fn first() -> u64 {
    1
}

async fn list(guard: Guard, asked: Result<Query<Asked>, QueryRejection>) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(Asked { from, limit }) = asked?;
    let limit = limit.unwrap_or(PAGE).min(PAGE);
    let entries = guard.engine(move |db| db.trail().read(from, limit)).await?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|last| last.number + 1);
    let entries: Vec<Value> = entries.iter().map(describe).collect();
    Ok(Json(json!({ "entries": entries, "next": next })))
}

/// Where it begins and ends.
async fn head(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let head = guard.engine(|db| db.trail().head()).await?;
    Ok(Json(describe_head(&head)))
}
