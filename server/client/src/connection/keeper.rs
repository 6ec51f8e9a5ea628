//! Whoever keeps the connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::Link;
use crate::backoff::{Backoff, slow};
use crate::{Error, Result, Settings, State};

/// What a client, its writers and the keeper of its connection share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    state: watch::Sender<State>,
    link: watch::Sender<Option<Arc<Link>>>,
    closing: Notify,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let (state, link) = (watch::Sender::new(State::Connecting), watch::Sender::new(None));
        Core { settings, state, link, closing: Notify::new() }
    }

    /// Tells how it stands.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The connection, waited for. What somebody has to mend ends the waiting with what that is.
    pub(crate) async fn link(&self) -> Result<Arc<Link>> {
        let (mut state, mut link) = (self.state.subscribe(), self.link.subscribe());
        loop {
            if let Some(link) = &*link.borrow_and_update() {
                return Ok(link.clone());
            }
            match &*state.borrow_and_update() {
                State::Failing { error, .. } => return Err(error.clone()),
                State::Closed => return Err(Error::Closed),
                _ => {}
            }
            // The senders are in here: they last.
            tokio::select! {
                _ = state.changed() => {}
                _ = link.changed() => {}
            }
        }
    }

    /// Asks the keeper to end.
    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }

    fn connected(&self, link: Arc<Link>) {
        let peer = link.peer.clone();
        self.link.send_replace(Some(link));
        self.state.send_replace(State::Connected(peer));
    }

    fn disconnected(&self, state: State) {
        self.link.send_replace(None);
        self.state.send_replace(state);
    }
}

/// Keeps the connection until it is told to end.
pub(crate) async fn keep(core: Arc<Core>) {
    tokio::select! {
        () = core.closing.notified() => {}
        () = again_and_again(&core) => {}
    }
    let link = core.link.borrow().clone();
    core.disconnected(State::Closed);
    if let Some(link) = link {
        link.close().await;
    }
}

async fn again_and_again(core: &Core) {
    let limits = &core.settings.limits;
    let mut backoff = Backoff::new(limits.first_retry, limits.longest_retry);
    loop {
        let (error, lasted) = once(core).await;
        if lasted >= limits.longest_retry {
            backoff.reset();
        }
        let server = &core.settings.name;
        let again = if error.may_retry() {
            let again = backoff.next();
            info!(server, %error, ?again, "not connected");
            core.disconnected(State::Waiting { error, again });
            again
        } else {
            let again = slow(limits.slow_retry);
            warn!(server, %error, ?again, "not connected, and somebody has to mend that");
            core.disconnected(State::Failing { error, again });
            again
        };
        tokio::time::sleep(again).await;
    }
}

/// Connects, and waits until the connection is lost. Answers how it ended, and how long it lasted.
async fn once(core: &Core) -> (Error, Duration) {
    // A reason that somebody has to mend holds until it is seen to be mended.
    core.state.send_if_modified(|state| {
        let is_transient = !matches!(state, State::Failing { .. });
        if is_transient {
            *state = State::Connecting;
        }
        is_transient
    });
    match Link::connect(&core.settings).await {
        Err(error) => (error, Duration::ZERO),
        Ok(link) => {
            let (link, began) = (Arc::new(link), Instant::now());
            info!(server = core.settings.name, address = %link.peer.address, "connected");
            core.connected(link.clone());
            (link.lost().await, began.elapsed())
        }
    }
}
