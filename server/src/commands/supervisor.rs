//! What a service manager is told, as systemd has it (`sd_notify`), where there is one.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::warn;

/// The service manager, and how often it wants to hear that all is well.
pub(super) struct Supervisor {
    beats: Option<Interval>,
}

impl Supervisor {
    /// Says that the server can be asked from now on.
    pub(super) fn ready() -> Supervisor {
        tell(&[NotifyState::Ready]);
        let beats = sd_notify::watchdog_enabled().map(|within| {
            // Twice within the time, so that one may be late.
            let mut beats = interval((within / 2).max(Duration::from_millis(1)));
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beats
        });
        Supervisor { beats }
    }

    /// Resolves whenever it is time to say that all is well; never, where nobody wants to know.
    pub(super) async fn beat(&mut self) {
        match &mut self.beats {
            Some(beats) => {
                beats.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Says that all is well.
    pub(super) fn well(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// Says that the server ends.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "the service manager could not be told");
    }
}
