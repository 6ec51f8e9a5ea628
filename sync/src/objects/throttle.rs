//! How fast, and how much a day, a target may be sent to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How far ahead of its rate it may be: that much may go at once after a pause.
const AHEAD: Duration = Duration::from_millis(250);
/// Pieces that bodies are cut into, at most.
const PIECE: u64 = 16 << 10;

/// What was sent on a day of UTC. Kept by the caller, so that a restart gives no second budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The day.
    pub day: civil::Date,
    /// Bytes.
    pub bytes: u64,
}

/// Tells the time of day.
type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Keeps all uploads of a target together to a bandwidth and to a budget of bytes a day.
///
/// Bytes are passed in pieces of at most a tenth of a second, in the order in which they are asked for, so that parallel uploads share the
/// rate; after a pause a quarter of a second's bytes may go at once. What is counted are the bytes of bodies: headers, and what is read, are not.
pub struct Throttle {
    /// Bytes a second.
    rate: Option<u64>,
    per_day: Option<u64>,
    clock: WallClock,
    state: Mutex<State>,
}

struct State {
    /// When all that was asked for has passed.
    passed_at: Option<Instant>,
    spent: Spent,
}

impl Throttle {
    /// A bandwidth in bytes a second and a budget in bytes a day, each without a limit where there is none.
    pub fn new(bytes_per_second: Option<u64>, bytes_per_day: Option<u64>) -> Self {
        Throttle::with_clock(bytes_per_second, bytes_per_day, Timestamp::now)
    }

    /// The same by another clock, which says which day it is.
    pub fn with_clock(
        bytes_per_second: Option<u64>,
        bytes_per_day: Option<u64>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let spent = Spent { day: day(clock()), bytes: 0 };
        let state = Mutex::new(State { passed_at: None, spent });
        let rate = bytes_per_second.map(|rate| rate.max(1));
        Throttle { rate, per_day: bytes_per_day, clock: Arc::new(clock), state }
    }

    /// Whether bytes a day are limited.
    pub fn has_budget(&self) -> bool {
        self.per_day.is_some()
    }

    /// What was sent today.
    pub fn spent(&self) -> Spent {
        let today = day((self.clock)());
        self.state.lock().on(today)
    }

    /// Goes on from what was sent before a restart. Another day's is nothing.
    pub fn resume(&self, before: Spent) {
        let today = day((self.clock)());
        let mut state = self.state.lock();
        let spent = state.on(today);
        if before.day == today {
            state.spent.bytes = spent.bytes.saturating_add(before.bytes);
        }
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Takes a body from today's budget; what of it does not pass is given back. What is larger than a whole day's goes as the first of a day.
    ///
    /// # Errors
    ///
    /// When the next day begins, where today's budget does not suffice.
    pub(super) fn admit(self: &Arc<Self>, bytes: u64, regardless: bool) -> Result<Admitted, Timestamp> {
        let now = (self.clock)();
        let mut state = self.state.lock();
        let spent = state.on(day(now)).bytes;
        let after = spent.saturating_add(bytes);
        if let Some(per_day) = self.per_day
            && !regardless
            && bytes > 0
            && after > per_day
            && spent > 0
        {
            return Err(tomorrow(now));
        }
        state.spent.bytes = after;
        Ok(Admitted { throttle: Arc::clone(self), left: bytes })
    }

    /// Bytes that may pass together.
    pub(super) fn piece(&self) -> usize {
        let tenth = self.rate.map_or(PIECE, |rate| (rate / 10).clamp(1, PIECE));
        usize::try_from(tenth).unwrap_or(1)
    }

    /// When these bytes may pass, behind all that were asked for before; none where that is now.
    pub(super) fn passes_at(&self, bytes: usize) -> Option<Instant> {
        let rate = self.rate?;
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let now = Instant::now();
        let mut state = self.state.lock();
        let begins = state.passed_at.map_or(now, |passed| passed.max(now));
        let passed = begins + takes;
        state.passed_at = Some(passed);
        let may = passed.checked_sub(AHEAD)?;
        (may > now).then_some(may)
    }

    /// Lets bytes pass that are not sent through a connection, piece by piece.
    pub(super) async fn pass(&self, mut bytes: usize) {
        while self.rate.is_some() && bytes > 0 {
            let piece = bytes.min(self.piece());
            if let Some(may) = self.passes_at(piece) {
                tokio::time::sleep_until(may).await;
            }
            bytes -= piece;
        }
    }
}

impl State {
    /// What was spent on a day, which is a new one where the clock says another: back as well as ahead.
    fn on(&mut self, today: civil::Date) -> Spent {
        if self.spent.day != today {
            self.spent = Spent { day: today, bytes: 0 };
        }
        self.spent
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("rate", &self.rate).field("per_day", &self.per_day).finish_non_exhaustive()
    }
}

/// A body that was taken from the budget.
#[derive(Debug)]
pub(super) struct Admitted {
    throttle: Arc<Throttle>,
    /// What of it did not pass yet.
    left: u64,
}

impl Admitted {
    /// Some of it went.
    pub(super) fn passed(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Of whose budget it is.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.throttle
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.throttle.state.lock();
        state.spent.bytes = state.spent.bytes.saturating_sub(self.left);
    }
}

fn day(time: Timestamp) -> civil::Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// When the next day begins; at the end of all time that is now.
fn tomorrow(now: Timestamp) -> Timestamp {
    let next = day(now).checked_add(1.day()).and_then(|date| date.to_zoned(TimeZone::UTC));
    next.map_or(now, |next| next.timestamp())
}

#[cfg(test)]
mod tests;
