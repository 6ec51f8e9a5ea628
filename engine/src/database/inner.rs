//! The parts of an open database, and how they are wired.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::background::Background;
use super::delivery::UnderWay;
use super::retention::Budget;
use crate::clock::EngineClock;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::feed::history::History;
use crate::ingest::{Committer, Publisher, Work};
use crate::io::{Components, DirectoryLock, WriteMeter};
use crate::record::{Record, SegmentId};
use crate::recover::{Ballast, Identity, Layout, Recovered};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::store::Store;
use crate::table::Table;
use crate::watermark::Watermark;

/// Bytes of metadata after which the catalog is told of them.
pub(super) const UNAPPLIED_BYTES: usize = 8 << 20;

/// Everything behind a [`Database`](super::Database).
#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) components: Components,
    pub(super) settings: Settings,
    pub(super) layout: Layout,
    pub(super) identity: Identity,
    pub(super) meter: Arc<WriteMeter>,
    pub(super) ballast: Ballast,
    /// Bytes written before this opening.
    written_before: u64,
    pub(super) publisher: Arc<Publisher>,
    pub(super) feed: Arc<Feed>,
    pub(super) store: Arc<Store>,
    pub(super) committer: Committer,
    pub(super) engine_clock: EngineClock,
    pub(super) shared: Arc<Shared>,
    /// Held while a schema change is decided and logged.
    pub(super) schema_changes: Mutex<()>,
    /// Held by whoever seals.
    pub(super) sealing: Mutex<()>,
    /// Held while the catalog is made durable, or another takes its place; after the others.
    pub(super) saving: Mutex<()>,
    /// Everything up to this record lies in segments.
    pub(super) sealed_through: AtomicU64,
    /// Whether a checkpoint has yet to follow the last seal.
    pub(super) unchecked: AtomicBool,
    /// Held by whoever compacts.
    pub(super) compacting: Mutex<()>,
    /// Segments that are being sent to others.
    pub(super) under_way: Arc<UnderWay>,
    /// Where it stands with the room that it may take.
    pub(super) budget: Budget,
    next_segment: AtomicU64,
    /// Why the last seal failed, while that still stands in the way of writers.
    pub(super) seal_trouble: Mutex<Option<Error>>,
    /// Whether a writer waits for memory.
    pub(super) pressed: AtomicBool,
    /// Monotonic time of the oldest unsealed row, in microseconds; 0 where there is none.
    pub(super) unsealed_since: AtomicU64,
    pub(super) background: Mutex<Option<Background>>,
    closed: AtomicBool,
    lock: Mutex<Option<Box<dyn DirectoryLock>>>,
}

impl Inner {
    pub(super) fn new(
        components: Components,
        settings: Settings,
        root: PathBuf,
        meter: Arc<WriteMeter>,
        ballast: Ballast,
        lock: Box<dyn DirectoryLock>,
        recovered: Recovered,
    ) -> Result<Self> {
        let Recovered { identity, publisher, store, log, next, sealed_through, next_segment, receipts, engine_micros } =
            recovered;
        let clock = components.clock.clone();
        let engine_clock = EngineClock::new(clock.clone(), engine_micros);
        let (interval, clock_too) = (settings.commit_interval, engine_clock.clone());
        let visible = Arc::new(Watermark::new(next - 1));
        let (layout, listed) = (Layout { root }, log.listed());
        let committer = Committer::new(log, next, publisher.clone(), clock, clock_too, interval, visible.clone());
        let feed = Arc::new(Feed {
            history: History::open(&components, &layout.root, layout.history(), settings.history_bytes)?,
            components: components.clone(),
            log_dir: layout.log(),
            log: listed,
            visible,
            publisher: publisher.clone(),
        });
        let written_before = publisher.catalog.get().map_or(Ok(0), |catalog| catalog.bytes_written())?;
        let shared = Arc::new(Shared::new(&settings, components.entropy.clone()));
        let inner = Inner {
            written_before,
            components,
            settings,
            layout,
            identity,
            meter,
            ballast,
            publisher,
            feed,
            store,
            committer,
            engine_clock,
            shared,
            schema_changes: Mutex::default(),
            sealing: Mutex::default(),
            saving: Mutex::default(),
            sealed_through: AtomicU64::new(sealed_through),
            unchecked: AtomicBool::new(false),
            compacting: Mutex::default(),
            under_way: Arc::default(),
            budget: Budget::default(),
            next_segment: AtomicU64::new(next_segment),
            seal_trouble: Mutex::default(),
            pressed: AtomicBool::new(false),
            unsealed_since: AtomicU64::new(0),
            background: Mutex::default(),
            closed: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        };
        for receipt in receipts {
            let file = receipt.file.clone();
            match inner.ballast.lend(|| inner.committer.submit(Work::record(Record::Receipt(receipt.clone()))?)) {
                // It is found again at the next opening.
                Err(Error::DiskFull { .. }) => tracing::warn!(file, "no room for the receipt of a loss"),
                recorded => drop(recorded?),
            }
        }
        inner.ballast.ensure();
        inner.after_write(None);
        Ok(inner)
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Bytes written to the directory since it was created. What was written after the last checkpoint before a crash is
    /// not known and not counted.
    pub(super) fn bytes_written(&self) -> u64 {
        self.written_before.saturating_add(self.meter.bytes())
    }

    pub(super) fn next_segment(&self) -> SegmentId {
        SegmentId(self.next_segment.fetch_add(1, Ordering::Relaxed))
    }

    /// Unsealed rows that are worth a seal: a quarter of their memory, so that writers need not wait for it and the log
    /// stays short.
    pub(super) fn seal_bytes(&self) -> usize {
        self.settings.memtable_bytes / 4
    }

    /// The disk is full: a seal lets go of the log.
    pub(super) fn make_room(&self) {
        self.pressed.store(true, Ordering::Release);
        self.nudge(Background::nudge_sealing);
    }

    /// Refuses rows while the disk is full or the room is taken that there may be, and waits while unsealed ones leave no memory for `bytes` more. Without background threads the writer seals by itself.
    pub(super) fn admit(&self, bytes: usize) -> Result<()> {
        if !self.ballast.ensure() {
            self.make_room();
            return Err(self.ballast.refusal());
        }
        self.check_budget(bytes > 0)?;
        let memory = &self.publisher.memory;
        let fits = || memory.used() == 0 || memory.used() + bytes <= self.settings.memtable_bytes;
        if fits() {
            return Ok(());
        }
        if self.background.lock().is_none() {
            return self.seal();
        }
        self.make_room();
        memory.wait_until(|| {
            if fits() {
                return Some(Ok(()));
            }
            if let Err(closed) = self.check_open() {
                return Some(Err(closed));
            }
            self.seal_trouble.lock().take().map(Err)
        })
    }

    /// Notes when unsealed rows began, and wakes whoever seals them or merges them when there are many.
    pub(super) fn after_write(&self, table: Option<&Table>) {
        let now = self.components.clock.monotonic_micros().max(1);
        // Only the first row after a cut sets it; losing the race means another row did.
        let _ = self.unsealed_since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        if self.publisher.memory.used() >= self.seal_bytes() {
            self.nudge(Background::nudge_sealing);
        }
        if table.is_some_and(|table| table.state.read().active.is_due()) {
            self.nudge(Background::nudge_consolidating);
        }
    }

    /// Wakes whoever tells the catalog, when there is much to tell.
    pub(super) fn after_transaction(&self) {
        if self.publisher.keyspace.unapplied_bytes() >= UNAPPLIED_BYTES {
            self.nudge(Background::nudge_applying);
        }
        self.after_write(None);
    }

    pub(super) fn nudge(&self, whom: fn(&Background)) {
        if let Some(background) = &*self.background.lock() {
            whom(background);
        }
    }

    pub(super) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.publisher.memory.wake();
        self.feed.visible.close();
        self.store.stop();
        let background = self.background.lock().take();
        if let Some(background) = background {
            background.stop();
        }
        let outcome = self.close_files();
        self.publisher.keyspace.close();
        self.publisher.catalog.take();
        self.lock.lock().take();
        outcome
    }

    fn close_files(&self) -> Result<()> {
        match self.ballast.lend(|| self.checkpoint_catalog()) {
            // The log holds what the catalog was not told.
            Ok(_) | Err(Error::DiskFull { .. }) => {}
            Err(error) => return Err(error),
        }
        self.committer.close()?;
        self.store.sweep().map(drop)
    }
}
