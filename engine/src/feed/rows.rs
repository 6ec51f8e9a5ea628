//! Rows as they were written, decoded when somebody wants them.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::{Error, Result};
use crate::model::{SeriesId, TableSchema};
use crate::query;
use crate::record::{self, DecodeError, Record, RecordKind};
use crate::table::Table;

/// Rows that one record wrote to one table.
#[derive(Clone)]
pub struct Rows {
    owner: Arc<Table>,
    table: Arc<TableSchema>,
    /// As in a `PutRows` record.
    payload: Arc<[u8]>,
    rows: u64,
    times: Option<(i64, i64)>,
}

impl Rows {
    pub(super) fn new(owner: Arc<Table>, outline: &record::RowsOutline, payload: &[u8]) -> Rows {
        let table = owner.schema();
        Rows { owner, table, payload: payload.into(), rows: outline.rows, times: outline.times }
    }

    /// The table as it stands now.
    pub fn table(&self) -> &Arc<TableSchema> {
        &self.table
    }

    /// How many rows, as they were written: with several of one series and time, if there were.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Earliest and latest time, both within, in the table's unit.
    pub fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// The rows, by series and time, in the table's schema as it stands now: columns added since are null. What
    /// [`Database::append`](crate::Database::append) accepts.
    ///
    /// ```
    /// use alluvium::{Database, Event, FieldType, RowBuilder, TableSpec};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// let mut rows = RowBuilder::new(db.create_table(TableSpec::new("air").field("co2", FieldType::Float64))?);
    /// rows.row(1_700_000_000_000_000).value("co2", 612.5)?;
    /// db.append("air", &rows.finish()?)?;
    /// for change in db.changes().table("air").read()? {
    ///     for event in change?.events {
    ///         if let Event::Rows(rows) = event {
    ///             assert_eq!(rows.batch()?.num_rows(), 1);
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn batch(&self) -> Result<RecordBatch> {
        let wrong = |error: DecodeError| Error::Internal(format!("rows that were read once: {error}"));
        let decoded = Record::decode(RecordKind::PutRows.code(), &self.payload).map_err(wrong)?;
        let Record::PutRows { block, .. } = decoded else {
            return Err(Error::Internal("rows that are something else".to_owned()));
        };
        let schema = self.owner.schema();
        let series = self.owner.series.read();
        let mut start = 0;
        let mut pieces = Vec::new();
        for run in block.series.chunk_by(|a, b| a == b) {
            let id = run.first().copied().unwrap_or_default();
            if id >= series.len() {
                return Err(Error::Internal(format!("rows of series {id}, which does not exist")));
            }
            pieces.push((Arc::new(series.key(SeriesId(id))), block.slice(start, run.len())));
            start += run.len();
        }
        drop(series);
        query::batch_of(schema, pieces)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("table", &self.table.name)
            .field("rows", &self.rows)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
