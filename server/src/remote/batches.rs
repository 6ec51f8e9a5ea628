//! Rows that a server answers, batch by batch.

use std::io::{self, Read};
use std::sync::Arc;

use alluvium::TimeUnit;
use alluvium_client::{Query, Rows};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use bytes::{Buf, Bytes};
use serde_json::json;
use tokio::runtime::Runtime;

use super::answer::Answer;
use super::request::{Request, post};
use super::told;
use crate::failure::{Failure, Outcome};
use crate::output::timestamp;

/// An Arrow IPC stream.
pub(crate) const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// The answer to a query.
pub(crate) struct Batches {
    schema: SchemaRef,
    runtime: Arc<Runtime>,
    named: String,
    rest: Rest,
}

enum Rest {
    Quic(Box<Rows>),
    Http(Box<StreamReader<Body>>),
}

impl Batches {
    pub(super) fn over_quic(runtime: Arc<Runtime>, mut rows: Rows, named: String) -> Outcome<Batches> {
        let schema = runtime.block_on(rows.schema()).map_err(|error| told::of_client(&named, &error))?;
        Ok(Batches { schema, runtime, named, rest: Rest::Quic(Box::new(rows)) })
    }

    pub(super) fn over_http(runtime: Arc<Runtime>, answer: Answer, named: String) -> Outcome<Batches> {
        let body = Body { runtime: runtime.clone(), answer, piece: Bytes::new() };
        let reader = StreamReader::try_new(body, None).map_err(|error| cut(&named, &error))?;
        Ok(Batches { schema: reader.schema(), runtime, named, rest: Rest::Http(Box::new(reader)) })
    }

    /// The columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for Batches {
    type Item = Outcome<RecordBatch>;

    fn next(&mut self) -> Option<Outcome<RecordBatch>> {
        let Batches { runtime, named, rest, .. } = self;
        match rest {
            Rest::Quic(rows) => Some(runtime.block_on(rows.next())?.map_err(|error| told::of_client(named, &error))),
            Rest::Http(reader) => match reader.next() {
                Some(batch) => Some(batch.map_err(|error| cut(named, &error))),
                // Without its end in HTTP, what came may not be all.
                None => match io::copy(reader.get_mut(), &mut io::sink()) {
                    Ok(_) => None,
                    Err(error) => Some(Err(cut(named, &error))),
                },
            },
        }
    }
}

fn cut(named: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format_args!("the server {named} did not answer all of it: {error}; its log says why"))
}

/// The body of an answer, for who reads and waits.
struct Body {
    runtime: Arc<Runtime>,
    answer: Answer,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.answer.next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(format!("{error:?}"))),
            }
        }
        let taken = self.piece.len().min(out.len());
        self.piece.copy_to_slice(out.get_mut(..taken).unwrap_or_default());
        Ok(taken)
    }
}

/// A query as it is asked over HTTP.
pub(super) fn request(query: &Query, unit: TimeUnit) -> Request {
    let time = |at: Option<i64>| at.map(|at| timestamp::utc(at, unit));
    let order = match query.order {
        1 => Some("asc"),
        2 => Some("desc"),
        _ => None,
    };
    post(&["query"]).accept(ARROW_STREAM).body(json!({
        "table": query.table,
        "from": time(query.from),
        "to": time(query.to),
        "where": query.conditions,
        "fields": query.fields,
        "order": order,
        "limit": query.limit,
        "functions": query.functions,
        "every": query.every,
        "zone": query.zone,
        "by": query.by,
        "last": query.last,
    }))
}
