//! How it stands with an item. What was pushed lies in a cell of its own, so that a large payload is written but once.

use std::sync::Arc;

use super::bytes::{Reader, sorted};
use crate::error::Result;

/// What of a queue's item changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Higher ones come first.
    pub(super) priority: u8,
    /// How often it was popped since it was pushed or requeued.
    pub(super) tries: u32,
    /// When it was pushed, by the wall clock.
    pub(super) pushed: i64,
    pub(super) place: Place,
}

/// Where an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It may be popped.
    Ready(Order),
    /// It may not be popped before this time of the wall clock.
    Scheduled { due: i64 },
    /// Someone has it until this time of the engine's clock.
    Leased { until: u64, token: u64 },
    /// It backs off until this time of the engine's clock.
    Delayed { until: u64 },
    /// It was tried too often.
    Dead,
}

/// Which of two items of the same priority is popped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    /// Since when it may be popped, by the engine's clock: whatever the wall clock does, who waits longer comes first.
    pub(super) available: u64,
    /// When it was due, by the wall clock; [`AT_ONCE`] where nothing else was said.
    pub(super) due: i64,
    /// Drawn when it became so; no two are the same.
    pub(super) number: u64,
}

/// Due when it is pushed.
pub(super) const AT_ONCE: i64 = i64::MIN;

impl Order {
    pub(super) fn encode(self) -> [u8; 24] {
        let parts = [self.available.to_be_bytes(), sorted(self.due), self.number.to_be_bytes()];
        let mut bytes = [0; 24];
        bytes.copy_from_slice(parts.as_flattened());
        bytes
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Order { available: reader.u64()?, due: reader.sorted()?, number: reader.u64()? })
    }
}

impl State {
    /// Priority, tries, time pushed; then a byte for the place, and what belongs to it.
    pub(super) fn encode(&self) -> Arc<[u8]> {
        let mut bytes = vec![self.priority];
        bytes.extend(self.tries.to_be_bytes());
        bytes.extend(sorted(self.pushed));
        match self.place {
            Place::Ready(order) => {
                bytes.push(0);
                bytes.extend(order.encode());
            }
            Place::Scheduled { due } => {
                bytes.push(1);
                bytes.extend(sorted(due));
            }
            Place::Leased { until, token } => {
                bytes.push(2);
                bytes.extend(until.to_be_bytes());
                bytes.extend(token.to_be_bytes());
            }
            Place::Delayed { until } => {
                bytes.push(3);
                bytes.extend(until.to_be_bytes());
            }
            Place::Dead => bytes.push(4),
        }
        bytes.into()
    }

    pub(super) fn decode(cell: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("state of an item", cell);
        let (priority, tries, pushed) = (reader.byte()?, reader.u32()?, reader.sorted()?);
        let place = match reader.byte()? {
            0 => Place::Ready(Order::decode(&mut reader)?),
            1 => Place::Scheduled { due: reader.sorted()? },
            2 => Place::Leased { until: reader.u64()?, token: reader.u64()? },
            3 => Place::Delayed { until: reader.u64()? },
            4 => Place::Dead,
            _ => return Err(reader.wrong("an unknown place")),
        };
        Ok(State { priority, tries, pushed, place })
    }
}
