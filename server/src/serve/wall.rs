//! Whether the wall clock can be believed: rows without a time of their own, schedules and certificates go by it.

use std::sync::Arc;

use alluvium::io::OsClock;
use parking_lot::Mutex;

use crate::certificates::Clock;
use crate::output::{terminal, timestamp};

/// How often it is looked at, so that it is known when it jumped.
pub(super) const LOOKED_AT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// A step of the wall clock that is worth telling, in microseconds: more than time servers slew.
const JUMP: i64 = 10_000_000;
/// How far it may be behind what is known, in microseconds.
const BEHIND: i64 = 60_000_000;
/// For how long a jump is told, in microseconds.
const TOLD: u64 = 600_000_000;

/// Watches the wall clock.
#[derive(Debug)]
pub(crate) struct WallClock {
    clock: Arc<dyn alluvium::io::Clock>,
    /// What is known of the time.
    known: Clock,
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    monotonic: u64,
    wall: i64,
    /// When it jumped last, and how far.
    jump: Option<(u64, i64)>,
}

impl WallClock {
    /// Of the machine, beside the latest time that is known.
    pub(super) fn new(known: Clock) -> Self {
        WallClock::with(Arc::new(OsClock::new()), known)
    }

    fn with(clock: Arc<dyn alluvium::io::Clock>, known: Clock) -> Self {
        let seen = Seen { monotonic: clock.monotonic_micros(), wall: clock.wall_micros(), jump: None };
        WallClock { clock, known, seen: Mutex::new(seen) }
    }

    /// Looks at it. Why it cannot be believed, if it cannot.
    pub(crate) fn look(&self) -> Result<(), String> {
        let (monotonic, wall) = (self.clock.monotonic_micros(), self.clock.wall_micros());
        let known = i64::try_from(self.known.latest_known().as_micros()).unwrap_or(i64::MAX);
        let is_behind = |wall: i64| wall < known.saturating_sub(BEHIND);
        let jump = {
            let mut seen = self.seen.lock();
            let passed = i64::try_from(monotonic.saturating_sub(seen.monotonic)).unwrap_or(i64::MAX);
            let step = wall.saturating_sub(seen.wall).saturating_sub(passed);
            // One that was wrong is set right, which is no reason to doubt it.
            if step.abs() > JUMP && !is_behind(seen.wall) {
                seen.jump = Some((monotonic, step));
            }
            (seen.monotonic, seen.wall) = (monotonic, wall);
            seen.jump
        };
        let shown = |micros| timestamp::utc(micros, alluvium::TimeUnit::Micro);
        if is_behind(wall) {
            return Err(format!("it shows {}, and {} is past: set it", shown(wall), shown(known)));
        }
        match jump {
            Some((at, step)) if monotonic.saturating_sub(at) < TOLD => {
                let ago = std::time::Duration::from_micros(monotonic.saturating_sub(at));
                Err(format!("it jumped by {:+} s, {} ago", step / 1_000_000, terminal::span(ago)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

    use super::*;

    const SECOND: i64 = 1_000_000;
    /// In 2033.
    const NOW: i64 = 2_000_000_000 * SECOND;

    #[derive(Debug, Default)]
    struct Hands {
        wall: AtomicI64,
        monotonic: AtomicU64,
    }

    impl alluvium::io::Clock for Hands {
        fn wall_micros(&self) -> i64 {
            self.wall.load(Relaxed)
        }
        fn monotonic_micros(&self) -> u64 {
            self.monotonic.load(Relaxed)
        }
    }

    /// A clock that shows `wall`, and the watch over it.
    fn at(wall: i64) -> (Arc<Hands>, WallClock) {
        let hands = Arc::new(Hands::default());
        hands.wall.store(wall, Relaxed);
        let watch = WallClock::with(hands.clone(), Clock::new(None));
        (hands, watch)
    }

    fn pass(hands: &Hands, seconds: i64, wall_seconds: i64) {
        hands.monotonic.fetch_add((seconds * SECOND).unsigned_abs(), Relaxed);
        hands.wall.fetch_add(wall_seconds * SECOND, Relaxed);
    }

    #[test]
    fn one_that_goes_as_time_does_is_believed_and_one_of_1970_is_not() {
        let (hands, watch) = at(NOW);
        assert_eq!(watch.look(), Ok(()));
        for _ in 0..100 {
            // A day, in which it is corrected by some seconds.
            pass(&hands, 86_400, 86_409);
            assert_eq!(watch.look(), Ok(()));
        }
        let (hands, watch) = at(0);
        assert!(watch.look().unwrap_err().starts_with("it shows 1970-01-01T00:00:00Z, and 2026-10-01"));
        pass(&hands, 5, NOW / SECOND);
        assert_eq!(watch.look(), Ok(()), "set right");
    }

    #[test]
    fn a_jump_is_told_for_a_while() {
        for step in [-3_600, 11, 1_000_000] {
            let (hands, watch) = at(NOW);
            pass(&hands, 5, 5 + step);
            pass(&hands, 7, 7);
            let said = watch.look().unwrap_err();
            assert!(said.starts_with(&format!("it jumped by {step:+} s, ")), "{said}");
            pass(&hands, 599, 599);
            assert!(watch.look().is_err());
            pass(&hands, 2, 2);
            assert_eq!(watch.look(), Ok(()));
        }
    }
}
