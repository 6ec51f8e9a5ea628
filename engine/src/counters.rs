//! What is counted while a database is open.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, from 0 at every opening.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    kv_hits: AtomicU64,
    kv_misses: AtomicU64,
}

/// What was counted since the database was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Reads of one key that found a pair.
    pub kv_hits: u64,
    /// Reads of one key that found none.
    pub kv_misses: u64,
}

impl Counters {
    pub(crate) fn kv_read(&self, hit: bool) {
        let counter = if hit { &self.kv_hits } else { &self.kv_misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { kv_hits: of(&self.kv_hits), kv_misses: of(&self.kv_misses) }
    }
}
