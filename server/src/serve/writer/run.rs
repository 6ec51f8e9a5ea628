//! Batches of rows of one table that have come on a stream one after the other: to take them together costs much less.

use alluvium_protocol::frame::Frame;
use alluvium_protocol::rows::{Head, ROW_BATCH, split};

use super::Numbers;
use crate::serve::stream::{Reader, Received};

/// Bytes of batches that are taken together, at most, but for the last of them.
const BYTES: usize = 128 << 10;
/// How many.
const BATCHES: usize = 1_024;

/// One batch of rows, or several of one slot whose numbers follow each other.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) batches: Vec<Received>,
    /// Of each; none where the first has none that could be read.
    heads: Vec<Head>,
    bytes: usize,
}

impl Run {
    /// Takes the first, and those that go on from it as far as the reader has them, up to about so many bytes.
    pub(super) fn gather(first: Received, reader: &mut Reader, bytes: usize) -> Run {
        let mut run = Run { bytes: first.frame.payload.len(), heads: Vec::new(), batches: Vec::new() };
        run.heads.extend(head(&first.frame));
        run.batches.push(first);
        while run.bytes < bytes.min(BYTES) && run.batches.len() < BATCHES {
            let Some(next) = reader.ready() else { break };
            let Some(head) = head(&next.frame).filter(|head| run.goes_on_with(head)) else {
                reader.give_back(next);
                break;
            };
            run.bytes += next.frame.payload.len();
            run.heads.push(head);
            run.batches.push(next);
        }
        run
    }

    fn goes_on_with(&self, head: &Head) -> bool {
        self.heads.last().is_some_and(|last| last.slot == head.slot && last.number.checked_add(1) == Some(head.number))
    }

    /// The slot and the numbers, if there are several.
    pub(super) fn several(&self) -> Option<(u16, Numbers)> {
        match self.heads[..] {
            [first, .., last] => Some((first.slot, Numbers { first: first.number, last: last.number })),
            _ => None,
        }
    }

    /// All there is of them.
    pub(super) fn frames(&self) -> Vec<&Frame> {
        self.batches.iter().map(|received| &received.frame).collect()
    }

    /// How many rows each has.
    pub(super) fn counts(&self) -> Vec<usize> {
        self.heads.iter().map(|head| head.rows as usize).collect()
    }

    /// Bytes that all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The head of a batch of rows.
fn head(frame: &Frame) -> Option<Head> {
    if frame.kind == ROW_BATCH { split(frame.kind, &frame.payload).ok().map(|(head, _)| head) } else { None }
}
