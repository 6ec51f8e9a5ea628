//! Which pairs to list.

use std::ops::Bound;

use super::pair;
use crate::catalog::KeyRange;
use crate::keyspace::{Direction, prefix};

/// Pairs whose keys have the same beginning, a page at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    beginning: String,
    after: Option<String>,
    pub(super) limit: usize,
    pub(super) direction: Direction,
}

impl Scan {
    /// All pairs whose keys begin so; with an empty text, all there are.
    pub fn of(beginning: &str) -> Self {
        Scan { beginning: beginning.to_owned(), after: None, limit: usize::MAX, direction: Direction::Forward }
    }

    /// Only what comes behind a key in the order of the scan: the last one of the page before.
    #[must_use]
    pub fn after(self, key: &str) -> Self {
        Scan { after: Some(key.to_owned()), ..self }
    }

    /// At most so many pairs.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Scan { limit, ..self }
    }

    /// From the last key to the first.
    #[must_use]
    pub fn backward(self) -> Self {
        Scan { direction: Direction::Backward, ..self }
    }

    pub(super) fn range(&self) -> KeyRange {
        let first = pair::key(&self.beginning);
        let (start, end) = prefix(&first);
        let Some(after) = self.after.as_deref().map(pair::key) else { return (start, end) };
        let ended = match &end {
            Bound::Excluded(end) => after >= *end,
            _ => false,
        };
        match self.direction {
            Direction::Forward if after < first => (start, end),
            Direction::Forward if !ended => (Bound::Excluded(after), end),
            Direction::Backward if ended => (start, end),
            Direction::Backward if after >= first => (start, Bound::Excluded(after)),
            // Nothing comes behind it.
            _ => (start, Bound::Excluded(first)),
        }
    }
}
