//! The catalog: what tables, series and segments there are, kept in redb as one materialisation of the log.
//!
//! It is disposable: damage anywhere in it is detected, never answered from, and answered by rebuilding it from a snapshot
//! and the log. See [`backend`] for why a power cut is not damage.

mod apply;
mod backend;
mod cells;
mod guard;
mod opening;
mod pagemap;
mod read;
mod rewrite;
mod slot;
mod snapshot;
mod sums;
mod tables;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::Database;

use apply::Writer;
pub(crate) use apply::{Cell, Change};
use backend::{Backend, PageFile, Store};
pub(crate) use cells::{CellRange, Cells, KeyRange, Note, Stored};
use guard::Failure;
use opening::Opening;
pub(crate) use rewrite::Rewrite;
use rewrite::{Balance, Meanwhile};
pub(crate) use slot::CatalogSlot;
use tables::{Kind, State};
#[cfg(feature = "internals")]
pub(crate) use tables::{decode_series, encode_series};

use crate::error::{Error, Result};
use crate::fence::fence;
use crate::io::{Components, SyncLabel};
use crate::model::Sequence;

/// The files a catalog may have, snapshots and marks aside.
const FILES: [&str; 3] = [sums::NAME, PageFile::First.name(), PageFile::Second.name()];

/// A cell changes about two pages. redb lets half of its cache hold changed pages; what is more it writes at once, and reads
/// again when the transaction ends. So one that is to be quick changes no more than that.
const CACHE_BYTES_PER_CELL: usize = 20 << 10;
/// However small the cache, that many cells go together.
const FEWEST_CELLS: usize = 64;

/// The open catalog. One thread changes it at a time, any number read it.
///
/// After [`Error::Damaged`] it has to be rebuilt, after [`Error::Stopped`] opened again. After [`Error::DiskFull`] the same
/// call succeeds once there is room; should it not, opening again helps. Dropping it writes nothing: what was applied
/// since the last checkpoint is left to the log.
pub(crate) struct Catalog {
    components: Components,
    dir: PathBuf,
    /// `None` only while dropping.
    database: Option<Database>,
    store: Arc<Store>,
    /// Held by whoever changes something; whether anything was applied since the last checkpoint.
    writer: Mutex<bool>,
    /// How many cells go into one transaction.
    cells_together: usize,
    applied: AtomicU64,
    /// Bytes of cells applied since the last checkpoint.
    unsaved: AtomicU64,
    /// What is applied while it is written anew.
    meanwhile: Mutex<Option<Meanwhile>>,
    balance: Balance,
    /// Whether nothing of an earlier writing anew is left in the directory.
    tidy: AtomicBool,
}

impl Catalog {
    /// Makes an empty catalog in `dir`, its own directory, in the place of any there, and checkpoints it. Snapshots stay.
    /// redb uses at most about `cache_bytes` for pages.
    pub(crate) fn create(components: &Components, dir: &Path, cache_bytes: usize) -> Result<Catalog> {
        let catalog = Self::begin(components, dir, cache_bytes)?;
        catalog.checkpoint()?;
        Ok(catalog)
    }

    /// An empty catalog of which nothing is durable yet.
    fn begin(components: &Components, dir: &Path, cache_bytes: usize) -> Result<Catalog> {
        components.disk.create_dir_all(dir).map_err(|source| Error::io("create", dir, source))?;
        // Checksums first: pages without them are no catalog, checksums with other pages would be a damaged one.
        for name in FILES {
            let path = dir.join(name);
            match components.disk.remove(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path, source)),
                _ => {}
            }
        }
        let sync = |dir: &Path| components.disk.sync_dir(dir, SyncLabel::CatalogDirectory);
        sync(dir).map_err(|source| Error::io("sync", dir, source))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync(parent).map_err(|source| Error::io("sync", parent, source))?;
        }
        Self::empty(components, dir, PageFile::First, cache_bytes)
    }

    fn empty(components: &Components, dir: &Path, pages: PageFile, cache_bytes: usize) -> Result<Catalog> {
        let store = Arc::new(Store::create(components, dir, pages, Arc::default())?);
        let catalog = Self::over(components, dir, store, cache_bytes)?;
        catalog.change(|writer| Kind::ALL.into_iter().try_for_each(|kind| writer.create(kind)))?;
        Ok(catalog)
    }

    /// Opens the catalog in `dir` as its last checkpoint left it. [`Error::Damaged`] if that cannot be had.
    pub(crate) fn open(components: &Components, dir: &Path, cache_bytes: usize) -> Result<Catalog> {
        let _opening = Opening::begin(components, dir)?;
        let store = Arc::new(Store::open(components, dir, Arc::default())?);
        // Nearly all of it is read anyway, and what is damaged is mended while that is easy.
        if let Some(damaged) = store.scrub()?.pop() {
            return Err(damaged);
        }
        let catalog = Self::over(components, dir, store, cache_bytes)?;
        let applied = catalog.state(State::Applied)?.ok_or_else(|| catalog.damaged("it does not say what was applied"))?;
        catalog.applied.store(applied, Ordering::Release);
        // redb believes its lists of free pages in a commit like this one. Nothing of it reaches the disk.
        catalog.conclude()?;
        *catalog.writer.lock() = false;
        Ok(catalog)
    }

    fn over(components: &Components, dir: &Path, store: Arc<Store>, cache_bytes: usize) -> Result<Catalog> {
        let backend = Backend(store.clone());
        let opened = store
            .latch()
            .guard(store.path(), || Ok(Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)?));
        let database = Some(opened.inspect_err(|_| store.release())?);
        let (components, dir) = (components.clone(), dir.to_owned());
        Ok(Catalog {
            components,
            dir,
            database,
            store,
            writer: Mutex::new(true),
            cells_together: (cache_bytes / CACHE_BYTES_PER_CELL).max(FEWEST_CELLS),
            applied: AtomicU64::new(0),
            unsaved: AtomicU64::new(0),
            meanwhile: Mutex::default(),
            balance: Balance::default(),
            tidy: AtomicBool::new(false),
        })
    }

    /// Whether there is one in `dir`, in whatever state.
    pub(crate) fn exists(components: &Components, dir: &Path) -> Result<bool> {
        let entries = components.disk.list(dir).map_err(|source| Error::io("list", dir, source))?;
        Ok(entries.iter().any(|entry| FILES.contains(&entry.name.as_str())))
    }

    /// Whether it goes on. If not, it has to be opened again.
    pub(crate) fn is_usable(&self) -> bool {
        self.store.latch().check().is_ok()
    }

    /// The sequence through which everything was applied.
    pub(crate) fn applied(&self) -> Sequence {
        self.applied.load(Ordering::Acquire)
    }

    /// Bytes of metadata that opening would have to apply again.
    pub(crate) fn unsaved_bytes(&self) -> u64 {
        self.unsaved.load(Ordering::Acquire)
    }

    /// Makes changes, visible at once and durable with the next checkpoint. `through` is the last sequence they account for and
    /// may not go back. After an error cells may have been changed in part: making the same changes again makes them whole.
    pub(crate) fn apply(&self, through: Sequence, changes: &[Change]) -> Result<()> {
        let mut changed = self.writer.lock();
        self.store.latch().check()?;
        if through < self.applied() {
            return Err(Error::Internal(format!("catalog changes through {through} after {}", self.applied())));
        }
        if !changes.is_empty() {
            let mut cells = changes.iter().filter_map(Change::cells).flat_map(|cells| cells.chunks(self.cells_together));
            self.store.make_room()?;
            self.change(|writer| {
                let mut others = changes.iter().filter(|change| change.cells().is_none());
                others.try_for_each(|change| writer.apply(change))?;
                cells.next().map_or(Ok(()), |some| writer.put_cells(some))
            })?;
            for some in cells {
                self.store.make_room()?;
                self.change(|writer| writer.put_cells(some))?;
            }
        }
        *changed |= !changes.is_empty() || through > self.applied();
        let bytes = changes.iter().filter_map(Change::cells).flatten().map(Cell::bytes).sum();
        self.unsaved.fetch_add(bytes, Ordering::AcqRel);
        self.applied.store(through, Ordering::Release);
        if let Some(meanwhile) = &mut *self.meanwhile.lock() {
            meanwhile.add(through, changes);
        }
        Ok(())
    }

    /// Makes everything applied durable. The caller has synced the log through [`Catalog::applied`] first, lest the catalog
    /// know of records that a power cut takes out of the log.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let mut changed = self.writer.lock();
        self.store.latch().check()?;
        if !*changed {
            return Ok(());
        }
        self.store.make_room()?;
        self.conclude()?;
        self.store.checkpoint(&self.components, &self.dir)?;
        *changed = false;
        self.unsaved.store(0, Ordering::Release);
        self.tidy_up();
        Ok(())
    }

    /// Completes the image, with what was applied in it.
    fn conclude(&self) -> Result<()> {
        let applied = self.applied();
        self.with_database(|database| apply::conclude(database, |writer| writer.put_state(State::Applied, applied)))
    }

    /// Bytes in the catalog's directory.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64> {
        let entries = self.components.disk.list(&self.dir).map_err(|source| Error::io("list", &self.dir, source))?;
        Ok(entries.iter().map(|entry| entry.len).sum())
    }

    fn change(&self, body: impl FnOnce(&mut Writer<'_>) -> Result<(), Failure>) -> Result<()> {
        let growth = self.with_database(|database| apply::transact(database, body))?;
        self.balance.add(growth);
        Ok(())
    }

    /// Everything that calls redb goes through here.
    fn with_database<T>(&self, call: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T> {
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        self.store.latch().guard(self.store.path(), || call(database))
    }

    fn damaged(&self, detail: impl ToString) -> Error {
        self.store.latch().damaged(self.store.path(), detail)
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        // redb commits what is pending when it closes. No checkpoint would follow, so that would be wear for nothing: with the
        // store closed first, it fails without effect.
        self.store.release();
        let Some(database) = self.database.take() else { return };
        if self.store.latch().panicked() {
            // A lock poisoned by the panic could make dropping panic twice, which aborts. Only memory is given up.
            std::mem::forget(database);
        } else if fence(|| drop(database)).is_err() {
            tracing::warn!(path = %self.store.path().display(), "redb panicked while closing");
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("dir", &self.dir).field("applied", &self.applied()).finish_non_exhaustive()
    }
}
