//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with full jitter, so that many clients that lost the same server do not come back all at once.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Between nothing and `first` after the first failure, then twice that and so on, up to `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest, failures: 0 }
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// One more failure: how long to wait.
    pub(crate) fn next(&mut self) -> Duration {
        let most = self.most();
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(fastrand::f64())
    }

    fn most(&self) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.longest)
    }
}

/// How long to wait where no retry mends it, but perhaps somebody: between half of it and all.
pub(crate) fn slow(longest: Duration) -> Duration {
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        let mut most = Vec::new();
        for _ in 0..100 {
            most.push(backoff.most().as_millis());
            let limit = backoff.most();
            assert!(backoff.next() <= limit);
        }
        assert_eq!(most[..9], [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert!(most[9..].iter().all(|most| *most == 30_000));
        backoff.reset();
        assert_eq!(backoff.most().as_millis(), 200);
        let slow = slow(Duration::from_secs(60));
        assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&slow));
    }
}
