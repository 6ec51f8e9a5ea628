//! What the server counts and how its database stands, for Prometheus and its like: without a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Answer;
use crate::serve::Server;
use crate::serve::metrics::{CONTENT_TYPE, expose};

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/metrics", get(scrape))
}

async fn scrape(State(server): State<Arc<Server>>) -> Answer<Response> {
    let sample = server.sampled.get(&server.db).await?;
    let text = expose(&server.metrics, &sample, server.present());
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
