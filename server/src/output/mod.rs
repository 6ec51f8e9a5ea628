//! Writing results, for people and for programs. Every form streams: a batch is written before the next is asked for.

pub(crate) mod arrow;
mod csv;
pub(crate) mod json;
mod parquet;
pub(crate) mod plot;
pub(crate) mod table;
pub(crate) mod target;
pub(crate) mod terminal;
pub(crate) mod timestamp;
pub(crate) mod value;

use std::io::Write;
use std::path::Path;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use clap::ValueEnum;
use jiff::tz::TimeZone;

use crate::failure::Outcome;

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people; long numbers rounded to ten digits
    Table,
    /// RFC 4180; importing it again gives the same data
    Csv,
    /// One JSON object per line
    Json,
    /// Arrow IPC: a file in an .arrow file, a stream on stdout and in an .arrows file
    Arrow,
    /// Parquet
    Parquet,
}

impl Format {
    /// The form that a file name asks for.
    pub(crate) fn of_file(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Format::Csv,
            "json" | "jsonl" | "ndjson" => Format::Json,
            "arrow" | "arrows" | "ipc" | "feather" => Format::Arrow,
            "parquet" => Format::Parquet,
            "txt" => Format::Table,
            _ => return None,
        })
    }

    /// Whether its bytes would only upset a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Format::Arrow | Format::Parquet)
    }
}

/// Takes the batches of one result.
pub(crate) trait Sink {
    /// Writes a batch.
    fn write(&mut self, batch: &RecordBatch) -> Outcome;
    /// Writes what belongs at the end, and everything still held back.
    fn finish(self: Box<Self>) -> Outcome;
}

/// How people want to see a result.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Whether the reader is a terminal that shows colours.
    pub(crate) colour: bool,
    /// The zone in which tables and plots show times. Other forms are always in UTC.
    pub(crate) zone: TimeZone,
}

/// Begins a result in the given form. `stream` chooses between the two forms of Arrow IPC.
pub(crate) fn sink<'a>(
    format: Format,
    out: &'a mut (dyn Write + Send),
    schema: &SchemaRef,
    look: &Look,
    stream: bool,
) -> Outcome<Box<dyn Sink + 'a>> {
    Ok(match format {
        Format::Table => Box::new(table::Rows::new(out, schema, look.clone())),
        Format::Csv => Box::new(csv::Csv::new(out, schema)?),
        Format::Json => Box::new(json::JsonLines::new(out, schema)),
        Format::Arrow if stream => Box::new(arrow::ArrowStream::new(out, schema)?),
        Format::Arrow => Box::new(arrow::ArrowFile::new(out, schema)?),
        Format::Parquet => Box::new(parquet::Parquet::new(out, schema)?),
    })
}
