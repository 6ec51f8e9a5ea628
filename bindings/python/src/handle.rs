//! The database that all objects of Python share, and by which way they reach it: directly or through a transaction.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use alluvium::{Database, Error, Query, QueryStream, TableSchema};
use alluvium_bindings::{Here, Shared};
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::sync::Slot;
use crate::transaction::Tx;

/// An open database, or one that was closed. Only objects of Python have it, so that the last of them lets go of it attached to Python.
pub(crate) struct Handle {
    /// In a child no lock is touched: who held it is not there to let go of it.
    here: Here<()>,
    shared: Arc<Shared>,
    pub(crate) path: PathBuf,
    pub(crate) batch_bytes: usize,
    /// Those that keep it open, and end when it is closed.
    syncs: Mutex<Vec<Weak<Slot>>>,
}

impl Handle {
    pub(crate) fn new(shared: Shared, path: PathBuf, batch_bytes: usize) -> Self {
        Handle { here: Here::new(()), shared: Arc::new(shared), path, batch_bytes, syncs: Mutex::default() }
    }

    pub(crate) fn check(&self) -> Outcome<()> {
        self.here.get().copied().ok_or(Fault::Forked)
    }

    /// The database for who works on when Python has gone on.
    pub(crate) fn shared(&self) -> Outcome<Arc<Shared>> {
        self.check()?;
        Ok(self.shared.clone())
    }

    /// Does something with the database, which is not closed meanwhile. Not to be called while attached to Python.
    pub(crate) fn with<T>(&self, does: impl FnOnce(&Database) -> Result<T, Error>) -> Outcome<T> {
        self.check()?;
        Ok(self.shared.with(does)?)
    }

    /// The database for who keeps it open.
    pub(crate) fn kept(&self) -> Outcome<Arc<Database>> {
        self.check()?;
        Ok(self.shared.kept()?)
    }

    /// Notes who has to end before the database can be closed.
    pub(crate) fn note(&self, sync: &Arc<Slot>) {
        let mut syncs = self.syncs.lock();
        syncs.retain(|sync| sync.strong_count() > 0);
        syncs.push(Arc::downgrade(sync));
    }

    /// What closes it, which may take a while. Not to be called while attached to Python.
    pub(crate) fn closing(&self) -> Outcome<impl FnOnce() -> Result<(), Error> + Send + 'static> {
        let shared = self.shared()?;
        let syncs = std::mem::take(&mut *self.syncs.lock());
        Ok(move || {
            syncs.iter().filter_map(Weak::upgrade).for_each(|sync| sync.end());
            shared.close()
        })
    }
}

/// Whoever had it last, the database is closed without Python's lock.
impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(close) = self.closing() {
            // Of what fails nobody can be told; what was acknowledged is on disk.
            Python::try_attach(|py| py.detach(|| drop(close())));
        }
    }
}

/// How an object reaches the database.
#[derive(Clone)]
pub(crate) enum Via {
    Database(Arc<Handle>),
    Transaction(Arc<Handle>, Arc<Tx>),
}

/// Does the same with a database or a transaction, which have methods of the same names, without Python's lock.
macro_rules! reach {
    ($py:expr, $via:expr, |$access:ident| $does:expr) => {{
        let via = $via;
        $py.detach(|| match via {
            $crate::handle::Via::Database(handle) => handle.with(|$access| $does),
            $crate::handle::Via::Transaction(_, tx) => tx.with(|$access| $does),
        })
    }};
}
pub(crate) use reach;

impl Via {
    pub(crate) fn handle(&self) -> &Arc<Handle> {
        match self {
            Via::Database(handle) | Via::Transaction(handle, _) => handle,
        }
    }

    pub(crate) fn is_transaction(&self) -> bool {
        matches!(self, Via::Transaction(..))
    }

    /// The schema of a table, which transactions do not change.
    pub(crate) fn schema(&self, py: Python<'_>, table: &str) -> Outcome<Arc<TableSchema>> {
        py.detach(|| self.handle().with(|db| db.table(table)))
    }

    pub(crate) fn query(&self, py: Python<'_>, query: &Query) -> Outcome<QueryStream> {
        reach!(py, self, |access| access.query(query))
    }

    /// Appends batches with one write; answers the sequence of the last of them, 0 where that is not known yet.
    pub(crate) fn append(&self, table: &str, batches: &[RecordBatch], durable: bool) -> Outcome<u64> {
        match self {
            Via::Database(handle) => handle.with(|db| append(db, table, batches, durable)),
            Via::Transaction(_, tx) => tx.with(|tx| batches.iter().try_for_each(|batch| tx.append(table, batch)).map(|()| 0)),
        }
    }
}

fn append(db: &Database, table: &str, batches: &[RecordBatch], durable: bool) -> Result<u64, Error> {
    if durable {
        let all: Vec<_> = batches.iter().map(|batch| (table, batch)).collect();
        return Ok(db.append_all(&all)?.iter().map(|ack| ack.sequence).max().unwrap_or(0));
    }
    let mut last = 0;
    for batch in batches {
        last = db.append_with(table, batch, alluvium::Durability::Buffered)?.sequence.max(last);
    }
    Ok(last)
}
