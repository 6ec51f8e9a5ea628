//! What the handles of a writer and its tasks share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use alluvium_protocol::frame::{BULK_BYTES, Frame};
use alluvium_protocol::message::{DescribeTable, Failed};
use alluvium_protocol::rows::{Reader, Row};
use alluvium_protocol::writer::Sender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::buffer::{Buffer, Entry};
use super::receipt::{Receipt, Refusal, trouble};
use super::settings::{Keep, WriterSettings};
use super::store::{Pending, Store};
use super::table::{Table, TableSpec};
use crate::lock::lock;
use crate::queue::{New, set_number};
use crate::{Error, Result};

/// Bytes that a batch takes beside its frame.
const ENTRY_BYTES: usize = 128;
/// Bytes of batches in memory that are in a file, too, and need not be read to be sent.
const CACHE_BYTES: usize = 1 << 20;
/// Tables that a writer may have, as servers allow.
const TABLES: usize = 1_024;

/// See above.
#[derive(Debug)]
pub(super) struct Shared {
    buffer: Mutex<Buffer>,
    tables: Mutex<BTreeMap<u16, Table>>,
    capacity: usize,
    room: Arc<Semaphore>,
    /// Wakes whoever sends.
    pub(super) wake: Notify,
    pub(super) store: Option<Store>,
    pub(super) trouble: watch::Sender<Option<Error>>,
    /// Changes with the batches that are settled or held.
    changes: watch::Sender<()>,
    /// Whether the server does not go on with this writer.
    stopped: AtomicBool,
    pub(super) restarted: Notify,
}

impl Shared {
    /// With what a queue file holds, if there is one.
    pub(super) async fn open(settings: WriterSettings) -> Result<Self> {
        let id = random_id()?;
        let capacity = settings.bytes.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(capacity));
        let (store, sender, entries, cache) = match settings.keep {
            Keep::Memory => (None, Sender::new(id), VecDeque::new(), usize::MAX),
            Keep::Disk(path) => {
                let (store, restored) = Store::open(path, id).await?;
                let lengths = restored.waiting.iter().map(|(length, _)| *length);
                let sender = Sender::restore(restored.writer, restored.sent_before, restored.acknowledged, lengths);
                (Some(store), sender, entries(restored.waiting, &room), CACHE_BYTES)
            }
        };
        let mut tables = BTreeMap::new();
        for entry in &entries {
            tables.entry(entry.table.slot).or_insert(Table::new(entry.table.clone())?);
        }
        Ok(Shared {
            buffer: Buffer::new(sender, entries, settings.on_refusal, cache).into(),
            tables: tables.into(),
            capacity,
            room,
            wake: Notify::new(),
            store,
            trouble: watch::Sender::new(None),
            changes: watch::Sender::new(()),
            stopped: false.into(),
            restarted: Notify::new(),
        })
    }

    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.buffer)
    }

    pub(super) fn table(&self, spec: TableSpec) -> Result<Table> {
        let mut described = spec.describe(0)?;
        let mut tables = lock(&self.tables);
        let is_it = |table: &&Table| DescribeTable { slot: 0, ..(*table.described).clone() } == described;
        if let Some(table) = tables.values().find(is_it) {
            return Ok(table.clone());
        }
        let free = (0..TABLES as u16).find(|slot| !tables.contains_key(slot));
        let too_many =
            || Error::Table { table: described.table.clone(), detail: format!("a writer has {TABLES} tables at most") };
        described.slot = free.ok_or_else(too_many)?;
        let table = Table::new(Arc::new(described))?;
        tables.insert(table.described.slot, table.clone());
        Ok(table)
    }

    /// The bytes of a batch, which has to be one of rows of the table, however it was made: another would hold up all behind it.
    pub(super) fn check(&self, table: &Table, rows: &Frame) -> Result<Vec<u8>> {
        let wrong = |detail: String| Error::NotOfTable { table: table.name().to_owned(), detail };
        if lock(&self.tables).get(&table.described.slot).is_none_or(|known| !Arc::ptr_eq(&known.described, &table.described)) {
            return Err(wrong("the table was described by another writer".to_owned()));
        }
        let bytes = rows.payload.len();
        let limit = BULK_BYTES.min(self.capacity.saturating_sub(ENTRY_BYTES));
        if bytes > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        let read = || {
            let (mut reader, mut row) = (Reader::new(&table.layout, rows.kind, &rows.payload)?, Row::default());
            while reader.read(&mut row)? {}
            Ok(reader.head())
        };
        let head = read().map_err(|error: alluvium_protocol::Malformed| wrong(error.to_string()))?;
        if head.slot != table.described.slot || head.rows == 0 {
            return Err(wrong(format!("it has {} rows of slot {}", head.rows, head.slot)));
        }
        let mut frame = Vec::with_capacity(bytes + ENTRY_BYTES);
        rows.write(&mut frame).map_err(|error| wrong(error.to_string()))?;
        Ok(frame)
    }

    /// Waits for room for a frame, or for what keeps there from being any.
    pub(super) async fn wait_for_room(&self, length: usize) -> Result<OwnedSemaphorePermit> {
        let mut troubles = self.trouble.subscribe();
        let permits = self.permits(length)?;
        tokio::select! {
            biased;
            room = self.room.clone().acquire_many_owned(permits) => room.map_err(|_| Error::Closed),
            error = trouble(&mut troubles) => Err(error),
        }
    }

    pub(super) fn take_room(&self, length: usize) -> Result<OwnedSemaphorePermit> {
        let permits = self.permits(length)?;
        self.room.clone().try_acquire_many_owned(permits).map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => Error::Closed,
            tokio::sync::TryAcquireError::NoPermits => Error::NoRoom { bytes: length },
        })
    }

    fn permits(&self, length: usize) -> Result<u32> {
        let too_large = Error::TooLarge { bytes: length, limit: self.capacity.saturating_sub(ENTRY_BYTES) };
        u32::try_from(length + ENTRY_BYTES).ok().filter(|permits| *permits as usize <= self.capacity).ok_or(too_large)
    }

    /// Keeps a batch for which there is room.
    pub(super) async fn put(&self, table: &Table, frame: Vec<u8>, room: OwnedSemaphorePermit) -> Result<Receipt> {
        let (ticket, told) = oneshot::channel();
        let (table, room, ticket) = (table.described.clone(), Some(room), Some(ticket));
        let number = match &self.store {
            Some(store) => store.put(New { frame, table }, ticket, room).await?,
            None => {
                let (length, given_up) = (frame.len(), None);
                self.keep(frame, |frame| Entry { frame: Some(frame), length, table, ticket, _room: room, given_up })
            }
        };
        Ok(Receipt::new(number, told, self.trouble.subscribe()))
    }

    fn keep(&self, mut frame: Vec<u8>, entry: impl FnOnce(bytes::Bytes) -> Entry) -> u64 {
        let number = {
            let mut buffer = self.buffer();
            set_number(&mut frame, buffer.next_number());
            buffer.push(entry(frame.into()))
        };
        self.wake.notify_one();
        number
    }

    /// Takes over a batch that is durable in the queue file, in its order there.
    pub(super) fn stored(&self, pending: Pending) {
        let Pending { new, ticket, room, stored } = pending;
        let length = new.frame.len();
        let entry = Entry { frame: Some(new.frame.into()), length, table: new.table, ticket, _room: room, given_up: None };
        let number = self.buffer().push(entry);
        self.wake.notify_one();
        // Whoever appended it may not wait any more.
        let _ = stored.send(Ok(number));
    }

    pub(super) async fn flush(&self) -> Result<()> {
        let (mut changes, mut troubles) = (self.changes.subscribe(), self.trouble.subscribe());
        let through = {
            let buffer = self.buffer();
            buffer.settled() + buffer.kept() as u64
        };
        loop {
            changes.mark_unchanged();
            if self.buffer().settled() >= through {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                error = trouble(&mut troubles) => return Err(error),
            }
        }
    }

    pub(super) fn skipped(&self) -> u64 {
        self.buffer().skipped()
    }

    pub(super) async fn refusal(&self) -> Refusal {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let held = self.buffer().held();
            if let Some(refusal) = held {
                return refusal;
            }
            // The sender is in here: it lasts.
            let _ = changes.changed().await;
        }
    }

    pub(super) fn skip(&self, number: u64) -> Result<()> {
        self.buffer().skip(number)?;
        self.decided();
        Ok(())
    }

    /// In a task of its own, so that it is done whole even if nobody waits for it.
    pub(super) async fn replace(shared: &Arc<Self>, number: u64, table: &Table, mut frame: Vec<u8>) -> Result<()> {
        shared.buffer().begin_to_replace(number)?;
        let (shared, table) = (shared.clone(), table.described.clone());
        let replacing = tokio::spawn(async move {
            set_number(&mut frame, number);
            let kept = match &shared.store {
                Some(store) => store.replace(number, New { frame: frame.clone(), table: table.clone() }).await,
                None => Ok(()),
            };
            let length = frame.len();
            let new = kept.is_ok().then(|| (Some(frame.into()), length, table));
            shared.buffer().replaced(number, new);
            if kept.is_ok() {
                shared.decided();
            }
            kept
        });
        replacing.await.map_err(|_| Error::Closed)?
    }

    fn decided(&self) {
        self.tell(None);
        self.wake.notify_one();
    }

    /// Says what became of batches, or that one is held.
    pub(super) fn changed(&self) {
        let held = self.buffer().held();
        if let Some(Refusal { number, failed }) = held {
            self.tell(Some(Error::BatchRefused { number, failed }));
        }
        self.changes.send_replace(());
        self.wake.notify_one();
        if let Some(store) = &self.store {
            store.wake.notify_one();
        }
    }

    /// Says why nothing goes on.
    pub(super) fn tell(&self, error: Option<Error>) {
        self.trouble.send_replace(error);
    }

    /// The server does not go on with this writer.
    pub(super) fn stop(&self, failed: Failed) {
        let kept = self.buffer().kept();
        tracing::warn!(code = failed.code, reason = failed.message, kept, "the writer stopped");
        self.stopped.store(true, Ordering::SeqCst);
        self.tell(Some(Error::WriterStopped { failed, kept }));
    }

    /// In a task of its own, so that it is done whole even if nobody waits for it.
    pub(super) async fn restart(shared: &Arc<Self>) -> Result<()> {
        let (id, shared) = (random_id()?, shared.clone());
        let restarting = tokio::spawn(async move {
            if !shared.stopped.swap(false, Ordering::SeqCst) {
                return Err(Error::NotStopped);
            }
            let restarted = match &shared.store {
                Some(store) => store.renew(id, || shared.buffer().restart(id)).await,
                None => {
                    shared.buffer().restart(id);
                    Ok(())
                }
            };
            match restarted {
                Ok(()) => {
                    shared.tell(None);
                    shared.restarted.notify_one();
                }
                Err(_) => shared.stopped.store(true, Ordering::SeqCst),
            }
            restarted
        });
        restarting.await.map_err(|_| Error::Closed)?
    }

    /// Nothing is appended any more.
    pub(super) fn close(&self) {
        self.room.close();
        if let Some(store) = &self.store {
            store.close();
        }
    }

    /// Nothing is sent any more.
    pub(super) fn end(&self) {
        self.room.close();
        let lost = self.buffer().end();
        if lost > 0 && self.store.is_none() {
            tracing::warn!(batches = lost, "a writer ended whose batches are only in memory: they are given up");
        }
        self.tell(Some(Error::Closed));
    }

    /// Lets go of the queue file.
    pub(super) async fn release(&self) -> Result<()> {
        match &self.store {
            Some(store) => store.release(|| self.buffer().acknowledged()).await,
            None => Ok(()),
        }
    }
}

/// Room is taken for the last first: so it becomes free only once no more is kept than may be.
fn entries(waiting: Vec<(usize, Arc<DescribeTable>)>, room: &Arc<Semaphore>) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    for (length, table) in waiting.into_iter().rev() {
        let permits = (length + ENTRY_BYTES).min(room.available_permits());
        let room = room.clone().try_acquire_many_owned(permits as u32).ok();
        entries.push_front(Entry { frame: None, length, table, ticket: None, _room: room, given_up: None });
    }
    entries
}

fn random_id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Error::Random { detail: error.to_string() })?;
    Ok(id)
}
