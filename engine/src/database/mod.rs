//! The front door: wiring only.

mod append;
mod background;
mod builder;
mod changes;
mod checkpoint;
mod delivery;
mod inner;
mod inspect;
mod metadata;
mod retention;
mod status;
mod steps;
mod tables;
mod transaction;
mod verify;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use builder::Builder;
pub use delivery::{CutWhat, Delivery, SendOrder, Sending, Shipment};
pub use inspect::{ColumnInspection, Inspection, ReceiptInspection, TableInspection};
pub use metadata::{Holding, MetadataInspection};
pub use status::{Status, TableStatus};
pub use steps::{BackgroundStep, CompactReport};
pub use transaction::Transaction;
pub use verify::{Problem, VerifyReport};

use crate::error::Result;
use crate::ingest::{Ack, Work};
use crate::model::{FieldType, SeriesId, SeriesKey, TableId, TableSchema, TableSpec, TimeRange};
use crate::principal::Scope;
use crate::query::{self, Filter, Query, QueryStream};
use crate::record::{Deletion, Moment, Record};
use crate::settings::Durability;
use inner::Inner;

/// An open database. It is closed when dropped; [`Database::close`] says whether that went well.
///
/// ```
/// use alluvium::{Database, FieldType, Query, RowBuilder, TableSpec};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let air = db.create_table(TableSpec::new("air").tag("room").field("co2", FieldType::Float64))?;
///
/// let mut rows = RowBuilder::new(air);
/// rows.row(1_700_000_000_000_000).tag("room", "A")?.value("co2", 612.5)?;
/// db.append("air", &rows.finish()?)?; // on disk when it returns
///
/// for batch in db.query(&Query::table("air").field("co2"))? {
///     assert_eq!(batch?.num_rows(), 1);
/// }
/// db.close()
/// # }
/// ```
#[derive(Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

impl Database {
    /// Opens a database with default settings, and makes one where there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Database> {
        Self::builder().open(path)
    }

    /// Settings and components, for those who choose them.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Makes a table.
    pub fn create_table(&self, spec: TableSpec) -> Result<Arc<TableSchema>> {
        self.inner.create_table(spec)
    }

    /// Adds tags and fields to a table. Rows already there lack them.
    pub fn add_columns(&self, table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<Arc<TableSchema>> {
        self.inner.add_columns(table, tags, fields)
    }

    /// Gives a table another name. Whoever has rows of it under way need not know.
    pub fn rename_table(&self, table: &str, name: &str) -> Result<Arc<TableSchema>> {
        self.inner.rename_table(table, name)
    }

    /// Drops a table with all its rows, at once; waits for a seal or a compaction that is under way. Queries that began earlier
    /// go on, and its files go when they end.
    pub fn drop_table(&self, table: &str) -> Result<()> {
        self.inner.drop_table(table)
    }

    /// The schema of a table.
    pub fn table(&self, name: &str) -> Result<Arc<TableSchema>> {
        Ok(self.inner.publisher.registry.get(name)?.schema())
    }

    /// The schemas of all tables, by name.
    pub fn tables(&self) -> Vec<Arc<TableSchema>> {
        self.inner.publisher.registry.all().iter().map(|table| table.schema()).collect()
    }

    /// The present moment, by the wall clock and by the engine's, on which durations run.
    pub fn now(&self) -> Moment {
        self.inner.engine_clock.now()
    }

    /// The schema of a table by its number, also of one that was dropped.
    pub fn table_of(&self, id: TableId) -> Option<Arc<TableSchema>> {
        let registry = &self.inner.publisher.registry;
        registry.by_id(id).map(|table| table.schema()).or_else(|| registry.dropped(id))
    }

    /// The tag values of a table's series in the order of their numbers, from one on, at most so many. None of a dropped table.
    pub fn series_of(&self, id: TableId, from: SeriesId, most: usize) -> Vec<SeriesKey> {
        let Some(table) = self.inner.publisher.registry.by_id(id) else { return Vec::new() };
        let series = table.series.read();
        (from.0..series.len()).take(most).map(|id| series.key(SeriesId(id))).collect()
    }

    /// Appends rows; when it returns they are on disk.
    ///
    /// The batch holds a column `time` (a timestamp of any unit, or int64 in the table's unit), tags as text, and any of
    /// the fields in exactly the types of [`TableSchema::arrow`]. Rows with the series and time of an earlier row are merged
    /// with it, field by field, the later value winning. A batch with bad rows is refused whole.
    pub fn append(&self, table: &str, batch: &RecordBatch) -> Result<Ack> {
        self.append_with(table, batch, Durability::Durable)
    }

    /// Appends rows with a chosen durability.
    pub fn append_with(&self, table: &str, batch: &RecordBatch, durability: Durability) -> Result<Ack> {
        Ok(self.inner.append(&[(table, batch)], durability)?.swap_remove(0))
    }

    /// Appends rows of several tables, or several batches, with one write and one fdatasync; when it returns they are all on
    /// disk. Answers one [`Ack`] per batch, in order.
    ///
    /// If any batch is refused, nothing of any is written. Every batch is a record of its own, so this is no transaction:
    /// after a power cut during the call some of the first may be there and the later ones not, each whole or not at all, and
    /// readers may see them appear one after the other. Together they may be as large as one batch (`batch_bytes`).
    ///
    /// ```
    /// use alluvium::{Database, FieldType, RowBuilder, TableSpec};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// let air = db.create_table(TableSpec::new("air").tag("room").field("co2", FieldType::Float64))?;
    /// let power = db.create_table(TableSpec::new("power").field("watts", FieldType::Float64))?;
    ///
    /// let (mut co2, mut watts) = (RowBuilder::new(air), RowBuilder::new(power));
    /// co2.row(1_700_000_000_000_000).tag("room", "A")?.value("co2", 612.5)?;
    /// watts.row(1_700_000_000_000_000).value("watts", 48.0)?;
    /// let acks = db.append_all(&[("air", &co2.finish()?), ("power", &watts.finish()?)])?;
    /// assert!(acks[0].sequence < acks[1].sequence);
    /// # Ok(()) }
    /// ```
    pub fn append_all(&self, batches: &[(&str, &RecordBatch)]) -> Result<Vec<Ack>> {
        self.inner.append(batches, Durability::Durable)
    }

    /// Makes buffered rows durable.
    pub fn flush(&self) -> Result<()> {
        self.inner.check_open()?;
        self.inner.committer.flush()
    }

    /// Deletes the rows of a span of time whose tags satisfy the filters.
    pub fn delete(&self, table: &str, filters: &[Filter], range: TimeRange) -> Result<Ack> {
        self.delete_in(table, filters, range, None)
    }

    /// The same of the series of a scope only: for principals that may delete rows of some.
    pub fn delete_within(&self, table: &str, filters: &[Filter], range: TimeRange, scope: &Scope) -> Result<Ack> {
        self.delete_in(table, filters, range, Some(scope))
    }

    fn delete_in(&self, table: &str, filters: &[Filter], range: TimeRange, scope: Option<&Scope>) -> Result<Ack> {
        let inner = &self.inner;
        inner.check_open()?;
        let table = inner.publisher.registry.get(table)?;
        let series = query::select_for_deletion(&table, filters, scope)?;
        let deletion = Deletion { table: table.id, series, range };
        // Deleting makes room, in time.
        let submit = || inner.committer.submit(Work::record(Record::DeleteRows(deletion.clone()))?);
        let sequence = inner.ballast.lend(submit)?;
        Ok(Ack { sequence, durability: Durability::Durable })
    }

    /// Answers a query from a snapshot taken now.
    pub fn query(&self, query: &Query) -> Result<QueryStream> {
        self.inner.check_open()?;
        let table = self.inner.publisher.registry.get(&query.table)?;
        query::run(&table, &self.inner.store, query)
    }

    /// Answers a query as if there were no series but those of a scope: for principals that may read only some.
    ///
    /// ```
    /// use alluvium::{Action, Database, Principal, Query, RowBuilder, TableSpec};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// let table = db.create_table(TableSpec::new("air").tag("device").field("co2", alluvium::FieldType::Float64))?;
    /// let mut rows = RowBuilder::new(table);
    /// rows.row(1).tag("device", "pump-7")?.value("co2", 612.5)?;
    /// rows.row(1).tag("device", "pump-8")?.value("co2", 615.0)?;
    /// db.append("air", &rows.finish()?)?;
    ///
    /// db.principals().put(&Principal::new("pump-7").role("device"))?;
    /// let rights = db.principals().rights("pump-7")?.unwrap();
    /// let scope = rights.scope(Action::Read, "air").unwrap();
    /// let rows: usize = db.query_within(&Query::table("air"), &scope)?.map(|batch| batch.unwrap().num_rows()).sum();
    /// assert_eq!(rows, 1);
    /// # Ok(()) }
    /// ```
    pub fn query_within(&self, query: &Query, scope: &Scope) -> Result<QueryStream> {
        self.inner.check_open()?;
        let table = self.inner.publisher.registry.get(&query.table)?;
        query::run_within(&table, &self.inner.store, query, scope)
    }

    /// Turns everything unsealed into segments, now.
    pub fn seal(&self) -> Result<()> {
        self.inner.check_open()?;
        self.inner.seal()
    }

    /// Folds segments together and carries out deletions, now.
    pub fn compact(&self) -> Result<CompactReport> {
        self.inner.check_open()?;
        self.inner.compact()
    }

    /// Takes one step of background work, if there is one to take; answers whether there was. For those who open the database
    /// without background threads.
    pub fn background_step(&self, step: BackgroundStep) -> Result<bool> {
        self.inner.background_step(step)
    }

    /// What the database holds and what it costs.
    pub fn inspect(&self) -> Result<Inspection> {
        self.inner.inspect()
    }

    /// Reads everything and checks every checksum. `progress` is told (bytes done, bytes in all).
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> {
        self.inner.verify(progress)
    }

    /// Forgets decoded pages, so that the next queries read them again.
    pub fn clear_page_cache(&self) {
        self.inner.store.pages.clear();
    }

    /// Makes everything durable and lets go of the directory.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.inner.close() {
            tracing::warn!(%error, "the database did not close cleanly; opening it recovers");
        }
    }
}
