//! What went wrong, as RFC 9457 has it (`application/problem+json`).

use alluvium::{BadRow, Error};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::serve::failed;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    failed: Failed,
    /// What it says besides.
    more: Map<String, Value>,
}

impl Problem {
    /// With something to say.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::NOT_FOUND => Code::Missing,
            _ => Code::Invalid,
        };
        Problem { status, failed: Failed::new(code, detail), more: Map::new() }
    }

    /// With what a table's rows lack.
    fn of_rows(table: &str, rows: &[BadRow]) -> Self {
        let failed = Failed::new(Code::BadRows, bad_rows(table, rows));
        let describe = |BadRow { row, column, reason }: &BadRow| json!({ "row": row, "column": column, "reason": reason });
        let more = [("table", json!(table)), ("rows", rows.iter().map(describe).collect())];
        let more = more.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Problem { more, ..failed.into() }
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says.
    pub(super) fn detail(&self) -> &str {
        &self.failed.message
    }

    /// After how many seconds it may be tried again, if that is known.
    pub(super) fn retry_after(&self) -> Option<u64> {
        (self.failed.retry_after_millis > 0).then(|| u64::from(self.failed.retry_after_millis.div_ceil(1_000)))
    }

    /// What is said of it.
    pub(super) fn describe(&self) -> Value {
        let mut said = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.failed.message,
            "code": format!("{:?}", self.failed.code()),
            "may_retry": self.failed.may_retry,
        });
        said.as_object_mut().into_iter().for_each(|said| said.extend(self.more.clone()));
        said
    }

    /// A request that is wrong and stays wrong.
    pub(super) fn invalid(detail: impl ToString) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail.to_string())
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        Problem { status: status(failed.code()), failed, more: Map::new() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Error::BadRows { table, rows } = &error {
            return Problem::of_rows(table, rows);
        }
        let failed = failed::of_engine(&error);
        let status = match error {
            Error::TableExists { .. } | Error::CollectionExists { .. } | Error::QueueExists { .. } => StatusCode::CONFLICT,
            Error::LeaseLost { .. } | Error::NotUnique { .. } | Error::Referenced { .. } => StatusCode::CONFLICT,
            _ => status(failed.code()),
        };
        Problem { status, failed, more: Map::new() }
    }
}

/// The first of them in words. A row is counted from 0, as everywhere.
fn bad_rows(table: &str, rows: &[BadRow]) -> String {
    let first = rows.first().map_or_else(String::new, |BadRow { row, column, reason }| match column.as_str() {
        "" => format!("; first: row {row}: {reason}"),
        column => format!("; first: row {row}, column {column:?}: {reason}"),
    });
    format!("{} bad row(s) for table {table:?}, nothing was written{first}", rows.len())
}

/// What the parsers of the command line say.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(error) => error.into(),
            Failure::Usage(message) | Failure::Failed(message) => Problem::invalid(message),
            Failure::BrokenPipe => Problem::invalid("the request broke off"),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

/// The status of a code.
fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Refused => StatusCode::FORBIDDEN,
        Code::Missing => StatusCode::NOT_FOUND,
        Code::Conflict | Code::WriterExpired | Code::WriterBehind | Code::WriterGap | Code::Superseded => StatusCode::CONFLICT,
        Code::Limit => StatusCode::PAYLOAD_TOO_LARGE,
        Code::BadRows => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Gap => StatusCode::GONE,
        Code::Busy | Code::Closing | Code::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Damaged | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (body, retry_after) = (self.describe(), self.retry_after());
        let Problem { status, failed, .. } = self;
        let mut response = (status, Json(body)).into_response();
        // For those who count.
        response.extensions_mut().insert(failed.code());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
