//! Query results as a Parquet file that everybody can read.

use std::fmt;
use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::of_parquet;
use crate::error::Result;

/// Bytes of encoded pages at which a row group is written, so that memory is bounded.
const GROUP_BYTES: usize = 16 << 20;

/// Writes batches as a Parquet file: plain encodings and zstd, readable everywhere. Nothing is sound before
/// [`finish`](Self::finish).
pub struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetWriter").finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file of batches of this schema.
    pub fn new(output: W, schema: SchemaRef) -> Result<ParquetWriter<W>> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("alluvium ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(output, schema, Some(properties)).map_err(of_parquet)?;
        Ok(ParquetWriter { writer })
    }

    /// Writes rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.writer.write(rows).map_err(of_parquet)?;
        if self.writer.memory_size() > GROUP_BYTES {
            self.writer.flush().map_err(of_parquet)?;
        }
        Ok(())
    }

    /// Writes what remains and the footer, and gives the output back.
    pub fn finish(self) -> Result<W> {
        self.writer.into_inner().map_err(of_parquet)
    }
}
