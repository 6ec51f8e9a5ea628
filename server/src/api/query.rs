//! Queries: rows, aggregates or last values as lines of JSON, no faster than they are read.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use aide::OperationOutput;
use aide::axum::ApiRouter;
use aide::axum::routing::post_with;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Told};
use alluvium::{Action, Cancel, QueryStream, TableSchema};
use alluvium_protocol::message;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;
use tracing::warn;

use super::answer::text;
use super::document::says;
use super::{Answer, Guard, Problem};
use crate::commands::bounds::Bounds;
use crate::failure::{Failure, Outcome};
use crate::output::Sink;
use crate::output::arrow::ArrowStream;
use crate::output::json::JsonLines;
use crate::parse::duration;
use crate::remote::ARROW_STREAM;
use crate::serve::{Server, query};

/// Bytes of a piece of an answer, about, and pieces that wait for whoever reads it.
const PIECE_BYTES: usize = 64 << 10;
const WAITING: usize = 2;

/// What answers are: an object a line.
const LINES: &str = "application/x-ndjson";

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let summary = "Rows, aggregates or last values of a table. An answer that breaks off ends with a line of what `failed`.";
    ApiRouter::new().api_route("/query", post_with(answer, says("query", summary)))
}

/// What is asked for, in the words of the command line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Query")]
struct Asked {
    table: String,
    /// From then on, as the command line reads times; a number counts in the table's unit.
    from: Option<String>,
    /// Before then.
    to: Option<String>,
    /// Conditions, as `room=A` or `kw>=3`.
    #[serde(default)]
    r#where: Vec<String>,
    /// Columns besides the time; all if none is named.
    #[serde(default)]
    fields: Vec<String>,
    /// By time.
    order: Option<Order>,
    /// Rows at most.
    limit: Option<u64>,
    /// Aggregates, as `mean` or `max`.
    #[serde(default)]
    functions: Vec<String>,
    /// Steps of aggregates, as `15m` or `1d`.
    #[serde(default)]
    every: String,
    /// The time zone of steps and times, as the IANA database calls it; UTC without.
    #[serde(default)]
    zone: String,
    /// Tags of which each has aggregates of its own.
    #[serde(default)]
    by: Vec<String>,
    /// Only the last value of every series.
    #[serde(default)]
    last: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

/// Lines of JSON, or an Arrow IPC stream for those who accept that.
async fn answer(guard: Guard, headers: HeaderMap, asked: Result<Json<Asked>, JsonRejection>) -> Answer<Rows> {
    let is_arrow = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == ARROW_STREAM.as_bytes());
    let Json(asked) = asked?;
    let scope = guard.server.access.scope(&guard.caller, Action::Read, &asked.table)?;
    let turn = query::turn(&guard.server, &guard.caller).await?;
    let table = asked.table.clone();
    let schema = guard.engine(move |db| db.table(&table)).await?;
    let wanted = query::query(&asked.message(&schema)?)?;
    let stream = guard.engine(move |db| db.query_within(&wanted, &scope)).await?;
    let (pieces, waiting) = mpsc::channel(WAITING);
    let given_up = GivenUp(stream.cancel());
    let pieces = Pieces { pieces, within: guard.server.settings.progress, text: Vec::new() };
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut pieces = pieces;
        // Whoever has gone, or reads no more, needs no end of it; what went wrong is the last line.
        let ended = read(stream, &mut pieces, is_arrow).or_else(|failure| match failure {
            Failure::BrokenPipe => Err(()),
            // An Arrow stream has no place for words: it is cut.
            failure if is_arrow => {
                warn!(?failure, "a query broke off");
                Err(())
            }
            failure => writeln!(pieces, "{}", json!({ "failed": Problem::from(failure).describe() })).map_err(|_| ()),
        });
        if ended.is_ok() && pieces.flush().is_ok() {
            let _ = pieces.send(None);
        }
    });
    Ok(Rows { form: if is_arrow { ARROW_STREAM } else { LINES }, body: body(waiting, given_up) })
}

/// An answer on its way.
#[derive(Debug)]
struct Rows {
    form: &'static str,
    body: Body,
}

impl IntoResponse for Rows {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, self.form)], self.body).into_response()
    }
}

impl OperationOutput for Rows {
    type Inner = String;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        let said = "A row a line, as an object by the names of its columns; or an Arrow IPC stream, where that is accepted.";
        vec![(Some(200), text(context, said, &[LINES, ARROW_STREAM]))]
    }
}

impl Asked {
    fn message(self, schema: &TableSchema) -> Answer<message::Query> {
        let zone = match self.zone.as_str() {
            "" => TimeZone::UTC,
            name => duration::zone(name).map_err(Problem::invalid)?,
        };
        let (from, to) = (self.from.is_some(), self.to.is_some());
        let range = Bounds::new(self.from, self.to).range(schema.time_unit, &zone)?;
        Ok(message::Query {
            table: self.table,
            from: from.then_some(range.start),
            to: to.then_some(range.end),
            conditions: self.r#where,
            fields: self.fields,
            order: match self.order {
                None => 0,
                Some(Order::Asc) => 1,
                Some(Order::Desc) => 2,
            },
            limit: self.limit,
            functions: self.functions,
            every: self.every,
            zone: self.zone,
            by: self.by,
            last: self.last,
        })
    }
}

/// Ends a query once nobody reads its answer any more.
struct GivenUp(Cancel);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The pieces up to the one that says that there are no more. Without it the answer was cut, and must not pass for whole.
fn body(waiting: Receiver<Option<Bytes>>, given_up: GivenUp) -> Body {
    let pieces = stream::unfold(Some((waiting, given_up)), |rest| async {
        let (mut waiting, given_up) = rest?;
        match waiting.recv().await {
            Some(piece) => Some((Ok(piece?), Some((waiting, given_up)))),
            None => Some((Err(io::Error::from(io::ErrorKind::TimedOut)), None)),
        }
    });
    // Whoever packs it asks once more after the end.
    Body::from_stream(pieces.fuse())
}

fn read(answer: QueryStream, pieces: &mut Pieces, is_arrow: bool) -> Outcome {
    let schema = answer.schema();
    let mut lines: Box<dyn Sink + '_> = match is_arrow {
        true => Box::new(ArrowStream::new(pieces, &schema)?),
        false => Box::new(JsonLines::new(pieces, &schema)),
    };
    for batch in answer {
        lines.write(&batch?)?;
    }
    lines.finish()
}

/// Lines on their way to whoever reads them.
struct Pieces {
    pieces: Sender<Option<Bytes>>,
    /// For how long one may wait to be taken.
    within: Duration,
    text: Vec<u8>,
}

impl Pieces {
    fn send(&self, piece: Option<Bytes>) -> io::Result<()> {
        let sent = Handle::current().block_on(timeout(self.within, self.pieces.send(piece)));
        sent.ok().and_then(Result::ok).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        if self.text.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.text);
        self.send(Some(piece.into()))
    }
}
