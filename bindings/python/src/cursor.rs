//! Named positions in the change feed.

use pyo3::prelude::*;

use crate::changes::{Asked, Changes};
use crate::error::{Fault, Outcome};
use crate::handle::{Via, reach};

/// A named position in the change feed, which is there again after a restart.
///
/// >>> mirror = db.cursor("mirror")
/// >>> mirror.begin()
/// 0
/// >>> for change in mirror.changes():
/// ...     _ = mirror.acknowledge(change.sequence)
/// >>> list(mirror.changes())
/// []
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Cursor {
    via: Via,
    name: String,
}

impl Cursor {
    pub(crate) fn new(via: Via, name: String) -> Self {
        Cursor { via, name }
    }
}

#[pymethods]
impl Cursor {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Makes it, with everything up to a sequence acknowledged, unless it is there. Returns where it is.
    ///
    /// >>> db.cursor("mirror").begin()
    /// 0
    #[pyo3(signature = (after = 0))]
    fn begin(&self, py: Python<'_>, after: u64) -> Outcome<u64> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.cursor(name)?.begin(after))
    }

    /// The sequence acknowledged last.
    #[getter]
    fn position(&self, py: Python<'_>) -> Outcome<u64> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.cursor(name)?.position())
    }

    /// The changes it has yet to acknowledge. The arguments are those of `Database.changes`.
    ///
    /// >>> mirror = db.cursor("mirror")
    /// >>> _ = mirror.begin()
    /// >>> [event.what for change in mirror.changes(kinds=["tables"]) for event in change.events]
    /// ['table_created']
    #[pyo3(signature = (*, tables = vec![], collections = vec![], queues = vec![], prefixes = vec![], kinds = vec![], limit = None, follow = false))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn changes(
        &self,
        py: Python<'_>,
        tables: Vec<String>,
        collections: Vec<String>,
        queues: Vec<String>,
        prefixes: Vec<String>,
        kinds: Vec<String>,
        limit: Option<u64>,
        follow: bool,
    ) -> Outcome<Changes> {
        let Via::Database(handle) = &self.via else {
            return Err(Fault::invalid("changes are read outside transactions; within one, acknowledge them"));
        };
        let asked = Asked { from: None, tables, collections, queues, prefixes, kinds, limit };
        let from = py.detach(|| handle.with(|db| db.cursor(&self.name)?.changes()))?;
        let from = asked.of(from)?;
        Ok(Changes::new(py.detach(|| from.read())?, follow))
    }

    /// Says that everything up to a sequence was dealt with; returns where it is now. In a transaction, if that is committed: so what a change led to
    /// happens exactly once.
    ///
    /// >>> mirror = db.cursor("mirror")
    /// >>> _ = mirror.begin()
    /// >>> change = next(mirror.changes())
    /// >>> with db.transaction() as tx:
    /// ...     tx.kv["seen"] = str(change.sequence)
    /// ...     position = tx.cursor("mirror").acknowledge(change.sequence)
    /// >>> mirror.position == change.sequence
    /// True
    fn acknowledge(&self, py: Python<'_>, sequence: u64) -> Outcome<u64> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.cursor(name)?.acknowledge(sequence))
    }

    /// Drops it; returns whether it was there.
    ///
    /// >>> db.cursor("mirror").remove()
    /// False
    fn remove(&self, py: Python<'_>) -> Outcome<bool> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.cursor(name)?.remove())
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Cursor {:?}>", self.name)
    }
}
