//! Transactions.

use std::sync::Arc;

use alluvium::{Database, Error};
use alluvium_bindings::Here;
use parking_lot::Mutex;
use pyo3::prelude::*;
use self_cell::self_cell;

use crate::append::Appended;
use crate::cursor::Cursor;
use crate::document::Collection;
use crate::error::{Fault, Outcome};
use crate::handle::{Handle, Via};
use crate::kv::KeyValue;
use crate::queue::Queue;
use crate::table::Table;

/// None once it has ended.
type Open<'d> = Option<alluvium::Transaction<'d>>;

self_cell!(
    /// A transaction with its database.
    struct Cell {
        owner: Arc<Database>,
        #[not_covariant]
        dependent: Open,
    }
);

/// A transaction that several objects of Python reach.
pub(crate) struct Tx {
    cell: Here<Mutex<Option<Cell>>>,
}

impl Tx {
    fn begin(handle: &Handle) -> Outcome<Self> {
        let cell = Cell::try_new(handle.kept()?, |db| db.begin().map(Some))?;
        Ok(Tx { cell: Here::new(Mutex::new(Some(cell))) })
    }

    /// Does something in it. Not to be called while attached to Python.
    pub(crate) fn with<T>(&self, does: impl FnOnce(&mut alluvium::Transaction<'_>) -> Result<T, Error>) -> Outcome<T> {
        let ended = || Fault::invalid("the transaction has ended: begin another");
        let mut cell = self.cell.get().ok_or(Fault::Forked)?.lock();
        let does = |_: &Arc<Database>, open: &mut Open<'_>| open.as_mut().map(does);
        let done = cell.as_mut().and_then(|cell| cell.with_dependent_mut(does)).ok_or_else(ended)?;
        Ok(done?)
    }

    fn commit(&self) -> Outcome<u64> {
        let ended = || Fault::invalid("the transaction has ended already: begin another");
        let cell = self.cell.get().ok_or(Fault::Forked)?.lock().take();
        let mut cell = cell.ok_or_else(ended)?;
        let open = |_: &Arc<Database>, open: &mut Open<'_>| open.take().map(alluvium::Transaction::commit);
        Ok(cell.with_dependent_mut(open).ok_or_else(ended)??)
    }

    /// Whether it was committed or rolled back. A child never knows.
    fn is_over(&self) -> bool {
        self.cell.get().is_some_and(|cell| cell.lock().is_none())
    }

    /// Nothing of it was done. Ended before, it stays as it is.
    fn roll_back(&self) {
        if let Some(cell) = self.cell.get() {
            cell.lock().take();
        }
    }
}

/// A transaction: reads one consistent state and its own writes, and is committed whole or not at all, at the end of its block. Where the block raises,
/// nothing of it was done. A `ConflictError` at the end says that others changed meanwhile what it had read; `Database.transact` makes it again then.
///
/// >>> with db.transaction() as tx:
/// ...     _ = tx.kv.increment("stock", -2)
/// ...     tx.kv["orders/1"] = "2"
/// >>> db.kv["stock"]
/// b'-2'
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Transaction {
    handle: Arc<Handle>,
    tx: Arc<Tx>,
    sequence: Mutex<Option<u64>>,
}

impl Transaction {
    pub(crate) fn begin(py: Python<'_>, handle: &Arc<Handle>) -> Outcome<Self> {
        let tx = py.detach(|| Tx::begin(handle))?;
        Ok(Transaction { handle: handle.clone(), tx: Arc::new(tx), sequence: Mutex::default() })
    }

    fn via(&self) -> Via {
        Via::Transaction(self.handle.clone(), self.tx.clone())
    }
}

#[pymethods]
impl Transaction {
    /// Key-value pairs.
    #[getter]
    fn kv(&self) -> KeyValue {
        KeyValue::new(self.via())
    }

    /// The documents of a collection.
    ///
    /// >>> db.create_collection("devices")
    /// >>> with db.transaction() as tx:
    /// ...     tx.collection("devices")["pump-7"] = {"room": "cellar"}
    fn collection(&self, name: String) -> Collection {
        Collection::new(self.via(), name)
    }

    /// A queue.
    ///
    /// >>> db.create_queue("commands")
    /// >>> with db.transaction() as tx:
    /// ...     pushed = tx.queue("commands").push("stop")
    fn queue(&self, name: String) -> Queue {
        Queue::new(self.via(), name)
    }

    /// A table, as the transaction sees it: what it appends is seen by its own queries.
    ///
    /// >>> with db.transaction() as tx:
    /// ...     _ = tx.table("air").append([{"time": "2024-02-01T00:00:00Z", "room": "A", "co2": 400.0}])
    /// ...     len(tx.table("air").scan().to_dicts())
    /// 4
    fn table(&self, py: Python<'_>, name: &str) -> Outcome<Table> {
        Table::find(py, self.via(), name)
    }

    /// Appends rows to a table: the same as `table(name).append(data)`.
    ///
    /// >>> with db.transaction() as tx:
    /// ...     tx.append("air", [{"time": "2024-02-01T00:00:00Z", "room": "A", "co2": 400.0}]).rows
    /// 1
    #[pyo3(signature = (table, data, *, tz = None))]
    fn append(&self, py: Python<'_>, table: &str, data: &Bound<'_, PyAny>, tz: Option<String>) -> Outcome<Appended> {
        Table::find(py, self.via(), table)?.appended(data, tz, true)
    }

    /// A named position in the change feed.
    fn cursor(&self, name: String) -> Cursor {
        Cursor::new(self.via(), name)
    }

    /// Commits: everything is durable when it returns. Returns the sequence of its record, 0 if it wrote nothing.
    ///
    /// >>> tx = db.transaction()
    /// >>> tx.kv["a"] = "1"
    /// >>> tx.commit() > 0
    /// True
    fn commit(&self, py: Python<'_>) -> Outcome<u64> {
        let sequence = py.detach(|| self.tx.commit())?;
        *self.sequence.lock() = Some(sequence);
        Ok(sequence)
    }

    /// Ends it without effect.
    ///
    /// >>> tx = db.transaction()
    /// >>> tx.kv["a"] = "1"
    /// >>> tx.rollback()
    /// >>> "a" in db.kv
    /// False
    fn rollback(&self, py: Python<'_>) {
        py.detach(|| self.tx.roll_back());
    }

    /// The sequence of its record once it is committed.
    #[getter]
    fn sequence(&self) -> Option<u64> {
        *self.sequence.lock()
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Outcome<bool> {
        let _ = (error, traceback);
        let is_over = py.detach(|| self.tx.is_over());
        if kind.is_none() && !is_over {
            self.commit(py)?;
        } else {
            self.rollback(py);
        }
        Ok(false)
    }

    fn __repr__(&self) -> &'static str {
        "<alluvium.Transaction>"
    }
}
