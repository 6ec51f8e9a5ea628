//! Deliveries: what someone elsewhere is to hold of this database, and what he does.
//!
//! A delivery goes forward in *cuts*, stretches of the log that follow each other without a gap and whose rows lie in segments. What a
//! cut found in one segment is a *unit*; it is noted until someone holds it, in a segment that may have been merged since. So what is
//! left to be sent is known after a crash, and however segments are folded together: compaction keeps those apart that stand
//! differently with any delivery ([`Fences`]), so that a segment holds all of what its records and its partition say.
//!
//! How things are sent, and to whom, is not known here.

mod cut;
mod erased;
mod fence;
mod form;
mod state;
mod unit;
mod voided;

pub use cut::{Cut, Unit};
pub(crate) use cut::{SealedState, take};
pub(crate) use fence::Fences;
pub use state::{Announced, DeliveredThrough, DeliveryHead, DeliveryState};
pub(crate) use state::{
    announce, announced_through, begin, confirm, head, hold, list, missed, next, note, notes, put_note, rebase, remove, sent,
    state, unconfirmed, wants,
};
pub use unit::Sent;
pub(crate) use unit::{Wanted, Within, lacks_any, within_segment};

#[cfg(test)]
mod tests;
