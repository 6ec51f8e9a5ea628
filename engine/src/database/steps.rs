//! Background work as explicit steps: threads call them in production, a single seeded thread in simulation.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inner::{Inner, Sealing};
use crate::catalog::{Catalog, Change};
use crate::error::{Error, Result};
use crate::ingest::Work;
use crate::maintain::{self, Effort};
use crate::model::Sequence;
use crate::record::{Compacted, Record, Sealed};
use crate::recover;
use crate::seal;
use crate::segment;
use crate::table::Table;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactReport {
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
}

/// A snapshot of the catalog is written when the log to be trimmed is this many times larger.
const LOG_PER_SNAPSHOT: u64 = 4;

/// Whether a snapshot is worth the log that it frees.
fn pays(catalog: &Catalog, freed: u64) -> Result<bool> {
    Ok(freed >= LOG_PER_SNAPSHOT * catalog.bytes_on_disk()?)
}

impl Inner {
    /// Whether it is time to seal: by memory, by size of the log, or by age of the oldest row.
    pub(super) fn seal_due(&self) -> bool {
        let used = self.publisher.memory.used();
        if used == 0 {
            return false;
        }
        let since = self.unsealed_since.load(Ordering::Acquire);
        let age = Duration::from_micros(self.components.clock.monotonic_micros().saturating_sub(since));
        let settings = &self.settings;
        let sealed = self.sealing.try_lock().map(|sealing| sealing.through);
        used >= self.seal_bytes()
            || self.pressed.load(Ordering::Acquire)
            || (since > 0 && age >= settings.seal_after)
            || sealed.is_some_and(|through| self.committer.bytes_since(through) >= settings.seal_log_bytes)
    }

    /// Everything unsealed becomes segments: one per table and partition touched.
    pub(super) fn seal(&self) -> Result<()> {
        let mut sealing = self.sealing.lock();
        let outcome = self.mend_catalog().and_then(|()| self.seal_locked(&mut sealing));
        if let Err(error) = &outcome {
            *self.seal_trouble.lock() = Some(match error {
                Error::DiskFull { path } => Error::DiskFull { path: path.clone() },
                other => Error::Stopped { reason: other.to_string() },
            });
        } else {
            self.seal_trouble.lock().take();
        }
        self.publisher.memory.wake();
        outcome
    }

    /// The one place where the order of a seal is written: cut → Parquet → fsync files → rename → fsync directory →
    /// `sealed` record + fdatasync (the commit point; the new version is published with it) → checkpoint → catalog snapshot
    /// when due → trim the log.
    fn seal_locked(&self, sealing: &mut Sealing) -> Result<()> {
        let tables = self.publisher.registry.all();
        let through = self.committer.between_groups(|last| {
            tables.iter().for_each(|table| table.state.write().freeze());
            self.unsealed_since.store(0, Ordering::Release);
            self.pressed.store(false, Ordering::Release);
            last
        });
        if tables.iter().all(|table| table.state.read().frozen.is_empty()) {
            return Ok(());
        }
        let store = &self.store;
        let mut segments = Vec::new();
        for table in &tables {
            let next = || self.next_segment();
            segments.extend(seal::write_table(store.disk(), store.dir(), self.settings.profile, table, through, next)?);
        }
        segment::publish(&**store.disk(), store.dir(), &segments)?;
        self.snapshot_before_growing(through)?;
        self.committer.submit(Work::record(Record::Sealed(Sealed { through, segments }))?)?;
        sealing.through = through;
        self.checkpoint(through)
    }

    /// Makes the catalog durable, and frees the log that neither rows nor the older snapshot need.
    pub(super) fn checkpoint(&self, sealed_through: Sequence) -> Result<()> {
        let Some(catalog) = self.publisher.catalog.get() else { return Ok(()) };
        self.apply_all(&catalog)?;
        catalog.checkpoint()?;
        let sealed = self.committer.bytes_on_disk().saturating_sub(self.committer.bytes_since(sealed_through + 1));
        if self.older_snapshot()?.is_none() || pays(&catalog, sealed)? {
            catalog.write_snapshot()?;
        }
        self.committer.trim(sealed_through.min(self.older_snapshot()?.unwrap_or(0)) + 1)?;
        self.store.sweep().map(drop)
    }

    /// The log goes back to the older of two snapshots, usually that of the seal before. Where it would have to grow for
    /// that, a snapshot just before a seal of what is up to `through` takes that one's place.
    fn snapshot_before_growing(&self, through: Sequence) -> Result<()> {
        let Some(catalog) = self.publisher.catalog.get().filter(|_| !self.committer.has_spare_file()) else { return Ok(()) };
        let newest = Catalog::snapshots(&self.components, &self.layout.catalog())?.first().copied().unwrap_or(0);
        let held_back = self.committer.bytes_since(newest + 1).saturating_sub(self.committer.bytes_since(through + 1));
        if pays(&catalog, held_back)? {
            self.apply_all(&catalog)?;
            catalog.write_snapshot()?;
        }
        Ok(())
    }

    /// Brings the catalog to the end of the log, which is made durable first.
    fn apply_all(&self, catalog: &Catalog) -> Result<()> {
        let last = self.committer.flush()?;
        catalog.apply(last, &[self.bytes_written_now()])
    }

    /// The sequence of the older of two snapshots: with fewer, the log has to reach back to its start.
    fn older_snapshot(&self) -> Result<Option<Sequence>> {
        let snapshots = Catalog::snapshots(&self.components, &self.layout.catalog())?;
        // Newest first.
        Ok(snapshots.get(1).copied())
    }

    pub(super) fn bytes_written_now(&self) -> Change {
        Change::BytesWritten(self.bytes_written())
    }

    /// After a full disk: the catalog is reopened at its last checkpoint and brought up to date from the log.
    fn mend_catalog(&self) -> Result<()> {
        if self.publisher.catalog.get().is_some() {
            return Ok(());
        }
        self.committer.between_groups(|_| {
            let catalog = recover::catch_up(&self.components, &self.layout, &self.settings)?;
            self.publisher.catalog.put(catalog);
            Ok(())
        })
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

    /// Seals, then folds everything that can be folded.
    pub(super) fn compact(&self) -> Result<CompactReport> {
        self.seal()?;
        let _compacting = self.compacting.lock();
        let tables = self.publisher.registry.all();
        let count = || tables.iter().map(|table| table.state.read().segments.len()).sum();
        let segments_before = count();
        for table in &tables {
            while self.compact_table(table, Effort::Full)? {
                self.check_open()?;
            }
        }
        let through = self.sealing.lock().through;
        self.checkpoint(through)?;
        Ok(CompactReport { segments_before, segments_after: count() })
    }

    /// Commits like a seal: files first, then the record, then the new version.
    fn compact_table(&self, table: &Arc<Table>, effort: Effort) -> Result<bool> {
        let state = table.snapshot();
        let schema = table.schema();
        let kind = seal::partition_kind(&schema, &state);
        let Some(job) = maintain::next_job(&state, kind, effort) else { return Ok(false) };
        let store = &self.store;
        let added = maintain::run(store, self.settings.profile, table, &state, &job, || self.next_segment())?;
        segment::publish(&**store.disk(), store.dir(), &added)?;
        let removed: Vec<_> = job.inputs.iter().map(|entry| entry.id).collect();
        let retired_deletions = {
            let mut after = table.snapshot();
            after.replace_segments(&removed, added.iter().cloned().map(Arc::new));
            maintain::retirable_deletions(&after)
        };
        self.committer.submit(Work::record(Record::Compacted(Compacted { removed, added, retired_deletions }))?)?;
        drop(state);
        store.retire(job.inputs);
        Ok(true)
    }
}
