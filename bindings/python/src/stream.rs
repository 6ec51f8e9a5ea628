//! Answers on their way to Python.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};

use crate::answer::{Answer, Reader, Trouble};
use crate::error::{Fault, Outcome};
use crate::{capsule, cell, html};

/// The answer to a query, to be read once: an iterator of batches, and an Arrow stream.
///
/// >>> stream = air.scan().stream()
/// >>> [batch.num_rows for batch in stream]
/// [3]
/// >>> list(stream)
/// []
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Stream {
    answer: Mutex<Option<Arc<Answer>>>,
    schema: SchemaRef,
}

impl Stream {
    pub(crate) fn new(answer: Answer) -> Self {
        let schema = answer.schema();
        Stream { answer: Mutex::new(Some(Arc::new(answer))), schema }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn answer(&self) -> Option<Arc<Answer>> {
        self.answer.lock().clone()
    }

    pub(crate) fn next(&self, py: Python<'_>) -> Outcome<Option<RecordBatch>> {
        let Some(answer) = self.answer() else { return Ok(None) };
        let next = answer.next(py);
        if !matches!(next, Ok(Some(_))) {
            self.answer.lock().take();
        }
        next
    }

    fn export<'py>(&self, py: Python<'py>, trouble: Option<Trouble>) -> Outcome<Bound<'py, PyCapsule>> {
        let answer = self.answer.lock().take();
        let answer =
            answer.ok_or_else(|| Fault::invalid("this answer was read before: ask the query again, which gives a new one"))?;
        Ok(capsule::stream(py, Box::new(Reader::new(answer, trouble)))?)
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> Outcome<Option<Batch>> {
        Ok(self.next(py)?.map(|batch| Batch { batch }))
    }

    /// Gives the answer to whoever reads Arrow streams. `requested_schema` is not looked at.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> Outcome<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        self.export(py, None)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.schema)
    }

    /// The names of its columns.
    ///
    /// >>> air.scan().stream().columns
    /// ['time', 'room', 'co2']
    #[getter]
    fn columns(&self) -> Vec<String> {
        names(&self.schema)
    }

    /// Ends it: whoever waits for its next batch gets a `CancelledError`.
    ///
    /// >>> stream = air.scan().stream()
    /// >>> stream.cancel()
    fn cancel(&self) {
        if let Some(answer) = self.answer() {
            answer.cancel();
        }
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Stream of {}>", names(&self.schema).join(", "))
    }
}

/// Has an answer read by a package of Python, and says what failed as it was.
pub(crate) fn read_by<'py>(
    py: Python<'py>,
    stream: Stream,
    read: impl FnOnce(Bound<'py, Once>) -> PyResult<Bound<'py, PyAny>>,
) -> Outcome<Bound<'py, PyAny>> {
    let trouble = Trouble::default();
    let once = Bound::new(py, Once { stream, trouble: trouble.clone() })?;
    let read = read(once);
    let fault = trouble.lock().take();
    match fault {
        Some(fault) => Err(fault),
        None => Ok(read?),
    }
}

/// A package that is needed for something, or what to install.
pub(crate) fn package<'py>(py: Python<'py>, name: &str, wanted_for: &str) -> PyResult<Bound<'py, PyModule>> {
    py.import(name).map_err(|error| {
        let is_missing = error.is_instance_of::<PyImportError>(py);
        let told =
            PyImportError::new_err(format!("{wanted_for} needs {name}: pip install 'alluvium[{wanted_for}]' or {name} itself"));
        if is_missing { told } else { error }
    })
}

/// An answer on its way into a package of Python.
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Once {
    stream: Stream,
    trouble: Trouble,
}

#[pymethods]
impl Once {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> Outcome<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        self.stream.export(py, Some(self.trouble.clone()))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.stream.schema)
    }
}

/// Some rows as Arrow has them: pyarrow, pandas, polars and others take it as it is.
///
/// >>> batch = next(iter(air.scan()))
/// >>> batch.num_rows, batch.columns
/// (3, ['time', 'room', 'co2'])
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Batch {
    batch: RecordBatch,
}

impl Batch {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        Batch { batch }
    }
}

#[pymethods]
impl Batch {
    /// How many rows.
    ///
    /// >>> next(iter(air.scan().limit(2))).num_rows
    /// 2
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The names of its columns.
    ///
    /// >>> next(iter(air.scan())).columns
    /// ['time', 'room', 'co2']
    #[getter]
    fn columns(&self) -> Vec<String> {
        names(self.batch.schema_ref())
    }

    /// Its rows as dictionaries.
    ///
    /// >>> next(iter(air.scan().limit(1))).to_dicts()
    /// [{'time': datetime.datetime(2024, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), 'room': 'A', 'co2': 600.0}]
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(py);
        add_dicts(&rows, &self.batch)?;
        Ok(rows)
    }

    /// Gives the rows to whoever reads Arrow arrays; nothing is copied. `requested_schema` is not looked at.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = requested_schema;
        capsule::batch(py, &self.batch)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, self.batch.schema_ref())
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Batch of {} rows: {}>", self.batch.num_rows(), names(self.batch.schema_ref()).join(", "))
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        html::rows(py, self.batch.schema_ref(), std::slice::from_ref(&self.batch), html::ROWS)
    }
}

pub(crate) fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Adds the rows of a batch to a list, as dictionaries.
pub(crate) fn add_dicts(rows: &Bound<'_, PyList>, batch: &RecordBatch) -> PyResult<()> {
    let py = rows.py();
    let columns: Vec<_> = batch.columns().iter().map(|column| cell::column(py, column)).collect::<PyResult<_>>()?;
    let names = names(batch.schema_ref());
    for row in 0..batch.num_rows() {
        let dict = PyDict::new(py);
        for (name, column) in names.iter().zip(&columns) {
            dict.set_item(name, column.get_item(row)?)?;
        }
        rows.append(dict)?;
    }
    Ok(())
}
