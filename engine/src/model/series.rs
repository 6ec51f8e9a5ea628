//! A series: the rows of a table that share all tag values.

use serde::{Deserialize, Serialize};

/// The number of a series within its table, dense from 0 in order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesId(pub u32);

/// The tag values that identify a series, in the order of the table's tags. A missing tag is `None`, distinct from empty.
///
/// Keys order as rows do: tag by tag, missing before present, then by bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct SeriesKey(pub Vec<Option<String>>);

impl SeriesKey {
    /// The value of the tag at `position`; tags added after this series was made are missing.
    pub fn tag(&self, position: usize) -> Option<&str> {
        self.0.get(position).and_then(Option::as_deref)
    }

    /// Drops missing tags at the end, so that a key made before a tag was added equals one made after.
    pub fn normalized(mut self) -> Self {
        while let Some(None) = self.0.last() {
            self.0.pop();
        }
        self
    }
}
