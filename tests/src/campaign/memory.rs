//! How much memory trials take, all that run at a time together.

use std::sync::{Mutex, MutexGuard};

use peak_alloc::PeakAlloc;

use super::{Violation, ensure};
use crate::sim::locked;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory that damage may make the engine take.
const MOST: usize = 64 << 20;

/// Held by whoever counts: everything in a process is counted together.
static COUNTING: Mutex<()> = Mutex::new(());

/// A bound on what is taken from here on.
#[derive(Debug)]
pub struct Bound {
    before: usize,
    _counting: MutexGuard<'static, ()>,
}

impl Bound {
    /// Begins to count, once nobody else does.
    pub fn begin() -> Bound {
        let counting = locked(&COUNTING);
        ALLOCATOR.reset_peak_usage();
        Bound { before: ALLOCATOR.current_usage(), _counting: counting }
    }

    /// The most taken at a time since then, in bytes.
    pub fn peak(&self) -> usize {
        ALLOCATOR.peak_usage().saturating_sub(self.before)
    }

    /// A violation if it was too much.
    pub fn check(&self) -> Result<(), Violation> {
        ensure(self.peak() <= MOST, || format!("{} bytes of memory, in this trial or one beside it", self.peak()))
    }
}
