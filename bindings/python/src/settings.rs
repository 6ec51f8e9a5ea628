//! Settings, as Python says them.

use alluvium::Settings;
use alluvium_bindings::set;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

use crate::error::Outcome;

/// Settings by their names. Several values are said as a list, and lengths of time as text or as a `timedelta`.
pub(crate) fn read(named: Option<&Bound<'_, PyDict>>) -> Outcome<Settings> {
    let mut settings = Settings::default();
    for (name, value) in named.into_iter().flatten() {
        let name: String = name.extract()?;
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            for value in value.try_iter()? {
                set(&mut settings, &name, &text(&value?)?)?;
            }
        } else {
            set(&mut settings, &name, &text(&value)?)?;
        }
    }
    Ok(settings)
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().to_string());
    }
    if value.hasattr("total_seconds")? {
        let micros: f64 = value.call_method0("total_seconds")?.extract::<f64>()? * 1e6;
        return Ok(format!("{}us", micros.round()));
    }
    Ok(value.str()?.to_string())
}
