//! Who waits for a key to change: threads and tasks that are told, so that nobody has to look again and again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::fast::FixedState;
use parking_lot::{Condvar, Mutex};

use crate::record::{Effect, Key};

/// The keys that somebody watches. Where nobody does, a change costs one look at a number.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// How many watches there are.
    count: AtomicUsize,
    signals: Mutex<HashMap<Key, Watched, FixedState>>,
}

/// A key, and how many watch it.
#[derive(Debug, Default)]
struct Watched {
    signal: Arc<Signal>,
    watches: usize,
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Counts changes.
    version: u64,
    wakers: Vec<Waker>,
}

/// Tells whether a key has changed since it was last asked, and waits for it, in a thread or in a task. What changed before it
/// was made counts as seen; so watch first, then look.
#[doc(hidden)]
#[derive(Debug)]
pub struct Watch {
    key: Key,
    signal: Arc<Signal>,
    seen: u64,
    watchers: Arc<Watchers>,
}

impl Watchers {
    /// Watches a key from now on.
    pub(crate) fn watch(self: &Arc<Self>, key: Key) -> Watch {
        // Counted before the watcher looks at anything: a change that it does not see is one that sees it.
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut signals = self.signals.lock();
        let watched = signals.entry(key.clone()).or_default();
        watched.watches += 1;
        let signal = watched.signal.clone();
        drop(signals);
        let seen = signal.state.lock().version;
        Watch { key, signal, seen, watchers: self.clone() }
    }

    /// Tells those whom these effects concern. They are published by now.
    pub(super) fn tell<'e>(&self, effects: impl Iterator<Item = &'e Effect>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let signals = self.signals.lock();
        effects.filter_map(|effect| signals.get(&effect.key)).for_each(|watched| watched.signal.tell());
    }

    /// Tells everyone: nothing will change any more.
    pub(super) fn tell_all(&self) {
        self.signals.lock().values().for_each(|watched| watched.signal.tell());
    }

    /// How many watches there are.
    #[cfg(test)]
    pub(crate) fn watches(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn forget(&self, key: &Key) {
        let mut signals = self.signals.lock();
        if let Some(watched) = signals.get_mut(key) {
            watched.watches -= 1;
            if watched.watches == 0 {
                signals.remove(key);
            }
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Signal {
    fn tell(&self) {
        let mut state = self.state.lock();
        state.version += 1;
        self.changed.notify_all();
        state.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Watch {
    /// Waits until the key has changed, but no longer than so long. Answers whether it has.
    pub fn wait(&mut self, time: Duration) -> bool {
        let mut state = self.signal.state.lock();
        let seen = self.seen;
        self.signal.changed.wait_while_for(&mut state, |state| state.version == seen, time);
        self.seen = state.version;
        self.seen != seen
    }

    /// Ready once the key has changed; until then the task is woken when it does.
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.signal.state.lock();
        if state.version != self.seen {
            self.seen = state.version;
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Completes once the key has changed.
    pub async fn changed(&mut self) {
        std::future::poll_fn(|context| self.poll_changed(context)).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watchers.forget(&self.key);
    }
}
