//! What the server counts and how its database stands, for Prometheus and its like: without a token.

use std::sync::Arc;

use aide::OperationOutput;
use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Told};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Answer;
use super::document::says;
use crate::serve::Server;
use crate::serve::metrics::{CONTENT_TYPE, expose};
use crate::sync;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new().api_route("/metrics", get_with(scrape, says("metrics", "Metrics in the text format of Prometheus.")))
}

/// The text.
#[derive(Debug)]
struct Exposition(String);

async fn scrape(State(server): State<Arc<Server>>) -> Answer<Exposition> {
    let sample = server.sampled.get(&server.db).await?;
    let asked = server.clone();
    let targets = tokio::task::spawn_blocking(move || sync::of_all(&asked.db, &asked.links)).await;
    // What is not to be had leaves everything else.
    let targets = targets.ok().and_then(Result::ok).unwrap_or_default();
    Ok(Exposition(expose(&server.metrics, &sample, server.present(), &targets)))
}

impl IntoResponse for Exposition {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], self.0).into_response()
    }
}

impl OperationOutput for Exposition {
    type Inner = String;

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Told)> {
        String::inferred_responses(context, operation)
    }
}
