//! Settings: plain data with safe defaults.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::retention::Retention;

/// Which encodings segments may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// What every Parquet reader knows.
    #[default]
    Open,
    /// Adds ALP for floating-point columns: smaller, for readers that know it (parquet ≥ 60.1).
    Compact,
}

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once it is on disk.
    #[default]
    Durable,
    /// Once it is visible; a power cut may still take it back.
    Buffered,
}

/// What opening does about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDamage {
    /// Opens with every readable record, sets damaged bytes aside and keeps a receipt of what is gone.
    #[default]
    Receipt,
    /// Refuses to open.
    Refuse,
}

/// How a database behaves. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Encodings allowed in new segments. Default: [`Profile::Open`].
    pub profile: Profile,
    /// What opening does about damage. Default: open, with a receipt.
    pub on_damage: OnDamage,
    /// How long a group of writes may wait for company before it is synced. Longer intervals save flash and cost latency;
    /// nothing is acknowledged earlier. Default: zero.
    pub commit_interval: Duration,
    /// Memory for rows not yet sealed, those being sealed included. Writers wait when it is used up. Default: 64 MiB.
    pub memtable_bytes: usize,
    /// Memory for decoded pages. Default: 16 MiB.
    pub page_cache_bytes: usize,
    /// Memory for the catalog's pages. Default: 8 MiB.
    pub catalog_cache_bytes: usize,
    /// Largest batch, as its columns lie in memory. Default: 16 MiB.
    pub batch_bytes: usize,
    /// Largest value of a key, or payload of a queue item. Default: 1 MiB.
    pub value_bytes: usize,
    /// Largest document, as JSON text, or schema. Default: 1 MiB.
    pub document_bytes: usize,
    /// Levels of arrays and objects in a document, at most 120. Default: 64.
    pub document_depth: usize,
    /// Size at which a log file is closed and the next begun. Default: 2 MiB.
    pub log_file_bytes: u64,
    /// Log not yet covered by segments at which a seal is made; after an eighth as many bytes of metadata the catalog is made durable,
    /// so that opening after a crash does not take long. Default: 64 MiB.
    pub seal_log_bytes: u64,
    /// Age of the oldest unsealed row at which a seal is made. Default: one hour.
    pub seal_after: Duration,
    /// Room on disk for changes that the change feed can still be read from once their log files were let go of; beyond it the
    /// oldest go. With cursors only what one of them has yet to acknowledge is kept; 0 keeps nothing. Rows are not kept here, as
    /// they lie in segments. Default: 32 MiB.
    pub history_bytes: u64,
    /// Entries of the audit trail that are kept; beyond them the oldest go. Default: 100,000, which take about 25 MB.
    pub audit_entries: u64,
    /// Writers that one principal may have at a time, those idle for 90 days not counted. Default: 64.
    pub writers: usize,
    /// Room on disk kept for sealing and deleting when the disk is full; 0 keeps none. Default: 8 MiB.
    pub ballast_bytes: u64,
    /// What is kept, and what is let go of to make room. Default: everything is kept.
    pub retention: Retention,
    /// Whether background threads seal and compact. Without them the steps are the caller's to make. Default: yes.
    pub background: bool,
}

impl Settings {
    /// Refuses a bound that what is kept besides segments would reach by itself.
    pub(crate) fn check(&self) -> Result<()> {
        let least = 3 * self.seal_log_bytes + self.memtable_bytes as u64 + self.ballast_bytes;
        match self.retention.disk_bytes {
            Some(bytes) if bytes < least => Err(Error::invalid(format!(
                "retention.disk_bytes = {bytes}: log, ballast and one seal may take {least} bytes by themselves; allow more, or lower \
                 seal_log_bytes and memtable_bytes"
            ))),
            _ => Ok(()),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Settings {
            profile: Profile::default(),
            on_damage: OnDamage::default(),
            commit_interval: Duration::ZERO,
            memtable_bytes: 64 * MIB,
            page_cache_bytes: 16 * MIB,
            catalog_cache_bytes: 8 * MIB,
            batch_bytes: 16 * MIB,
            value_bytes: MIB,
            document_bytes: MIB,
            document_depth: 64,
            log_file_bytes: 2 * MIB as u64,
            seal_log_bytes: 64 * MIB as u64,
            seal_after: Duration::from_secs(3600),
            history_bytes: 32 * MIB as u64,
            audit_entries: 100_000,
            writers: 64,
            ballast_bytes: 8 * MIB as u64,
            retention: Retention::default(),
            background: true,
        }
    }
}
