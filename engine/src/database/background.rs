//! The threads that take the background steps.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::inner::Inner;
use crate::error::{Error, Result};

/// How often the steps are considered without being asked.
const TICK: Duration = Duration::from_millis(500);

/// One thread that seals and one that compacts, so that neither waits for the other.
#[derive(Debug)]
pub(super) struct Background {
    signal: Arc<Signal>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    nudged: bool,
}

impl Background {
    /// Starts the threads and leaves itself with the database.
    pub(super) fn start(inner: &Arc<Inner>) -> Result<()> {
        let signal = Arc::new(Signal::default());
        let threads = vec![
            spawn("alluvium-seal", inner, &signal, true, seal_tick)?,
            spawn("alluvium-compact", inner, &signal, false, compact_tick)?,
        ];
        *inner.background.lock() = Some(Background { signal, threads });
        Ok(())
    }

    /// Asks the sealer to look now.
    pub(super) fn nudge(&self) {
        self.signal.state.lock().nudged = true;
        self.signal.changed.notify_all();
    }

    /// Waits for the step under way, and ends.
    pub(super) fn stop(self) {
        self.signal.state.lock().stop = true;
        self.signal.changed.notify_all();
        let me = std::thread::current().id();
        for thread in self.threads.into_iter().filter(|thread| thread.thread().id() != me) {
            if thread.join().is_err() {
                tracing::error!("a background thread panicked");
            }
        }
    }
}

fn spawn(
    name: &str,
    inner: &Arc<Inner>,
    signal: &Arc<Signal>,
    nudged: bool,
    tick: fn(&Inner) -> Result<()>,
) -> Result<JoinHandle<()>> {
    let (inner, signal) = (Arc::downgrade(inner), signal.clone());
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&inner, &signal, nudged, tick))
        .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))
}

fn run(inner: &Weak<Inner>, signal: &Signal, nudged: bool, tick: fn(&Inner) -> Result<()>) {
    while signal.wait(nudged) {
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = tick(&inner) {
            tracing::warn!(%error, "a background step failed; it is tried again");
        }
    }
}

impl Signal {
    /// Waits for a tick, or for a nudge where those count. Answers whether to go on.
    fn wait(&self, nudged: bool) -> bool {
        let mut state = self.state.lock();
        let called = nudged && state.nudged;
        if !(state.stop || called) {
            self.changed.wait_for(&mut state, TICK);
        }
        if nudged {
            state.nudged = false;
        }
        !state.stop
    }
}

fn seal_tick(inner: &Inner) -> Result<()> {
    while inner.check_open().is_ok() && inner.seal_due() {
        inner.seal()?;
    }
    Ok(())
}

fn compact_tick(inner: &Inner) -> Result<()> {
    while inner.check_open().is_ok() && inner.compact_step()? {}
    Ok(())
}
