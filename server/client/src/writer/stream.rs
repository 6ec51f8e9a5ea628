//! One writer stream, from its opening to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_protocol::code::Code;
use alluvium_protocol::message::{Applied, BatchRefused, DescribeTable, Failed, Message, Opened, Skip};
use alluvium_protocol::mutation::MutationBatch;
use alluvium_protocol::writer::OutOfOrder;
use bytes::Bytes;
use tokio::time::timeout;

use super::buffer::Step;
use super::shared::Shared;
use crate::connection::Link;
use crate::stream::{Reader, Writer};
use crate::{Error, Result};

const OPENING: &str = "opening a writer";
const WRITING: &str = "writing";
/// How long to wait for why the server wants no more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server does not go on with this writer.
    Stopped(Failed),
    /// Something else, after which it may be opened again.
    Error(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        match error {
            Error::Failed { failed, .. } if is_end(failed.code()) => Ended::Stopped(failed),
            other => Ended::Error(other),
        }
    }
}

fn is_end(code: Code) -> bool {
    matches!(code, Code::WriterExpired | Code::WriterBehind | Code::Superseded)
}

/// Opens the writer on a connection, and sends and hears until that ends.
pub(super) async fn run(link: &Link, shared: &Shared, answer: Duration) -> Ended {
    let (mut writer, mut reader) = match link.stream(WRITING).await {
        Ok(stream) => stream,
        Err(error) => return error.into(),
    };
    if let Err(ended) = open(shared, &mut writer, &mut reader, answer).await {
        return ended;
    }
    let hearing = hear(shared, &mut reader);
    tokio::pin!(hearing);
    let error = tokio::select! {
        error = &mut hearing => return error.into(),
        error = send(shared, &mut writer, link.bulk_bytes) => error,
    };
    // Where the server takes no more it says why.
    match error {
        Error::Lost { .. } => timeout(LAST_WORDS, hearing).await.unwrap_or(error).into(),
        other => other.into(),
    }
}

async fn open(shared: &Shared, writer: &mut Writer, reader: &mut Reader, answer: Duration) -> Result<(), Ended> {
    let open = shared.buffer().open();
    writer.message(&open).await?;
    let opened: Opened = match timeout(answer, reader.expect()).await {
        Err(_) => return Err(Error::Timeout { doing: OPENING }.into()),
        // Something was applied of a writer that calls itself new.
        Ok(Err(Error::Failed { failed, .. })) if failed.code() == Code::Invalid => return Err(Ended::Stopped(failed)),
        Ok(opened) => opened?,
    };
    let outcome = shared.buffer().opened(&opened);
    outcome.map_err(|error| match error {
        // Its queue was put back to what it was before, or the server was.
        OutOfOrder::Impossible { .. } => Ended::Stopped(Failed::new(Code::WriterBehind, error.to_string())),
        other => Ended::Error(other.into()),
    })?;
    shared.tell(None);
    shared.changed();
    Ok(())
}

/// Hears what becomes of batches, until the stream ends.
async fn hear(shared: &Shared, reader: &mut Reader) -> Error {
    loop {
        match reader.next().await {
            Ok(Some(frame)) => {
                let heard = match frame.kind {
                    Applied::KIND => Applied::read(&frame).map(|applied| shared.buffer().applied(applied.through)),
                    BatchRefused::KIND => {
                        BatchRefused::read(&frame).map(|refused| shared.buffer().refuse(refused.number, refused.failed, true))
                    }
                    Failed::KIND => return reader.failed(&frame),
                    _ => return reader.misplaced(&frame),
                };
                match heard {
                    Ok(Ok(())) => shared.changed(),
                    Ok(Err(error)) => return error.into(),
                    Err(malformed) => return Error::Malformed { doing: WRITING, malformed },
                }
            }
            Ok(None) => return Error::Lost { doing: WRITING, detail: "the server ended the stream".to_owned() },
            Err(error) => return error,
        }
    }
}

/// Sends what is to be sent, until that is not possible.
async fn send(shared: &Shared, writer: &mut Writer, bulk_bytes: usize) -> Error {
    let mut described = HashMap::new();
    loop {
        let step = shared.buffer().next(bulk_bytes);
        if let Err(error) = take(shared, writer, &mut described, step).await {
            return error;
        }
    }
}

async fn take(shared: &Shared, writer: &mut Writer, described: &mut HashMap<u16, Arc<DescribeTable>>, step: Step) -> Result<()> {
    match step {
        Step::Wait => {
            shared.wake.notified().await;
            Ok(())
        }
        Step::Note => {
            if let Some(store) = &shared.store {
                store.note().await?;
            }
            shared.buffer().noted();
            Ok(())
        }
        Step::Skip(number) => writer.message(&Skip { number }).await,
        Step::Nothing(number) => writer.message(&MutationBatch { number, mutations: Vec::new() }).await,
        Step::Send { number, table, frame } => {
            if !described.get(&table.slot).is_some_and(|known| Arc::ptr_eq(known, &table)) {
                writer.message(&*table).await?;
                described.insert(table.slot, table);
            }
            writer.bytes(read(shared, number, frame).await?).await
        }
    }
}

async fn read(shared: &Shared, number: u64, frame: Option<Bytes>) -> Result<Bytes> {
    match (frame, &shared.store) {
        (Some(frame), _) => Ok(frame),
        (None, Some(store)) => store.read(number).await.map(Bytes::from),
        // What has no file is in memory.
        (None, None) => Err(Error::Closed),
    }
}
