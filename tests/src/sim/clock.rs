//! Time and randomness that repeat.

use std::io;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use alluvium::io::{Clock, Entropy};
use fastrand::Rng;

use super::disk::locked;

/// A clock that moves when it is told to. Its wall time jumps both ways.
#[derive(Debug)]
pub struct SimClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
    boot: AtomicU64,
}

impl Default for SimClock {
    /// Starts where many gateways start: in 1970.
    fn default() -> Self {
        SimClock { wall: AtomicI64::new(0), monotonic: AtomicU64::new(1), boot: AtomicU64::new(1) }
    }
}

impl SimClock {
    /// Lets time pass, in microseconds.
    pub fn pass(&self, micros: u64) {
        self.monotonic.fetch_add(micros, Ordering::Relaxed);
        self.wall.fetch_add(micros.cast_signed(), Ordering::Relaxed);
    }

    /// Starts the machine again, with the wall clock as it is.
    pub fn start_again(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
        self.monotonic.store(1, Ordering::Relaxed);
    }

    /// Sets the wall clock, in microseconds since 1970; the monotonic one does not notice.
    pub fn set_wall(&self, micros: i64) {
        self.wall.store(micros, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall_micros(&self) -> i64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::Relaxed)
    }

    fn boot(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.boot.load(Ordering::Relaxed))
    }
}

/// Seeded randomness.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Self {
        SimEntropy(Mutex::new(Rng::with_seed(seed)))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        locked(&self.0).fill(bytes);
        Ok(())
    }
}
