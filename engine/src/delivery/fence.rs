//! What deliveries ask of compaction.

use std::collections::HashSet;

use super::form::{DeliveryForm, decode};
use super::unit::oldest_within;
use crate::error::Result;
use crate::keyspace::{Direction, View, prefix, space};
use crate::model::Sequence;
use crate::record::{SegmentEntry, SegmentId};

/// How segments stand with all deliveries.
#[derive(Debug)]
pub(crate) struct Fences {
    view: View,
    /// Their numbers, and what their cuts end with.
    deliveries: Vec<(u32, Sequence)>,
    /// Segments that are being sent.
    under_way: HashSet<SegmentId>,
}

/// How a segment stands with all deliveries: only those that stand alike are folded together.
pub(crate) type Standing = Vec<State>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No cut has it yet.
    Uncut,
    /// It holds units that nobody else holds.
    Wanted,
    /// All its units are held.
    Held,
}

impl Fences {
    /// As they are in a state of the key space.
    pub(crate) fn new(view: View, under_way: HashSet<SegmentId>) -> Result<Self> {
        let mut deliveries = Vec::new();
        for cell in view.scan(&prefix(&[space::DELIVERY]), Direction::Forward)? {
            let (_, (_, cell)) = cell?;
            let form: DeliveryForm = decode(&cell)?;
            deliveries.push((form.number, form.through));
        }
        Ok(Fences { view, deliveries, under_way })
    }

    /// How a segment stands; `None` while it is being sent, and has to stay as it is.
    pub(crate) fn standing(&self, entry: &SegmentEntry) -> Result<Option<Standing>> {
        if self.under_way.contains(&entry.id) {
            return Ok(None);
        }
        self.deliveries.iter().map(|&(number, through)| self.state(number, through, entry)).collect::<Result<_>>().map(Some)
    }

    fn state(&self, delivery: u32, through: Sequence, entry: &SegmentEntry) -> Result<State> {
        if entry.last_sequence > through {
            return Ok(State::Uncut);
        }
        let wanted = oldest_within(&self.view, delivery, entry)?.is_some();
        Ok(if wanted { State::Wanted } else { State::Held })
    }

    /// The last record whose deletions may be forgotten once they are carried out: every delivery has told of them.
    pub(crate) fn told(&self) -> Sequence {
        self.deliveries.iter().map(|(_, through)| *through).min().unwrap_or(Sequence::MAX)
    }
}
