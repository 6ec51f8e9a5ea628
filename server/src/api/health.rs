//! Whether the server lives, and whether it can be relied on: for those who watch it, without a token.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Either;
use super::document::says;
use crate::serve::{Checks, Server, checks};

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new()
        .api_route("/health", get_with(ready, says("health", "Whether the server can be relied on.")))
        .api_route("/health/live", get_with(live, says("health_live", "Whether the server runs.")))
        .api_route("/health/ready", get_with(ready, says("health_ready", "Whether the server can be relied on.")))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Alive {
    /// `live`.
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Readiness {
    /// `ready` or `not ready`.
    status: &'static str,
    checks: Checks,
    /// `ok`, or `degraded` where something cannot be carried to a target, which keeps nothing else from being done.
    sync: &'static str,
}

async fn live() -> Json<Alive> {
    Json(Alive { status: "live" })
}

async fn ready(State(server): State<Arc<Server>>) -> Either<200, 503, Readiness> {
    let checks = checks(&server).await;
    let sync = if server.links.troubles().is_empty() { "ok" } else { "degraded" };
    if checks.are_ok() {
        Either(StatusCode::OK, Readiness { status: "ready", checks, sync })
    } else {
        Either(StatusCode::SERVICE_UNAVAILABLE, Readiness { status: "not ready", checks, sync })
    }
}
