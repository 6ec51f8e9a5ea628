//! How far something has come, for those who wait for it to go on.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// A number that only rises, and whoever waits for it to.
///
/// As long as nobody waits, that somebody could costs whoever raises it one atomic load. Today only threads can wait; another
/// kind of waiter would count itself among `waiting` as they do, and be told where they are told.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    level: AtomicU64,
    closed: AtomicBool,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Watermark {
    pub(crate) fn new(level: u64) -> Self {
        Watermark { level: AtomicU64::new(level), ..Self::default() }
    }

    /// How far it has come. [`Error::Closed`] once it goes no further.
    pub(crate) fn level(&self) -> Result<u64> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(self.level.load(Ordering::SeqCst)) }
    }

    /// It has come to `level`. One thread at a time.
    pub(crate) fn raise(&self, level: u64) {
        if level > self.level.load(Ordering::Relaxed) {
            self.level.store(level, Ordering::SeqCst);
            self.tell();
        }
    }

    /// It goes no further: whoever waits is told so.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.tell();
    }

    /// Waits until it is above `level`, or so long. Answers whether it is.
    pub(crate) fn wait_above(&self, level: u64, timeout: Duration) -> Result<bool> {
        if self.level()? > level {
            return Ok(true);
        }
        let mut guard = self.lock.lock();
        // Either the raise is seen below, or who raises sees that somebody waits: both orders are sequentially consistent.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let above = || self.closed.load(Ordering::SeqCst) || self.level.load(Ordering::SeqCst) > level;
        self.changed.wait_while_for(&mut guard, |()| !above(), timeout);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
        Ok(self.level()? > level)
    }

    fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever has counted itself but does not wait yet holds the lock.
            drop(self.lock.lock());
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const LAST: u64 = 5_000;

    #[test]
    fn whoever_waits_is_told_of_every_rise_and_of_the_end() {
        let mark = Watermark::new(3);
        assert!(mark.wait_above(2, LONG).unwrap());
        assert!(!mark.wait_above(3, Duration::from_millis(1)).unwrap());
        let arrived = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let followers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut seen = 3;
                        while seen < LAST {
                            assert!(mark.wait_above(seen, LONG).unwrap(), "nobody said that {seen} was passed");
                            seen = mark.level().unwrap();
                        }
                        arrived.fetch_add(1, Ordering::SeqCst);
                        mark.wait_above(seen, LONG)
                    })
                })
                .collect();
            (4..=LAST).for_each(|level| mark.raise(level));
            let all = |count: &AtomicUsize| count.load(Ordering::SeqCst) == 3;
            while !all(&arrived) || !all(&mark.waiting) || mark.lock.is_locked() {
                std::thread::yield_now();
            }
            mark.close();
            followers.into_iter().for_each(|follower| assert!(matches!(follower.join().unwrap(), Err(Error::Closed))));
        });
        mark.raise(4);
        assert_eq!(mark.level.into_inner(), LAST, "it never goes back");
    }
}
