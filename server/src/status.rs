//! How a database and its server stand, as one document: what HTTP answers and `alluvium status` shows.

use alluvium::{QueueSizes, Status, TableStatus, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::timestamp;
use crate::serve::{Checks, Server, checks};

/// Tables that are told of, the first by name.
const TABLES: usize = 256;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Document {
    /// Of the program that tells it.
    pub(crate) version: String,
    /// The server that has the database open; null where none has.
    pub(crate) server: Option<Serving>,
    /// How many tables there are.
    pub(crate) table_count: u64,
    /// By name, the first 256.
    pub(crate) tables: Vec<OfTable>,
    /// How many queues there are.
    pub(crate) queue_count: u64,
    /// By name, the first 256.
    pub(crate) queues: Vec<OfQueue>,
    /// The log.
    pub(crate) log: Log,
    /// Memory and disk.
    pub(crate) storage: Storage,
    /// Where the audit trail ends.
    pub(crate) audit: Audit,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Serving {
    /// The gateway's id.
    pub(crate) gateway: String,
    /// When it was started.
    pub(crate) started_at: String,
    /// For how long it has run.
    pub(crate) uptime_seconds: f64,
    /// Connections over QUIC.
    pub(crate) connections: u64,
    /// Writer streams.
    pub(crate) writer_streams: u64,
    /// Queries that run.
    pub(crate) queries: u64,
    /// Rows of writer streams that are durable, since the start.
    pub(crate) rows_applied: u64,
    /// Whether it is ready, each `ok` or why it is not.
    pub(crate) checks: Checks,
    /// What cannot be carried to a target, and why. It may be ready all the same.
    #[serde(default)]
    pub(crate) sync_troubles: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OfTable {
    /// Its name.
    pub(crate) name: String,
    /// Rows, counted once for each segment or unsealed run that holds them.
    pub(crate) rows: u64,
    /// Those not yet in segments.
    pub(crate) unsealed_rows: u64,
    /// Different series.
    pub(crate) series: u64,
    /// Segments.
    pub(crate) segments: u64,
    /// Bytes of segments.
    pub(crate) bytes: u64,
    /// Rows that it has let go of, ever.
    #[serde(default)]
    pub(crate) evicted_rows: u64,
}

/// A queue, and how many of its items are where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OfQueue {
    /// Its name.
    pub(crate) queue: String,
    /// They may be popped.
    pub(crate) ready: u64,
    /// They are not due yet.
    pub(crate) scheduled: u64,
    /// Someone has them.
    pub(crate) leased: u64,
    /// They back off.
    pub(crate) delayed: u64,
    /// They were tried too often.
    pub(crate) dead: u64,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Log {
    /// Bytes of its files, spare ones included.
    pub(crate) bytes: u64,
    /// Bytes behind the last seal.
    pub(crate) unsealed_bytes: u64,
    /// Files behind the last seal.
    pub(crate) unsealed_files: u64,
}

/// Memory and disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Storage {
    /// Memory of rows not yet in segments.
    pub(crate) memtable_bytes: u64,
    /// What is kept for the change feed.
    pub(crate) history_bytes: u64,
    /// The catalog and its snapshots.
    pub(crate) catalog_bytes: u64,
    /// Bytes written since the database was made.
    pub(crate) written_bytes: u64,
    /// Bytes written since it was opened.
    pub(crate) written_bytes_since_opening: u64,
    /// Bytes free on the disk, where it tells.
    pub(crate) free_bytes: Option<u64>,
    /// Bytes that have to be free for the next log file and the next seal.
    pub(crate) needs_free_bytes: u64,
    /// Whether rows are accepted: not on a full disk.
    pub(crate) has_room: bool,
}

/// Where the audit trail ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Audit {
    /// The number of the last entry, 0 before the first.
    pub(crate) number: u64,
    /// Its hash, in hexadecimal digits.
    pub(crate) hash: String,
    /// How many went because they were too many.
    pub(crate) dropped: u64,
}

impl Document {
    /// Of a database that stands so.
    pub(crate) fn of(status: &Status, server: Option<Serving>) -> Self {
        Document {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server,
            table_count: status.tables.len() as u64,
            tables: status.tables.iter().take(TABLES).map(OfTable::of).collect(),
            queue_count: status.queue_count,
            queues: status.queues.iter().map(|(name, sizes)| OfQueue::of(name, sizes)).collect(),
            log: Log {
                bytes: status.log_bytes,
                unsealed_bytes: status.unsealed_log_bytes,
                unsealed_files: status.unsealed_log_files,
            },
            storage: Storage {
                memtable_bytes: status.memtable_bytes,
                history_bytes: status.history_bytes,
                catalog_bytes: status.catalog_bytes,
                written_bytes: status.bytes_written,
                written_bytes_since_opening: status.bytes_written_since_opening,
                free_bytes: status.free_bytes,
                needs_free_bytes: status.needs_free_bytes,
                has_room: status.has_room,
            },
            audit: Audit {
                number: status.audit.number,
                hash: status.audit.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
                dropped: status.audit.dropped,
            },
        }
    }
}

impl Serving {
    /// Of a server, now.
    pub(crate) async fn of(server: &Server) -> Self {
        let metrics = &server.metrics;
        let started = metrics.started().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let present = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
        Serving {
            gateway: server.gateway.clone(),
            started_at: timestamp::utc(i64::try_from(started.as_micros()).unwrap_or(i64::MAX), TimeUnit::Micro),
            uptime_seconds: metrics.uptime().as_secs_f64(),
            connections: present(metrics.connections.get()),
            writer_streams: present(metrics.writer_streams.get()),
            queries: server.present().queries as u64,
            rows_applied: metrics.rows_applied(),
            checks: checks(server).await,
            sync_troubles: server.links.troubles(),
        }
    }
}

impl OfTable {
    fn of(table: &TableStatus) -> Self {
        OfTable {
            name: table.name.clone(),
            rows: table.rows,
            unsealed_rows: table.unsealed_rows,
            series: table.series,
            segments: table.segments,
            bytes: table.bytes_on_disk,
            evicted_rows: table.evicted.map_or(0, |evicted| evicted.rows),
        }
    }
}

impl OfQueue {
    pub(crate) fn of(name: &str, sizes: &QueueSizes) -> Self {
        let QueueSizes { ready, scheduled, leased, delayed, dead } = *sizes;
        OfQueue { queue: name.to_owned(), ready, scheduled, leased, delayed, dead }
    }
}
