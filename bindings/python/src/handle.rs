//! The database that all objects of Python share, and by which way they reach it: directly or through a transaction.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use alluvium::{Database, Error, Query, QueryStream, Settings, TableSchema};
use alluvium_bindings::{Here, Shared};
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::sync::Slot;
use crate::transaction::Tx;

/// An open database, or one that was closed.
pub(crate) struct Handle {
    /// In a child no lock is touched: who held it is not there to let go of it.
    here: Here<()>,
    shared: Shared,
    pub(crate) path: PathBuf,
    pub(crate) batch_bytes: usize,
    /// Those that keep it open, and end when it is closed.
    syncs: Mutex<Vec<Weak<Slot>>>,
}

impl Handle {
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        let batch_bytes = settings.batch_bytes;
        let shared = Shared::open(path, settings)?;
        Ok(Handle { here: Here::new(()), shared, path: path.to_owned(), batch_bytes, syncs: Mutex::default() })
    }

    pub(crate) fn check(&self) -> Outcome<()> {
        self.here.get().copied().ok_or(Fault::Forked)
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

    pub(crate) fn close(&self) -> Outcome<()> {
        self.check()?;
        let syncs = std::mem::take(&mut *self.syncs.lock());
        syncs.iter().filter_map(Weak::upgrade).for_each(|sync| sync.end());
        Ok(self.shared.close()?)
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
