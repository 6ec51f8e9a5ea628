//! The engine's own clock, which no step of the wall clock moves.

use std::sync::Arc;

use crate::io::Clock;
use crate::record::Moment;

/// Counts the time for which the database has been open, over all its openings. Leases, times to live and back-off are
/// measured by it, so they outlast neither a restart early nor a wall clock set ahead; time spent closed does not count.
#[derive(Debug, Clone)]
pub(crate) struct EngineClock {
    clock: Arc<dyn Clock>,
    before: u64,
    opened: u64,
}

impl EngineClock {
    /// Goes on from `before`, the last moment that is known of.
    pub(crate) fn new(clock: Arc<dyn Clock>, before: u64) -> Self {
        EngineClock { opened: clock.monotonic_micros(), clock, before }
    }

    /// This moment.
    pub(crate) fn now(&self) -> Moment {
        let open = self.clock.monotonic_micros().saturating_sub(self.opened);
        Moment { engine_micros: self.before.saturating_add(open), wall_micros: self.clock.wall_micros() }
    }
}
