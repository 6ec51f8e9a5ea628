//! Writers: rows that count once, whatever becomes of the connection.

mod buffer;
mod drive;
mod receipt;
mod settings;
mod shared;
mod store;
mod stream;
mod table;

use std::sync::{Arc, Mutex};

use alluvium_protocol::frame::Frame;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::Core;
use crate::lock::lock;
use crate::{Client, Error, Result};
use shared::Shared;

pub use receipt::{Receipt, Refusal};
pub use settings::{Keep, OnRefusal, WriterSettings};
pub use table::{Table, TableSpec, TimeUnit};

/// Sends rows of tables, each batch once in effect. Clones are the same writer.
///
/// What is appended is kept, in memory or in a file, until the server says that it is durable there. Nothing is given up in silence:
/// receipts, [`trouble`](Writer::trouble), [`skipped`](Writer::skipped) and the log tell.
///
/// ```no_run
/// # async fn run(client: alluvium_client::Client) -> Result<(), alluvium_client::Error> {
/// use alluvium_client::rows::{FieldKind, Value};
/// use alluvium_client::{TableSpec, WriterSettings};
///
/// let writer = client.writer(WriterSettings::memory()).await?;
/// let air = writer.table(TableSpec::new("air").tag("room").field("kw", FieldKind::Float64))?;
/// let mut rows = air.rows();
/// rows.row(1_700_000_000_000_000, &[Some("A")], &[Some(Value::Float64(3.5))])?;
/// writer.append(&air, &rows.finish()).await?;
/// writer.flush().await?;
/// writer.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Writer(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    driver: Mutex<Option<JoinHandle<()>>>,
    storer: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the connection.
    _client: Client,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in [&self.driver, &self.storer] {
            if let Some(task) = lock(task).take() {
                task.abort();
            }
        }
        self.shared.end();
    }
}

impl Writer {
    pub(crate) async fn start(client: Client, core: Arc<Core>, settings: WriterSettings) -> Result<Writer> {
        let shared = Arc::new(Shared::open(settings).await?);
        let driver = tokio::spawn(drive::drive(core, shared.clone()));
        let storer = shared.store.is_some().then(|| tokio::spawn(store::keep(shared.clone())));
        Ok(Writer(Arc::new(Running { shared, driver: Some(driver).into(), storer: storer.into(), _client: client })))
    }

    /// Describes a table, for [`append`](Writer::append). The server is told when its first batch is sent, and says then if the table
    /// is not as described.
    ///
    /// Fails if no table can be so, or if the writer has too many.
    pub fn table(&self, spec: TableSpec) -> Result<Table> {
        self.0.shared.table(spec)
    }

    /// Takes a batch of rows into the buffer, and waits for room in it. It is durable on this device then, if the writer has a queue
    /// file; the receipt says what becomes of it on the server.
    ///
    /// Fails with [`Error::NotOfTable`] or [`Error::TooLarge`] for a batch that can never be sent, with [`Error::QueueIo`] if it could
    /// not be kept, and, where there is no room, with whatever somebody has to mend before there will be any. The frame is the
    /// caller's still, to append it again.
    ///
    /// Dropping the future while it waits for room leaves the buffer as it was. Dropped while a queue file is being synced, the batch
    /// is in the buffer, whole, if the sync succeeds; so do not append it again on that account.
    pub async fn append(&self, table: &Table, rows: &Frame) -> Result<Receipt> {
        let frame = self.0.shared.check(table, rows)?;
        let room = self.0.shared.wait_for_room(frame.len()).await?;
        self.0.shared.put(table, frame, room).await
    }

    /// As [`append`](Writer::append), but fails with [`Error::NoRoom`] where that waits for room.
    pub async fn try_append(&self, table: &Table, rows: &Frame) -> Result<Receipt> {
        let frame = self.0.shared.check(table, rows)?;
        let room = self.0.shared.take_room(frame.len())?;
        self.0.shared.put(table, frame, room).await
    }

    /// Waits until the server acknowledged all that was appended before, or what became of it was decided. Fails with what keeps the
    /// writer from going on, if somebody has to mend that; nothing is lost by it, and it may be called again.
    pub async fn flush(&self) -> Result<()> {
        self.0.shared.flush().await
    }

    /// Why nothing goes on at present, where somebody has to do something about it; `None` if it does, or will by itself.
    pub fn trouble(&self) -> watch::Receiver<Option<Error>> {
        self.0.shared.trouble.subscribe()
    }

    /// How many batches were refused and skipped.
    pub fn skipped(&self) -> u64 {
        self.0.shared.skipped()
    }

    /// Waits for a batch that was refused and is held until somebody decides: [`skip`](Writer::skip) or [`replace`](Writer::replace).
    /// Those behind it wait. Only with [`OnRefusal::Hold`].
    pub async fn refusal(&self) -> Refusal {
        self.0.shared.refusal().await
    }

    /// Gives up a refused batch: nothing of it is written, and its receipt says so.
    ///
    /// Fails with [`Error::NotRefused`] if it is not held at present: after a lost connection it is sent again, and may be refused again.
    pub fn skip(&self, number: u64) -> Result<()> {
        self.0.shared.skip(number)
    }

    /// Puts other rows in the place of a refused batch, and sends these. The receipt of the batch stands for them. May exceed the room
    /// of the buffer.
    ///
    /// Fails like [`skip`](Writer::skip) and [`append`](Writer::append). Dropping the future changes nothing: it is replaced
    /// nevertheless.
    pub async fn replace(&self, number: u64, table: &Table, rows: &Frame) -> Result<()> {
        let frame = self.0.shared.check(table, rows)?;
        Shared::replace(&self.0.shared, number, table, frame).await
    }

    /// Goes on under a new id after [`Error::WriterStopped`], with all batches that are kept: those that the server had applied
    /// already, if any, are written a second time. Numbers begin again from 1.
    ///
    /// Fails with [`Error::NotStopped`] if the writer goes on anyway. Dropping the future changes nothing: it is restarted nevertheless.
    pub async fn restart_under_new_id(&self) -> Result<()> {
        Shared::restart(&self.0.shared).await
    }

    /// Ends the writer. What a queue file keeps stays there for the next; what was only in memory is given up, and receipts say so:
    /// [`flush`](Writer::flush) first.
    pub async fn close(&self) -> Result<()> {
        self.0.shared.close();
        let (driver, storer) = (lock(&self.0.driver).take(), lock(&self.0.storer).take());
        if let Some(storer) = storer {
            // A panic of it was reported.
            let _ = storer.await;
        }
        if let Some(driver) = driver {
            driver.abort();
            let _ = driver.await;
        }
        self.0.shared.end();
        self.0.shared.release().await
    }
}
