//! What may go wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_protocol::Malformed;
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use alluvium_protocol::rows::Unfit;
use alluvium_protocol::writer::OutOfOrder;
use quinn::{ConnectionError, ReadError, WriteError};

/// What most functions here answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
///
/// ```
/// use alluvium_client::Error;
///
/// let error = Error::Closed;
/// assert!(!error.may_retry());
/// assert!(error.to_string().contains("closed"));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be.
    #[error("settings: {detail}")]
    Settings {
        /// Which, and what to give instead.
        detail: String,
    },
    /// A certificate or key of this client's that cannot be read or used.
    #[error("{what} cannot be used: {detail}")]
    Certificate {
        /// Which.
        what: &'static str,
        /// Why not.
        detail: String,
    },
    /// Nobody answers there, or the address cannot be resolved. It is tried again.
    #[error("the server at {address} cannot be reached: {detail}; it is tried again")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        detail: String,
    },
    /// One of both does not accept the other's certificate or version. Somebody has to mend that.
    #[error(
        "TLS with server {name:?} at {address} failed: {detail}; check the server's name, its CA certificate, and this client's certificate"
    )]
    Handshake {
        /// The server's name, as the settings have it.
        name: String,
        /// Where.
        address: String,
        /// Why.
        detail: String,
    },
    /// The connection, or a stream on it, went. It is made anew.
    #[error("the connection was lost while {doing}: {detail}; it is made anew")]
    Lost {
        /// In the midst of what.
        doing: &'static str,
        /// How.
        detail: String,
    },
    /// The server said that it failed.
    #[error("the server refused while {doing}: {} ({:?}, code {})", failed.message, failed.code(), failed.code)]
    Failed {
        /// In the midst of what.
        doing: &'static str,
        /// What it said.
        failed: Failed,
    },
    /// The server sent what it may not send.
    #[error("the server does not follow the protocol while {doing}: {malformed}")]
    Malformed {
        /// In the midst of what.
        doing: &'static str,
        /// What it sent.
        malformed: Malformed,
    },
    /// The server speaks of batches that it cannot know.
    #[error("the server does not follow the protocol: {0}")]
    OutOfOrder(OutOfOrder),
    /// The server did not answer in time.
    #[error("the server did not answer in time while {doing}; it is tried again")]
    Timeout {
        /// In the midst of what.
        doing: &'static str,
    },
    /// The answer to a query ended before its end.
    #[error("the answer was cut after {rows} rows: ask again")]
    Cut {
        /// Rows that had come.
        rows: u64,
    },
    /// The answer to a query is no Arrow stream, or not that which was announced.
    #[error("the answer cannot be read after {rows} rows: {detail}")]
    Answer {
        /// Rows that had come.
        rows: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A table that cannot be described.
    #[error("table {table:?} cannot be described: {detail}")]
    Table {
        /// Its name.
        table: String,
        /// Why not.
        detail: String,
    },
    /// A row that does not fit its table.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A batch that is none of the table it is said to be of.
    #[error("a batch for table {table:?} is none of its rows: {detail}; build it with `Table::rows`")]
    NotOfTable {
        /// The table's name.
        table: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A batch that is larger than all the room there is for batches, or than a frame may be.
    #[error("a batch of {bytes} bytes, the limit is {limit}: make several of it")]
    TooLarge {
        /// Bytes that it takes.
        bytes: usize,
        /// Bytes that it may take.
        limit: usize,
    },
    /// The buffer is full at present.
    #[error("the buffer has no room for {bytes} bytes more: append waits for it")]
    NoRoom {
        /// Bytes that are wanted.
        bytes: usize,
    },
    /// The server refused a batch.
    #[error("batch {number} was refused: {} ({:?}, code {})", failed.message, failed.code(), failed.code)]
    BatchRefused {
        /// The batch.
        number: u64,
        /// What the server said.
        failed: Failed,
    },
    /// A batch is not refused, or not any more: after a lost connection it is sent again, and perhaps refused again.
    #[error("batch {number} is not refused at present: wait for the next refusal")]
    NotRefused {
        /// The batch.
        number: u64,
    },
    /// The server does not go on with this writer. What is kept stays kept.
    #[error(
        "the writer stopped: {} ({:?}); {kept} batches are kept: find out which of them the server has, then restart_under_new_id",
        failed.message,
        failed.code()
    )]
    WriterStopped {
        /// What the server said.
        failed: Failed,
        /// Batches that are not acknowledged.
        kept: usize,
    },
    /// A writer that was to be restarted goes on as it is.
    #[error("the writer has not stopped: there is nothing to restart")]
    NotStopped,
    /// A queue file could not be read or written.
    #[error("queue {}: cannot {doing}: {error}", path.display())]
    QueueIo {
        /// The file.
        path: PathBuf,
        /// What could not be done.
        doing: &'static str,
        /// What the operating system said.
        error: Arc<io::Error>,
    },
    /// Bytes of a queue file are not those that were written.
    #[error("queue {} is damaged at byte {offset}: {detail}; move it away to go on with an empty one, and keep it: it has batches that were not sent", path.display())]
    QueueDamaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// Another writer has the queue file open.
    #[error("queue {} is in use by another writer: give each its own", path.display())]
    QueueBusy {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gives no random numbers for the id of a writer.
    #[error("no random numbers for a writer's id: {detail}")]
    Random {
        /// What it said.
        detail: String,
    },
    /// The client or the writer was closed.
    #[error("closed")]
    Closed,
}

impl Error {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn may_retry(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Lost { .. } | Error::Timeout { .. } | Error::Cut { .. } | Error::NoRoom { .. } => {
                true
            }
            Error::Failed { failed, .. } => failed.may_retry,
            _ => false,
        }
    }

    pub(crate) fn settings(detail: impl Into<String>) -> Self {
        Error::Settings { detail: detail.into() }
    }

    pub(crate) fn queue_io(path: &Path, doing: &'static str, error: io::Error) -> Self {
        Error::QueueIo { path: path.to_owned(), doing, error: Arc::new(error) }
    }

    /// Malformed bytes of the server's.
    pub(crate) fn malformed(doing: &'static str) -> impl Fn(Malformed) -> Self {
        move |malformed| Error::Malformed { doing, malformed }
    }

    /// A connection that ended. Where the server closed it with a code, that says why.
    pub(crate) fn connection(doing: &'static str, error: &ConnectionError) -> Self {
        if let ConnectionError::ApplicationClosed(close) = error
            && let Some(code) = u16::try_from(close.error_code.into_inner()).ok().and_then(Code::from_number)
        {
            return Error::Failed { doing, failed: Failed::new(code, String::from_utf8_lossy(&close.reason)) };
        }
        Error::Lost { doing, detail: error.to_string() }
    }

    pub(crate) fn read(doing: &'static str, error: &ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Error::connection(doing, error),
            other => Error::Lost { doing, detail: other.to_string() },
        }
    }

    pub(crate) fn write(doing: &'static str, error: &WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => Error::connection(doing, error),
            other => Error::Lost { doing, detail: other.to_string() },
        }
    }
}

impl From<OutOfOrder> for Error {
    fn from(error: OutOfOrder) -> Self {
        Error::OutOfOrder(error)
    }
}
