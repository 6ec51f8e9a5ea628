//! Tables of pandas, whose index is a column elsewhere.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::rows::TIME;

/// A table of pandas with its time as a column: where it has none of that name, its index, if that is of times or called so. Anything else as it is.
pub(crate) fn with_time<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if !is_frame(data)? || data.getattr("columns")?.contains(TIME)? {
        return Ok(data.clone());
    }
    let index = data.getattr("index")?;
    let is_time = index.get_type().name()? == "DatetimeIndex" || index.getattr("name")?.eq(TIME)?;
    if !is_time {
        return Ok(data.clone());
    }
    data.call_method1("rename_axis", (TIME,))?.call_method0("reset_index")
}

/// The columns of a table of pandas that cannot say them as Arrow, for want of pyarrow; none of anything else.
pub(crate) fn columns<'py>(data: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = data.py();
    if !is_frame(data)? || (data.hasattr("__arrow_c_stream__")? && py.import("pyarrow").is_ok()) {
        return Ok(None);
    }
    let columns = PyDict::new(py);
    for name in data.getattr("columns")?.try_iter()? {
        let name = name?;
        let column = data.get_item(&name)?;
        columns.set_item(name, plain(&column)?)?;
    }
    Ok(Some(columns))
}

/// A column of which nothing is pandas' own: times of a zone one by one, and None where something is missing.
fn plain<'py>(column: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let kind = column.getattr("dtype")?;
    if kind.hasattr("tz")? {
        return column.call_method0("tolist");
    }
    let missing = column.call_method0("isna")?;
    let has_times = kind.getattr_opt("kind")?.map_or(Ok(false), |kind| kind.eq("M"))?;
    let is_whole = !missing.call_method0("any")?.is_truthy()?;
    // The column itself would want to say it as Arrow.
    if is_whole || has_times { column.call_method0("to_numpy") } else { with_none(column, &missing) }
}

fn with_none<'py>(column: &Bound<'py, PyAny>, missing: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let there = missing.call_method0("__invert__")?;
    let objects = column.call_method1("astype", ("object",))?.call_method1("where", (there, column.py().None()))?;
    objects.call_method0("tolist")
}

fn is_frame(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = data.get_type();
    Ok(kind.name()? == "DataFrame" && kind.module()?.to_cow()?.starts_with("pandas"))
}
