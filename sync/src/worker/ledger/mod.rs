//! Tells the centre what the target has: cuts in their order, the lines of their metadata, and segments once they are confirmed there.
//!
//! - `machine`: decides what to tell next, without I/O;
//! - `queue`: what is still to be told, noted in the database before it counts as announced or held, and forgotten once it was told;
//! - `meet`: sees where the centre is, and queues what it lacks, from the bucket;
//! - `tell`: tells it;
//! - `fill`: finds in the bucket what the centre lacks though it should not;
//! - `drive`: does what the machine decides, beside what carries things to the target and in nobody's way.
//!
//! The centre is behind [`Centre`], so that it can be simulated, as `memory` does.

mod centre;
mod drive;
mod fill;
mod fresh;
mod machine;
mod meet;
mod memory;
mod queue;
mod tell;

#[cfg(test)]
pub(super) mod tests;

use alluvium::Announced;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use centre::Centre;
pub(super) use drive::Teller;
pub(crate) use fill::is_wanted;
pub(crate) use meet::manifest_of;
pub use memory::MemoryCentre;
pub(super) use queue::Queued;
pub use queue::{Told, told};

use fresh::Fresh;

/// The centre, and what is between those who carry and those who tell.
#[derive(Debug)]
pub(super) struct Telling {
    centre: Box<dyn Centre>,
    /// Something new is to be told.
    pub(super) news: Notify,
    /// What was just put, so that it need not be read back.
    pub(super) fresh: Mutex<Fresh>,
    /// A fork that is asked of whoever announces cuts.
    fork: Mutex<Option<WantedFork>>,
}

/// The delivery is to go on behind a cut, under a new incarnation.
#[derive(Debug, Clone, Copy)]
struct WantedFork {
    /// As long as it still is this one.
    incarnation: [u8; 16],
    /// The last cut that the centre has.
    common: Announced,
}

impl Telling {
    pub(super) fn new(centre: Box<dyn Centre>) -> Self {
        Telling { centre, news: Notify::new(), fresh: Mutex::default(), fork: Mutex::default() }
    }

    /// Whether a fork is wanted.
    pub(super) fn wants_fork(&self) -> bool {
        self.fork.lock().is_some()
    }

    /// The cut behind which a delivery of this incarnation is to fork, once.
    pub(super) fn take_fork(&self, incarnation: [u8; 16]) -> Option<Announced> {
        let wanted = self.fork.lock().take()?;
        (wanted.incarnation == incarnation).then_some(wanted.common)
    }
}
