//! Rows from Python into a table, a piece at a time.

use std::sync::Arc;

use alluvium::{Error, TableSchema};
use arrow::array::{ArrayReader, RecordBatch, new_empty_array};
use arrow::ffi_stream::ArrayStreamReader;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};

use crate::error::{Fault, Outcome};
use crate::handle::Via;
use crate::rows::RowReader;
use crate::{capsule, foreign, own, pandas};

/// Rows of one piece, which is one record of the log.
const PIECE_ROWS: usize = 1 << 16;

/// What became of an append.
///
/// >>> appended = air.append([{"time": "2024-01-02T00:00:00Z", "room": "A", "co2": 700.0}])
/// >>> appended.rows
/// 1
#[pyclass(frozen, get_all, module = "alluvium")]
pub(crate) struct Appended {
    /// How many rows.
    rows: u64,
    /// The sequence of the last record that holds them, as the change feed counts; 0 within a transaction.
    sequence: u64,
}

#[pymethods]
impl Appended {
    fn __repr__(&self) -> String {
        format!("Appended(rows={}, sequence={})", self.rows, self.sequence)
    }
}

/// Takes rows of any kind to a table.
pub(crate) struct Appender<'a> {
    pub(crate) via: &'a Via,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) zone: Option<String>,
    pub(crate) durable: bool,
}

/// What is on its way, and what has arrived.
#[derive(Default)]
struct Progress {
    waiting: Vec<RecordBatch>,
    bytes: usize,
    rows: u64,
    sequence: u64,
}

impl Progress {
    /// How many rows there were before the next one.
    fn seen(&self) -> u64 {
        self.rows + self.waiting.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()
    }
}

/// What failed, with its bad rows counted from the first of all.
fn counted_from(before: u64, fault: Fault) -> Fault {
    match fault {
        Fault::Engine(Error::BadRows { table, mut rows }) => {
            rows.iter_mut().for_each(|bad| bad.row = bad.row.saturating_add(usize::try_from(before).unwrap_or(usize::MAX)));
            Error::BadRows { table, rows }.into()
        }
        fault => fault,
    }
}

impl Appender<'_> {
    pub(crate) fn append(&self, data: &Bound<'_, PyAny>) -> Outcome<Appended> {
        let mut progress = Progress::default();
        let done = self.take(data, &mut progress).and_then(|()| data.py().detach(|| self.send(&mut progress)));
        match done {
            Ok(()) => Ok(Appended { rows: progress.rows, sequence: progress.sequence }),
            Err(fault) => Err(self.told(data.py(), fault, progress.rows)),
        }
    }

    /// Says with an error how many rows were there before it.
    fn told(&self, py: Python<'_>, fault: Fault, rows: u64) -> Fault {
        let error = PyErr::from(fault);
        let appended = if self.via.is_transaction() { 0 } else { rows };
        // An exception that takes no attributes is as good without.
        let _ = error.value(py).setattr("appended", appended);
        error.into()
    }

    fn take(&self, data: &Bound<'_, PyAny>, progress: &mut Progress) -> Outcome<()> {
        let (py, reader) = (data.py(), || RowReader::new(data.py(), &self.schema, self.zone.as_deref()));
        let data = &pandas::with_time(data)?;
        if let Some(columns) = pandas::columns(data)? {
            return self.put(py, reader()?.columns(&columns)?, progress);
        }
        if let Some(stream) = capsule::take_stream(data)? {
            let batches = py.detach(|| ArrayStreamReader::try_new(stream)).map_err(Error::from)?;
            return self.stream(py, batches, progress);
        }
        if let Some(array) = capsule::take_array(data)? {
            return self.put(py, capsule::as_batch(&array)?, progress);
        }
        if let Ok(columns) = data.cast::<PyDict>() {
            return self.put(py, reader()?.columns(columns)?, progress);
        }
        match data.try_iter() {
            Ok(rows) => self.dicts(rows, &reader()?, progress),
            Err(_) => Err(Fault::wrong_type(format!(
                "rows are a dict of columns, dicts of rows, or a table of pyarrow, pandas, polars or whatever has Arrow's PyCapsule interface, not a {}",
                data.get_type().name()?
            ))),
        }
    }

    fn stream(&self, py: Python<'_>, mut batches: ArrayStreamReader, progress: &mut Progress) -> Outcome<()> {
        // A stream without batches has columns all the same.
        let mut next = Some(Ok(new_empty_array(batches.field().data_type())));
        while let Some(array) = next {
            let batch = capsule::as_batch(&array.map_err(Error::from)?)?;
            self.put(py, batch, progress)?;
            py.check_signals()?;
            next = py.detach(|| batches.next());
        }
        Ok(())
    }

    fn dicts<'py>(&self, mut rows: Bound<'py, PyIterator>, reader: &RowReader<'_, 'py>, progress: &mut Progress) -> Outcome<()> {
        let py = rows.py();
        loop {
            let some: Vec<_> = rows.by_ref().take(PIECE_ROWS).collect::<PyResult<_>>()?;
            if some.is_empty() {
                return Ok(());
            }
            let batch = reader.dicts(&some).map_err(|fault| counted_from(progress.seen(), fault))?;
            self.put(py, batch, progress)?;
        }
    }

    /// Takes a batch of any size, and sends what is enough for one write. One without rows is looked at all the same.
    fn put(&self, py: Python<'_>, batch: RecordBatch, progress: &mut Progress) -> Outcome<()> {
        let mut start = 0;
        loop {
            start += py.detach(|| self.put_piece(&batch, start, progress))?;
            if start >= batch.num_rows() {
                return Ok(());
            }
            py.check_signals()?;
        }
    }

    /// Takes as many rows as a piece may have; answers how many these were.
    fn put_piece(&self, batch: &RecordBatch, start: usize, progress: &mut Progress) -> Outcome<usize> {
        let most = self.most_bytes();
        let piece = own::first_rows(&batch.slice(start, PIECE_ROWS.min(batch.num_rows() - start)), most)?;
        let fitted = foreign::fitted(&self.schema, own::copy(&piece)?, self.zone.as_deref());
        let mut rest = fitted.map_err(|fault| counted_from(progress.seen(), fault))?;
        // With the table's types they may be larger.
        loop {
            let part = own::first_rows(&rest, most)?;
            let rows = part.num_rows();
            self.wait(part, progress)?;
            if rows == rest.num_rows() {
                return Ok(piece.num_rows());
            }
            rest = rest.slice(rows, rest.num_rows() - rows);
        }
    }

    /// Lets rows wait for others that are written together with them.
    fn wait(&self, part: RecordBatch, progress: &mut Progress) -> Outcome<()> {
        let bytes = own::size(&part)?;
        if progress.bytes + bytes > self.most_bytes() {
            self.send(progress)?;
        }
        progress.bytes += bytes;
        progress.waiting.push(part);
        Ok(())
    }

    /// Makes everything that waits durable with one write. If rows are bad, what comes before their piece is written all the same.
    fn send(&self, progress: &mut Progress) -> Outcome<()> {
        let waiting = std::mem::take(&mut progress.waiting);
        progress.bytes = 0;
        if waiting.len() > 1 && !self.via.is_transaction() {
            match self.send_some(&waiting, progress) {
                // Which of them they are in is not said.
                Err(Fault::Engine(Error::BadRows { .. })) => {}
                sent => return sent,
            }
        }
        waiting.chunks(1).try_for_each(|one| self.send_some(one, progress))
    }

    fn send_some(&self, some: &[RecordBatch], progress: &mut Progress) -> Outcome<()> {
        let sent = self.via.append(&self.schema.name, some, self.durable);
        let sequence = sent.map_err(|fault| counted_from(progress.rows, fault))?;
        progress.sequence = progress.sequence.max(sequence);
        progress.rows += some.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        Ok(())
    }

    /// Bytes of what is written together. Half of what may be, since buffers are a little larger than what they hold.
    fn most_bytes(&self) -> usize {
        self.via.handle().batch_bytes / 2
    }
}
