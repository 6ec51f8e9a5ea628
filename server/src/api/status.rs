//! How the server and its database stand, for those who may read all of it.

use std::sync::Arc;

use alluvium::{Action, Target};
use axum::routing::get;
use axum::{Json, Router};

use super::{Answer, Guard};
use crate::serve::Server;
use crate::status::{Document, Serving};

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/status", get(tell))
}

async fn tell(guard: Guard) -> Answer<Json<Document>> {
    guard.permit(Action::Read, Target::Database)?;
    let sample = guard.server.sampled.get(&guard.server.db).await?;
    Ok(Json(Document::of(&sample.status, Some(Serving::of(&guard.server).await))))
}
