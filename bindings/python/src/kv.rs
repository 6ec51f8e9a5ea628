//! Key-value pairs.

use std::time::Duration;

use alluvium::{Put, Scan};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{bytes, condition};
use crate::error::Outcome;
use crate::handle::{Via, reach};
use crate::time;

/// Key-value pairs: keys are text, values bytes.
///
/// >>> db.kv["pump/7/state"] = "on"
/// >>> db.kv["pump/7/state"]
/// b'on'
/// >>> "pump/8/state" in db.kv
/// False
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct KeyValue {
    via: Via,
}

impl KeyValue {
    pub(crate) fn new(via: Via) -> Self {
        KeyValue { via }
    }

    fn found(&self, py: Python<'_>, key: &str) -> Outcome<Option<Pair>> {
        let pair = reach!(py, &self.via, |access| access.kv().get(key))?;
        Ok(pair.map(|pair| Pair::new(key.to_owned(), pair)))
    }
}

#[pymethods]
impl KeyValue {
    /// The value of a key, or None.
    ///
    /// >>> db.kv.get("nothing") is None
    /// True
    fn get<'py>(&self, py: Python<'py>, key: &str) -> Outcome<Option<Bound<'py, PyBytes>>> {
        Ok(self.found(py, key)?.map(|pair| PyBytes::new(py, &pair.value)))
    }

    /// The value of a key with its revision and time to live, or None.
    ///
    /// >>> revision = db.kv.put("pump/7/state", "on")
    /// >>> db.kv.pair("pump/7/state").revision == revision
    /// True
    fn pair(&self, py: Python<'_>, key: &str) -> Outcome<Option<Pair>> {
        self.found(py, key)
    }

    /// Puts a value, bytes or text, in the place of any there; returns its revision. `ttl` lets it expire: seconds, a timedelta or text such as `"90s"`.
    /// `if_revision` refuses with a `StaleError` unless it is still in this revision, `if_absent` unless there is none.
    ///
    /// >>> first = db.kv.put("pump/7/state", "on", if_absent=True)
    /// >>> second = db.kv.put("pump/7/state", "off", ttl="1h", if_revision=first)
    /// >>> db.kv.put("pump/7/state", "on", if_revision=first)
    /// Traceback (most recent call last):
    /// alluvium._errors.StaleError: ...
    #[pyo3(signature = (key, value, *, ttl = None, if_revision = None, if_absent = false))]
    fn put(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        if_revision: Option<u64>,
        if_absent: bool,
    ) -> Outcome<u64> {
        let value = bytes(value)?;
        let put = Put::default().only_if(condition(if_revision, if_absent)?);
        let how = time::optional(ttl)?.map_or(put, |time| put.time_to_live(time));
        reach!(py, &self.via, |access| access.kv().put(key, &value, how))
    }

    /// Removes a pair; returns whether there was one.
    ///
    /// >>> db.kv.delete("nothing")
    /// False
    #[pyo3(signature = (key, *, if_revision = None))]
    fn delete(&self, py: Python<'_>, key: &str, if_revision: Option<u64>) -> Outcome<bool> {
        let condition = condition(if_revision, false)?;
        reach!(py, &self.via, |access| access.kv().delete(key, condition))
    }

    /// Adds to a counter, which begins at 0; returns what it comes to.
    ///
    /// >>> db.kv.increment("pump/7/starts"), db.kv.increment("pump/7/starts", 2)
    /// (1, 3)
    #[pyo3(signature = (key, by = 1))]
    fn increment(&self, py: Python<'_>, key: &str, by: i64) -> Outcome<i64> {
        reach!(py, &self.via, |access| access.kv().increment(key, by))
    }

    /// The pairs whose keys begin so, in the order of their keys; with `after` only those behind a key, with `reverse` from the last to the first.
    ///
    /// >>> for state in ["pump/7", "pump/8", "valve/1"]:
    /// ...     db.kv[state] = "on"
    /// >>> [pair.key for pair in db.kv.scan("pump/")]
    /// ['pump/7', 'pump/8']
    #[pyo3(signature = (prefix = "", *, after = None, limit = None, reverse = false))]
    fn scan(&self, py: Python<'_>, prefix: &str, after: Option<&str>, limit: Option<usize>, reverse: bool) -> Outcome<Vec<Pair>> {
        let mut scan = Scan::of(prefix);
        if let Some(after) = after {
            scan = scan.after(after);
        }
        if let Some(limit) = limit {
            scan = scan.limit(limit);
        }
        if reverse {
            scan = scan.backward();
        }
        let pairs = reach!(py, &self.via, |access| access.kv().scan(&scan))?;
        Ok(pairs.into_iter().map(|(key, pair)| Pair::new(key, pair)).collect())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> Outcome<Bound<'py, PyBytes>> {
        let pair = self.found(py, key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        Ok(PyBytes::new(py, &pair.value))
    }

    fn __setitem__(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> Outcome<()> {
        self.put(py, key, value, None, None, false).map(|_| ())
    }

    fn __delitem__(&self, py: Python<'_>, key: &str) -> Outcome<()> {
        match self.delete(py, key, None)? {
            true => Ok(()),
            false => Err(PyKeyError::new_err(key.to_owned()).into()),
        }
    }

    fn __contains__(&self, py: Python<'_>, key: &str) -> Outcome<bool> {
        Ok(self.found(py, key)?.is_some())
    }

    fn __repr__(&self) -> &'static str {
        "<alluvium.KeyValue>"
    }
}

/// A key and its value, with what goes with it.
///
/// >>> _ = db.kv.put("pump/7/state", "on", ttl=60)
/// >>> pair = db.kv.pair("pump/7/state")
/// >>> pair.key, pair.value, 0 < pair.expires_in.total_seconds() <= 60
/// ('pump/7/state', b'on', True)
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Pair {
    /// The key.
    #[pyo3(get)]
    key: String,
    value: Vec<u8>,
    /// Changes with every write; 0 for what the same transaction has written.
    #[pyo3(get)]
    revision: u64,
    expires_in: Option<Duration>,
}

impl Pair {
    fn new(key: String, pair: alluvium::Pair) -> Self {
        Pair { key, value: pair.value, revision: pair.revision, expires_in: pair.expires_in }
    }
}

#[pymethods]
impl Pair {
    /// The value.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.value)
    }

    /// How much longer it lasts, or None.
    #[getter]
    fn expires_in<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.expires_in.map(|left| time::length(py, left.as_micros().cast_signed())).transpose()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Pair(key={:?}, value={}, revision={})", self.key, self.value(py).repr()?, self.revision))
    }
}
