//! Whether the server lives, and whether it can be relied on: for those who watch it, without a token.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::serve::{Server, checks};

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/health", get(ready)).route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

async fn ready(State(server): State<Arc<Server>>) -> Response {
    let checks = checks(&server).await;
    let (status, said) = if checks.are_ok() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, Json(json!({ "status": said, "checks": checks }))).into_response()
}
