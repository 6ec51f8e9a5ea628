//! Magics, versions and limits of what lies on disk. FORMAT.md says the same in prose.

/// Version of the directory format. Until 1.0 any change raises it, and directories of another version are refused.
pub const VERSION: u32 = 2;

/// Names of what lies in a database directory.
pub mod names {
    /// Identity: magic, format version, incarnation.
    pub const IDENTITY: &str = "alluvium.id";
    /// Held while a process has the database open.
    pub const LOCK: &str = "lock";
    /// Log files.
    pub const LOG: &str = "log";
    /// Sealed segments.
    pub const SEGMENTS: &str = "segments";
    /// The catalog, its checksums and its snapshots.
    pub const CATALOG: &str = "catalog";
    /// Changes kept when their log files were let go of.
    pub const HISTORY: &str = "history";
    /// Damaged bytes set aside.
    pub const QUARANTINE: &str = "quarantine";
    /// Room kept for what ends a full disk.
    pub const BALLAST: &str = "ballast";
    /// A database that is being restored, until it is whole and takes the place of this directory's content.
    pub const RESTORE: &str = "restore";
}

/// Bounds on what is accepted from callers and from disk.
pub mod limits {
    use crate::error::{Error, Result};

    /// Bytes in a table or column name.
    pub const NAME_BYTES: usize = 255;
    /// Columns in a table, time included.
    pub const COLUMNS: u64 = 4_096;
    /// Tables in a database.
    pub const TABLES: u64 = 65_536;
    /// Series in a table.
    pub const SERIES: u64 = 1 << 24;
    /// Bytes in one tag value.
    pub const TAG_BYTES: u64 = 4_096;
    /// Bytes in a key of metadata.
    pub const KEY_BYTES: u64 = 4_096;
    /// Rows in one block of rows.
    pub const BLOCK_ROWS: u64 = 1 << 24;
    /// Bytes in one log frame.
    pub const FRAME_BYTES: u64 = 64 << 20;

    /// Refuses what exceeds a limit. `setting` names what raises it, or is empty.
    pub fn check(what: &'static str, found: u64, limit: u64, setting: &'static str) -> Result<()> {
        if found > limit { Err(Error::Limit { what, found, limit, setting }) } else { Ok(()) }
    }
}
