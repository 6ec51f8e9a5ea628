//! What deliveries ask of compaction.

use std::collections::HashSet;

use super::form::{DeliveryForm, decode, name_of};
use super::unit::{Within, within_segment};
use crate::error::Result;
use crate::keyspace::{Direction, View, prefix, space};
use crate::model::Sequence;
use crate::record::{SegmentEntry, SegmentId};

/// How segments stand with all deliveries.
#[derive(Debug)]
pub(crate) struct Fences {
    view: View,
    /// Their names and numbers, and what their cuts end with.
    deliveries: Vec<(String, u32, Sequence)>,
    /// Segments that are being sent.
    under_way: HashSet<SegmentId>,
}

/// How a segment stands with all deliveries: only those that stand alike are folded together.
pub(crate) type Standing = Vec<State>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No cut has it yet.
    Uncut,
    /// It holds units that were not sent.
    Wanted,
    /// All were sent, and some not looked for since.
    Sent,
    /// All its units are held.
    Held,
}

impl Fences {
    /// As they are in a state of the key space.
    pub(crate) fn new(view: View, under_way: HashSet<SegmentId>) -> Result<Self> {
        let mut deliveries = Vec::new();
        for cell in view.scan(&prefix(&[space::DELIVERY]), Direction::Forward)? {
            let (key, (_, cell)) = cell?;
            let form: DeliveryForm = decode(&cell)?;
            deliveries.push((name_of(&key)?, form.number, form.through));
        }
        Ok(Fences { view, deliveries, under_way })
    }

    /// How a segment stands; `None` while it is being sent, and has to stay as it is.
    pub(crate) fn standing(&self, entry: &SegmentEntry) -> Result<Option<Standing>> {
        if self.under_way.contains(&entry.id) {
            return Ok(None);
        }
        let state = |(_, number, through): &(String, u32, Sequence)| self.state(*number, *through, entry);
        self.deliveries.iter().map(state).collect::<Result<_>>().map(Some)
    }

    /// Whether a segment is being sent.
    pub(crate) fn is_under_way(&self, entry: &SegmentEntry) -> bool {
        self.under_way.contains(&entry.id)
    }

    /// The names of deliveries that do not hold all of a segment.
    pub(crate) fn lacking(&self, entry: &SegmentEntry) -> Result<Vec<&str>> {
        let mut lacking = Vec::new();
        for (name, number, through) in &self.deliveries {
            lacking.extend((self.state(*number, *through, entry)? != State::Held).then_some(name.as_str()));
        }
        Ok(lacking)
    }

    /// Whether there is a delivery of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.deliveries.iter().any(|(known, ..)| known == name)
    }

    fn state(&self, delivery: u32, through: Sequence, entry: &SegmentEntry) -> Result<State> {
        if entry.last_sequence > through {
            return Ok(State::Uncut);
        }
        Ok(match within_segment(&self.view, delivery, entry)? {
            Within::Wanted(_) => State::Wanted,
            Within::Sent => State::Sent,
            Within::Held => State::Held,
        })
    }

    /// The last record whose deletions may be forgotten once they are carried out: every delivery has told of them.
    pub(crate) fn told(&self) -> Sequence {
        self.deliveries.iter().map(|(_, _, through)| *through).min().unwrap_or(Sequence::MAX)
    }
}
