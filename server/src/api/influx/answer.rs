//! Answers as clients of InfluxDB expect them.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::{Answer, Problem};

/// The version whose ways these are.
const VERSION: &str = "1.8.10";
const INFLUX_VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");
const INFLUX_BUILD: HeaderName = HeaderName::from_static("x-influxdb-build");
const INFLUX_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");

/// Which API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Version 1: `/write`.
    One,
    /// Version 2: `/api/v2/write`.
    Two,
}

/// An answer, or what went wrong, in the words of a dialect.
pub(super) fn answer(dialect: Dialect, answer: Answer<Response>) -> Response {
    let mut response = answer.unwrap_or_else(|problem| tell(dialect, &problem));
    let headers = response.headers_mut();
    headers.insert(INFLUX_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(INFLUX_BUILD, HeaderValue::from_static("Alluvium"));
    response
}

fn tell(dialect: Dialect, problem: &Problem) -> Response {
    let (status, detail) = (problem.status(), problem.detail());
    let body = match dialect {
        Dialect::One => json!({ "error": detail }),
        Dialect::Two => json!({ "code": code(status), "message": detail }),
    };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    let line: String = detail.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
        headers.insert(INFLUX_ERROR, line);
    }
    if let Some(seconds) = problem.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Alluvium\""));
    }
    response
}

/// What version 2 calls a status.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::CONFLICT => "conflict",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNPROCESSABLE_ENTITY => "unprocessable entity",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid",
        _ => "internal error",
    }
}
