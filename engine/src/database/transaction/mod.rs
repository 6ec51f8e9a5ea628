//! Transactions over everything a database holds.

mod rows;

use std::sync::Arc;

use arrow::array::RecordBatch;
use parking_lot::Mutex;

use super::Database;
use super::inner::Inner;
use crate::audit::Trail;
use crate::document::{Collection, Collections, IndexSpec, ReferenceSpec};
use crate::error::{Error, Result};
use crate::ingest::{Outcome, Work};
use crate::keyspace::{self, Access, Waits, Watch};
use crate::kv::KeyValue;
use crate::model::{Sequence, TimeRange};
use crate::principal::Principals;
use crate::query::{Filter, Query, QueryStream};
use crate::queue::{self, Queue, QueueSpec};
use crate::record::Key;
use crate::shared::Shared;
use crate::writer::Writers;
use rows::StagedRows;

/// How often [`Database::transaction`] tries. Whenever it is in vain, another transaction was not.
const TRIES: usize = 100;

/// A transaction: reads one consistent state and its own writes, and is committed whole or not at all. Serializable: what
/// several do is what they would have done one after the other.
///
/// It is dropped without effect unless it is committed.
#[derive(Debug)]
pub struct Transaction<'d> {
    pub(super) inner: &'d Inner,
    keys: keyspace::Transaction,
    rows: StagedRows,
    /// Whether it does anything but take away: on a full disk it has to wait then.
    grows: bool,
}

impl Database {
    /// Begins a transaction. [`Database::transaction`] is what to use unless conflicts are to be met by other means.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.inner.begin()
    }

    /// Makes a transaction of what `body` does: whole, if it answers `Ok`, or not at all. Where others changed meanwhile what it
    /// had read, it is made again, up to a hundred times; so `body` should do nothing else.
    ///
    /// ```
    /// use alluvium::{Database, Put};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// db.kv().put("stock", b"7", Put::default())?;
    /// let taken = db.transaction(|tx| {
    ///     let left = tx.kv().increment("stock", -2)?;
    ///     tx.kv().put("orders/1", b"2", Put::default())?;
    ///     Ok::<_, alluvium::Error>(left >= 0)
    /// })?;
    /// assert!(taken);
    /// assert_eq!(db.kv().get("stock")?.unwrap().value, b"5");
    /// # Ok(()) }
    /// ```
    pub fn transaction<T, E: From<Error>>(&self, mut body: impl FnMut(&mut Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        for _ in 0..TRIES {
            let mut transaction = self.begin()?;
            let answer = body(&mut transaction);
            // What was refused on the grounds of a state that never was is no answer either.
            let committed = if answer.is_ok() { transaction.commit() } else { transaction.check() };
            match committed {
                Err(Error::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return answer,
            }
        }
        Err(Error::Conflict.into())
    }

    /// Key-value pairs.
    pub fn kv(&self) -> KeyValue<&Database> {
        KeyValue::new(self)
    }

    /// Principals, roles and tokens.
    pub fn principals(&self) -> Principals<&Database> {
        Principals::new(self)
    }

    /// Writers, whose batches count once.
    pub fn writers(&self) -> Writers<&Database> {
        Writers::new(self)
    }

    /// The audit trail.
    pub fn trail(&self) -> Trail<&Database> {
        Trail::new(self)
    }

    /// The documents of a collection.
    pub fn collection(&self, name: &str) -> Collection<&Database> {
        Collection::new(self, name)
    }

    /// Collections, to be made, changed and dropped.
    pub fn collections(&self) -> Collections<&Database> {
        Collections::new(self)
    }

    /// Makes an index over documents that are there, while others go on. When it returns, the index serves queries; after a
    /// crash or on a full disk in between it is there all the same, and finished in the background. [`Error::NotUnique`] names
    /// two documents that a unique one does not allow; there is no index then.
    pub fn create_index(&self, collection: &str, index: IndexSpec) -> Result<()> {
        let begun = self.collections().begin_index(collection, index)?;
        self.build_index(begun)
    }

    /// Has documents that are there refer to others. [`Error::BrokenReference`] names one that refers to nothing; there is no
    /// reference then.
    pub fn create_reference(&self, collection: &str, reference: ReferenceSpec) -> Result<()> {
        let begun = self.collections().begin_reference(collection, reference)?;
        self.build_index(begun)
    }

    fn build_index(&self, index: (u32, u32)) -> Result<()> {
        while !self.collections().build(index)? {}
        Ok(())
    }

    /// The queue of a name. Whether there is one shows when it is used.
    pub fn queue(&self, name: &str) -> Queue<&Database> {
        Queue::new(self, name)
    }

    /// Makes a queue. [`Error::QueueExists`] if there is one of that name.
    pub fn create_queue(&self, spec: &QueueSpec) -> Result<()> {
        queue::create(self, spec)
    }

    /// Gives a queue other settings. They hold from the next pop, push or try on.
    pub fn alter_queue(&self, spec: &QueueSpec) -> Result<()> {
        queue::alter(self, spec)
    }

    /// Drops a queue with all its items. It is gone at once; what its items take is given back little by little.
    pub fn drop_queue(&self, name: &str) -> Result<()> {
        queue::drop(self, name)
    }

    /// All queues with their settings, by name.
    pub fn queues(&self) -> Result<Vec<QueueSpec>> {
        queue::list(self)
    }

    #[cfg(test)]
    pub(crate) fn keyspace(&self) -> &keyspace::Keyspace {
        &self.inner.publisher.keyspace
    }

    /// What was counted since the database was opened.
    pub fn counts(&self) -> crate::Counts {
        self.inner.shared.counters.counts()
    }
}

impl Transaction<'_> {
    /// Key-value pairs.
    pub fn kv(&mut self) -> KeyValue<&mut Self> {
        KeyValue::new(self)
    }

    /// Principals, roles and tokens.
    pub fn principals(&mut self) -> Principals<&mut Self> {
        Principals::new(self)
    }

    /// Writers, whose batches count once.
    pub fn writers(&mut self) -> Writers<&mut Self> {
        Writers::new(self)
    }

    /// The audit trail.
    pub fn trail(&mut self) -> Trail<&mut Self> {
        Trail::new(self)
    }

    /// The documents of a collection.
    pub fn collection(&mut self, name: &str) -> Collection<&mut Self> {
        Collection::new(self, name)
    }

    /// Collections, to be made, changed and dropped.
    pub fn collections(&mut self) -> Collections<&mut Self> {
        Collections::new(self)
    }

    /// The queue of a name, as the transaction sees it. Whether there is one shows when it is used.
    pub fn queue(&mut self, name: &str) -> Queue<&mut Self> {
        Queue::new(self, name)
    }

    /// Appends rows, as [`Database::append`] does.
    pub fn append(&mut self, table: &str, batch: &RecordBatch) -> Result<()> {
        self.grows = true;
        self.rows.append(self.inner, table, batch)
    }

    /// Deletes rows, as [`Database::delete`] does: those there are by now, of this transaction too.
    pub fn delete(&mut self, table: &str, filters: &[Filter], range: TimeRange) -> Result<()> {
        self.rows.delete(self.inner, table, filters, range)
    }

    /// Answers a query of rows, as [`Database::query`] does: as they were when the transaction began, with what it did to them.
    /// [`Error::Conflict`] if others changed since what is asked for; so a query of a narrow span of time or of few series
    /// meets fewer.
    pub fn query(&mut self, query: &Query) -> Result<QueryStream> {
        self.rows.query(self.inner, query)
    }

    /// Commits: everything is durable when it returns. [`Error::Conflict`] if others changed what it had read; nothing was done
    /// then, and made again it may succeed. Answers the sequence of its record, 0 if it wrote nothing.
    ///
    /// On a full disk it is refused with [`Error::DiskFull`], unless all it does is to take away.
    pub fn commit(self) -> Result<Sequence> {
        let (inner, grows) = (self.inner, self.grows);
        let outcome = self.finish()?;
        if grows { inner.commit(outcome.into()) } else { inner.commit_freeing(|| outcome.clone().into()) }
    }

    pub(super) fn finish(self) -> Result<Outcome> {
        Ok(Outcome { keys: self.keys.finish(), rows: self.rows.finish()? })
    }

    /// Whether what it has read still holds.
    fn check(self) -> Result<Sequence> {
        let keys = keyspace::Outcome { effects: Vec::new(), ..self.keys.finish() };
        self.inner.committer.submit(Outcome { keys, rows: self.rows.reads() }.into())
    }
}

impl Inner {
    fn begin(&self) -> Result<Transaction<'_>> {
        // Rows first: what is published between the two is in the pairs, and a conflict for who asks for its rows.
        let rows = StagedRows::begin(self);
        Ok(Transaction { inner: self, keys: self.begin_keys()?, rows, grows: false })
    }

    pub(super) fn begin_keys(&self) -> Result<keyspace::Transaction> {
        self.check_open()?;
        Ok(keyspace::Transaction::optimistic(self.publisher.keyspace.head()?, self.engine_clock.now()))
    }

    /// Commits what gives room in the end, and may use what is kept for that.
    fn commit_freeing(&self, work: impl Fn() -> Work) -> Result<Sequence> {
        self.check_open()?;
        let submitted = self.ballast.lend(|| self.committer.submit(work()));
        if !self.ballast.ensure() {
            self.make_room();
        }
        if matches!(submitted, Ok(1..)) {
            self.after_transaction();
        }
        submitted
    }

    /// Commits what may need room. On a full disk it is refused.
    fn commit(&self, work: Work) -> Result<Sequence> {
        self.check_open()?;
        self.admit(work.memory())?;
        let submitted = self.committer.submit(work);
        if matches!(submitted, Err(Error::DiskFull { .. })) {
            self.make_room();
        }
        if matches!(submitted, Ok(1..)) {
            self.after_transaction();
        }
        submitted
    }
}

impl keyspace::sealed::Sealed for &Database {}
impl keyspace::sealed::Sealed for &mut Transaction<'_> {}

impl Access for &Database {
    fn read<T>(&self, read: impl FnOnce(&keyspace::Transaction) -> Result<T>) -> Result<T> {
        let inner = &self.inner;
        inner.check_open()?;
        read(&keyspace::Transaction::exclusive(inner.publisher.keyspace.head()?, inner.engine_clock.now()))
    }

    fn write<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut keyspace::Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)> {
        let answer = Arc::new(Mutex::new(None));
        let sequence = self.inner.commit(answering(&answer, write))?;
        take(&answer, sequence)
    }

    fn write_early<T: Send + 'static>(
        &mut self,
        early: impl FnOnce(&mut keyspace::Transaction) -> Result<T>,
        again: impl FnOnce(&mut keyspace::Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)> {
        let mut transaction = self.inner.begin_keys()?;
        let answer = Arc::new(Mutex::new(Some(early(&mut transaction)?)));
        let place = answer.clone();
        let again = move |transaction: &mut _| {
            *place.lock() = Some(again(transaction)?);
            Ok(())
        };
        let sequence = self.inner.commit(Work::decided_early(transaction.finish(), again))?;
        take(&answer, sequence)
    }

    fn free<T: Send + 'static>(
        &mut self,
        write: impl Fn(&mut keyspace::Transaction) -> Result<T> + Send + Sync + 'static,
    ) -> Result<(T, Sequence)> {
        let (answer, write) = (Arc::new(Mutex::new(None)), Arc::new(write));
        let sequence = self.inner.commit_freeing(|| {
            let write = write.clone();
            answering(&answer, move |transaction| write(transaction))
        })?;
        take(&answer, sequence)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }
}

/// What a write answers, once it is decided.
type Answer<T> = Arc<Mutex<Option<T>>>;

/// The work of a write whose answer goes to a place.
fn answering<T: Send + 'static>(
    answer: &Answer<T>,
    write: impl FnOnce(&mut keyspace::Transaction) -> Result<T> + Send + 'static,
) -> Work {
    let place = answer.clone();
    Work::decide(move |transaction| {
        *place.lock() = Some(write(transaction)?);
        Ok(())
    })
}

fn take<T>(answer: &Answer<T>, sequence: Sequence) -> Result<(T, Sequence)> {
    let answer = answer.lock().take();
    answer.map(|answer| (answer, sequence)).ok_or_else(|| Error::Internal("a write without an answer".to_owned()))
}

impl Access for &mut Transaction<'_> {
    fn read<T>(&self, read: impl FnOnce(&keyspace::Transaction) -> Result<T>) -> Result<T> {
        read(&self.keys)
    }

    fn write<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut keyspace::Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)> {
        self.grows = true;
        self.keys.whole(write).map(|answer| (answer, 0))
    }

    fn write_early<T: Send + 'static>(
        &mut self,
        early: impl FnOnce(&mut keyspace::Transaction) -> Result<T>,
        _again: impl FnOnce(&mut keyspace::Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)> {
        self.grows = true;
        self.keys.whole(early).map(|answer| (answer, 0))
    }

    fn free<T: Send + 'static>(
        &mut self,
        write: impl Fn(&mut keyspace::Transaction) -> Result<T> + Send + Sync + 'static,
    ) -> Result<(T, Sequence)> {
        self.keys.whole(write).map(|answer| (answer, 0))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }
}

impl Waits for &Database {
    fn watch(&self, key: &Key) -> Watch {
        self.inner.publisher.keyspace.watchers.watch(key.clone())
    }
}
