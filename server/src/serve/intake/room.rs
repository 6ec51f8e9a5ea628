//! The share of the room for received bytes that a request takes.

use std::sync::Arc;
use std::time::Duration;

use alluvium_protocol::message::Failed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::super::failed;
use super::super::session::Server;

/// It grows by so many bytes.
const STEP: usize = 256 << 10;

/// A share, which is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Semaphore>,
    patience: Duration,
    taken: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// None yet.
    pub(crate) fn new(server: &Server) -> Share {
        Share { room: server.room.clone(), patience: server.settings.progress, taken: None }
    }

    /// Takes as much as is needed for so many bytes, and waits for it.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Failed> {
        let Some(more) = self.lacks(bytes) else { return Ok(()) };
        let more = timeout(self.patience, self.room.clone().acquire_many_owned(more)).await.map_err(|_| busy())?;
        self.add(more.map_err(|_| failed::closing())?);
        Ok(())
    }

    /// The same without waiting.
    pub(crate) fn grow_now(&mut self, bytes: usize) -> Result<(), Failed> {
        let Some(more) = self.lacks(bytes) else { return Ok(()) };
        self.add(self.room.clone().try_acquire_many_owned(more).map_err(|_| busy())?);
        Ok(())
    }

    fn lacks(&self, bytes: usize) -> Option<u32> {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.checked_sub(taken).filter(|more| *more > 0)?;
        Some(u32::try_from(more.next_multiple_of(STEP)).unwrap_or(u32::MAX))
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
    }
}

fn busy() -> Failed {
    failed::busy("too much is being received at once: send it again later")
}
