//! Metadata as the catalog holds them at one moment, unmoved by what is applied later.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{AccessGuard, ReadOnlyTable, ReadableDatabase};

use super::Catalog;
use super::guard::Failure;
use super::tables::{self, Kind};
use crate::error::{Error, Result};
use crate::model::Sequence;
use crate::record::Key;

/// A cell: the sequence of the record that put it, and its value.
pub(crate) type Stored = (Sequence, Arc<[u8]>);

/// That a record changed a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) sequence: Sequence,
    pub(crate) key: Key,
    /// Whether it was removed. A key that came back may have an older note that says so.
    pub(crate) gone: bool,
    /// Its value, where that comes with the note.
    pub(crate) value: Option<Arc<[u8]>>,
}

/// A range of keys.
pub(crate) type KeyRange = (Bound<Key>, Bound<Key>);

type Bytes = &'static [u8];

/// The cells of one moment.
pub(crate) struct Cells {
    /// `None` only while dropping.
    table: Option<ReadOnlyTable<Bytes, Bytes>>,
    /// The same.
    changed: Option<ReadOnlyTable<Bytes, Bytes>>,
    /// Cells that are read over and over, as far as they were read.
    often: RwLock<BTreeMap<Key, Option<Stored>>>,
    /// Not dropped before the table.
    catalog: Arc<Catalog>,
}

/// How many of those are remembered.
const MOST_OFTEN: usize = 4_096;

impl Catalog {
    /// The cells as they are now.
    pub(crate) fn cells(self: &Arc<Self>) -> Result<Cells> {
        let (table, changed) = self.with_database(|database| {
            let read = database.begin_read()?;
            Ok((read.open_table(Kind::Cells.definition())?, read.open_table(Kind::Changed.definition())?))
        })?;
        Ok(Cells { table: Some(table), changed: Some(changed), often: RwLock::default(), catalog: self.clone() })
    }

    /// Drops something of redb's, unless a panic left its locks in doubt: then only memory is given up.
    fn let_go<T>(&self, thing: T) {
        if self.store.latch().panicked() {
            std::mem::forget(thing);
        } else if crate::fence::fence(|| drop(thing)).is_err() {
            tracing::warn!(path = %self.store.path().display(), "redb panicked while letting go of a read");
        }
    }

    fn guard<T>(&self, call: impl FnOnce() -> Result<T, Failure>) -> Result<T> {
        self.store.latch().guard(self.store.path(), call)
    }

    fn stored(&self, key: &[u8], row: &AccessGuard<'_, Bytes>) -> Result<Stored, Failure> {
        let decoded = tables::decode_cell(row.value());
        let (sequence, value) =
            decoded.map_err(|error| Failure::Own(tables::bad_row(self.store.path(), Kind::Cells, key, &error)))?;
        Ok((sequence, Arc::from(value)))
    }
}

impl Cells {
    /// The cell of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Stored>> {
        let (catalog, table) = (&self.catalog, self.table.as_ref().ok_or(Error::Closed)?);
        catalog.guard(|| table.get(key)?.map(|row| catalog.stored(key, &row)).transpose())
    }

    /// The same for a key that is read over and over, such as that of a definition: nothing changes here, so it is looked up
    /// once.
    pub(crate) fn get_often(&self, key: &[u8]) -> Result<Option<Stored>> {
        if let Some(known) = self.often.read().get(key) {
            return Ok(known.clone());
        }
        let found = self.get(key)?;
        let mut often = self.often.write();
        if often.len() < MOST_OFTEN {
            often.insert(Key::from(key), found.clone());
        }
        Ok(found)
    }

    /// The cells of a range, from either end.
    pub(crate) fn range(&self, (start, end): &KeyRange) -> Result<CellRange<'_>> {
        let (catalog, table) = (&*self.catalog, self.table.as_ref().ok_or(Error::Closed)?);
        let range = (start.as_ref().map(|key| &**key), end.as_ref().map(|key| &**key));
        let range = catalog.guard(|| Ok(table.range::<&[u8]>(range)?))?;
        Ok(CellRange { catalog, range: Some(range) })
    }

    /// The first notes behind that of a record and a key, in the order of records, then keys.
    pub(crate) fn noted(&self, sequence: Sequence, key: &[u8], limit: usize) -> Result<Vec<Note>> {
        let (catalog, table) = (&*self.catalog, self.changed.as_ref().ok_or(Error::Closed)?);
        let mut after = Vec::new();
        tables::changed_key(sequence, key, &mut after);
        catalog.guard(|| {
            let mut notes = Vec::new();
            for row in table.range::<&[u8]>((Bound::Excluded(&after[..]), Bound::Unbounded))?.take(limit) {
                let (row, value) = row?;
                let decoded = tables::decode_changed(row.value(), value.value());
                let bad = |error| Failure::Own(tables::bad_row(catalog.store.path(), Kind::Changed, row.value(), &error));
                let (sequence, key, gone) = decoded.map_err(bad)?;
                notes.push(Note { sequence, key: Key::from(key), gone, value: None });
            }
            Ok(notes)
        })
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        self.catalog.let_go((self.table.take(), self.changed.take()));
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cells").finish_non_exhaustive()
    }
}

/// Cells in the order of their keys.
pub(crate) struct CellRange<'c> {
    catalog: &'c Catalog,
    /// `None` only while dropping.
    range: Option<Rows>,
}

type Row = (AccessGuard<'static, Bytes>, AccessGuard<'static, Bytes>);
type Rows = redb::Range<'static, Bytes, Bytes>;

impl CellRange<'_> {
    fn read(&mut self, step: fn(&mut Rows) -> Option<redb::Result<Row, redb::StorageError>>) -> Option<Result<(Key, Stored)>> {
        let (catalog, range) = (self.catalog, self.range.as_mut()?);
        let row = || {
            let Some(row) = step(range) else { return Ok(None) };
            let (key, value) = row?;
            let stored = catalog.stored(key.value(), &value)?;
            Ok(Some((Arc::from(key.value()), stored)))
        };
        catalog.guard(row).transpose()
    }
}

impl Iterator for CellRange<'_> {
    type Item = Result<(Key, Stored)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read(Rows::next)
    }
}

impl DoubleEndedIterator for CellRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.read(Rows::next_back)
    }
}

impl Drop for CellRange<'_> {
    fn drop(&mut self) {
        self.catalog.let_go(self.range.take());
    }
}
