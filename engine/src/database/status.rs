//! How a running database stands, told without looking at what it holds: cheap enough to be asked every second.

use std::sync::atomic::Ordering;

use super::Database;
use super::inner::Inner;
use crate::audit::AuditHead;
use crate::error::{Error, Result};
use crate::keyspace::{Access, Transaction};
use crate::queue::QueueSizes;
use crate::record::Evictions;
use crate::retention;
use crate::table::Table;

/// Queues whose sizes are told, the first by name.
const QUEUES: usize = 256;
/// Items of a queue whose time has come and that nobody has promoted yet, of which it is found out where they are to be.
const DUE_ITEMS: usize = 1_000;

/// A running database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// By name.
    pub tables: Vec<TableStatus>,
    /// By name, the first 256.
    pub queues: Vec<(String, QueueSizes)>,
    /// How many queues there are.
    pub queue_count: u64,
    /// Bytes of log files, spare ones included.
    pub log_bytes: u64,
    /// Bytes of the log that hold rows not yet in segments, and what came after the first of these.
    pub unsealed_log_bytes: u64,
    /// Log files that hold them.
    pub unsealed_log_files: u64,
    /// Bytes of memory that rows not yet in segments take.
    pub memtable_bytes: u64,
    /// Bytes of changes kept for the change feed from log files that were let go of.
    pub history_bytes: u64,
    /// Bytes of the catalog, its checksums and snapshots.
    pub catalog_bytes: u64,
    /// Bytes of all files.
    pub bytes_used: u64,
    /// Bytes that they may take; `None` where that is as many as there are.
    pub bytes_allowed: Option<u64>,
    /// Bytes written to the directory since it was created.
    pub bytes_written: u64,
    /// Bytes written to the directory since it was opened.
    pub bytes_written_since_opening: u64,
    /// Syncs of files and directories since it was opened.
    pub syncs_since_opening: u64,
    /// Both ends of the audit trail.
    pub audit: AuditHead,
    /// Whether what is kept for a full disk is there: rows are refused while it is not.
    pub has_room: bool,
    /// Bytes that are free on the disk, where it tells.
    pub free_bytes: Option<u64>,
    /// Bytes that have to be free on the disk for the next log file and the next seal.
    pub needs_free_bytes: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableStatus {
    /// Its name.
    pub name: String,
    /// Rows. Rows of the same series and time count once per segment or unsealed run that holds them.
    pub rows: u64,
    /// Rows not yet in segments.
    pub unsealed_rows: u64,
    /// Different series.
    pub series: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of segments.
    pub bytes_on_disk: u64,
    /// What it has let go of, ever; `None` where that is nothing.
    pub evicted: Option<Evictions>,
}

impl Database {
    /// How the database stands. Takes as long as there are segments to sum up, and waits for the group of writes that is under
    /// way; so it may be asked every second, and by somebody who can wait.
    ///
    /// ```
    /// use alluvium::{Database, QueueSpec, TableSpec};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// db.create_table(TableSpec::new("air").field("co2", alluvium::FieldType::Float64))?;
    /// db.create_queue(&QueueSpec::new("jobs"))?;
    /// let status = db.status()?;
    /// assert_eq!((status.tables[0].rows, status.queues[0].1.ready, status.audit.number), (0, 0, 0));
    /// # Ok(()) }
    /// ```
    pub fn status(&self) -> Result<Status> {
        let inner = &self.inner;
        inner.check_open()?;
        let root = &inner.layout.root;
        let unsealed = inner.sealed_through.load(Ordering::Acquire) + 1;
        let log = inner.committer.log_depth(unsealed);
        let queues = self.queues()?;
        let sizes = |name: String| self.queue(&name).sizes_within(DUE_ITEMS).map(|sizes| (name, sizes));
        Ok(Status {
            tables: self
                .read(|transaction| inner.publisher.registry.all().iter().map(|table| of_table(table, transaction)).collect())?,
            queue_count: queues.len() as u64,
            queues: queues.into_iter().take(QUEUES).map(|spec| sizes(spec.name)).collect::<Result<_>>()?,
            log_bytes: log.on_disk,
            unsealed_log_bytes: log.bytes,
            unsealed_log_files: log.files,
            memtable_bytes: inner.publisher.memory.used() as u64,
            history_bytes: inner.feed.history.bytes_on_disk(),
            catalog_bytes: inner.publisher.catalog.get().map_or(Ok(0), |catalog| catalog.bytes_on_disk())?,
            bytes_used: inner.bytes_used()?,
            bytes_allowed: inner.settings.retention.disk_bytes,
            bytes_written: inner.bytes_written(),
            bytes_written_since_opening: inner.meter.bytes(),
            syncs_since_opening: inner.meter.syncs(),
            audit: self.trail().head()?,
            has_room: inner.ballast.ensure(),
            free_bytes: inner.components.disk.free_bytes(root).map_err(|source| Error::io("ask for room on", root, source))?,
            needs_free_bytes: inner.needs_free_bytes(),
        })
    }
}

impl Inner {
    /// A log file as large as it may be, and a segment of as many rows as are sealed at once.
    fn needs_free_bytes(&self) -> u64 {
        self.settings.log_file_bytes + self.seal_bytes() as u64
    }
}

fn of_table(table: &Table, transaction: &Transaction) -> Result<TableStatus> {
    let state = table.snapshot();
    let sealed = |of: fn(&crate::record::SegmentEntry) -> u64| state.segments.iter().map(|entry| of(entry)).sum::<u64>();
    let unsealed_rows = state.unsealed_rows();
    Ok(TableStatus {
        name: table.schema().name.clone(),
        rows: sealed(|entry| entry.rows) + unsealed_rows,
        unsealed_rows,
        series: u64::from(table.series.read().len()),
        segments: state.segments.len() as u64,
        bytes_on_disk: sealed(|entry| entry.bytes),
        evicted: retention::of_table(transaction, table.id)?,
    })
}
