//! What a transaction has read, to be held against what others changed meanwhile.

use std::collections::HashSet;
use std::ops::{Bound, RangeBounds};

use crate::catalog::KeyRange;
use crate::record::Key;

/// Keys and ranges of keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadSet {
    keys: HashSet<Key, foldhash::fast::FixedState>,
    ranges: Vec<KeyRange>,
}

impl ReadSet {
    /// One key, whether there is one or not.
    pub(super) fn add_key(&mut self, key: &[u8]) {
        if !self.keys.contains(key) {
            self.keys.insert(Key::from(key));
        }
    }

    /// A range, whatever is in it.
    pub(super) fn add_range(&mut self, range: KeyRange) {
        self.ranges.push(range);
    }

    /// Whether a key is among them.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let within = |(start, end): &KeyRange| {
            let range = (start.as_ref().map(|key| &**key), end.as_ref().map(|key| &**key));
            RangeBounds::<[u8]>::contains(&range as &(Bound<&[u8]>, Bound<&[u8]>), key)
        };
        self.keys.contains(key) || self.ranges.iter().any(within)
    }
}
