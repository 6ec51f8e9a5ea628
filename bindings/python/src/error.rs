//! What fails, as Python's exceptions: their classes are written in Python (`_errors.py`) and found here by name.

use alluvium::{BadRow, Error, ErrorKind};
use alluvium_bindings::SyncError;
use alluvium_sync::worker::Failed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Whatever an operation fails with.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine refused.
    Engine(Error),
    /// This process is a child of the one that opened the database.
    Forked,
    /// Sync did not do its part.
    Sync(SyncError),
    /// Python did: a signal, or what was passed in.
    Python(PyErr),
}

/// The result of what may fail.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// An input that cannot be accepted.
    pub(crate) fn invalid(message: impl std::fmt::Display) -> Self {
        Fault::Engine(Error::invalid(message))
    }

    /// A value of a type that is not taken.
    pub(crate) fn wrong_type(message: String) -> Self {
        Fault::Python(pyo3::exceptions::PyTypeError::new_err(message))
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        match self {
            Fault::Engine(error) => error.to_string(),
            Fault::Forked => {
                "this process was forked from the one that opened the database: leave here alone what that one has".to_owned()
            }
            Fault::Sync(error) => error.to_string(),
            Fault::Python(error) => error.to_string(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Engine(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::Python(error)
    }
}

impl From<SyncError> for Fault {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Failed(failed) => failed.into(),
            error => Fault::Sync(error),
        }
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => Fault::Engine(error),
            failed => Fault::Sync(SyncError::Failed(failed)),
        }
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Python(error) => error,
            fault => Python::attach(|py| raised(py, &fault).unwrap_or_else(|error| error)),
        }
    }
}

/// The exception for what failed.
fn raised(py: Python<'_>, fault: &Fault) -> PyResult<PyErr> {
    let class = py.import("alluvium._errors")?.getattr(class_of(fault))?;
    let exception = class.call1((fault.text(),))?;
    if let Fault::Engine(error) = fault {
        exception.setattr("kind", kind_of(error.kind()))?;
        describe(&exception, error)?;
    }
    Ok(PyErr::from_value(exception))
}

fn kind_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Input => "input",
        ErrorKind::Missing => "missing",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Damaged => "damaged",
        ErrorKind::Fatal => "fatal",
    }
}

fn class_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::Engine(error) => engine_class(error),
        Fault::Forked => "ForkedError",
        Fault::Sync(SyncError::Setting(_)) => "InputError",
        Fault::Sync(_) | Fault::Python(_) => "SyncError",
    }
}

fn engine_class(error: &Error) -> &'static str {
    match error {
        Error::BadRows { .. } => "BadRowsError",
        Error::Limit { .. } => "LimitError",
        Error::InvalidDocument(_) => "InvalidDocumentError",
        Error::NotUnique { .. } => "NotUniqueError",
        Error::BrokenReference(_) | Error::Referenced { .. } => "ReferenceError",
        Error::TableExists { .. } | Error::CollectionExists { .. } | Error::QueueExists { .. } => "ExistsError",
        Error::LeaseLost { .. } => "LeaseLostError",
        Error::Gap { .. } => "GapError",
        Error::Conflict => "ConflictError",
        Error::Stale { .. } => "StaleError",
        Error::Cancelled => "CancelledError",
        Error::Locked { .. } => "LockedError",
        Error::DiskFull { .. } | Error::DiskBudget { .. } => "DiskFullError",
        Error::Closed => "ClosedError",
        error => match error.kind() {
            ErrorKind::Input => "InputError",
            ErrorKind::Missing => "MissingError",
            ErrorKind::Unavailable => "UnavailableError",
            ErrorKind::Damaged => "DamagedError",
            ErrorKind::Fatal => "FatalError",
        },
    }
}

/// Says in attributes what a program wants to know of an error.
fn describe(exception: &Bound<'_, PyAny>, error: &Error) -> PyResult<()> {
    match error {
        Error::BadRows { table, rows } => {
            exception.setattr("table", table)?;
            exception.setattr("rows", bad_rows(exception.py(), rows)?)
        }
        Error::Stale { found, .. } => exception.setattr("found", found),
        Error::Gap { from, to } => {
            exception.setattr("first", from)?;
            exception.setattr("last", to)
        }
        Error::InvalidDocument(invalid) => {
            exception.setattr("path", &invalid.path)?;
            exception.setattr("rule", &invalid.rule)?;
            exception.setattr("detail", &invalid.detail)
        }
        Error::NotUnique { other, .. } => exception.setattr("other", other),
        Error::LeaseLost { item, .. } => exception.setattr("item", item),
        _ => Ok(()),
    }
}

fn bad_rows<'py>(py: Python<'py>, rows: &[BadRow]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for row in rows {
        let told = PyDict::new(py);
        told.set_item("row", row.row)?;
        told.set_item("column", &row.column)?;
        told.set_item("reason", &row.reason)?;
        list.append(told)?;
    }
    Ok(list)
}
