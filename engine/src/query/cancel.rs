//! Giving up a query while it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Ends a query before its answer is complete, from any thread: see [`QueryStream::cancel`](super::QueryStream::cancel).
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends it: the stream answers [`Error::Cancelled`] before it reads another page. Whoever waits for its next batch gets that
    /// soon, also where there is none before all is read, as of aggregates.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// [`Error::Cancelled`] once it was.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}
