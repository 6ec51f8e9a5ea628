//! How much memory unsealed rows take, all tables together.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

/// Memory in unsealed rows, and a place to wait for less of it.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge {
    used: AtomicUsize,
    waiting: Mutex<()>,
    freed: Condvar,
}

impl MemoryGauge {
    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Counts a change from `before` to `after` bytes.
    pub(crate) fn replace(&self, before: usize, after: usize) {
        if after >= before {
            self.used.fetch_add(after - before, Ordering::AcqRel);
        } else {
            self.used.fetch_sub(before - after, Ordering::AcqRel);
            self.wake();
        }
    }

    /// Wakes whoever waits, to look again.
    pub(crate) fn wake(&self) {
        let _guard = self.waiting.lock();
        self.freed.notify_all();
    }

    /// Waits until `ready` answers something. It is asked again whenever memory was freed.
    pub(crate) fn wait_until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let mut guard = self.waiting.lock();
        loop {
            if let Some(answer) = ready() {
                return answer;
            }
            self.freed.wait(&mut guard);
        }
    }
}
