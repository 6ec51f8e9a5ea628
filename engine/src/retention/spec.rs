//! What a user says of what is to be kept.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is kept here, and for how long. By default everything.
///
/// Where a database has deliveries, rows are let go of once all of those that are `required` are seen to hold them; nothing is where none is
/// required, unless [`Unheld::Drop`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// What holds for tables that are not named.
    pub keep: Keep,
    /// What holds for a table, by name, in place of that.
    pub tables: BTreeMap<String, Keep>,
    /// Bytes that all files of the database may take together. When nine tenths are taken, the oldest rows go first; when all are, and nothing
    /// may go, rows are refused with [`Error::DiskBudget`](crate::Error::DiskBudget) until something does; metadata when it is a tenth more,
    /// or 64 MiB. It is looked at twice a second.
    pub disk_bytes: Option<u64>,
    /// The names of deliveries that have to hold rows before these go.
    pub required: Vec<String>,
    /// What becomes of rows whose time has come and that these do not hold.
    pub unheld: Unheld,
}

/// How much of a table is kept. What is left out has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Partitions whose last row is older than this, by the wall clock, may go: an hour after the opening at the earliest, and only while the
    /// clock was not set meanwhile.
    pub age: Option<Duration>,
    /// Bytes of segments: the oldest partitions may go while there are more.
    pub bytes: Option<u64>,
}

/// What becomes of rows whose time has come and that not all hold who have to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unheld {
    /// They stay until these do.
    #[default]
    Keep,
    /// They are lost, with a receipt where there are deliveries, which then state it.
    Drop,
}

impl Retention {
    /// What holds for a table.
    pub(crate) fn of(&self, table: &str) -> Keep {
        self.tables.get(table).copied().unwrap_or(self.keep)
    }

    /// Whether anything is ever to go.
    pub(crate) fn is_any(&self) -> bool {
        let bounds = |keep: &Keep| keep.age.is_some() || keep.bytes.is_some();
        self.disk_bytes.is_some() || bounds(&self.keep) || self.tables.values().any(bounds)
    }
}
