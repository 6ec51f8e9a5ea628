//! The audit trail.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use alluvium::{Action, Target};
use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::says;
use super::{Answer, Guard, Paged};
use crate::commands::access::audit::{describe, describe_head};
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new()
        .api_route("/audit", get_with(list, says("audit_list", "Entries of the audit trail, the oldest first.")))
        .api_route("/audit/head", get_with(head, says("audit_head", "Where the audit trail begins and ends.")))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Entries {
    entries: Vec<told::Entry>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

async fn list(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Entries>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(paged) = paged?;
    let (from, limit) = (paged.after_number::<u64>()?.map_or(0, |after| after.saturating_add(1)), paged.limit.get());
    let entries = guard.engine(move |db| db.trail().read(from, limit + 1)).await?;
    let (entries, next) = paged.first(entries, |entry| entry.number.to_string());
    Ok(Json(Entries { entries: entries.iter().map(describe).collect(), next }))
}

/// Where it begins and ends.
async fn head(guard: Guard) -> Answer<Json<told::AuditHead>> {
    guard.permit(Action::Administer, Target::Database)?;
    let head = guard.engine(|db| db.trail().head()).await?;
    Ok(Json(describe_head(&head)))
}
