//! The Arrow PyCapsule interface, in both directions, and the way back to Python for who is called through it: the only place with unsafe code.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use std::ffi::CStr;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StructArray, make_array};
use arrow::datatypes::{DataType, Schema};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi::{Py_IsInitialized, PyGILState_Ensure, PyGILState_Release, PyGILState_STATE};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyTuple};

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// A schema for others.
pub(crate) fn schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(refused)?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// A batch for others, who have the memory of its columns in common with us.
pub(crate) fn batch<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyTuple>> {
    let array = FFI_ArrowArray::new(&StructArray::from(batch.clone()).to_data());
    let array = PyCapsule::new_with_value(py, array, ARRAY)?;
    PyTuple::new(py, [schema(py, batch.schema_ref())?, array])
}

/// Batches for others, one after the other.
pub(crate) fn stream<'py>(py: Python<'py>, reader: Box<dyn RecordBatchReader + Send>) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), STREAM)
}

/// The stream of others, which is theirs no more; none where the object has none.
pub(crate) fn take_stream(from: &Bound<'_, PyAny>) -> PyResult<Option<FFI_ArrowArrayStream>> {
    let Some(method) = from.getattr_opt("__arrow_c_stream__")? else { return Ok(None) };
    let capsule = method.call0()?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    #[expect(unsafe_code, reason = "the interface is one of C")]
    // SAFETY: a capsule of this name holds a stream, by the specification, which nobody else uses while we are attached to Python. It is moved
    // out, and a released one left behind for the destructor of the capsule.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    match stream.release() {
        Some(_) => Ok(Some(stream)),
        None => Err(PyValueError::new_err("the Arrow stream was read before: pass a new one")),
    }
}

/// An array of others, which is theirs no more; none where the object has none.
pub(crate) fn take_array(from: &Bound<'_, PyAny>) -> PyResult<Option<ArrayRef>> {
    let Some(method) = from.getattr_opt("__arrow_c_array__")? else { return Ok(None) };
    let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = method.call0()?.extract()?;
    let (schema, array) = (schema.cast_into::<PyCapsule>()?, array.cast_into::<PyCapsule>()?);
    let schema_at = schema.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
    let array_at = array.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    #[expect(unsafe_code, reason = "the interface is one of C")]
    // SAFETY: capsules of these names hold a schema and an array that it describes, by the specification, which nobody else uses while we are
    // attached to Python. The schema is only read, and outlives this function with its capsule; the array is moved out, and a released one left
    // behind for the destructor of its capsule.
    let data = unsafe {
        let array = FFI_ArrowArray::from_raw(array_at.as_ptr());
        if array.is_released() {
            return Err(PyValueError::new_err("the Arrow array was taken before: pass a new one"));
        }
        from_ffi(array, schema_at.as_ref())
    };
    checked(make_array(data.map_err(refused)?)).map(Some)
}

/// Data as they must be to be trusted: others may have written texts that are none, or offsets that lead astray.
pub(crate) fn checked(array: ArrayRef) -> PyResult<ArrayRef> {
    let data = array.to_data();
    let is_plain = |kind: &DataType| kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::Null);
    let valid = if is_plain(array.data_type()) { data.validate() } else { data.validate_full() };
    valid.map_err(refused)?;
    Ok(array)
}

/// A struct array as a batch.
pub(crate) fn as_batch(array: &ArrayRef) -> PyResult<RecordBatch> {
    let rows = array.as_any().downcast_ref::<StructArray>();
    let rows =
        rows.ok_or_else(|| PyTypeError::new_err(format!("rows are an Arrow array of structs, not of {}", array.data_type())))?;
    if rows.null_count() > 0 {
        return Err(PyValueError::new_err("the Arrow array has rows that are null: leave them out"));
    }
    Ok(RecordBatch::from(rows))
}

/// Python's lock, as C asks for it.
struct Lock(PyGILState_STATE);

impl Drop for Lock {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "PyO3 has no such function")]
        // SAFETY: this thread asked for it, and has given it back as often as it asked since.
        unsafe {
            PyGILState_Release(self.0);
        }
    }
}

/// Does something with Python's lock; none where Python is not there. Called back by others this is the way to it: they may have let go of the lock,
/// which PyO3 does not see where they themselves were called by us.
pub(crate) fn attached<T>(does: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    #[expect(unsafe_code, reason = "PyO3 has no such function")]
    // SAFETY: both may be called by any thread, the second one while Python is there.
    let _lock = unsafe {
        if Py_IsInitialized() == 0 {
            return None;
        }
        Lock(PyGILState_Ensure())
    };
    Python::try_attach(does)
}

fn refused(error: arrow::error::ArrowError) -> PyErr {
    PyValueError::new_err(format!("the Arrow data cannot be read: {error}"))
}
