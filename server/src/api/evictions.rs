//! Rows that are let go of to make room.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use alluvium::{Action, AuditEntry, AuditOutcome, Target};
use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::says;
use super::{Answer, Guard};
use crate::eviction::Told;
use crate::serve::Server;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let list = get_with(
        list,
        says("evictions_list", "What the settings ask to be let go of, the oldest first, and what that waits for."),
    );
    let carry_out = says("evictions_carry_out", "Lets go of what may go, now. Answers what went.");
    ApiRouter::new().api_route("/evictions", list.post_with(evict, carry_out))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Evictions")]
struct Evictions {
    evictions: Vec<Told>,
}

async fn list(guard: Guard) -> Answer<Json<Evictions>> {
    guard.permit(Action::Administer, Target::Database)?;
    let evictions = guard.engine(|db| Told::of_all(db, &db.evictions()?)).await?;
    Ok(Json(Evictions { evictions }))
}

async fn evict(guard: Guard) -> Answer<Json<Evictions>> {
    guard.permit(Action::Administer, Target::Database)?;
    let who = guard.caller.principal().to_owned();
    let evictions = guard
        .engine(move |db| {
            let gone = Told::of_all(db, &db.evict()?)?;
            let rows: u64 = gone.iter().map(|gone| gone.rows).sum();
            let entry = AuditEntry::new(&who, "rows.evict", AuditOutcome::Done).object(format!("{rows} rows"));
            db.trail().append(entry)?;
            Ok(gone)
        })
        .await?;
    Ok(Json(Evictions { evictions }))
}
