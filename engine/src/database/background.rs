//! The threads that take the background steps.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::inner::Inner;
use super::steps::BackgroundStep;
use crate::error::{Error, Result};

/// How often the steps are considered without being asked.
const TICK: Duration = Duration::from_millis(500);

/// A thread for each kind of step that may take long, so that none waits for another.
#[derive(Debug)]
pub(super) struct Background {
    consolidating: Worker,
    sealing: Worker,
    compacting: Worker,
    applying: Worker,
}

/// A thread, and what wakes it.
#[derive(Debug)]
struct Worker {
    signal: Arc<Signal>,
    thread: JoinHandle<()>,
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
        *inner.background.lock() = Some(Background {
            consolidating: Worker::start("alluvium-merge", inner, &[BackgroundStep::Consolidate])?,
            sealing: Worker::start("alluvium-seal", inner, &[BackgroundStep::Seal])?,
            compacting: Worker::start("alluvium-compact", inner, &[BackgroundStep::Compact, BackgroundStep::Evict])?,
            applying: Worker::start(
                "alluvium-apply",
                inner,
                &[BackgroundStep::Apply, BackgroundStep::Expire, BackgroundStep::Reclaim],
            )?,
        });
        Ok(())
    }

    /// Asks for a look at whether to seal, now.
    pub(super) fn nudge_sealing(&self) {
        self.sealing.signal.nudge();
    }

    /// Asks for a look at whether to merge unsealed rows, now.
    pub(super) fn nudge_consolidating(&self) {
        self.consolidating.signal.nudge();
    }

    /// Asks for the catalog to be told of metadata, now.
    pub(super) fn nudge_applying(&self) {
        self.applying.signal.nudge();
    }

    /// Waits for the steps under way, and ends.
    pub(super) fn stop(self) {
        let workers = [self.consolidating, self.sealing, self.compacting, self.applying];
        workers.iter().for_each(|worker| worker.signal.stop());
        workers.into_iter().for_each(Worker::join);
    }
}

impl Worker {
    fn start(name: &str, inner: &Arc<Inner>, steps: &'static [BackgroundStep]) -> Result<Worker> {
        let signal = Arc::<Signal>::default();
        let (inner, awaited) = (Arc::downgrade(inner), signal.clone());
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&inner, &awaited, steps));
        let thread = spawned.map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Worker { signal, thread })
    }

    fn join(self) {
        // The last owner of a database may be one of its own threads.
        if self.thread.thread().id() != std::thread::current().id() && self.thread.join().is_err() {
            tracing::error!("a background thread panicked");
        }
    }
}

fn run(inner: &Weak<Inner>, signal: &Signal, steps: &[BackgroundStep]) {
    while signal.wait() {
        let Some(inner) = inner.upgrade() else { return };
        match steps.iter().try_for_each(|step| take_all(&inner, *step)) {
            // Whoever closes the database waits for this thread to see it.
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => tracing::warn!(%error, "a background step failed; it is tried again"),
        }
    }
}

/// Takes steps while there are any.
fn take_all(inner: &Inner, step: BackgroundStep) -> Result<()> {
    while inner.background_step(step)? {}
    Ok(())
}

impl Signal {
    fn nudge(&self) {
        let mut state = self.state.lock();
        if !state.nudged {
            state.nudged = true;
            self.changed.notify_all();
        }
    }

    fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits for a tick or a nudge. Answers whether to go on.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        if !(state.stop || state.nudged) {
            self.changed.wait_for(&mut state, TICK);
        }
        state.nudged = false;
        !state.stop
    }
}
