//! How far something has come, for those who wait for it to go on.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::fast::FixedState;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// A number that only rises, and whoever waits for it to: threads and tasks.
///
/// As long as nobody waits, that somebody could costs whoever raises it one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    level: AtomicU64,
    closed: AtomicBool,
    /// Threads and tasks.
    waiting: AtomicUsize,
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

/// Tasks that wait, each under a number of its own.
#[derive(Debug, Default)]
struct Tasks {
    next: u64,
    wakers: HashMap<u64, Waker, FixedState>,
}

/// Completes once a watermark is above a level, or goes no further.
#[derive(Debug)]
pub(crate) struct Rise {
    mark: Arc<Watermark>,
    level: u64,
    /// Its number among those who wait.
    task: Option<u64>,
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
        let mut guard = self.tasks.lock();
        // Either the raise is seen below, or who raises sees that somebody waits: both orders are sequentially consistent.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let above = || self.closed.load(Ordering::SeqCst) || self.level.load(Ordering::SeqCst) > level;
        self.changed.wait_while_for(&mut guard, |_| !above(), timeout);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
        Ok(self.level()? > level)
    }

    /// Completes once it is above `level`, for a task.
    pub(crate) fn rise(self: &Arc<Self>, level: u64) -> Rise {
        Rise { mark: self.clone(), level, task: None }
    }

    fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever has counted itself but does not wait yet holds the lock.
            self.tasks.lock().wakers.values().for_each(Waker::wake_by_ref);
            self.changed.notify_all();
        }
    }
}

impl Future for Rise {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let rise = self.get_mut();
        let mut tasks = rise.mark.tasks.lock();
        let task = *rise.task.get_or_insert_with(|| {
            // As in `wait_above`: counted before it looks.
            rise.mark.waiting.fetch_add(1, Ordering::SeqCst);
            tasks.next += 1;
            tasks.next
        });
        tasks.wakers.insert(task, context.waker().clone());
        drop(tasks);
        match rise.mark.level() {
            Ok(level) if level <= rise.level => Poll::Pending,
            ended => Poll::Ready(ended.map(drop)),
        }
    }
}

impl Drop for Rise {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            self.mark.tasks.lock().wakers.remove(&task);
            self.mark.waiting.fetch_sub(1, Ordering::SeqCst);
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
            while !all(&arrived) || !all(&mark.waiting) || mark.tasks.is_locked() {
                std::thread::yield_now();
            }
            mark.close();
            followers.into_iter().for_each(|follower| assert!(matches!(follower.join().unwrap(), Err(Error::Closed))));
        });
        mark.raise(4);
        assert_eq!(mark.level.into_inner(), LAST, "it never goes back");
    }
    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn tasks_are_woken_by_a_rise_and_by_the_end_and_leave_nothing_behind() {
        let mark = Arc::new(Watermark::new(3));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        let mut poll = |rise: &mut Rise| Pin::new(rise).poll(&mut context);

        assert!(matches!(poll(&mut mark.rise(2)), Poll::Ready(Ok(()))));
        let mut rise = mark.rise(4);
        assert!(poll(&mut rise).is_pending() && poll(&mut rise).is_pending());
        assert_eq!(mark.tasks.lock().wakers.len(), 1, "a task waits once, however often it is polled");
        mark.raise(4);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(poll(&mut rise).is_pending(), "4 is not above 4");
        mark.raise(5);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
        assert!(matches!(poll(&mut rise), Poll::Ready(Ok(()))));

        let mut given_up = mark.rise(9);
        assert!(poll(&mut given_up).is_pending());
        drop((rise, given_up));
        assert_eq!((mark.waiting.load(Ordering::SeqCst), mark.tasks.lock().wakers.len()), (0, 0));
        let mut last = mark.rise(9);
        assert!(poll(&mut last).is_pending());
        mark.close();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 3);
        assert!(matches!(poll(&mut last), Poll::Ready(Err(Error::Closed))));
    }
}
