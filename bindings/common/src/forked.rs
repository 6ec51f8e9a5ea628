//! Children that were forked.
//!
//! A child has its parent's memory, though not its threads, and its parent's open files, though none of them is the child's to write. To close
//! a database there would write to it and unlock it under the parent's hands. So what a child inherited is refused and left alone.
//!
//! Nor does such a child open others: locks, the engine's and those of the libraries below it, keep lists of who waits for them, and threads that are
//! not there stay on these. What POSIX allows a child of a process with threads is little more than to start another program.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How often this process, or one it descends from, was forked.
static GENERATION: AtomicU64 = AtomicU64::new(0);
static COUNTS: Once = Once::new();

/// Databases that are open in this process, with threads at work on them.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Whether the process that this one was forked from had any open. Its threads are not here, and locks still count with them.
static IS_BEREFT: AtomicBool = AtomicBool::new(false);

/// Counts a database among those that are open here, for as long as this is there.
#[derive(Debug)]
pub(crate) struct Counted(());

impl Counted {
    /// None in a child of a process that had a database open: what such a child opened might wait for threads that are not there, or worse.
    pub(crate) fn new() -> Option<Self> {
        COUNTS.call_once(count);
        OPEN.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(());
        (!IS_BEREFT.load(Ordering::SeqCst)).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What must not be touched in a child of the process that made it: there it is neither lent nor dropped.
#[derive(Debug)]
pub struct Here<T> {
    generation: u64,
    value: Option<T>,
}

impl<T> Here<T> {
    /// What belongs to this process.
    pub fn new(value: T) -> Self {
        COUNTS.call_once(count);
        Here { generation: GENERATION.load(Ordering::Relaxed), value: Some(value) }
    }

    /// What it is; none in a child.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.is_here())
    }

    /// The same to be changed.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        let is_here = self.is_here();
        self.value.as_mut().filter(|_| is_here)
    }

    /// What it was; none in a child.
    pub fn take(mut self) -> Option<T> {
        if self.is_here() { self.value.take() } else { None }
    }

    fn is_here(&self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Here<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}

extern "C" fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if OPEN.load(Ordering::SeqCst) > 0 {
        IS_BEREFT.store(true, Ordering::SeqCst);
    }
}

#[expect(unsafe_code, reason = "the standard library does not tell of forks")]
fn count() {
    // SAFETY: the function is there for as long as the process is, and does nothing that a child may not do.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    // It fails only for want of memory; children are then not told from their parents.
    debug_assert_eq!(refused, 0);
}
