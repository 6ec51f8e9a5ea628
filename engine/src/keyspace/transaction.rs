//! A transaction on the key space: reads its own writes, and remembers what it read.

use std::cell::RefCell;
use std::collections::{BTreeMap, btree_map};
use std::iter::{Flatten, Map};
use std::ops::Bound;
use std::option;
use std::sync::Arc;

use super::merged::{Directed, Direction, Merged};
use super::reads::ReadSet;
use super::view::{Scan, View, as_bytes};
use crate::catalog::{KeyRange, Stored};
use crate::error::Result;
use crate::model::Sequence;
use crate::record::{Effect, Key, Moment};

/// What own writes are numbered with as long as they have no record.
const OWN: Sequence = Sequence::MAX;

/// Reads of one view and writes on top of it.
#[derive(Debug)]
pub struct Transaction {
    view: View,
    writes: BTreeMap<Key, Value>,
    /// `None` where nothing can change meanwhile.
    reads: Option<RefCell<ReadSet>>,
    at: Moment,
    /// What own writes were before, since something that may be undone began.
    undo: Option<Vec<(Key, Option<Value>)>>,
}

/// What is written to a key; `None` removes it.
type Value = Option<Arc<[u8]>>;

/// What became of a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What it wrote, by key.
    pub(crate) effects: Vec<Effect>,
    /// What it read of the state after a record, to be checked by whoever commits it.
    pub(crate) reads: Option<(ReadSet, Sequence)>,
}

impl Outcome {
    /// Bytes of the keys and values it wrote.
    pub(crate) fn bytes(&self) -> usize {
        self.effects.iter().map(|effect| effect.key.len() + effect.value.as_ref().map_or(0, |value| value.len())).sum()
    }
}

impl Transaction {
    /// On a state that others go on changing.
    pub(crate) fn optimistic(view: View, at: Moment) -> Self {
        Transaction { view, writes: BTreeMap::new(), reads: Some(RefCell::default()), at, undo: None }
    }

    /// On a state that nobody else changes before the end.
    pub(crate) fn exclusive(view: View, at: Moment) -> Self {
        Transaction { view, writes: BTreeMap::new(), reads: None, at, undo: None }
    }

    /// When it is taken to happen.
    pub(crate) fn at(&self) -> Moment {
        self.at
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Stored>> {
        if let Some(reads) = &self.reads {
            reads.borrow_mut().add_key(key);
        }
        match self.writes.get(key) {
            Some(value) => Ok(own(value)),
            None => self.view.get(key),
        }
    }

    /// The keys of a range that have values. What counts as read goes to where the caller stopped.
    pub(crate) fn scan(&self, range: KeyRange, direction: Direction) -> Result<TrackedScan<'_>> {
        let written = self.written(&range).map(written as _);
        let scan = Merged::new(direction, self.view.scan(&range, direction)?, Directed(direction, written));
        Ok(TrackedScan { scan, reads: self.reads.as_ref(), range, direction, last: None, ended: false })
    }

    /// Puts a value.
    pub(crate) fn put(&mut self, key: Key, value: Arc<[u8]>) {
        self.write(key, Some(value));
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: Key) {
        self.write(key, None);
    }

    /// Does something whole: where it fails, nothing it wrote remains.
    pub(crate) fn whole<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = self.undo.replace(Vec::new());
        let outcome = body(self);
        let undo = self.undo.take().unwrap_or_default();
        self.undo = outer;
        if outcome.is_err() {
            for (key, before) in undo.into_iter().rev() {
                match before {
                    Some(value) => self.writes.insert(key, value),
                    None => self.writes.remove(&key),
                };
            }
        } else if let Some(outer) = &mut self.undo {
            outer.extend(undo);
        }
        outcome
    }

    fn write(&mut self, key: Key, value: Value) {
        let Some(undo) = &mut self.undo else {
            self.writes.insert(key, value);
            return;
        };
        let before = self.writes.insert(key.clone(), value);
        undo.push((key, before));
    }

    /// Own writes in a range, which may be turned round.
    fn written(&self, (start, end): &KeyRange) -> Written<'_> {
        let is_some = match (start, end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
            (Bound::Included(start), Bound::Included(end)) => start <= end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start < end,
        };
        let range = || self.writes.range::<[u8], _>((as_bytes(start), as_bytes(end)));
        is_some.then(range).into_iter().flatten()
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Outcome {
        let effects = self.writes.into_iter().map(|(key, value)| Effect { key, value }).collect();
        let began = self.view.sequence();
        Outcome { effects, reads: self.reads.map(|reads| (reads.into_inner(), began)) }
    }
}

type Written<'t> = Flatten<option::IntoIter<btree_map::Range<'t, Key, Value>>>;

/// The same from the end where a scan begins, as the scan has them.
type OwnWrites<'t> = Directed<Map<Written<'t>, fn((&'t Key, &'t Value)) -> (Key, Option<Stored>)>>;

fn written((key, value): (&Key, &Value)) -> (Key, Option<Stored>) {
    (key.clone(), own(value))
}

fn own(value: &Value) -> Option<Stored> {
    value.clone().map(|value| (OWN, value))
}

/// A scan that notes how far it went.
pub(crate) struct TrackedScan<'t> {
    scan: Merged<Scan<'t>, OwnWrites<'t>>,
    reads: Option<&'t RefCell<ReadSet>>,
    range: KeyRange,
    direction: Direction,
    last: Option<Key>,
    ended: bool,
}

impl Iterator for TrackedScan<'_> {
    type Item = Result<(Key, Stored)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.scan.next();
        match &next {
            Some(Ok((key, _))) if self.reads.is_some() => self.last = Some(key.clone()),
            Some(_) => {}
            None => self.ended = true,
        }
        next
    }
}

impl Drop for TrackedScan<'_> {
    fn drop(&mut self) {
        let Some(reads) = self.reads else { return };
        let (start, end) = self.range.clone();
        let range = match (self.last.take(), self.direction) {
            _ if self.ended => (start, end),
            (None, _) => return,
            (Some(last), Direction::Forward) => (start, Bound::Included(last)),
            (Some(last), Direction::Backward) => (Bound::Included(last), end),
        };
        reads.borrow_mut().add_range(range);
    }
}
