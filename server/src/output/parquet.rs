//! Parquet, through the engine's own writer of foreign files.

use std::io::Write;

use alluvium::ParquetWriter;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Sink;
use crate::failure::{Failure, Outcome};

/// Writes batches as one Parquet file.
pub(crate) struct Parquet<W: Write + Send>(ParquetWriter<W>);

impl<W: Write + Send> Parquet<W> {
    pub(crate) fn new(out: W, schema: &SchemaRef) -> Outcome<Self> {
        Ok(Parquet(ParquetWriter::new(out, schema.clone()).map_err(Failure::of_request)?))
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        Ok(self.0.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Outcome {
        Ok(self.0.finish()?.flush()?)
    }
}
