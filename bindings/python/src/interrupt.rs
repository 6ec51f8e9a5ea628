//! Waiting without Python's lock, and looking meanwhile whether Ctrl-C was pressed.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::Outcome;

/// How often it is looked.
pub(crate) const GLANCE: Duration = Duration::from_millis(50);

/// Works in a thread of its own, so that a signal can be answered meanwhile; the work then goes on to its end, and its outcome is dropped.
pub(crate) fn run<T: Send + 'static>(py: Python<'_>, work: impl FnOnce() -> T + Send + 'static) -> PyResult<T> {
    let (tells, told) = sync_channel(1);
    let work = move || {
        // Nobody listens any more where a signal came first.
        let _ = tells.send(work());
    };
    let thread = std::thread::Builder::new().name("alluvium-python".to_owned()).spawn(work);
    thread.map_err(|error| PyRuntimeError::new_err(format!("no thread to work in can be had: {error}")))?;
    let told = Mutex::new(told);
    loop {
        match py.detach(|| told.lock().recv_timeout(GLANCE)) {
            Ok(outcome) => return Ok(outcome),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => return Err(PyRuntimeError::new_err("the work panicked; please report it")),
        }
    }
}

/// Asks again and again, each time for a short while, until there is an answer or a signal.
pub(crate) fn poll<T: Send>(py: Python<'_>, mut ask: impl FnMut(Duration) -> Outcome<Option<T>> + Send) -> Outcome<T> {
    loop {
        let asked = py.detach(|| ask(GLANCE))?;
        if let Some(answer) = asked {
            return Ok(answer);
        }
        py.check_signals()?;
    }
}
