//! Points in line protocol: as many tables as measurements in one request, of which one commit is made.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::body::receive;
use super::super::write::numbered;
use super::super::{Answer, Guard, Problem};
use super::answer::{Dialect, answer};
use super::{asked, secret};
use crate::import::{EpochUnit, Precision, Taken, read_points};
use crate::serve::Server;

/// Says that a request was done before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(super) async fn write(dialect: Dialect, State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(dialect, take(dialect, &server, request).await)
}

async fn take(dialect: Dialect, server: &Arc<Server>, request: Request) -> Answer<Response> {
    let asked = asked(&request)?;
    let (parts, body) = request.into_parts();
    let guard = Guard::enter(&parts, server, secret(&parts.headers, &asked).as_deref())?;
    let (precision, numbered) = (precision(dialect, asked.precision.as_deref())?, numbered(&parts.headers)?);
    let mut received = receive(server, &guard.caller, &parts.headers, body).await?;
    let now = jiff::Timestamp::now().as_microsecond();
    let put = guard.put(numbered, move |look| {
        let Taken { parts, dropped, reasons } = read_points(&received.open()?, precision, now, look)?;
        Ok::<_, Problem>((parts, (dropped, reasons)))
    });
    let (put, (dropped, reasons)) = put.await?;
    if dropped > 0 {
        return Err(partial(put.rows, dropped, &reasons));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if put.again {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Says what was dropped, in words that clients look for.
fn partial(written: u64, dropped: u64, reasons: &[String]) -> Problem {
    let told = reasons.join("\n");
    let is_unreadable = reasons.iter().all(|reason| reason.starts_with("unable to parse"));
    Problem::invalid(match written {
        0 if is_unreadable => told,
        _ => format!("partial write: {told} dropped={dropped}"),
    })
}

/// The unit of times; nanoseconds if none is named.
fn precision(dialect: Dialect, name: Option<&str>) -> Answer<Precision> {
    use EpochUnit::{Micro, Milli, Nano, Second};
    Ok(match (name.unwrap_or_default(), dialect) {
        ("" | "n" | "ns", _) => Precision::Epoch(Nano),
        ("u" | "us" | "µ" | "µs", _) => Precision::Epoch(Micro),
        ("ms", _) => Precision::Epoch(Milli),
        ("s", _) => Precision::Epoch(Second),
        ("m", Dialect::One) => Precision::Minute,
        ("h", Dialect::One) => Precision::Hour,
        (other, Dialect::One) => {
            return Err(Problem::invalid(format_args!("invalid precision {other:?} (use n, u, ms, s, m or h)")));
        }
        (other, Dialect::Two) => return Err(Problem::invalid(format_args!("invalid precision {other:?} (use ns, us, ms or s)"))),
    })
}
