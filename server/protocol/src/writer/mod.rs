//! Writer streams, on which every batch counts once.
//!
//! A writer numbers its batches from 1. What is sent again, because the link went before the acknowledgement came, has the number it
//! had before, so that the server knows it. Acknowledgements are cumulative and say that batches are durable. A batch that is refused
//! holds up those behind it until it is sent anew or given up, so that none is lost in silence.
//!
//! [`Sender`] and [`Receiver`] are the two ends, without sockets and time: what to do follows from what has come.

mod receiver;
mod sender;

#[cfg(test)]
mod tests;

pub use receiver::{Incoming, Receiver};
pub use sender::{Next, Sender};

/// A peer that does not keep to the numbers. The stream ends, and what it said counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutOfOrder {
    /// A batch came before one that is missing.
    #[error("batch {found} came, {expected} is the next")]
    Gap {
        /// The one that is next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A batch is given up that was not refused.
    #[error("batch {number} is given up, and was not refused")]
    NotRefused {
        /// The batch.
        number: u64,
    },
    /// Batches are acknowledged, or refused, that were never sent, or that were acknowledged before.
    #[error("the server speaks of batch {number}, which is not under way")]
    NotUnderWay {
        /// The batch.
        number: u64,
    },
    /// Fewer batches are there than were acknowledged, or more than were ever made.
    #[error("the server has batches up to {applied}, which cannot be: {acknowledged} were acknowledged, {made} made")]
    Impossible {
        /// Applied, as the server says.
        applied: u64,
        /// Acknowledged before.
        acknowledged: u64,
        /// Made at all.
        made: u64,
    },
}
