//! A queue file, worked on where blocking is allowed. What is appended meanwhile is synced together.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, oneshot};

use super::receipt::Ticket;
use super::shared::Shared;
use crate::lock::lock;
use crate::queue::{New, Queue, Restored};
use crate::{Error, Result};

/// Bytes that are synced together, at most, but for one batch.
const TOGETHER_BYTES: usize = 4 << 20;

/// A batch that waits to be synced.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) new: New,
    pub(super) ticket: Option<Ticket>,
    pub(super) room: Option<OwnedSemaphorePermit>,
    /// Its number, once it is durable.
    pub(super) stored: oneshot::Sender<Result<u64>>,
}

/// The file, and what waits for it.
#[derive(Debug)]
pub(super) struct Store {
    /// Nothing once it was let go.
    queue: Arc<tokio::sync::Mutex<Option<Queue>>>,
    pending: Mutex<Vec<Pending>>,
    /// Wakes whoever stores.
    pub(super) wake: Notify,
    closing: AtomicBool,
}

type Guard = OwnedMutexGuard<Option<Queue>>;

impl Store {
    pub(super) async fn open(path: PathBuf, id: [u8; 16]) -> Result<(Store, Restored)> {
        let opening = tokio::task::spawn_blocking(move || Queue::open(&path, id));
        let (queue, restored) = opening.await.map_err(|_| Error::Closed)??;
        let queue = Arc::new(tokio::sync::Mutex::new(Some(queue)));
        Ok((Store { queue, pending: Mutex::default(), wake: Notify::new(), closing: false.into() }, restored))
    }

    /// Stores a batch, and answers its number once it is durable.
    pub(super) async fn put(&self, new: New, ticket: Option<Ticket>, room: Option<OwnedSemaphorePermit>) -> Result<u64> {
        let (stored, number) = oneshot::channel();
        {
            let mut pending = lock(&self.pending);
            if self.closing.load(Ordering::SeqCst) {
                return Err(Error::Closed);
            }
            pending.push(Pending { new, ticket, room, stored });
        }
        self.wake.notify_one();
        number.await.unwrap_or(Err(Error::Closed))
    }

    /// Stores a batch in the place of another.
    pub(super) async fn replace(&self, number: u64, mut new: New) -> Result<()> {
        run(self.queue.clone().lock_owned().await, move |queue| queue.replace(number, &mut new)).await.1
    }

    /// Notes that something may have been sent.
    pub(super) async fn note(&self) -> Result<()> {
        run(self.queue.clone().lock_owned().await, Queue::note).await.1
    }

    /// The frame of a batch.
    pub(super) async fn read(&self, number: u64) -> Result<Vec<u8>> {
        run(self.queue.clone().lock_owned().await, move |queue| queue.read(number)).await.1
    }

    /// Renames the writer in the file, and then elsewhere, before anything else is done to the file.
    pub(super) async fn renew(&self, id: [u8; 16], elsewhere: impl FnOnce()) -> Result<()> {
        let (_guard, renewed) = run(self.queue.clone().lock_owned().await, move |queue| queue.renew(id)).await;
        renewed.map(|()| elsewhere())
    }

    /// Nothing more is stored than what waits for it.
    pub(super) fn close(&self) {
        let _pending = lock(&self.pending);
        self.closing.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Marks what is acknowledged, and lets go of the file.
    pub(super) async fn release(&self, acknowledged: impl FnOnce() -> u64) -> Result<()> {
        let guard = self.queue.clone().lock_owned().await;
        if guard.is_none() {
            return Ok(());
        }
        let through = acknowledged();
        let (mut guard, closed) = run(guard, move |queue| queue.acknowledge(through).and_then(|()| queue.close())).await;
        *guard = None;
        closed
    }

    fn take_pending(&self) -> Vec<Pending> {
        let mut pending = lock(&self.pending);
        let bytes = pending.iter().scan(0_usize, |sum, one| {
            *sum = sum.saturating_add(one.new.frame.len());
            Some(*sum)
        });
        let count = bytes.take_while(|sum| *sum <= TOGETHER_BYTES).count().max(1).min(pending.len());
        pending.drain(..count).collect()
    }
}

/// Does something to the file where blocking is allowed, and holds it still afterwards.
async fn run<T: Send + 'static>(
    mut guard: Guard,
    work: impl FnOnce(&mut Queue) -> Result<T> + Send + 'static,
) -> (Guard, Result<T>) {
    let queue = OwnedMutexGuard::mutex(&guard).clone();
    let working = tokio::task::spawn_blocking(move || {
        let outcome = guard.as_mut().map_or(Err(Error::Closed), work);
        (guard, outcome)
    });
    match working.await {
        Ok(done) => done,
        // It is dropped with whatever was done to it.
        Err(_) => (queue.lock_owned().await, Err(Error::Closed)),
    }
}

/// Stores what is appended, and marks what is acknowledged, until it is told to end.
pub(super) async fn keep(shared: Arc<Shared>) {
    let Some(store) = &shared.store else { return };
    loop {
        store.wake.notified().await;
        let is_closing = store.closing.load(Ordering::SeqCst);
        loop {
            let together = store.take_pending();
            if together.is_empty() {
                break;
            }
            store_together(&shared, store, together).await;
        }
        acknowledge(&shared, store).await;
        if is_closing {
            return;
        }
    }
}

async fn store_together(shared: &Shared, store: &Store, together: Vec<Pending>) {
    let guard = store.queue.clone().lock_owned().await;
    let (_guard, together) = run(guard, move |queue| {
        let (mut news, others): (Vec<_>, Vec<_>) =
            together.into_iter().map(|one| (one.new, (one.ticket, one.room, one.stored))).unzip();
        let outcome = queue.append(&mut news);
        Ok((news, others, outcome))
    })
    .await;
    // Otherwise whoever appended is told that the writer is closed, since nobody tells them anything else.
    let Ok((news, others, outcome)) = together else { return };
    for (new, (ticket, room, stored)) in news.into_iter().zip(others) {
        match &outcome {
            Ok(()) => shared.stored(Pending { new, ticket, room, stored }),
            Err(error) => drop(stored.send(Err(error.clone()))),
        }
    }
}

/// What is acknowledged is asked for when nobody can rename the writer meanwhile.
async fn acknowledge(shared: &Shared, store: &Store) {
    let guard = store.queue.clone().lock_owned().await;
    let through = shared.buffer().acknowledged();
    if let (_, Err(error)) = run(guard, move |queue| queue.acknowledge(through)).await {
        tracing::warn!(%error, "what was acknowledged is kept on in the queue file");
    }
}
