//! The answer to a query, computed in a thread of its own while its reader is busy or waits for signals.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use alluvium::{Cancel, Error, QueryStream};
use alluvium_bindings::Here;
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::capsule;
use crate::error::{Fault, Outcome};
use crate::interrupt;
use crate::shape::Shape;

/// Groups of batches that are there before somebody asks for them.
const AHEAD: usize = 2;
/// Rows of a group: to wake the reader for every batch takes about as long as to compute one.
const GROUP_ROWS: usize = 1 << 16;
/// Where the last group is as long ago as this, a batch waits for no others: an answer that is found slowly is told as it is found.
const PATIENCE: Duration = Duration::from_millis(5);

type Batches = Vec<Result<RecordBatch, Error>>;

/// The batches of an answer, for one reader.
pub(crate) struct Answer {
    batches: Here<Mutex<Reading>>,
    cancel: Cancel,
    /// Given to batches by whoever reads them, so that meanwhile the next ones are computed.
    shape: Shape,
}

/// What was computed and is to be read.
struct Reading {
    groups: Receiver<Batches>,
    at_hand: std::vec::IntoIter<Result<RecordBatch, Error>>,
}

impl Reading {
    /// The next batch; none at the end. A group that is to be waited for is `got`.
    fn next(
        &mut self,
        got: impl Fn(&Receiver<Batches>) -> Result<Batches, RecvTimeoutError>,
    ) -> Result<Option<Result<RecordBatch, Error>>, RecvTimeoutError> {
        loop {
            if let Some(batch) = self.at_hand.next() {
                return Ok(Some(batch));
            }
            match got(&self.groups) {
                Ok(group) => self.at_hand = group.into_iter(),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => return Err(RecvTimeoutError::Timeout),
            }
        }
    }
}

/// Computes an answer until it is over, or nobody listens any more. The first batch goes at once, the others in groups.
fn compute(stream: QueryStream, puts: &SyncSender<Batches>) {
    let (mut group, mut rows, mut enough, mut sent) = (Vec::new(), 0, 0, Instant::now());
    for batch in stream {
        rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
        group.push(batch);
        if rows >= enough || sent.elapsed() >= PATIENCE {
            if puts.send(std::mem::take(&mut group)).is_err() {
                return;
            }
            (rows, enough, sent) = (0, GROUP_ROWS, Instant::now());
        }
    }
    // Nobody listens any more once the reader is gone.
    let _ = puts.send(group);
}

impl Answer {
    /// Begins to compute it.
    pub(crate) fn new(stream: QueryStream, shape: Shape) -> Outcome<Self> {
        let (puts, groups) = sync_channel(AHEAD);
        let cancel = stream.cancel();
        let thread = std::thread::Builder::new().name("alluvium-query".to_owned()).spawn(move || compute(stream, &puts));
        thread.map_err(|error| Fault::invalid(format_args!("no thread to answer the query can be had: {error}")))?;
        let reading = Reading { groups, at_hand: Vec::new().into_iter() };
        Ok(Answer { batches: Here::new(Mutex::new(reading)), cancel, shape })
    }

    /// The columns of every batch.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.shape.schema()
    }

    /// Ends it: its reader gets [`Error::Cancelled`].
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The next batch, which a signal may end.
    pub(crate) fn next(&self, py: Python<'_>) -> Outcome<Option<RecordBatch>> {
        interrupt::poll(py, |time| self.next_within(time)).inspect_err(|_| self.cancel())
    }

    /// The next batch if it comes soon enough.
    fn next_within(&self, time: Duration) -> Outcome<Option<Option<RecordBatch>>> {
        match self.reading()?.lock().next(|groups| groups.recv_timeout(time)) {
            Ok(batch) => self.shaped(batch).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The next batch, however long that takes.
    fn next_ever(&self) -> Outcome<Option<RecordBatch>> {
        let next = self.reading()?.lock().next(|groups| groups.recv().map_err(|_| RecvTimeoutError::Disconnected));
        self.shaped(next.unwrap_or(None))
    }

    fn reading(&self) -> Outcome<&Mutex<Reading>> {
        self.batches.get().ok_or(Fault::Forked)
    }

    fn shaped(&self, batch: Option<Result<RecordBatch, Error>>) -> Outcome<Option<RecordBatch>> {
        Ok(batch.map(|batch| self.shape.of(&batch?)).transpose()?)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What an answer failed with, for who has it read by others and wants to know better than they can tell.
pub(crate) type Trouble = Arc<Mutex<Option<Fault>>>;

/// An answer as others read it through Arrow's C interface, from whichever thread.
pub(crate) struct Reader {
    answer: Arc<Answer>,
    /// The thread that was attached to Python when it was made. Others may be waited for by one that is.
    thread: ThreadId,
    /// None where nobody looks there.
    trouble: Option<Trouble>,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(answer: Arc<Answer>, trouble: Option<Trouble>) -> Self {
        Reader { answer, thread: std::thread::current().id(), trouble, ended: false }
    }

    /// The next batch, in the thread of Python so that signals are seen.
    fn pull(&self) -> Result<Option<RecordBatch>, ArrowError> {
        let is_python = std::thread::current().id() == self.thread;
        let pull = |py: Python<'_>| self.answer.next(py).map_err(|fault| self.failed(py, fault));
        let pulled = if is_python { capsule::attached(pull) } else { None };
        pulled.unwrap_or_else(|| self.answer.next_ever().map_err(|fault| self.failed_elsewhere(fault)))
    }

    /// The reader can say of a signal only that something failed: where nobody looks for what it was, Python is to hear of it all the same.
    fn failed(&self, py: Python<'_>, fault: Fault) -> ArrowError {
        if let (Fault::Python(error), None) = (&fault, &self.trouble) {
            // It failed either way.
            let _ = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
            return said(&error.to_string());
        }
        self.failed_elsewhere(fault)
    }

    /// Says it in words, and keeps what it was for who looks for it.
    fn failed_elsewhere(&self, fault: Fault) -> ArrowError {
        let text = fault.text();
        if let Some(trouble) = &self.trouble {
            *trouble.lock() = Some(fault);
        }
        said(&text)
    }
}

/// An error that ends as a text of C.
fn said(text: &str) -> ArrowError {
    ArrowError::ExternalError(text.replace('\0', "").into())
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let pulled = self.pull();
        self.ended = !matches!(pulled, Ok(Some(_)));
        pulled.transpose()
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.answer.schema()
    }
}
