//! Requests and answers in JSON, under `/api/v1`: over HTTP for people and tools, and over QUIC for devices and programs.
//!
//! A request comes with a [`Caller`](crate::serve::Caller), whom the transport knows, or with a token. What it may do is asked here,
//! for each by itself. What is done about principals is written to the audit trail.

mod answer;
mod audit;
mod body;
mod certificates;
mod changes;
mod collections;
mod document;
mod documents;
mod doors;
mod evictions;
mod guard;
mod health;
mod influx;
mod kv;
mod metrics;
mod page;
mod principals;
mod problem;
mod query;
mod queues;
mod status;
mod sync;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::sync::{Arc, OnceLock};

use aide::axum::ApiRouter;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{StatusCode, Uri};
use axum::middleware;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::serve::Server;
pub(crate) use doors::hang;
use guard::Guard;
use page::Paged;
use problem::Problem;

/// An answer, or why there is none.
type Answer<T> = Result<T, Problem>;

/// What a path names.
#[derive(Debug, Deserialize, JsonSchema)]
struct Name {
    /// The name, in which `/` is written `%2F`.
    name: String,
}

type Named = Result<Path<Name>, PathRejection>;

/// All that can be asked.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let limit = DefaultBodyLimit::max(server.settings.bulk_bytes);
    let (routes, _) = routes();
    routes
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .layer(limit)
        .layer(middleware::from_fn_with_state(server.clone(), guard::identify))
        .with_state(server)
}

/// The routes, each with what the document of the API says of it.
fn routes() -> (Router<Arc<Server>>, Arc<OnceLock<Bytes>>) {
    let document = Arc::new(OnceLock::new());
    let api = ApiRouter::new()
        .merge(changes::routes())
        .merge(collections::routes())
        .merge(documents::routes())
        .merge(kv::routes())
        .merge(queues::routes())
        .merge(tables::routes())
        .merge(write::routes())
        .merge(query::routes())
        .merge(principals::routes())
        .merge(certificates::routes())
        .merge(audit::routes())
        .merge(status::routes())
        .merge(sync::routes())
        .merge(evictions::routes())
        .merge(document::routes(document.clone()));
    let all = ApiRouter::new().merge(health::routes()).merge(metrics::routes()).merge(influx::routes()).nest("/api/v1", api);
    (document::finish(all, &document), document)
}

async fn nothing(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn other_method(uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes other methods", uri.path()))
}
