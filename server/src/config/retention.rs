//! What is kept here and for how long, as a file says it.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium::{Keep, Retention, Unheld};
use serde::{Deserialize, Serialize};

use super::SyncSettings;
use crate::failure::{Failure, Outcome};

/// How much is kept. By default everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetentionSettings {
    /// Partitions go whose last row is older.
    #[serde(with = "super::age", skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<Duration>,
    /// The oldest partitions of a table go while its segments have more bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Bytes that all files of the database may take together: the oldest rows go, and when none may, rows are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) unheld: OfUnheld,
    /// Tables of which more or less is kept, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tables: BTreeMap<String, OfTable>,
}

/// What becomes of rows that go and that no target is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OfUnheld {
    /// They stay until all targets that are required hold them.
    #[default]
    Keep,
    /// They are lost.
    Drop,
}

/// How much of a table is kept, in place of what holds for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OfTable {
    #[serde(with = "super::age", skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

impl RetentionSettings {
    /// As the engine has it, with the targets that have to hold rows before these go.
    pub(super) fn retention(&self, sync: &SyncSettings) -> Retention {
        let keep = |of: &OfTable| Keep { age: of.keep, bytes: of.bytes };
        Retention {
            keep: keep(&OfTable { keep: self.keep, bytes: self.bytes }),
            tables: self.tables.iter().map(|(name, of)| (name.clone(), keep(of))).collect(),
            disk_bytes: self.disk_bytes,
            required: sync.required().map(str::to_owned).collect(),
            unheld: match self.unheld {
                OfUnheld::Keep => Unheld::Keep,
                OfUnheld::Drop => Unheld::Drop,
            },
        }
    }

    /// Refuses what would never be done.
    pub(super) fn check(&self, sync: &SyncSettings) -> Outcome {
        let bounds = |of: &OfTable| of.keep.is_some() || of.bytes.is_some();
        let of_all = OfTable { keep: self.keep, bytes: self.bytes };
        let is_bound = bounds(&of_all) || self.tables.values().any(bounds);
        if is_bound && self.unheld == OfUnheld::Keep && sync.required().next().is_none() {
            return Err(Failure::usage(
                "[retention] names rows that are to go, and nothing ever would: say required = true at the target of [sync.targets] that is \
                 to hold them before, or unheld = \"drop\" if they need not be anywhere else",
            ));
        }
        Ok(())
    }
}
