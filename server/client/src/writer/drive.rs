//! Whoever drives a writer: a stream, and the next once that ended.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::stream::{Ended, run};
use crate::backoff::{Backoff, slow};
use crate::connection::{Core, Link};
use crate::{Error, State};

/// Drives a writer until the client is closed.
pub(super) async fn drive(core: Arc<Core>, shared: Arc<Shared>) {
    let limits = &core.settings.limits;
    let mut backoff = Backoff::new(limits.first_retry, limits.longest_retry);
    while let Some(link) = link(&core, &shared).await {
        let ended = run(&link, &shared, limits.answer).await;
        let has_progressed = {
            let mut buffer = shared.buffer();
            buffer.disconnected();
            buffer.take_progressed()
        };
        if has_progressed {
            backoff.reset();
        }
        match ended {
            Ended::Stopped(failed) => {
                shared.stop(failed);
                shared.restarted.notified().await;
            }
            Ended::Error(error) => pause(&shared, error, &mut backoff, limits.slow_retry).await,
        }
    }
}

/// Waits until the writer may be opened again.
async fn pause(shared: &Shared, error: Error, backoff: &mut Backoff, slow_retry: Duration) {
    let again = if error.may_retry() {
        let after = match &error {
            Error::Failed { failed, .. } => Duration::from_millis(failed.retry_after_millis.into()),
            _ => Duration::ZERO,
        };
        tracing::debug!(%error, "the writer is opened again");
        shared.tell(None);
        backoff.next().max(after.min(slow_retry))
    } else {
        tracing::warn!(%error, "the writer does not go on, and somebody has to mend that");
        shared.tell(Some(error));
        slow(slow_retry)
    };
    tokio::time::sleep(again).await;
}

/// The connection, waited for; `None` once the client is closed.
async fn link(core: &Core, shared: &Shared) -> Option<Arc<Link>> {
    loop {
        let mut state = core.state();
        match core.link().await {
            Ok(link) => return Some(link),
            Err(Error::Closed) => {
                shared.tell(Some(Error::Closed));
                return None;
            }
            Err(error) => shared.tell(Some(error)),
        }
        // The sender is in the core: it lasts.
        let _ = state.changed().await;
        if !matches!(&*state.borrow(), State::Failing { .. }) {
            shared.tell(None);
        }
    }
}
