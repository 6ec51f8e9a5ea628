//! The stores that are measured, behind one small trait.

mod alluvium;
mod sqlite;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) use self::alluvium::{Alluvium, TABLE, batch_of, table_of};
pub(crate) use self::sqlite::Sqlite;
use crate::fleet::Question;
use crate::fleet::Rows;

/// A store that keeps the fleet's rows.
pub(crate) trait Store: Sync + Sized {
    /// Rows in the form in which the store takes them.
    type Batch: Send + Sync;
    /// An answer in the form in which the store gives it.
    type Answer;

    /// Opens the store in a directory; creates it where there is none.
    fn open(kind: StoreKind, directory: &Path) -> Result<Self>;
    /// Brings rows into the form that [`Store::append`] takes.
    fn batch(&self, rows: &Rows) -> Result<Self::Batch>;
    /// Appends a batch; it is durable on return.
    fn append(&self, batch: &Self::Batch) -> Result<()>;
    /// Does all work that is still owed, so that nothing is left for the background.
    fn settle(&self) -> Result<()>;
    /// How many rows it holds.
    fn rows(&self) -> Result<u64>;
    /// What it takes on disk, once settled.
    fn footprint(&self) -> Result<Footprint>;
    /// Closes it.
    fn close(self) -> Result<()>;
    /// Lets go of the pages it keeps in memory; the kernel's stay.
    fn empty_cache(&self) -> Result<()>;
    /// Answers a question completely.
    fn answer(&self, question: &Question) -> Result<Self::Answer>;
    /// An answer as plain numbers, row by row, in the order that [`Question`] documents.
    fn numbers(answer: Self::Answer) -> Result<Vec<f64>>;
}

/// Which store, and how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoreKind {
    /// Alluvium at its defaults: `open` encodings, every field float64.
    Alluvium,
    /// Alluvium with the `compact` encodings.
    AlluviumCompact,
    /// Alluvium with the fields of fixed resolution declared decimal(2) and the counter int64.
    AlluviumDecimal,
    /// SQLite, primary key (device, time).
    SqliteByDevice,
    /// SQLite, primary key (time, device).
    SqliteByTime,
}

impl StoreKind {
    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            StoreKind::Alluvium => "alluvium",
            StoreKind::AlluviumCompact => "alluvium, compact",
            StoreKind::AlluviumDecimal => "alluvium, decimals declared",
            StoreKind::SqliteByDevice => "sqlite (device, time)",
            StoreKind::SqliteByTime => "sqlite (time, device)",
        }
    }

    /// Whether it is SQLite.
    pub(crate) const fn is_sqlite(self) -> bool {
        matches!(self, StoreKind::SqliteByDevice | StoreKind::SqliteByTime)
    }
}

/// A store and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which.
    pub(crate) kind: StoreKind,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

/// Bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// The data: segments, or the database file.
    pub(crate) data: u64,
    /// The log.
    pub(crate) log: u64,
    /// The catalog.
    pub(crate) catalog: u64,
}
