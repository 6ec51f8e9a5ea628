//! Carrying what is there to a target, from within this process.

use std::sync::Arc;

use alluvium_bindings::{Here, SyncError};
use alluvium_sync::objects::Settings;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use crate::convert::{from_json, to_json};
use crate::error::{Fault, Outcome};
use crate::handle::Handle;

/// A delivery, until it has ended.
pub(crate) struct Slot {
    sync: Here<Mutex<Option<Arc<alluvium_bindings::Sync>>>>,
}

impl Slot {
    fn here(&self) -> Outcome<Arc<alluvium_bindings::Sync>> {
        let sync = self.sync.get().ok_or(Fault::Forked)?.lock().clone();
        sync.ok_or_else(|| Fault::invalid("this sync has ended: begin it anew with db.sync"))
    }

    /// Stops it, and lets go of the database.
    pub(crate) fn end(&self) {
        if let Some(sync) = self.sync.get() {
            let sync = sync.lock().take();
            if let Some(sync) = sync {
                sync.stop();
            }
        }
    }
}

/// Carries what is in the database to a folder or a bucket. It is at work while `run_once` is, and between `start` and `stop`.
///
/// >>> sync = db.sync(str(folder / "bucket"), gateway="pump-house")
/// >>> sync.run_once()["paused"]
/// False
/// >>> db.sync_status()[0]["units_left"]
/// 0
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Sync {
    slot: Arc<Slot>,
    name: String,
    /// Open for as long as this is there, also where nobody else has it.
    _handle: Arc<Handle>,
}

impl Sync {
    pub(crate) fn begin(
        py: Python<'_>,
        handle: &Arc<Handle>,
        (url, gateway, name): (&str, &str, String),
        settings: Option<&Bound<'_, PyDict>>,
    ) -> Outcome<Self> {
        let settings = target(url, settings)?;
        let sync = py.detach(|| {
            let db = handle.kept()?;
            Ok::<_, Fault>(alluvium_bindings::Sync::new(db, &handle.path, &name, gateway, &settings)?)
        })?;
        let slot = Arc::new(Slot { sync: Here::new(Mutex::new(Some(Arc::new(sync)))) });
        handle.note(&slot);
        Ok(Sync { slot, name, _handle: handle.clone() })
    }
}

/// The settings of a target, by their names.
fn target(url: &str, settings: Option<&Bound<'_, PyDict>>) -> Outcome<Settings> {
    let mut fields = Map::new();
    for (name, value) in settings.into_iter().flatten() {
        // A path is what it says as text.
        let value = if value.hasattr("__fspath__")? { value.call_method0("__fspath__")? } else { value };
        fields.insert(name.extract()?, to_json(&value)?);
    }
    fields.insert("url".to_owned(), url.into());
    serde_json::from_value(Value::Object(fields)).map_err(|error| Fault::invalid(format_args!("the settings of sync: {error}")))
}

#[pymethods]
impl Sync {
    /// The name of the delivery, by which it goes on where it was.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Carries everything there is, and returns `status()` when the target has it.
    ///
    /// >>> db.sync(str(folder / "bucket"), gateway="pump-house").run_once()["set_aside"]
    /// []
    fn run_once<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let sync = self.slot.here()?;
        let signal = Mutex::new(None);
        let is_interrupted = || {
            let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) else { return false };
            *signal.lock() = Some(error);
            true
        };
        let run = py.detach(|| sync.run_once(is_interrupted));
        let signal = signal.lock().take();
        match (run, signal) {
            (Err(SyncError::Interrupted), Some(error)) => Err(Fault::Python(error)),
            (run, _) => {
                run?;
                self.status(py)
            }
        }
    }

    /// Carries what there is and what comes, in a thread of its own, until `stop`.
    fn start(&self, py: Python<'_>) -> Outcome<()> {
        let sync = self.slot.here()?;
        // A run may be under way, which needs Python now and then.
        Ok(py.detach(|| sync.start())?)
    }

    /// Stops; what was on its way is gone on with the next time.
    fn stop(&self, py: Python<'_>) -> Outcome<()> {
        let sync = self.slot.here()?;
        py.detach(|| sync.stop());
        Ok(())
    }

    /// Sends nothing until `resume`, after a restart too.
    ///
    /// >>> sync = db.sync(str(folder / "bucket"), gateway="pump-house")
    /// >>> sync.pause()
    /// >>> db.sync_status()[0]["paused"]
    /// True
    /// >>> sync.resume()
    fn pause(&self, py: Python<'_>) -> Outcome<()> {
        let sync = self.slot.here()?;
        Ok(py.detach(|| sync.pause(true))?)
    }

    /// Ends a pause.
    fn resume(&self, py: Python<'_>) -> Outcome<()> {
        let sync = self.slot.here()?;
        Ok(py.detach(|| sync.pause(false))?)
    }

    /// Tries at once what it waits for.
    fn retry(&self) -> Outcome<()> {
        self.slot.here()?.retry();
        Ok(())
    }

    /// How it stands, as a dict: whether it is running, paused or sending, and what it has trouble with.
    fn status<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let sync = self.slot.here()?;
        let report = py.detach(|| sync.report());
        Ok(from_json(py, &report)?)
    }

    /// Stops, and lets go of the database; `Database.close` does it too.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.slot.end());
    }

    fn __enter__(this: Py<Self>, py: Python<'_>) -> Outcome<Py<Self>> {
        this.get().start(py)?;
        Ok(this)
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(&self, py: Python<'_>, kind: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>, traceback: &Bound<'_, PyAny>) -> bool {
        let _ = (kind, error, traceback);
        self.close(py);
        false
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Sync {:?}>", self.name)
    }
}

/// Dropped by Python, it ends without Python's lock: its thread may take a while.
impl Drop for Sync {
    fn drop(&mut self) {
        Python::try_attach(|py| py.detach(|| self.slot.end()));
    }
}
