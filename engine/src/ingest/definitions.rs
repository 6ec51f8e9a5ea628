//! What the current log file has defined: each file stands alone, so it names every table and series before first use.

use std::collections::HashMap;

use crate::model::{SeriesId, TableId};

/// Tables and series already defined in one log file.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    file: Option<u64>,
    tables: HashMap<TableId, Defined>,
}

#[derive(Debug, Default)]
struct Defined {
    schema_version: u32,
    /// One bit per series.
    series: Vec<u64>,
}

impl Definitions {
    /// Forgets everything when another file has begun.
    pub(super) fn follow(&mut self, file: u64) {
        if self.file != Some(file) {
            self.tables.clear();
            self.file = Some(file);
        }
    }

    /// Forgets everything, as after a group that may not have reached the file.
    pub(super) fn forget(&mut self) {
        self.file = None;
    }

    /// Notes a schema; answers whether it was not yet defined.
    pub(super) fn schema(&mut self, table: TableId, version: u32) -> bool {
        let defined = self.tables.entry(table).or_default();
        let new = defined.schema_version < version;
        defined.schema_version = defined.schema_version.max(version);
        new
    }

    /// Notes a series; answers whether it was not yet defined.
    pub(super) fn series(&mut self, table: TableId, series: SeriesId) -> bool {
        let defined = self.tables.entry(table).or_default();
        let (word, bit) = (series.0 as usize / 64, series.0 % 64);
        if defined.series.len() <= word {
            defined.series.resize(word + 1, 0);
        }
        let new = defined.series[word] >> bit & 1 == 0;
        defined.series[word] |= 1 << bit;
        new
    }
}
