//! How the server and its database stand, for those who may read all of it.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use alluvium::{Action, Target};
use axum::Json;

use super::document::says;
use super::{Answer, Guard};
use crate::serve::Server;
use crate::status::{Document, Serving};

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new().api_route("/status", get_with(tell, says("status", "How the server and the database stand.")))
}

async fn tell(guard: Guard) -> Answer<Json<Document>> {
    guard.permit(Action::Read, Target::Database)?;
    let sample = guard.server.sampled.get(&guard.server.db).await?;
    Ok(Json(Document::of(&sample.status, Some(Serving::of(&guard.server).await))))
}
