//! The ordered space of keys and values in which all metadata live: documents, key-value pairs, queues are ranges of it.
//!
//! What is published lies in two layers: the catalog, as of the last time it was told, and an overlay of what came since. Both
//! together are a [`View`], which never changes; a write makes a new one that shares nearly everything with the old. So readers
//! have a consistent state without a lock, and the catalog is told of many writes at once.

mod access;
mod condition;
mod merged;
mod reads;
mod recent;
mod transaction;
mod view;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};

pub use access::{Access, Waits};
pub(crate) use access::{revision, sealed, space};
pub use condition::IfRevision;
pub(crate) use merged::Direction;
pub(crate) use reads::ReadSet;
pub(crate) use recent::Recent;
pub(crate) use transaction::{Outcome, Transaction};
pub(crate) use view::{View, prefix};
pub use watch::Watch;
pub(crate) use watch::Watchers;

use crate::catalog::{Cell, Cells};
use crate::error::{Error, Result};
use crate::model::Sequence;
use crate::record::Effect;

/// What is published, for everyone.
#[derive(Debug)]
pub(crate) struct Keyspace {
    /// `None` once closed.
    head: RwLock<Option<View>>,
    /// Held while the catalog is told.
    applying: Mutex<()>,
    /// Those who wait for a change.
    pub(crate) watchers: Arc<Watchers>,
}

impl Keyspace {
    /// What the catalog holds, and nothing since.
    pub(crate) fn new(base: Cells, through: Sequence) -> Self {
        Keyspace {
            head: RwLock::new(Some(View::new(Arc::new(base), through))),
            applying: Mutex::default(),
            watchers: Arc::default(),
        }
    }

    /// Everything published, as it is now.
    pub(crate) fn head(&self) -> Result<View> {
        self.head.read().clone().ok_or(Error::Closed)
    }

    /// Bytes published that the catalog was not told yet.
    pub(crate) fn unapplied_bytes(&self) -> usize {
        self.head.read().as_ref().map_or(0, View::overlay_bytes)
    }

    /// Makes what records did visible, all at once.
    pub(crate) fn publish<'e>(&self, records: impl Iterator<Item = (Sequence, &'e [Effect])> + Clone) {
        if let Some(head) = &mut *self.head.write() {
            records.clone().for_each(|(sequence, effects)| head.put(sequence, effects));
        }
        self.watchers.tell(records.flat_map(|(_, effects)| effects));
    }

    /// Keeps everyone else from telling the catalog.
    pub(crate) fn applying(&self) -> MutexGuard<'_, ()> {
        self.applying.lock()
    }

    /// What the catalog has to be told, by key, and through which record that goes.
    pub(crate) fn unapplied(&self) -> Result<(Sequence, Vec<Cell>)> {
        let head = self.head()?;
        Ok((head.sequence(), head.overlay().collect()))
    }

    /// The catalog now holds everything through a record.
    pub(crate) fn rebase(&self, base: Cells, through: Sequence) {
        if let Some(head) = &mut *self.head.write() {
            *head = head.rebased(Arc::new(base), through);
        }
    }

    /// Lets go of the catalog.
    pub(crate) fn close(&self) {
        *self.head.write() = None;
        self.watchers.tell_all();
    }
}
