//! By which time certificates are judged.

use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::UnixTime;

/// A time before this was written, 2026-10-01, in seconds since 1970. A clock that shows less is wrong. Moved on with releases, by
/// hand, so that the same source always makes the same program.
const BUILT: Duration = Duration::from_secs(1_790_812_800);

/// A clock that is never behind what is known: a gateway boots in 1970.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    system: fn() -> Duration,
    noted: Duration,
    since: Instant,
}

impl Clock {
    /// Goes on from the time that was noted durably, in microseconds UTC, where the system's clock is behind that.
    pub(crate) fn new(noted_micros: Option<i64>) -> Self {
        Clock::with_system(noted_micros, system)
    }

    /// The same with another clock than the system's.
    pub(super) fn with_system(noted_micros: Option<i64>, system: fn() -> Duration) -> Self {
        let noted = Duration::from_micros(noted_micros.and_then(|noted| noted.try_into().ok()).unwrap_or(0));
        Clock { system, noted, since: Instant::now() }
    }

    /// What it shows, since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.latest_known().max((self.system)())
    }

    /// The latest time that is known whatever the system's clock shows, since 1970.
    pub(crate) fn latest_known(&self) -> Duration {
        self.noted.saturating_add(self.since.elapsed()).max(BUILT)
    }

    /// The same in whole seconds.
    pub(crate) fn seconds(&self) -> i64 {
        i64::try_from(self.now().as_secs()).unwrap_or(i64::MAX)
    }

    /// The same, as it is needed to judge.
    pub(super) fn unix(&self) -> UnixTime {
        UnixTime::since_unix_epoch(self.now())
    }
}

/// Zero where the system's clock is before 1970.
fn system() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_that_is_known_counts() {
        let boot = || Duration::ZERO;
        assert_eq!(Clock::with_system(None, boot).now(), BUILT);
        assert_eq!(Clock::with_system(Some(-1), boot).now(), BUILT);
        assert_eq!(Clock::with_system(Some(1_900_000_000_000_000), boot).seconds(), 1_900_000_000);
        let right = || Duration::from_secs(2_000_000_000);
        assert_eq!(Clock::with_system(Some(1_900_000_000_000_000), right).seconds(), 2_000_000_000);
    }

    #[test]
    fn a_noted_time_goes_on() {
        let mut clock = Clock::with_system(Some(1_900_000_000_000_000), || Duration::ZERO);
        clock.since -= Duration::from_secs(60);
        assert_eq!(clock.seconds(), 1_900_000_060);
    }
}
