//! A state of the key space that never changes.

use std::iter::Map;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::shared_ptr::DefaultSharedPtr;

use super::access::space;
use super::merged::{Directed, Direction, Merged};
use crate::catalog::{Cell, CellRange, Cells, KeyRange, Note, Stored};
use crate::error::Result;
use crate::model::Sequence;
use crate::record::{Effect, Key};

/// What a cell of the overlay takes besides the bytes of key and value, about.
const CELL_BYTES: usize = 96;

/// Everything as of one record.
#[derive(Debug, Clone)]
pub(crate) struct View {
    base: Arc<Cells>,
    /// What is newer than the base; `None` where a key has no value any more.
    overlay: OrdMap<Key, Newer>,
    overlay_bytes: usize,
    sequence: Sequence,
}

/// What a record made of a key.
#[derive(Debug, Clone)]
pub(crate) struct Newer {
    sequence: Sequence,
    value: Option<Arc<[u8]>>,
}

/// All keys that begin with these bytes.
pub(crate) fn prefix(bytes: &[u8]) -> KeyRange {
    let mut end = bytes.to_vec();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    let end = match end.last_mut() {
        Some(last) => {
            *last += 1;
            Bound::Excluded(Arc::from(end))
        }
        None => Bound::Unbounded,
    };
    (Bound::Included(Arc::from(bytes)), end)
}

impl View {
    pub(super) fn new(base: Arc<Cells>, sequence: Sequence) -> Self {
        View { base, overlay: OrdMap::new(), overlay_bytes: 0, sequence }
    }

    /// The last record whose effects are seen here.
    pub(crate) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The value of a key, and the record that put it.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Stored>> {
        match self.overlay.get(key) {
            Some(Newer { sequence, value }) => Ok(value.clone().map(|value| (*sequence, value))),
            None if key.first().is_some_and(|first| space::DEFINITIONS.contains(first)) => self.base.get_often(key),
            None => self.base.get(key),
        }
    }

    /// The keys of a range that have values.
    pub(crate) fn scan(&self, range: &KeyRange, direction: Direction) -> Result<Scan<'_>> {
        let overlay = self.overlay.range::<_, [u8]>((as_bytes(&range.0), as_bytes(&range.1)));
        let base = Directed(direction, self.base.range(range)?);
        Ok(Merged::new(direction, base, Directed(direction, overlay).map(newer as _)))
    }

    /// Makes what a record did part of this view.
    pub(crate) fn put(&mut self, sequence: Sequence, effects: &[Effect]) {
        for Effect { key, value } in effects {
            self.overlay_bytes += bytes_of(key, value.as_deref());
            let newer = Newer { sequence, value: value.clone() };
            if let Some(before) = self.overlay.insert(key.clone(), newer) {
                self.overlay_bytes -= bytes_of(key, before.value.as_deref());
            }
        }
        self.sequence = self.sequence.max(sequence);
    }

    /// What is newer than the base, in the order of keys.
    pub(crate) fn newer(&self) -> impl Iterator<Item = Note> {
        self.overlay.iter().map(|(key, Newer { sequence, value })| Note {
            sequence: *sequence,
            key: key.clone(),
            gone: value.is_none(),
            value: value.clone(),
        })
    }

    /// Whether something newer than the base is known of a key.
    pub(crate) fn is_newer(&self, key: &[u8]) -> bool {
        self.overlay.contains_key(key)
    }

    /// What the base notes of changed keys, behind the note of a record and a key.
    pub(crate) fn noted(&self, sequence: Sequence, key: &[u8], limit: usize) -> Result<Vec<Note>> {
        self.base.noted(sequence, key, limit)
    }

    pub(super) fn overlay_bytes(&self) -> usize {
        self.overlay_bytes
    }

    /// What is newer than the base, by key.
    pub(super) fn overlay(&self) -> impl Iterator<Item = Cell> {
        self.overlay.iter().map(|(key, Newer { sequence, value })| Cell {
            sequence: *sequence,
            effect: Effect { key: key.clone(), value: value.clone() },
        })
    }

    /// The same over a base that holds everything through a record.
    pub(super) fn rebased(&self, base: Arc<Cells>, through: Sequence) -> View {
        let mut view = View::new(base, self.sequence.max(through));
        for cell in self.overlay().filter(|cell| cell.sequence > through) {
            view.put(cell.sequence, std::slice::from_ref(&cell.effect));
        }
        view
    }
}

fn bytes_of(key: &[u8], value: Option<&[u8]>) -> usize {
    CELL_BYTES + key.len() + value.map_or(0, <[u8]>::len)
}

pub(super) fn as_bytes(bound: &Bound<Key>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &**key)
}

/// Keys with their values, in order.
pub(crate) type Scan<'v> = Merged<Directed<CellRange<'v>>, Overlay<'v>>;

type OverlayRange<'v> = Directed<imbl::ordmap::RangedIter<'v, Key, Newer, DefaultSharedPtr>>;
type Overlay<'v> = Map<OverlayRange<'v>, fn((&'v Key, &'v Newer)) -> (Key, Option<Stored>)>;

fn newer((key, Newer { sequence, value }): (&Key, &Newer)) -> (Key, Option<Stored>) {
    (key.clone(), value.clone().map(|value| (*sequence, value)))
}
