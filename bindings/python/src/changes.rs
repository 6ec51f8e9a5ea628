//! The change feed.

use std::str::FromStr;

use alluvium::{ChangeKind, ChangesFrom, Error};
use alluvium_bindings::Here;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::event::Event;
use crate::{interrupt, time};

/// Which changes are asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) from: Option<u64>,
    pub(crate) tables: Vec<String>,
    pub(crate) collections: Vec<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) limit: Option<u64>,
}

impl Asked {
    pub(crate) fn of(&self, mut changes: ChangesFrom) -> Outcome<ChangesFrom> {
        if let Some(from) = self.from {
            changes = changes.from(from);
        }
        changes = self.tables.iter().fold(changes, |changes, name| changes.table(name));
        changes = self.collections.iter().fold(changes, |changes, name| changes.collection(name));
        changes = self.queues.iter().fold(changes, |changes, name| changes.queue(name));
        changes = self.prefixes.iter().fold(changes, |changes, beginning| changes.prefix(beginning));
        for kind in &self.kinds {
            changes = changes.kind(Kind::from_str(kind)?.0);
        }
        Ok(self.limit.map_or(changes.clone(), |limit| changes.limit(limit)))
    }
}

/// A kind of change by its name.
struct Kind(ChangeKind);

pub(crate) fn kind_name(kind: ChangeKind) -> String {
    format!("{kind:?}").to_lowercase()
}

impl FromStr for Kind {
    type Err = Fault;

    fn from_str(name: &str) -> Outcome<Self> {
        let found = ChangeKind::ALL.into_iter().find(|kind| kind_name(*kind) == name);
        let known = || ChangeKind::ALL.map(kind_name).join(", ");
        found.map(Kind).ok_or_else(|| Fault::invalid(format_args!("no change is of the kind {name:?}: use {}", known())))
    }
}

/// Changes in order, each once: an iterator. It ends with the last there is, unless it follows. A `GapError` stands for changes that are no longer kept;
/// `next` goes on behind them.
///
/// >>> db.kv["pump/7/state"] = "on"
/// >>> [event.key for change in db.changes(prefixes=["pump/"]) for event in change.events]
/// ['pump/7/state']
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Changes {
    changes: Here<Mutex<alluvium::Changes>>,
    follows: bool,
}

impl Changes {
    pub(crate) fn new(changes: alluvium::Changes, follows: bool) -> Self {
        Changes { changes: Here::new(Mutex::new(changes)), follows }
    }

    fn here(&self) -> Outcome<&Mutex<alluvium::Changes>> {
        self.changes.get().ok_or(Fault::Forked)
    }
}

#[pymethods]
impl Changes {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> Outcome<Option<Unborn>> {
        let changes = self.here()?;
        let next = if self.follows {
            interrupt::poll(py, |time| Ok(changes.lock().next_timeout(time)?)).map(Some)
        } else {
            py.detach(|| changes.lock().next().transpose()).map_err(Fault::from)
        };
        match next {
            // Who follows until the database is closed is done then.
            Err(Fault::Engine(Error::Closed)) if self.follows => Ok(None),
            next => Ok(next?.map(Change::unborn)),
        }
    }

    /// The next change, after waiting for one as long as `timeout` says; None if there was none.
    ///
    /// >>> db.changes(prefixes=["pump/"]).next(timeout=0.01) is None
    /// True
    #[pyo3(signature = (*, timeout))]
    fn next(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> Outcome<Option<Unborn>> {
        let (changes, left) = (self.here()?, time::duration(timeout)?);
        let until = std::time::Instant::now().checked_add(left);
        let next = interrupt::poll(py, |glance| {
            let left = until.map_or(glance, |until| until.saturating_duration_since(std::time::Instant::now()));
            let next = changes.lock().next_timeout(glance.min(left))?;
            Ok((next.is_some() || left <= glance && until.is_some()).then_some(next))
        })?;
        Ok(next.map(Change::unborn))
    }

    /// The last record looked at: what was shown, and what was not asked for. Reading goes on from one more.
    ///
    /// >>> changes = db.changes()
    /// >>> changes.through
    /// 0
    #[getter]
    fn through(&self, py: Python<'_>) -> Outcome<u64> {
        let changes = self.here()?;
        Ok(py.detach(|| changes.lock().through()))
    }

    fn __repr__(&self) -> &'static str {
        "<alluvium.Changes>"
    }
}

/// What one record of the log did, all of which happened together.
///
/// >>> change = next(db.changes(tables=["air"], kinds=["rows"]))
/// >>> change.sequence > 0, [event.what for event in change.events]
/// (True, ['rows'])
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Change {
    sequence: u64,
    at: Option<i64>,
    events: Vec<Py<Event>>,
}

impl Change {
    fn unborn(change: alluvium::Change) -> Unborn {
        Unborn(change)
    }
}

/// A change that has no object of Python yet.
pub(crate) struct Unborn(alluvium::Change);

impl<'py> IntoPyObject<'py> for Unborn {
    type Target = Change;
    type Output = Bound<'py, Change>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let events = self.0.events.into_iter().map(|event| Py::new(py, Event::new(event))).collect::<PyResult<_>>()?;
        Bound::new(py, Change { sequence: self.0.sequence, at: self.0.at.map(|at| at.wall_micros), events })
    }
}

#[pymethods]
impl Change {
    /// The number of the record.
    #[getter]
    fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was decided, where that is known.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.at.map(|at| time::instant(py, at.into())).transpose()
    }

    /// What happened, of what was asked for.
    #[getter]
    fn events(&self, py: Python<'_>) -> Vec<Py<Event>> {
        self.events.iter().map(|event| event.clone_ref(py)).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let events: Vec<_> = self.events.iter().map(|event| Ok(event.bind(py).repr()?.to_string())).collect::<PyResult<_>>()?;
        Ok(format!("Change(sequence={}, events=[{}])", self.sequence, events.join(", ")))
    }
}
