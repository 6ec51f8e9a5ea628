//! What went wrong, as RFC 9457 has it (`application/problem+json`).

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Told};
use alluvium::{BadRow, Error};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::media;
use crate::failure::Failure;
use crate::serve::failed;

/// What a problem is written as.
const PROBLEM: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    failed: Failed,
    /// What rows lack, if that is it.
    lacking: Option<Lacking>,
}

/// A problem as it is written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Written<'p> {
    /// Nothing but the status and the code says of which type it is.
    r#type: &'static str,
    /// What the status is called.
    title: &'static str,
    status: u16,
    /// What went wrong, and what to do about it.
    detail: &'p str,
    /// The name of the code in `PROTOCOL.md`.
    code: String,
    /// Whether the same request may succeed later without anybody changing it.
    may_retry: bool,
    #[serde(flatten)]
    lacking: Option<&'p Lacking>,
}

/// What a table's rows lack, where that is the problem.
#[derive(Debug, Serialize, JsonSchema)]
struct Lacking {
    table: String,
    rows: Vec<LackingRow>,
}

/// A row that cannot be.
#[derive(Debug, Serialize, JsonSchema)]
struct LackingRow {
    /// Counted from 0.
    row: usize,
    /// The column, or nothing where it is the whole row.
    column: String,
    reason: String,
}

impl Problem {
    /// With something to say.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::Refused,
            StatusCode::NOT_FOUND => Code::Missing,
            _ => Code::Invalid,
        };
        Problem { status, failed: Failed::new(code, detail), lacking: None }
    }

    /// With what a table's rows lack.
    fn of_rows(table: &str, rows: &[BadRow]) -> Self {
        let failed = Failed::new(Code::BadRows, bad_rows(table, rows));
        let lacks =
            |BadRow { row, column, reason }: &BadRow| LackingRow { row: *row, column: column.clone(), reason: reason.clone() };
        let lacking = Lacking { table: table.to_owned(), rows: rows.iter().map(lacks).collect() };
        Problem { lacking: Some(lacking), ..failed.into() }
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
        json!(Written {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.failed.message,
            code: format!("{:?}", self.failed.code()),
            may_retry: self.failed.may_retry,
            lacking: self.lacking.as_ref(),
        })
    }

    /// A request that is wrong and stays wrong.
    pub(super) fn invalid(detail: impl ToString) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail.to_string())
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        Problem { status: status(failed.code()), failed, lacking: None }
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
        Problem { status, failed, lacking: None }
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

/// An answer that is a problem, for the document of the API.
pub(super) fn told(context: &mut GenContext, description: &str) -> Told {
    let content = [(PROBLEM.to_owned(), media::<Written<'static>>(context))].into_iter().collect();
    Told { description: description.to_owned(), content, ..Told::default() }
}

/// Any request may fail.
impl OperationOutput for Problem {
    type Inner = ();

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        vec![(None, told(context, "It was not done, and why."))]
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
