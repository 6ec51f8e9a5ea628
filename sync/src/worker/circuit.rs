//! When something that failed is tried again: later each time, and not at the same time as everyone else's.

use std::time::Duration;

/// How long to wait after failures that follow each other: a random time (full jitter: M. Brooker, "Exponential Backoff and Jitter",
/// AWS Architecture Blog, 2015) up to the first, twice that after the next, and so on up to the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct BackOff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

impl BackOff {
    /// The wait behind so many failures.
    pub(super) fn after(self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        self.first.saturating_mul(doubled).min(self.most).mul_f64(random.f64())
    }
}

/// Whether a target is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Circuit {
    /// It is.
    #[default]
    Closed,
    /// It failed so often in a row, and is left alone until then; who then asks is the first one, and alone.
    Open {
        /// Failures.
        failures: u32,
        /// When it is asked again.
        until: Duration,
    },
}

impl Circuit {
    pub(super) fn failures(self) -> u32 {
        match self {
            Circuit::Closed => 0,
            Circuit::Open { failures, .. } => failures,
        }
    }
}
