//! Values of Arrow columns as objects of Python.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::time;

/// All values of a column; None where one is missing. Of nanoseconds, what Python's times cannot say is cut off.
pub(crate) fn column<'py>(py: Python<'py>, column: &ArrayRef) -> PyResult<Bound<'py, PyList>> {
    match column.data_type() {
        DataType::Float64 => each::<Float64Type>(py, column, |value| value.into_bound_py_any(py)),
        DataType::Float32 => each::<Float32Type>(py, column, |value| value.into_bound_py_any(py)),
        DataType::Int64 => each::<Int64Type>(py, column, |value| value.into_bound_py_any(py)),
        DataType::UInt64 => each::<UInt64Type>(py, column, |value| value.into_bound_py_any(py)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            each::<TimestampMillisecondType>(py, column, |value| time::instant(py, i128::from(value) * 1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each::<TimestampMicrosecondType>(py, column, |value| time::instant(py, value.into()))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each::<TimestampNanosecondType>(py, column, |value| time::instant(py, i128::from(value).div_euclid(1_000)))
        }
        DataType::Decimal64(_, scale) => each::<Decimal64Type>(py, column, |value| decimal(py, value.into(), *scale)),
        DataType::Decimal128(_, scale) => each::<Decimal128Type>(py, column, |value| decimal(py, value, *scale)),
        DataType::Boolean => PyList::new(py, column.as_boolean()),
        DataType::Utf8 => PyList::new(py, column.as_string::<i32>()),
        DataType::Binary => {
            PyList::new(py, column.as_binary::<i32>().iter().map(|value| value.map(|value| PyBytes::new(py, value))))
        }
        other => Err(PyTypeError::new_err(format!("no object of Python is known for Arrow's {other}: use to_arrow"))),
    }
}

fn each<'py, T: ArrowPrimitiveType>(
    py: Python<'py>,
    column: &ArrayRef,
    object: impl Fn(T::Native) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let values = column.as_primitive::<T>().iter().map(|value| value.map(&object).transpose());
    PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)
}

/// A `decimal.Decimal`.
pub(crate) fn decimal(py: Python<'_>, unscaled: i128, scale: i8) -> PyResult<Bound<'_, PyAny>> {
    let class = py.import("decimal")?.getattr("Decimal")?;
    class.call1((format!("{unscaled}E{}", -i32::from(scale)),))
}
