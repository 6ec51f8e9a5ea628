//! Answering queries: batches of the engine as an Arrow IPC stream, no faster than the client reads.

use alluvium::{Action, Order, Query, QueryStream, TimeRange};
use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{ARROW, Frame};
use alluvium_protocol::message::{self, Failed, QueryDone};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::access::Caller;
use super::failed;
use super::session::{Server, Session};
use super::shares::Taken;
use super::stream::{Ended, Writer};
use crate::parse::{duration, filter};

/// Pieces of an answer that wait for the client.
const WAITING: usize = 2;
/// Bytes of Arrow in a frame, about.
const PIECE_BYTES: usize = 256 << 10;

/// Answers a query.
pub(super) async fn serve(session: &Session, asked: &message::Query, mut writer: Writer) {
    match answer(session, asked, &mut writer).await {
        Ok(()) => writer.finish().await,
        Err(ended) => writer.fail(ended).await,
    }
}

async fn answer(session: &Session, asked: &message::Query, writer: &mut Writer) -> Result<(), Ended> {
    let query = query(asked)?;
    let scope = session.access().scope(&session.caller, Action::Read, &query.table)?;
    let turn = turn(&session.server, &session.caller).await?;
    let (pieces, waiting) = mpsc::channel(WAITING);
    let (tell, cancel) = oneshot::channel();
    let unwanted = writer.unwanted();
    let reading = session.server.engine(move |db| {
        let _turn = turn;
        let answer = db.query_within(&query, &scope)?;
        // Nobody may want to know any more.
        let _ = tell.send(answer.cancel());
        read(answer, &pieces)
    });
    let watching = async {
        if let Ok(cancel) = cancel.await {
            unwanted.await;
            cancel.cancel();
        }
        std::future::pending::<(Result<u64, Failed>, Result<(), Ended>)>().await
    };
    // Where the client reads no more, sending ends, and reading at the next piece that nobody takes.
    let sending = async {
        let mut waiting = waiting;
        while let Some(piece) = waiting.recv().await {
            writer.bytes(piece).await?;
        }
        Ok::<(), Ended>(())
    };
    let answering = async { tokio::join!(reading, sending) };
    let (rows, sent) = tokio::select! {
        answered = answering => answered,
        never = watching => never,
    };
    sent?;
    writer.message(&QueryDone { rows: rows? }).await
}

/// Waits until another query may run, which it may until what this answers is dropped.
pub(crate) async fn turn(server: &Server, caller: &Caller) -> Result<Taken, Failed> {
    let share = server.queries.of(caller);
    let waiting = timeout(server.settings.progress, share.take(1));
    let turn = waiting.await.map_err(|_| failed::busy("too many queries at once: ask again later"))?;
    turn.map_err(|_| failed::closing())
}

/// What is asked for, in the engine's words.
pub(crate) fn query(asked: &message::Query) -> Result<Query, Failed> {
    let invalid = |why: String| Failed::new(Code::Invalid, why);
    let (from, to) = (asked.from.unwrap_or(TimeRange::ALL.start), asked.to.unwrap_or(TimeRange::ALL.end));
    let mut query = Query::table(&asked.table).range(TimeRange::new(from, to));
    query.filters = asked.conditions.iter().map(|text| filter::filter(text)).collect::<Result<_, _>>().map_err(invalid)?;
    query.fields.clone_from(&asked.fields);
    query.limit = asked.limit;
    query.last = asked.last;
    query.order = match asked.order {
        0 => Order::Series,
        1 => Order::TimeAscending,
        2 => Order::TimeDescending,
        order => return Err(invalid(format!("{order} is no order: there are 0, 1 and 2"))),
    };
    if asked.functions.is_empty() && asked.every.is_empty() && asked.by.is_empty() {
        return Ok(query);
    }
    let zone = (!asked.zone.is_empty()).then_some(asked.zone.as_str());
    let window = (!asked.every.is_empty()).then(|| duration::window(&asked.every, zone)).transpose().map_err(invalid)?;
    let functions = asked.functions.iter().map(|name| name.parse()).collect::<Result<Vec<_>, alluvium::Error>>();
    let functions = functions.map_err(|error| failed::of_engine(&error))?;
    let aggregation = query.aggregation.get_or_insert_default();
    aggregation.functions = if functions.is_empty() { vec![alluvium::Aggregate::Mean] } else { functions };
    aggregation.window = window;
    aggregation.by.clone_from(&asked.by);
    Ok(query)
}

/// Reads the answer and cuts it into pieces, until all is read or nobody takes them.
fn read(answer: QueryStream, pieces: &Sender<Bytes>) -> alluvium::Result<u64> {
    let mut out = StreamWriter::try_new(Vec::new(), &answer.schema())?;
    let mut rows = 0;
    let taken = send_all(answer, &mut out, &mut rows, pieces)?;
    if taken {
        out.finish()?;
        let _ = send(out.get_mut(), pieces);
    }
    Ok(rows)
}

fn send_all(
    answer: QueryStream,
    out: &mut StreamWriter<Vec<u8>>,
    rows: &mut u64,
    pieces: &Sender<Bytes>,
) -> alluvium::Result<bool> {
    for batch in answer {
        let batch = batch?;
        // Batches are as large as suits the engine.
        let mut at = 0;
        let piece_rows = (PIECE_BYTES * batch.num_rows()).div_ceil(batch.get_array_memory_size().max(1)).max(1);
        while at < batch.num_rows() {
            let count = piece_rows.min(batch.num_rows() - at);
            out.write(&batch.slice(at, count))?;
            *rows += count as u64;
            at += count;
            if out.get_ref().len() >= PIECE_BYTES && !send(out.get_mut(), pieces) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Hands over what was written. Whether anybody took it.
fn send(written: &mut Vec<u8>, pieces: &Sender<Bytes>) -> bool {
    let payload = std::mem::take(written);
    let mut bytes = Vec::new();
    for piece in payload.chunks(PIECE_BYTES) {
        // Shorter than any bulk may be.
        let _ = Frame { kind: ARROW, payload: piece.to_vec() }.write(&mut bytes);
    }
    pieces.blocking_send(bytes.into()).is_ok()
}
