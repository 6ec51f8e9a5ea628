//! The share of the room for received bytes that a request takes.

use std::time::Duration;

use alluvium_protocol::message::Failed;
use tokio::time::timeout;

use super::super::access::Caller;
use super::super::failed;
use super::super::session::Server;
use super::super::shares::{self, Taken};

/// It grows by so many bytes.
pub(in crate::serve) const STEP: usize = 256 << 10;

/// A share, which is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: shares::Share,
    patience: Duration,
    taken: Option<Taken>,
}

impl Share {
    /// None yet. What came over QUIC was counted among what its sender may have when it came.
    pub(crate) fn new(server: &Server, caller: &Caller) -> Share {
        let own = server.room.of(caller);
        let room = if matches!(caller, Caller::Bearer { .. }) { own } else { own.of_all() };
        Share { room, patience: server.settings.progress, taken: None }
    }

    /// Takes as much as is needed for so many bytes, and waits for it.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Failed> {
        let Some(more) = self.lacks(bytes) else { return Ok(()) };
        let more = timeout(self.patience, self.room.take(more)).await.map_err(|_| busy())?;
        self.add(more.map_err(|_| failed::closing())?);
        Ok(())
    }

    /// The same without waiting.
    pub(crate) fn grow_now(&mut self, bytes: usize) -> Result<(), Failed> {
        let Some(more) = self.lacks(bytes) else { return Ok(()) };
        self.add(self.room.try_take(more).map_err(|_| busy())?);
        Ok(())
    }

    fn lacks(&self, bytes: usize) -> Option<u32> {
        let taken = self.taken.as_ref().map_or(0, Taken::amount);
        let more = bytes.checked_sub(taken).filter(|more| *more > 0)?;
        Some(u32::try_from(more.next_multiple_of(STEP)).unwrap_or(u32::MAX))
    }

    fn add(&mut self, more: Taken) {
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
    }
}

fn busy() -> Failed {
    failed::busy("too much is being received at once: send it again later")
}
