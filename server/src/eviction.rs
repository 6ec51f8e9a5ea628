//! Rows that are let go of, as the API and the command line tell of them.

use alluvium::{Database, Eviction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::timestamp;

/// All rows of a partition that go, went, or wait to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Eviction")]
pub(crate) struct Told {
    /// Their table.
    pub(crate) table: String,
    /// The earliest time among them.
    pub(crate) from: String,
    /// The latest.
    pub(crate) to: String,
    /// Segments.
    pub(crate) segments: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes of files.
    pub(crate) bytes: u64,
    /// Why: `age`, `table size` or `disk budget`.
    pub(crate) reason: String,
    /// What has to happen before; empty where they may go, or went.
    pub(crate) waits_for: Vec<String>,
    /// Whether a target that was to hold them does not.
    pub(crate) is_loss: bool,
}

impl Told {
    /// Of evictions that were planned or carried out in a database, which knows their tables.
    pub(crate) fn of_all(db: &Database, evictions: &[Eviction]) -> alluvium::Result<Vec<Told>> {
        evictions.iter().map(|eviction| Told::of(db, eviction)).collect()
    }

    fn of(db: &Database, eviction: &Eviction) -> alluvium::Result<Told> {
        let unit = db.table(&eviction.table)?.time_unit;
        Ok(Told {
            table: eviction.table.clone(),
            from: timestamp::utc(eviction.times.0, unit),
            to: timestamp::utc(eviction.times.1, unit),
            segments: eviction.segments as u64,
            rows: eviction.rows,
            bytes: eviction.bytes,
            reason: eviction.reason.to_string(),
            waits_for: eviction.waits_for.clone(),
            is_loss: eviction.is_loss,
        })
    }
}
