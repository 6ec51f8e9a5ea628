//! What programs that write to InfluxDB ask for, Telegraf above all: `/write`, `/api/v2/write`, `/ping`, and of `/query` as much as they
//! begin with.
//!
//! Measurements are tables. Databases, retention policies, buckets and organisations may have any name: there is one of each.

mod answer;
mod document;
mod statement;
mod write;

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Guard, Problem};
use crate::serve::Server;
use answer::{Dialect, answer};

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let one = post_with(
        |server: State<Arc<Server>>, request: Request| write::write(Dialect::One, server, request),
        document::write("influx_write_1", "Writes points in line protocol, as version 1 of InfluxDB does."),
    );
    let two = post_with(
        |server: State<Arc<Server>>, request: Request| write::write(Dialect::Two, server, request),
        document::write("influx_write_2", "Writes points in line protocol, as version 2 of InfluxDB does."),
    );
    let statements = get_with(query, document::query("influx_query", "What clients of InfluxDB begin with.", false))
        .post_with(query, document::query("influx_query_form", "The same in a form.", true));
    ApiRouter::new()
        .api_route("/write", one)
        .api_route("/api/v2/write", two)
        .api_route("/ping", get_with(ping, document::ping("influx_ping", "Whether there is an InfluxDB, or its like.")))
        .api_route("/query", statements)
}

/// What may stand in the query of a request. Whatever else does, has no meaning here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "InfluxQuery")]
struct Asked {
    /// The unit of times.
    precision: Option<String>,
    /// A statement.
    q: Option<String>,
    /// A token, as the password.
    p: Option<String>,
}

async fn ping() -> Response {
    answer(Dialect::One, Ok(StatusCode::NO_CONTENT.into_response()))
}

async fn query(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(Dialect::One, run(&server, request).await)
}

async fn run(server: &Arc<Server>, request: Request) -> Answer<Response> {
    let mut asked = asked(&request)?;
    let (parts, body) = request.into_parts();
    if asked.q.is_none() {
        let request = Request::from_parts(parts.clone(), body);
        let Form(form) =
            Form::<Asked>::from_request(request, &()).await.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        asked = Asked { p: asked.p.or(form.p), ..form };
    }
    Guard::enter(&parts, server, secret(&parts.headers, &asked).as_deref())?;
    let statements = asked.q.ok_or_else(|| Problem::invalid("missing required parameter \"q\""))?;
    Ok(Json(statement::run(&statements).map_err(Problem::invalid)?).into_response())
}

fn asked(request: &Request) -> Answer<Asked> {
    let Query(asked) = Query::try_from_uri(request.uri())?;
    Ok(asked)
}

/// The token, however it comes: as such, as a password, or in the query.
fn secret(headers: &HeaderMap, asked: &Asked) -> Option<String> {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return asked.p.clone() };
    let (scheme, value) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
            Some(decoded.split_once(':')?.1.to_owned())
        }
        // Clients of version 1 write USER:PASSWORD here.
        "token" | "bearer" => Some(value.rsplit_once(':').map_or(value, |(_, password)| password).trim().to_owned()),
        _ => None,
    }
}
