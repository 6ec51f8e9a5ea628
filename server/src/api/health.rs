//! Whether the server lives, and whether it can be relied on: for those who watch it, without a token.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::serve::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/health", get(ready)).route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

async fn ready(State(server): State<Arc<Server>>) -> Response {
    // A write that nobody sees, so that a disk which takes none is noticed.
    let written = server.blocking(|db| db.flush()).await;
    let problem = match written {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(failed) => Some(failed.message),
    };
    match problem {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(problem) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "storage": problem }))).into_response()
        }
    }
}
