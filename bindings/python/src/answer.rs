//! The answer to a query, computed in a thread of its own while its reader is busy or waits for signals.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::ThreadId;
use std::time::Duration;

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

/// Batches that are there before somebody asks for them.
const AHEAD: usize = 2;

/// The batches of an answer, for one reader.
pub(crate) struct Answer {
    batches: Here<Mutex<Receiver<Result<RecordBatch, Error>>>>,
    cancel: Cancel,
    /// Given to batches by whoever reads them, so that meanwhile the next ones are computed.
    shape: Shape,
}

impl Answer {
    /// Begins to compute it.
    pub(crate) fn new(stream: QueryStream, shape: Shape) -> Outcome<Self> {
        let (puts, batches) = sync_channel(AHEAD);
        let cancel = stream.cancel();
        let compute = move || {
            for batch in stream {
                // Nobody listens any more once the reader is gone.
                if puts.send(batch).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("alluvium-query".to_owned()).spawn(compute);
        thread.map_err(|error| Fault::invalid(format_args!("no thread to answer the query can be had: {error}")))?;
        Ok(Answer { batches: Here::new(Mutex::new(batches)), cancel, shape })
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
        match self.batches.get().ok_or(Fault::Forked)?.lock().recv_timeout(time) {
            Ok(batch) => Ok(Some(Some(self.shape.of(&batch?)?))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Ok(Some(None)),
        }
    }

    /// The next batch, however long that takes.
    fn next_ever(&self) -> Outcome<Option<RecordBatch>> {
        match self.batches.get().ok_or(Fault::Forked)?.lock().recv() {
            Ok(batch) => Ok(Some(self.shape.of(&batch?)?)),
            Err(_) => Ok(None),
        }
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
