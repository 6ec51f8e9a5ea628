//! JSON, values of filters, and revisions, as Python says them.

use alluvium::{IfRevision, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value as Json};

use crate::error::{Fault, Outcome};

/// Levels of lists and dictionaries within each other: more than any document may have, and few enough not to run out of stack.
const LEVELS: usize = 128;

/// An object as JSON.
pub(crate) fn to_json(object: &Bound<'_, PyAny>) -> Outcome<Json> {
    json(object, LEVELS)
}

fn json(object: &Bound<'_, PyAny>, levels: usize) -> Outcome<Json> {
    let deeper = || levels.checked_sub(1).ok_or_else(|| Fault::invalid(format_args!("JSON has at most {LEVELS} levels here")));
    if object.is_none() {
        return Ok(Json::Null);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Json::Bool(flag.is_true()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Json::String(text.to_cow()?.into_owned()));
    }
    if object.is_instance_of::<PyInt>() {
        return integer(object);
    }
    if object.is_instance_of::<PyFloat>() {
        let number = Number::from_f64(object.extract()?);
        return number.map(Json::Number).ok_or_else(|| Fault::invalid(format_args!("JSON has no {object}: use null, or text")));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let levels = deeper()?;
        let member = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let name = name
                .cast::<PyString>()
                .map_err(|_| Fault::wrong_type(format!("a key of JSON is text, not {name}")))?
                .to_cow()?
                .into_owned();
            Ok((name, json(&value, levels)?))
        };
        return dict.iter().map(member).collect::<Outcome<Map<_, _>>>().map(Json::Object);
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let levels = deeper()?;
        return object.try_iter()?.map(|value| json(&value?, levels)).collect::<Outcome<_>>().map(Json::Array);
    }
    let kind = object.get_type();
    Err(Fault::wrong_type(format!("JSON has nothing for a {}: use dict, list, str, int, float, bool or None", kind.name()?)))
}

fn integer(object: &Bound<'_, PyAny>) -> Outcome<Json> {
    match (object.extract::<i64>(), object.extract::<u64>()) {
        (Ok(number), _) => Ok(number.into()),
        (_, Ok(number)) => Ok(number.into()),
        _ => Err(Fault::invalid(format_args!("{object} has more than 64 bits: use text"))),
    }
}

/// JSON as an object.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    match json {
        Json::Null => Ok(py.None().into_bound(py)),
        Json::Bool(flag) => flag.into_bound_py_any(py),
        Json::String(text) => text.into_bound_py_any(py),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_bound_py_any(py),
            (_, Some(number)) => number.into_bound_py_any(py),
            _ => number.as_f64().into_bound_py_any(py),
        },
        Json::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| from_json(py, value)).collect::<PyResult<_>>()?;
            values.into_bound_py_any(py)
        }
        Json::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, from_json(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

/// A value to compare with.
pub(crate) fn value(object: &Bound<'_, PyAny>) -> Outcome<Value> {
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return match (object.extract::<i64>(), object.extract::<u64>()) {
            (Ok(number), _) => Ok(number.into()),
            (_, Ok(number)) => Ok(number.into()),
            _ => Err(Fault::invalid(format_args!("{object} has more than 64 bits"))),
        };
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Value::Float64(object.extract()?));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned().into());
    }
    if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        return Ok(Value::Binary(object.extract()?));
    }
    let name = object.get_type().name()?.to_string();
    match name.as_str() {
        // Exact as text, which is read as the column's type.
        "Decimal" => Ok(object.str()?.to_cow()?.into_owned().into()),
        _ if object.is_none() => Err(Fault::invalid("None is equal to nothing: a filter compares with a value")),
        // Numbers and flags of NumPy are Python's own when asked.
        _ => match object.getattr_opt("item")? {
            Some(item) if object.getattr_opt("dtype")?.is_some() => value(&item.call0()?),
            _ => Err(Fault::wrong_type(format!("a filter compares with text, numbers, bools or bytes, not with a {name}"))),
        },
    }
}

/// Bytes, or text as its bytes in UTF-8.
pub(crate) fn bytes(object: &Bound<'_, PyAny>) -> Outcome<Vec<u8>> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned().into_bytes());
    }
    let is_bytes = object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>();
    if is_bytes {
        return Ok(object.extract()?);
    }
    Err(Fault::wrong_type(format!("bytes or text are needed, not {}", object.get_type().name()?)))
}

/// What has to be true for a write to be made.
pub(crate) fn condition(if_revision: Option<u64>, if_absent: bool) -> Outcome<IfRevision> {
    match (if_revision, if_absent) {
        (None, false) => Ok(IfRevision::Any),
        (None, true) => Ok(IfRevision::Absent),
        (Some(revision), false) => Ok(IfRevision::Is(revision)),
        (Some(_), true) => Err(Fault::invalid("a thing cannot be absent and have a revision: give if_revision or if_absent")),
    }
}
