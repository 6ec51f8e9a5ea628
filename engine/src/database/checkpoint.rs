//! Checkpoints: the catalog becomes durable, snapshots are taken, and the log lets go of what nobody needs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::inner::Inner;
use crate::catalog::{Catalog, Change};
use crate::error::Result;
use crate::feed;
use crate::model::Sequence;
use crate::recover;

/// A snapshot of the catalog is written when the log to be trimmed is this many times larger.
const LOG_PER_SNAPSHOT: u64 = 4;

/// The log is sealed at so many times the metadata after which the catalog is made durable.
const LOG_PER_UNSAVED: u64 = 8;

/// Whether a snapshot is worth the log that it frees.
fn pays(catalog: &Catalog, freed: u64) -> Result<bool> {
    Ok(freed >= LOG_PER_SNAPSHOT * catalog.bytes_on_disk()?)
}

impl Inner {
    /// Makes the catalog durable, and frees the log that neither rows nor the older snapshot need.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let sealed_through = self.sealed_through.load(Ordering::Acquire);
        let Some(catalog) = self.checkpoint_catalog()? else { return Ok(()) };
        let sealed = self.committer.bytes_on_disk().saturating_sub(self.committer.bytes_since(sealed_through + 1));
        if self.older_snapshot()?.is_none() || pays(&catalog, sealed)? {
            catalog.write_snapshot()?;
        }
        self.trim(sealed_through.min(self.older_snapshot()?.unwrap_or(0)) + 1)?;
        self.unchecked.store(false, Ordering::Release);
        self.store.sweep().map(drop)
    }

    /// Frees the log before a record, once what the change feed still needs of it is kept: copied, synced and named before the
    /// first of its files goes. While that is done others write; those files have long been full.
    fn trim(&self, keep_from: Sequence) -> Result<()> {
        let end = self.committer.stays(keep_from);
        let read = feed::slowest(&self.publisher.keyspace.head()?)?;
        self.feed.history.keep(&self.feed.log, &self.feed.log_dir, end, read)?;
        self.committer.trim(end)
    }

    /// The log goes back to the older of two snapshots, usually that of the seal before. Where it would have to grow for
    /// that, a snapshot just before a seal of what is up to `through` takes that one's place.
    pub(super) fn snapshot_before_growing(&self, through: Sequence) -> Result<()> {
        let Some(catalog) = self.publisher.catalog.get().filter(|_| !self.committer.has_spare_file()) else { return Ok(()) };
        let newest = Catalog::snapshots(&self.components, &self.layout.catalog())?.first().copied().unwrap_or(0);
        let held_back = self.committer.bytes_since(newest + 1).saturating_sub(self.committer.bytes_since(through + 1));
        if pays(&catalog, held_back)? {
            self.apply_all(vec![self.sealed()])?;
            catalog.write_snapshot()?;
        }
        Ok(())
    }

    /// Makes the log durable, and the catalog as far as the log. `None` while the catalog is set aside.
    pub(super) fn checkpoint_catalog(&self) -> Result<Option<Arc<Catalog>>> {
        let _saving = self.saving.lock();
        self.save_catalog(vec![self.sealed()])
    }

    /// Makes the catalog durable where opening after a crash would have to tell it much again, unless that is being done. Answers
    /// whether it did.
    pub(super) fn save_much(&self) -> Result<bool> {
        let unsaved = self.publisher.catalog.get().map_or(0, |catalog| catalog.unsaved_bytes());
        if unsaved < self.settings.seal_log_bytes / LOG_PER_UNSAVED {
            return Ok(false);
        }
        let Some(_saving) = self.saving.try_lock() else { return Ok(false) };
        // What is sealed is told by seals, one of which may be under way.
        self.save_catalog(Vec::new()).map(|saved| saved.is_some())
    }

    fn save_catalog(&self, changes: Vec<Change>) -> Result<Option<Arc<Catalog>>> {
        let Some(catalog) = self.publisher.catalog.get() else { return self.committer.flush().map(|()| None) };
        self.apply_all(changes)?;
        catalog.checkpoint()?;
        Ok(Some(catalog))
    }

    /// Brings the catalog to the end of the log, which is made durable first.
    fn apply_all(&self, mut changes: Vec<Change>) -> Result<()> {
        changes.push(Change::BytesWritten(self.bytes_written()));
        changes.push(Change::EngineTime(self.engine_clock.time()));
        self.committer.flushed(|last| self.publisher.tell_all(last, changes))
    }

    /// How far the log is sealed: to be asked where no seal is under way but one's own.
    fn sealed(&self) -> Change {
        Change::SealedThrough(self.sealed_through.load(Ordering::Acquire))
    }

    /// The sequence of the older of two snapshots: with fewer, the log has to reach back to its start.
    fn older_snapshot(&self) -> Result<Option<Sequence>> {
        let snapshots = Catalog::snapshots(&self.components, &self.layout.catalog())?;
        // Newest first.
        Ok(snapshots.get(1).copied())
    }

    /// Writes the catalog anew, so that the room of what was removed goes back to the file system. Others go on meanwhile but
    /// for a moment at the end, and seals. Answers whether it came to an end: not where others changed too much meanwhile.
    pub(super) fn rewrite_catalog(&self) -> Result<bool> {
        let (_sealing, _saving) = (self.sealing.lock(), self.saving.lock());
        let Some(catalog) = self.publisher.catalog.get() else { return Ok(false) };
        // What it was not told yet would be copied, and removed behind that.
        self.apply_all(vec![self.sealed()])?;
        let rewrite = catalog.rewrite(self.settings.catalog_cache_bytes)?;
        if !rewrite.settle()? {
            return Ok(false);
        }
        self.committer.flushed(|last| self.publisher.replace_catalog(last, rewrite))
    }

    /// After a full disk: the catalog is reopened at its last checkpoint and brought up to date from the log.
    pub(super) fn mend_catalog(&self) -> Result<()> {
        if self.publisher.catalog.get().is_some_and(|catalog| catalog.is_usable()) {
            return Ok(());
        }
        let _saving = self.saving.lock();
        self.committer.between_groups(|_| {
            let catalog = recover::catch_up(&self.components, &self.layout, &self.settings)?;
            let catalog = Arc::new(catalog);
            self.publisher.catalog.put(catalog.clone());
            let _applying = self.publisher.keyspace.applying();
            self.publisher.keyspace.rebase(catalog.cells()?, catalog.applied());
            Ok(())
        })
    }
}
