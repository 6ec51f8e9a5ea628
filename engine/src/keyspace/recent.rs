//! Which keys changed lately, so that a transaction learns whether what it read still holds.

use std::collections::VecDeque;

use super::ReadSet;
use crate::model::Sequence;
use crate::record::{Effect, Key};

/// How many changes are remembered. A transaction that began before all of them has to be made again.
const REMEMBERED: usize = 1 << 16;

/// Changed keys by the record that changed them. To begin with it is empty: no transaction is older than the opening.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    changes: VecDeque<(Sequence, Key)>,
    /// Everything after this is remembered.
    since: Sequence,
}

impl Recent {
    /// Notes what a record did. Records come in order.
    pub(crate) fn add(&mut self, sequence: Sequence, effects: &[Effect]) {
        self.changes.extend(effects.iter().map(|effect| (sequence, effect.key.clone())));
        while self.changes.len() > REMEMBERED {
            self.since = self.changes.pop_front().map_or(self.since, |(sequence, _)| sequence);
        }
    }

    /// Whether anything changed after a record that has been read, as far as that is known.
    pub(crate) fn conflicts(&self, reads: &ReadSet, after: Sequence) -> bool {
        let first = self.changes.partition_point(|(sequence, _)| *sequence <= after);
        after < self.since || self.changes.range(first..).any(|(_, key)| reads.contains(key))
    }
}
