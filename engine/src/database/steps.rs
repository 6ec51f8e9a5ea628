//! Background work as explicit steps: threads call them in production, a single seeded thread in simulation.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inner::{Inner, UNAPPLIED_BYTES};
use crate::delivery::Fences;
use crate::document;
use crate::error::{Error, Result};
use crate::ingest::Work;
use crate::keyspace;
use crate::kv;
use crate::maintain::{self, Effort};
use crate::model::Sequence;
use crate::queue;
use crate::record::{Compacted, Record, Sealed, SegmentEntry};
use crate::seal;
use crate::segment;
use crate::shared::Shared;
use crate::table::{Table, TableState};

/// A kind of background work. Threads take its steps; without them ([`Settings::background`](crate::Settings)) the caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackgroundStep {
    /// Merges unsealed batches of one table, which keeps reads of them fast.
    Consolidate,
    /// Turns everything unsealed into segments, if memory, log or age ask for it.
    Seal,
    /// Folds some segments of one partition together.
    Compact,
    /// Lets go of rows that need not be kept.
    Evict,
    /// Tells the catalog of the last metadata, if there are many.
    Apply,
    /// Takes away metadata that have expired or were dropped.
    Expire,
    /// Gives the room of metadata that were removed back to the file system, if it is much.
    Reclaim,
}

impl BackgroundStep {
    /// All of them.
    pub const ALL: [BackgroundStep; 7] = [
        BackgroundStep::Consolidate,
        BackgroundStep::Seal,
        BackgroundStep::Compact,
        BackgroundStep::Evict,
        BackgroundStep::Apply,
        BackgroundStep::Expire,
        BackgroundStep::Reclaim,
    ];
}

/// How a model takes away what nobody sees any more: whether there is any, and some of it, little enough for others to wait.
type Reclaimer = (fn(&keyspace::Transaction) -> Result<bool>, fn(&mut keyspace::Transaction, &Shared) -> Result<()>);

/// All models that have any.
const RECLAIMERS: [Reclaimer; 4] = [
    (kv::has_expired, |transaction, _| kv::reclaim(transaction)),
    (queue::has_expired_keys, |transaction, _| queue::reclaim_expired_keys(transaction)),
    (queue::has_dropped, |transaction, _| queue::reclaim_dropped(transaction)),
    (document::is_due, document::reclaim),
];

/// Bytes of metadata that have to be removed for the catalog to be worth writing anew.
const WASTED_BYTES: u64 = 16 << 20;

/// Where a seal ends that finds no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SealTo {
    /// Where the last one with rows did, unless the log has become long since.
    LastRow,
    /// At the last record.
    LastRecord,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactReport {
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
    /// Bytes of the catalog, in which metadata lie, before.
    pub catalog_bytes_before: u64,
    /// Bytes of the catalog after.
    pub catalog_bytes_after: u64,
}

impl Inner {
    /// Takes one step of background work. Answers whether there was one to take.
    pub(super) fn background_step(&self, step: BackgroundStep) -> Result<bool> {
        self.check_open()?;
        match step {
            BackgroundStep::Consolidate => self.consolidate_step(),
            BackgroundStep::Seal if !self.seal_due() => Ok(false),
            BackgroundStep::Seal => self.seal().map(|()| true),
            BackgroundStep::Compact => self.compact_step(),
            BackgroundStep::Evict => self.evict_step(),
            BackgroundStep::Apply => self.apply_step(),
            BackgroundStep::Expire => self.expire_step(),
            BackgroundStep::Reclaim => self.reclaim_step(),
        }
    }

    /// Whether it is time to seal: by memory, by size of the log, or by age of the oldest row.
    pub(super) fn seal_due(&self) -> bool {
        let used = self.publisher.memory.used();
        // Set aside on a full disk, it holds up what waits for it in memory.
        let is_mended = || self.publisher.catalog.get().is_some() || !self.ballast.ensure();
        if used == 0 {
            return self.log_is_long() || !is_mended();
        }
        let since = self.unsealed_since.load(Ordering::Acquire);
        let age = Duration::from_micros(self.components.clock.monotonic_micros().saturating_sub(since));
        let settings = &self.settings;
        used >= self.seal_bytes()
            || self.pressed.load(Ordering::Acquire)
            || (since > 0 && age >= settings.seal_after)
            || self.log_is_long()
            || !is_mended()
    }

    /// Whether the log since the last seal is worth letting go of, even if no rows are in it.
    fn log_is_long(&self) -> bool {
        self.committer.bytes_since(self.sealed_through.load(Ordering::Acquire) + 1) >= self.settings.seal_log_bytes
    }

    /// Tells the catalog, and makes it durable where opening would have to tell it much again.
    fn apply_step(&self) -> Result<bool> {
        let before = self.publisher.keyspace.unapplied_bytes();
        if before >= UNAPPLIED_BYTES {
            self.ballast.lend(|| self.publisher.tell_cells())?;
        }
        match self.save_much() {
            // It makes no room, and can wait.
            Ok(false) | Err(Error::DiskFull { .. }) => {
                Ok(before >= UNAPPLIED_BYTES && self.publisher.keyspace.unapplied_bytes() < UNAPPLIED_BYTES)
            }
            saved => saved,
        }
    }

    /// The catalog is written anew where most of it is room that nothing uses.
    fn reclaim_step(&self) -> Result<bool> {
        let Some(catalog) = self.publisher.catalog.get() else { return Ok(false) };
        if catalog.wasted_bytes() < WASTED_BYTES.max(catalog.bytes_in_use() / 2) {
            return Ok(false);
        }
        let outcome = self.rewrite_catalog();
        if !matches!(outcome, Ok(true)) {
            // Each try in vain wears the disk.
            catalog.forget_waste();
        }
        outcome
    }

    /// Some of what has expired, in a transaction of its own: of the first model that has any.
    fn expire_step(&self) -> Result<bool> {
        let now = keyspace::Transaction::exclusive(self.publisher.keyspace.head()?, self.engine_clock.now());
        for (is_due, reclaim) in RECLAIMERS {
            if is_due(&now)? {
                let shared = self.shared.clone();
                let decide = move |transaction: &mut keyspace::Transaction| reclaim(transaction, &shared);
                return self.ballast.lend(|| self.committer.submit(Work::decide(decide.clone()))).map(|_| true);
            }
        }
        Ok(false)
    }

    /// Everything unsealed becomes segments: one per table and partition touched. On a full disk this is what gives back room.
    pub(super) fn seal(&self) -> Result<()> {
        self.seal_to(SealTo::LastRow)
    }

    /// The same, with all metadata so far: what is sealed then ends with the last record there is.
    pub(super) fn seal_everything(&self) -> Result<()> {
        self.seal_to(SealTo::LastRecord)
    }

    fn seal_to(&self, to: SealTo) -> Result<()> {
        let _sealing = self.sealing.lock();
        let outcome = self.ballast.lend(|| {
            self.mend_catalog()?;
            self.seal_locked(to)
        });
        if !self.ballast.ensure() {
            // Log files kept to be overwritten are room as well.
            self.committer.drop_spare_files()?;
            self.ballast.ensure();
        }
        *self.seal_trouble.lock() = outcome.as_ref().err().map(Error::shared);
        self.publisher.memory.wake();
        outcome
    }

    /// The one place where the order of a seal is written: cut → Parquet → fsync files → rename → fsync directory →
    /// `sealed` record + fdatasync (the commit point; the new version is published with it) → checkpoint → catalog snapshot
    /// when due → trim the log.
    fn seal_locked(&self, to: SealTo) -> Result<()> {
        let (tables, through) = self.committer.between_groups(|last| {
            // Listed here, for a table made before the cut has to be cut as well.
            let tables = self.publisher.registry.all();
            tables.iter().for_each(|table| table.state.write().freeze());
            self.unsealed_since.store(0, Ordering::Release);
            self.pressed.store(false, Ordering::Release);
            (tables, last)
        });
        if tables.iter().any(|table| !table.state.read().frozen.is_empty()) {
            let write = |segments: &mut Vec<SegmentEntry>| {
                let (store, profile) = (&self.store, self.settings.profile);
                tables.iter().try_for_each(|table| {
                    seal::write_table(store.disk(), store.dir(), profile, table, through, || self.next_segment(), segments)
                })
            };
            self.commit_segments(write, |segments| {
                self.snapshot_before_growing(through)?;
                Ok(Record::Sealed(Sealed { through, segments }))
            })?;
            self.sealed_through.store(through, Ordering::Release);
            self.unchecked.store(true, Ordering::Release);
        } else if to == SealTo::LastRecord || self.log_is_long() {
            // There is nothing up to here that the catalog will not hold.
            self.sealed_through.store(through, Ordering::Release);
            self.unchecked.store(true, Ordering::Release);
        }
        // Also what a seal before could not finish on a full disk.
        if self.unchecked.load(Ordering::Acquire) {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Writes segments, gives them their names, and commits the record that refers to them.
    fn commit_segments(
        &self,
        write: impl FnOnce(&mut Vec<SegmentEntry>) -> Result<()>,
        record: impl FnOnce(Vec<SegmentEntry>) -> Result<Record>,
    ) -> Result<()> {
        let (disk, dir) = (&**self.store.disk(), self.store.dir());
        let mut segments = Vec::new();
        let written = write(&mut segments).and_then(|()| segment::publish(disk, dir, &segments));
        let committed = written.and_then(|()| {
            let record = record(segments.clone())?;
            self.committer.submit(Work::record(record)?)
        });
        if matches!(committed, Err(Error::DiskFull { .. })) {
            // A group that found the disk full leaves no trace, so nothing refers to them.
            segment::discard(disk, dir, &segments);
        }
        committed.map(drop)
    }

    /// One merge of unsealed rows that keeps reads of them fast; answers whether there was one to make.
    pub(super) fn consolidate_step(&self) -> Result<bool> {
        for table in self.publisher.registry.all() {
            if self.publisher.consolidate(&table)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One compaction that keeps the number of segments bounded; answers whether there was one to make.
    pub(super) fn compact_step(&self) -> Result<bool> {
        let _compacting = self.compacting.lock();
        for table in self.publisher.registry.all() {
            if self.compact_table(&table, Effort::Background)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Seals, folds everything that can be folded, takes away what has expired or was dropped, and writes the catalog anew.
    pub(super) fn compact(&self) -> Result<CompactReport> {
        self.seal()?;
        let (segments_before, segments_after) = self.ballast.lend(|| self.compact_all())?;
        let catalog_bytes = || self.publisher.catalog.get().map_or(0, |catalog| catalog.bytes_in_use());
        let catalog_bytes_before = catalog_bytes();
        while self.expire_step()? {
            self.check_open()?;
        }
        match self.rewrite_catalog() {
            // It takes room before it gives any; the catalog is as it was.
            Err(Error::DiskFull { .. }) => tracing::info!("there is no room to write the catalog anew"),
            outcome => drop(outcome?),
        }
        Ok(CompactReport { segments_before, segments_after, catalog_bytes_before, catalog_bytes_after: catalog_bytes() })
    }

    /// Answers how many segments there were, and are.
    fn compact_all(&self) -> Result<(usize, usize)> {
        let _compacting = self.compacting.lock();
        let tables = self.publisher.registry.all();
        let count = || tables.iter().map(|table| table.state.read().segments.len()).sum();
        let segments_before = count();
        for table in &tables {
            while self.compact_table(table, Effort::Full)? {
                self.check_open()?;
            }
        }
        let _sealing = self.sealing.lock();
        self.checkpoint()?;
        Ok((segments_before, count()))
    }

    /// Commits like a seal: files first, then the record, then the new version.
    pub(super) fn compact_table(&self, table: &Arc<Table>, effort: Effort) -> Result<bool> {
        let state = table.snapshot();
        let schema = table.schema();
        let kind = seal::partition_kind(&schema, &state);
        let fences = self.fences()?;
        let Some(job) = maintain::next_job(&state, kind, effort, &fences)? else {
            return self.forget_deletions(table, &state, &fences);
        };
        let store = &self.store;
        let removed: Vec<_> = job.inputs.iter().map(|entry| entry.id).collect();
        let write = |added: &mut Vec<SegmentEntry>| {
            maintain::run(store, self.settings.profile, table, &state, &job, || self.next_segment(), added)
        };
        self.commit_segments(write, |added| {
            let mut after = table.snapshot();
            after.replace_segments(&removed, added.iter().cloned().map(Arc::new));
            let retired_deletions = self.retirable_deletions(table, &after, &fences);
            Ok(Record::Compacted(Compacted { removed: removed.clone(), added, retired_deletions }))
        })?;
        drop(state);
        store.retire(job.inputs);
        Ok(true)
    }

    /// Forgets deletions that were carried out before every delivery had told of them. Answers whether there were any.
    fn forget_deletions(&self, table: &Table, state: &TableState, fences: &Fences) -> Result<bool> {
        if state.deletions.is_empty() {
            return Ok(false);
        }
        let retired_deletions = self.retirable_deletions(table, state, fences);
        let found = !retired_deletions.is_empty();
        if found {
            let forgotten = Compacted { removed: Vec::new(), added: Vec::new(), retired_deletions };
            self.committer.submit(Work::record(Record::Compacted(forgotten))?)?;
        }
        Ok(found)
    }

    fn retirable_deletions(&self, table: &Table, state: &TableState, fences: &Fences) -> Vec<Sequence> {
        // Of a later record other tables may not show yet what it deletes in them.
        let shown = self.publisher.published();
        let tables = self.publisher.registry.all();
        let others: Vec<_> = tables.iter().filter(|other| other.id != table.id).map(|other| other.snapshot()).collect();
        let mut retirable = maintain::retirable_deletions(state, &others);
        retirable.retain(|sequence| *sequence <= fences.told().min(shown));
        retirable
    }
}
