//! The change feed of a database, its cursors, and the dirty-key index.

use super::{Database, Transaction};
use crate::error::{Error, Result};
use crate::feed::{self, ChangedKeys, ChangesFrom, Cursor, CursorState};
use crate::model::Sequence;

impl Database {
    #[cfg(test)]
    pub(crate) fn inner_feed(&self) -> &crate::feed::Feed {
        &self.inner.feed
    }

    /// The change feed: every committed change of every model, in order, each with its sequence. Only what is durable is seen.
    ///
    /// ```
    /// use alluvium::{ChangeKind, Database, Event, Put};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// db.kv().put("pump/7/state", b"on", Put::default())?;
    /// db.kv().put("door", b"open", Put::default())?;
    ///
    /// let mut seen = 0;
    /// for change in db.changes().kind(ChangeKind::Pairs).prefix("pump/").read()? {
    ///     let change = change?;
    ///     assert!(matches!(&change.events[..], [Event::Pair { key, .. }] if key == "pump/7/state"));
    ///     seen = change.sequence;
    /// }
    /// // Later, or after opening again: what came since.
    /// assert_eq!(db.changes().from(seen + 1).read()?.count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn changes(&self) -> ChangesFrom {
        ChangesFrom::new(self.inner.feed.clone())
    }

    /// A named position in the change feed, which is there again after a restart. It need not be there yet.
    pub fn cursor(&self, name: &str) -> Result<Cursor<&Database>> {
        Cursor::new(self, self.inner.feed.clone(), name)
    }

    /// All cursors, by name.
    pub fn cursors(&self) -> Result<Vec<CursorState>> {
        self.inner.check_open()?;
        feed::list_cursors(&self.inner.publisher.keyspace.head()?)
    }

    /// Keys of metadata that changed after a sequence, each with its latest state: what is left of the feed when only the outcome
    /// counts. [`Error::FutureSequence`] where the sequence is yet to come.
    ///
    /// ```
    /// use alluvium::{Database, Put};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// for n in 0..100 {
    ///     db.kv().put("pump/7/starts", n.to_string().as_bytes(), Put::default())?;
    /// }
    /// let changed = db.changed_since(0)?;
    /// let through = changed.through();
    /// assert_eq!(changed.count(), 1);
    /// assert_eq!(db.changed_since(through)?.count(), 0);
    /// # Ok(()) }
    /// ```
    pub fn changed_since(&self, sequence: Sequence) -> Result<ChangedKeys<'_>> {
        self.inner.check_open()?;
        let last = self.inner.feed.visible.level()?;
        if sequence > last {
            return Err(Error::FutureSequence { asked: sequence, last });
        }
        Ok(ChangedKeys::new(self.inner.publisher.keyspace.head()?, sequence))
    }
}

impl Transaction<'_> {
    /// A named position in the change feed, to be moved with what else the transaction does: so what a change led to happens
    /// exactly once.
    pub fn cursor(&mut self, name: &str) -> Result<Cursor<&mut Self>> {
        let feed = self.inner.feed.clone();
        Cursor::new(self, feed, name)
    }
}
