//! What is carried elsewhere, and how far that is.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use alluvium::{Action, AuditEntry, AuditOutcome, Error, Target};
use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::says;
use super::{Answer, Guard, Name, Named, Problem};
use crate::serve::Server;
use crate::sync;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new()
        .api_route("/sync", get_with(list, says("sync_list", "The targets that everything is carried to, by name.")))
        .api_route("/sync/{name}", get_with(read, says("sync_read", "A target and how far it is.")))
        .api_route(
            "/sync/{name}/order",
            post_with(order, says("sync_order", "Pauses a target, resumes it, or tries again at once.")),
        )
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SyncTargets")]
struct Targets {
    targets: Vec<sync::Target>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SyncOrder")]
enum Order {
    /// Send nothing until told otherwise.
    Pause,
    /// Go on.
    Resume,
    /// Try at once what it waits for.
    Retry,
}

/// What is to be done with a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SyncOrdered")]
struct Ordered {
    order: Order,
}

async fn list(guard: Guard) -> Answer<Json<Targets>> {
    guard.permit(Action::Administer, Target::Database)?;
    let server = guard.server.clone();
    let targets = tokio::task::spawn_blocking(move || sync::of_all(&server.db, &server.links)).await;
    Ok(Json(Targets { targets: done(targets)? }))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<sync::Target>> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Administer, Target::Database)?;
    told(&guard, name).await.map(Json)
}

async fn order(
    guard: Guard,
    name: Result<Path<Name>, PathRejection>,
    ordered: Result<Json<Ordered>, JsonRejection>,
) -> Answer<Json<sync::Target>> {
    let (Path(Name { name }), Json(Ordered { order })) = (name?, ordered?);
    guard.permit(Action::Administer, Target::Database)?;
    let link = guard.server.links.find(&name).cloned().ok_or_else(|| missing(&name))?;
    let what = match order {
        Order::Pause => "sync.pause",
        Order::Resume => "sync.resume",
        Order::Retry => "sync.retry",
    };
    let carried_out = tokio::task::spawn_blocking(move || match order {
        Order::Pause => link.worker.pause(true),
        Order::Resume => link.worker.pause(false),
        Order::Retry => {
            link.worker.retry();
            Ok(())
        }
    });
    done(carried_out.await)?;
    let entry = AuditEntry::new(guard.caller.principal(), what, AuditOutcome::Done).object(format!("sync:{name}"));
    guard.engine(move |db| db.trail().append(entry)).await?;
    told(&guard, name).await.map(Json)
}

async fn told(guard: &Guard, name: String) -> Answer<sync::Target> {
    let (server, asked) = (guard.server.clone(), name.clone());
    let told = tokio::task::spawn_blocking(move || sync::of(&server.db, &asked, &server.links)).await;
    done(told)?.ok_or_else(|| missing(&name))
}

fn done<T>(outcome: Result<Result<T, alluvium_sync::worker::Failed>, tokio::task::JoinError>) -> Answer<T> {
    let failed = |detail: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
    outcome.map_err(|error| failed(error.to_string()))?.map_err(|error| match error {
        alluvium_sync::worker::Failed::Database(error) => error.into(),
        other => failed(other.to_string()),
    })
}

fn missing(name: &str) -> Problem {
    Error::NoSuchDelivery { name: name.to_owned() }.into()
}
