//! Parquet files of others, read with distrust, and Parquet files for others.
//!
//! The decoder believes what a file says about itself. So the sizes it declares are checked before decoding, and a panic of the
//! decoder ends the file, not the process.

mod delta;
mod export;
mod footer;
mod pages;
mod thrift;
mod types;

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::Malformed;
use crate::error::{Error, Result};
use crate::fence::fence;
use crate::io::File;
pub use export::ParquetWriter;
use pages::{check_footer, check_row_group, invalid};
pub use types::{ForeignColumn, ForeignType};
use types::{decoded_as, foreign_column, lengths, row_bytes};

/// Bytes of text and binary in one batch given out.
const BATCH_BYTES: usize = 8 << 20;

/// Reads a Parquet file of anybody's as batches, in bounded memory. After an error there is nothing more.
pub struct ParquetReader {
    chunks: Arc<Chunks>,
    metadata: ArrowReaderMetadata,
    columns: Vec<ForeignColumn>,
    schema: SchemaRef,
    batch_rows: usize,
    next_group: usize,
    group: Option<ParquetRecordBatchReader>,
    pending: Option<RecordBatch>,
    ended: bool,
}

impl fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetReader").field("file", &self.chunks.file).field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl ParquetReader {
    /// Opens a file. Batches have at most `batch_rows` rows, and fewer where these would take much more than 8 MiB.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no sound Parquet file or has a column of a type that no field can hold.
    pub fn open(file: Arc<dyn File>, batch_rows: usize) -> Result<ParquetReader> {
        let len = file.len().map_err(|error| invalid(format_args!("it cannot be read: {error}")))?;
        check_footer(&*file, len)?;
        let chunks = Arc::new(Chunks { file, len });
        let metadata = fenced(|| ArrowReaderMetadata::load(&*chunks, ArrowReaderOptions::new()))?.map_err(invalid)?;
        let (declared, groups) = (metadata.metadata().file_metadata().num_rows(), metadata.metadata().row_groups());
        if groups.iter().try_fold(0_i64, |rows, group| rows.checked_add(group.num_rows())) != Some(declared) {
            return Err(invalid(format_args!("it says that it has {declared} rows, and its row groups say something else")));
        }
        let columns = metadata.schema().fields().iter().map(|field| foreign_column(field)).collect::<Result<Vec<_>>>()?;
        let decoded: Vec<_> = metadata.schema().fields().iter().map(|field| decoded_as(field)).collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(decoded)));
        let metadata = fenced(|| ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options))?.map_err(invalid)?;
        let given = columns.iter().map(|column| arrow::datatypes::Field::new(&column.name, column.kind.arrow(), true));
        let schema = Arc::new(Schema::new(given.collect::<Vec<_>>()));
        let row_bytes = metadata.schema().fields().iter().fold(1, |bytes, field| row_bytes(field).saturating_add(bytes));
        if row_bytes > BATCH_BYTES {
            return Err(row_too_large());
        }
        let batch_rows = batch_rows.min(BATCH_BYTES / row_bytes).max(1);
        Ok(ParquetReader {
            chunks,
            metadata,
            columns,
            schema,
            batch_rows,
            next_group: 0,
            group: None,
            pending: None,
            ended: false,
        })
    }

    /// Its columns.
    pub fn columns(&self) -> &[ForeignColumn] {
        &self.columns
    }

    /// How many rows it says it has.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.pending.take() {
                return self.give(batch).map(Some);
            }
            if let Some(group) = &mut self.group {
                match fenced(|| group.next().transpose())?.map_err(invalid)? {
                    Some(batch) if batch.num_rows() > 0 => self.pending = Some(batch),
                    Some(_) => {}
                    None => self.group = None,
                }
                continue;
            }
            let groups = self.metadata.metadata().row_groups();
            let Some(group) = groups.get(self.next_group) else { return Ok(None) };
            let batch_rows = check_row_group(&self.chunks, group, self.batch_rows)?;
            self.group = Some(self.open_group(self.next_group, batch_rows)?);
            self.next_group += 1;
        }
    }

    fn open_group(&self, group: usize, batch_rows: usize) -> Result<ParquetRecordBatchReader> {
        fenced(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(Chunks::clone(&self.chunks), self.metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(batch_rows)
                .build()
        })?
        .map_err(invalid)
    }

    /// Converts as many rows as fit into a batch, and keeps the others.
    fn give(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = fitting_rows(&batch)?;
        if rows < batch.num_rows() {
            self.pending = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let batch = batch.slice(0, rows);
        let convert = |(column, array): (&ForeignColumn, _)| column.kind.convert(&column.name, array);
        let arrays = fenced(|| self.columns.iter().zip(batch.columns()).map(convert).collect::<Result<Vec<_>>>())??;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }
}

impl Iterator for ParquetReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_batch().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// How many of the first rows have no more text and bytes than a batch may have.
fn fitting_rows(batch: &RecordBatch) -> Result<usize> {
    let mut bytes = vec![0_usize; batch.num_rows()];
    for column in batch.columns() {
        for (bytes, length) in bytes.iter_mut().zip(lengths(column).into_iter().flatten()) {
            *bytes = bytes.saturating_add(length);
        }
    }
    let mut total = 0_usize;
    let fitting = bytes.iter().take_while(|bytes| {
        total = total.saturating_add(**bytes);
        total <= BATCH_BYTES
    });
    match fitting.count() {
        0 => Err(row_too_large()),
        rows => Ok(rows),
    }
}

fn row_too_large() -> Error {
    invalid(format_args!("a row has more than {} MiB of text and bytes", BATCH_BYTES >> 20))
}

/// Checks that the lists of a footer are no longer than its bytes, before the decoder makes room for them.
pub(super) fn check_lists(footer: &[u8]) -> Result<(), Malformed> {
    footer::check(footer).map_err(|_| Malformed("the lists of its footer are longer than its bytes, or not of their types"))
}

/// Runs a piece of the decoder. Whatever it was working on is dropped after a panic.
fn fenced<T>(decode: impl FnOnce() -> T) -> Result<T> {
    fence(decode).map_err(|_| invalid("the decoder gave up on it"))
}

/// The file as the decoder wants it.
#[derive(Debug, Clone)]
struct Chunks {
    file: Arc<dyn File>,
    len: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Tail { file: Arc::clone(&self.file), at: start, len: self.len }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // Held against the file before anything is allocated.
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie beyond the end of the file")));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(start, &mut bytes)?;
        Ok(bytes.into())
    }
}

/// The file from a position on.
struct Tail {
    file: Arc<dyn File>,
    at: u64,
    len: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        self.file.read_exact_at(self.at, buffer.get_mut(..count).unwrap_or_default())?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The writer's errors as ours.
fn of_parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => Error::io("write", std::path::Path::new("the Parquet output"), *source),
            Err(source) => Error::Internal(format!("writing Parquet: {source}")),
        },
        error => Error::Internal(format!("writing Parquet: {error}")),
    }
}

#[cfg(test)]
mod tests;
