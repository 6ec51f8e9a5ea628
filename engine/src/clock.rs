//! The engine's own clock, which no step of the wall clock moves.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::io::Clock;
use crate::record::Moment;

/// What the engine's clock showed at some moment of the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EngineTime {
    pub(crate) engine_micros: u64,
    /// The start of the machine and the time since, where the machine tells.
    pub(crate) machine: Option<(NonZeroU64, u64)>,
}

impl EngineTime {
    /// What it shows now. Time for which the database was closed counts unless the machine was started again meanwhile.
    pub(crate) fn until_now(&self, clock: &dyn Clock) -> u64 {
        let passed = match self.machine {
            Some((boot, then)) if clock.boot() == Some(boot) => clock.monotonic_micros().saturating_sub(then),
            _ => 0,
        };
        self.engine_micros.saturating_add(passed)
    }
}

/// Counts the time since the database was made, without that for which it was closed while the machine was off or started
/// again: nothing tells how long that was, unless one trusts the wall clock. Leases, times to live and back-off are measured
/// by it, so none ends early over a restart or a wall clock set ahead.
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

    /// This moment, for whoever opens the database next.
    pub(crate) fn time(&self) -> EngineTime {
        let now = self.clock.monotonic_micros();
        let engine_micros = self.before.saturating_add(now.saturating_sub(self.opened));
        EngineTime { engine_micros, machine: self.clock.boot().map(|boot| (boot, now)) }
    }
}
