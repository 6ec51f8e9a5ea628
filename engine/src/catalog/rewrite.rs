//! The catalog written anew: redb uses the room of what was removed again, but does not give it back.
//!
//! All rows as they were at one moment are copied, in order, to the page file that is not in use, while others go on and what
//! they apply is noted. What was noted is applied behind it, at last while nobody applies anything; then one rename puts a
//! checksum file that speaks of the new page file in the place of the old. Before it the old image counts, after it the new one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use redb::{ReadTransaction, ReadableDatabase, ReadableTable};

use super::Catalog;
use super::apply::{Cell, Change};
use super::backend::PageFile;
use super::guard::Failure;
use super::tables::{self, Kind, State};
use crate::error::{Error, Result};
use crate::io::SyncLabel;
use crate::model::Sequence;

/// Bytes of rows copied in one transaction of redb.
const COPIED_AT_ONCE: usize = 1 << 20;
/// Bytes of changes that are noted while rows are copied. Beyond them there is no end to it; it is tried again another time.
const NOTED_BYTES: usize = 16 << 20;
/// Noted bytes few enough to be applied while others wait.
const FEW_BYTES: usize = 1 << 20;
/// How often what was noted is applied before others have to wait.
const ROUNDS: usize = 16;

/// Bytes of keys and values, counted from the opening on.
#[derive(Debug, Default)]
pub(super) struct Balance {
    now: AtomicI64,
    most: AtomicI64,
}

impl Balance {
    pub(super) fn add(&self, growth: i64) {
        let now = self.now.fetch_add(growth, Ordering::AcqRel) + growth;
        self.most.fetch_max(now, Ordering::AcqRel);
    }
}

/// What was applied while rows were copied.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    applied: Vec<(Sequence, Vec<Change>)>,
    bytes: usize,
    given_up: bool,
}

impl Meanwhile {
    pub(super) fn add(&mut self, through: Sequence, changes: &[Change]) {
        self.bytes += changes.iter().map(size).sum::<usize>();
        if self.bytes > NOTED_BYTES {
            self.given_up = true;
            self.applied = Vec::new();
        }
        if !self.given_up {
            self.applied.push((through, changes.to_vec()));
        }
    }
}

fn size(change: &Change) -> usize {
    let of_cell = |cell: &Cell| cell.effect.key.len() + cell.effect.value.as_ref().map_or(0, |value| value.len());
    size_of::<Change>()
        + match change {
            Change::PutCells(cells) => cells.iter().map(of_cell).sum(),
            Change::PutSegment(entry) => entry.index.len(),
            Change::PutSeries { keys, .. } => keys.iter().flat_map(|key| &key.0).flatten().map(String::len).sum(),
            _ => 0,
        }
}

/// A catalog that is being written anew. Dropped before its end, it leaves the old one as it was.
#[derive(Debug)]
pub(crate) struct Rewrite {
    old: Arc<Catalog>,
    /// `None` once it is in force.
    new: Option<Catalog>,
}

impl Catalog {
    /// About how many bytes of keys and values were removed since the catalog was opened, and not made up for by others.
    pub(crate) fn wasted_bytes(&self) -> u64 {
        let Balance { now, most } = &self.balance;
        u64::try_from(most.load(Ordering::Acquire) - now.load(Ordering::Acquire)).unwrap_or(0)
    }

    /// Counts from here on: what was removed so far is not worth another try.
    pub(crate) fn forget_waste(&self) {
        let Balance { now, most } = &self.balance;
        most.store(now.load(Ordering::Acquire), Ordering::Release);
    }

    /// Bytes of the image, room that redb would use again included.
    pub(crate) fn bytes_in_use(&self) -> u64 {
        self.store.bytes_in_use()
    }

    /// Copies everything applied to where it is to be from now on. There may be one at a time, and no checkpoint until its end.
    pub(crate) fn rewrite(self: &Arc<Self>, cache_bytes: usize) -> Result<Rewrite> {
        self.remove_pages(self.store.pages.other())?;
        let new = Catalog::empty(&self.components, &self.dir, self.store.pages.other(), cache_bytes)?;
        let rewrite = Rewrite { old: self.clone(), new: Some(new) };
        let sync = self.components.disk.sync_dir(&self.dir, SyncLabel::CatalogDirectory);
        sync.map_err(|source| Error::io("sync", &self.dir, source))?;
        self.with_database(|database| {
            let (transaction, applied) = {
                let _writer = self.writer.lock();
                let transaction = database.begin_read()?;
                *self.meanwhile.lock() = Some(Meanwhile::default());
                (transaction, self.applied())
            };
            rewrite.copy(&transaction, applied)
        })?;
        Ok(rewrite)
    }

    /// Removes the page file that is not in use, if there may be one. If that fails it is tried again another time.
    pub(super) fn tidy_up(&self) {
        if !self.tidy.load(Ordering::Acquire)
            && let Err(error) = self.remove_pages(self.store.pages.other())
        {
            tracing::debug!(%error, "a page file that is not in use stays");
        }
    }

    fn remove_pages(&self, pages: PageFile) -> Result<()> {
        let path = self.dir.join(pages.name());
        match self.components.disk.remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path, source)),
            _ => {}
        }
        self.tidy.store(true, Ordering::Release);
        Ok(())
    }
}

impl Rewrite {
    /// Whether this is the catalog that it is made of.
    pub(crate) fn is_of(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(&self.old, catalog)
    }

    /// Does what can be done while others go on. Answers whether it may come to an end: not if they do too much.
    pub(crate) fn settle(&self) -> Result<bool> {
        for _ in 0..ROUNDS {
            let Some(bytes) = self.catch_up()? else { return Ok(false) };
            if bytes <= FEW_BYTES {
                break;
            }
        }
        self.target()?.store.write_out().map(|()| true)
    }

    /// Puts it in the place of the old one; nobody applies anything meanwhile. `None` if that has to be left for another time.
    pub(crate) fn finish(mut self) -> Result<Option<Arc<Catalog>>> {
        if self.catch_up()?.is_none() {
            return Ok(None);
        }
        // Removes the old page file as well; whoever still reads the old catalog has it open.
        match self.target()?.checkpoint() {
            Ok(()) => self.old.store.supersede(),
            Err(full @ Error::DiskFull { .. }) => return Err(full),
            Err(error) => {
                // Nobody knows which of them the disk has in force. The next opening sees.
                self.old.store.supersede();
                self.new.take();
                return Err(self.old.store.latch().failed("replace", self.old.store.path(), io::Error::other(error.to_string())));
            }
        }
        Ok(self.new.take().map(Arc::new))
    }

    /// Applies what was noted, and answers how many bytes that were; `None` if they were too many to be noted.
    fn catch_up(&self) -> Result<Option<usize>> {
        let noted = {
            // Whoever applies something notes it before he lets go of this.
            let _writer = self.old.writer.lock();
            let mut meanwhile = self.old.meanwhile.lock();
            match &mut *meanwhile {
                Some(noted) if !noted.given_up => std::mem::take(noted),
                _ => return Ok(None),
            }
        };
        let Meanwhile { applied, bytes, .. } = noted;
        let new = self.target()?;
        applied.iter().try_for_each(|(through, changes)| new.apply(*through, changes))?;
        Ok(Some(bytes))
    }

    fn copy(&self, transaction: &ReadTransaction, applied: Sequence) -> Result<(), Failure> {
        let new = self.target().map_err(Failure::Own)?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        for kind in Kind::ALL {
            for row in transaction.open_table(kind.definition())?.iter()? {
                let (key, value) = row?;
                let (key, value) = (key.value().to_vec(), value.value().to_vec());
                if kind == Kind::State && key == tables::number_key(State::Applied as u64) {
                    continue;
                }
                bytes += key.len() + value.len();
                rows.push((kind, key, value));
                if bytes >= COPIED_AT_ONCE {
                    put(new, &mut rows).map_err(Failure::Own)?;
                    bytes = 0;
                }
            }
        }
        put(new, &mut rows).and_then(|()| new.apply(applied, &[])).map_err(Failure::Own)
    }

    fn target(&self) -> Result<&Catalog> {
        self.new.as_ref().ok_or(Error::Closed)
    }
}

fn put(catalog: &Catalog, rows: &mut Vec<(Kind, Vec<u8>, Vec<u8>)>) -> Result<()> {
    catalog.store.make_room()?;
    catalog.change(|writer| rows.iter().try_for_each(|(kind, key, value)| writer.put(*kind, key, value)))?;
    rows.clear();
    Ok(())
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        *self.old.meanwhile.lock() = None;
        if self.new.take().is_some() {
            // What stays of it is removed later.
            self.old.tidy.store(false, Ordering::Release);
            self.old.tidy_up();
        }
    }
}
