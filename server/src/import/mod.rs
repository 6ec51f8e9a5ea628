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
mod rows;
mod run;
mod schema;
mod source;
#[cfg(test)]
mod testing;
mod time;

pub(crate) use column::{ColumnSpec, Role};
#[cfg(feature = "internals")]
pub(crate) use line_protocol::point::{FieldValue, parse_line};
pub(crate) use rows::Batch;
pub(crate) use run::{OnError, Report, Sink, run};
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

#[cfg(test)]
pub(crate) fn test_seed() -> u64 {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let seed = std::env::var("ALLUVIUM_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
    println!("seed {seed} (ALLUVIUM_TEST_SEED={seed} repeats it)");
    seed
}

/// A small random number generator (SplitMix64, Steele and others 2014).
#[cfg(test)]
pub(crate) struct Random(pub(crate) u64);

#[cfg(test)]
impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Up to `longest` letters of an alphabet.
    pub(crate) fn text(&mut self, alphabet: &str, longest: u64) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..self.below(longest + 1)).map(|_| letters[self.below(letters.len() as u64) as usize]).collect()
    }
}
