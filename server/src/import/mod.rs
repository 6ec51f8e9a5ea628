//! Reading files of measurements: CSV, JSON lines, line protocol and Parquet become column batches of a table.
//!
//! In the order data flows: `source` opens the file, a first look at it (`infer`) and the wishes of the user (`schema`) decide on
//! the columns, a reader per format turns rows into columns (`rows`, `column`), and `run` hands full batches to a [`Sink`].

mod column;
mod csv;
mod infer;
mod jsonl;
mod line_protocol;
mod lines;
mod number;
mod parquet;
mod request;
mod rows;
mod run;
mod schema;
mod source;
#[cfg(test)]
mod testing;
mod time;

pub(crate) use column::{ColumnSpec, Role};
pub(crate) use jsonl::object::{Refused, visit_array};
pub(crate) use jsonl::request::Objects;
#[cfg(feature = "internals")]
pub(crate) use line_protocol::point::{FieldValue, parse_line};
pub(crate) use line_protocol::request::{Precision, Taken, read as read_points};
pub(crate) use request::{Look, MOST_BYTES, Part, too_many};
pub(crate) use rows::Batch;
pub(crate) use run::{OnError, Report, Sink, run, time_unit};
pub(crate) use schema::Wishes;
pub(crate) use source::{Format, Source};
pub(crate) use time::EpochUnit;
#[cfg(feature = "internals")]
pub(crate) use time::parse_time;

/// Why an import ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for does not fit the file or the table.
    Input(String),
    /// A row is bad, and bad rows are not to be skipped.
    BadRow {
        /// Its line in the file, or its row in a Parquet file, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    Read(std::io::Error),
    /// The engine refused.
    Engine(alluvium::Error),
    /// The server refused, or could not be asked.
    Server(crate::failure::Failure),
    /// Nobody takes what is said about progress.
    Output(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Read(error)
    }
}

impl From<alluvium::Error> for Failure {
    fn from(error: alluvium::Error) -> Self {
        Failure::Engine(error)
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Failure::Engine(error.into())
    }
}

/// A row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// Its line in the file, or its row in a Parquet file, from 1.
    pub(crate) line: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// What came of reading one row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in.
    Row,
    /// It is not, and has left no trace.
    Bad(BadRow),
    /// There are no more.
    End,
}

/// Reads rows one by one.
pub(crate) trait RowReader: Send {
    /// Puts the next row into `rows`, or none of it.
    fn read_row(&mut self, rows: &mut rows::Rows) -> Result<Outcome, Failure>;
}
