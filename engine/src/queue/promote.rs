//! Items whose time has come: scheduled ones that are due, those that have backed off, leases that ran out.
//!
//! It is done by whoever next changes the queue, and readers reckon with it. So nothing runs while nobody is there.

use std::time::Duration;

use super::desk::Desk;
use super::item::incomplete;
use super::keys;
use super::state::{AT_ONCE, Place, State};
use crate::catalog::KeyRange;
use crate::error::Result;
use crate::keyspace::{Direction, Transaction};

/// Items promoted at once, lest others wait long. The rest follow with the next change of the queue.
const AT_A_TIME: usize = 1_000;
/// How long nobody sleeps longer than while something is scheduled: a step of the wall clock wakes nobody.
const LOOK_AT_WALL_CLOCK: Duration = Duration::from_secs(1);

/// An item whose time has come.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) item: u64,
    pub(super) state: State,
    pub(super) fate: Fate,
}

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may be popped, since a time of the engine's clock.
    Ready { available: u64, due: i64 },
    /// It was tried too often.
    Dead,
    /// So it was, and dead letters are not kept.
    Gone,
}

impl Desk {
    /// What becomes of an item that was tried in vain, if it may be tried again from a moment on.
    pub(super) fn fate_after_try(&self, state: &State, available: u64) -> Fate {
        match (state.tries < self.settings.tries || self.settings.tries == u32::MAX, self.settings.dead_letters) {
            (true, _) => Fate::Ready { available, due: AT_ONCE },
            (false, true) => Fate::Dead,
            (false, false) => Fate::Gone,
        }
    }

    /// Gives an item what it has coming.
    pub(super) fn settle(&mut self, transaction: &mut Transaction, item: u64, state: &State, fate: Fate) -> Result<()> {
        let place = match fate {
            Fate::Ready { available, due } => self.ready(available, due),
            Fate::Dead => Place::Dead,
            Fate::Gone => return self.remove(transaction, item, state),
        };
        self.replace(transaction, item, state, &State { place, ..*state })
    }
}

/// Lets all whose time has come have what they have coming, or the first of them. Answers whether that were all.
pub(super) fn promote(transaction: &mut Transaction, desk: &mut Desk) -> Result<bool> {
    let due = due(transaction, desk, AT_A_TIME)?;
    for Due { item, state, fate } in &due {
        desk.settle(transaction, *item, state, *fate)?;
        // They come in order, so that nothing is left before this one.
        match state.place {
            Place::Scheduled { due } => desk.tally.scheduled_from = desk.tally.scheduled_from.max(due),
            Place::Leased { until, .. } | Place::Delayed { until } => {
                desk.tally.timed_from = desk.tally.timed_from.max(until);
            }
            _ => {}
        }
    }
    let all = due.len() < AT_A_TIME;
    if all {
        let Desk { tally, now, .. } = desk;
        tally.timed_from = tally.timed_from.max(now.engine_micros);
        tally.scheduled_from = tally.scheduled_from.max(now.wall_micros);
    }
    Ok(all)
}

/// Whose time has come, in the order in which it came, so many at most.
pub(super) fn due(transaction: &Transaction, desk: &Desk, limit: usize) -> Result<Vec<Due>> {
    let (tally, now, mut due) = (&desk.tally, &desk.now, Vec::new());
    if tally.leased + tally.delayed > 0 && tally.timed_from <= now.engine_micros {
        for item in first(transaction, keys::timed_between(desk.id(), tally.timed_from, now.engine_micros), limit)? {
            let state = desk.indexed(transaction, item)?;
            let fate = match state.place {
                Place::Delayed { until } => Fate::Ready { available: until, due: AT_ONCE },
                Place::Leased { until, .. } => desk.fate_after_try(&state, until),
                _ => return Err(incomplete(&desk.name, item)),
            };
            due.push(Due { item, state, fate });
        }
    }
    if tally.scheduled > 0 && tally.scheduled_from <= now.wall_micros {
        let range = keys::scheduled_between(desk.id(), tally.scheduled_from, now.wall_micros);
        for item in first(transaction, range, limit.saturating_sub(due.len()))? {
            let state = desk.indexed(transaction, item)?;
            let Place::Scheduled { due: wall } = state.place else { return Err(incomplete(&desk.name, item)) };
            due.push(Due { item, state, fate: Fate::Ready { available: now.engine_micros, due: wall } });
        }
    }
    Ok(due)
}

/// How long nothing comes due by itself; `None` if nothing will.
pub(super) fn quiet_for(transaction: &Transaction, desk: &Desk) -> Result<Option<Duration>> {
    let (tally, now) = (&desk.tally, &desk.now);
    let next = |range| transaction.scan(range, Direction::Forward)?.next().transpose();
    let mut quiet = None;
    if tally.leased + tally.delayed > 0
        && let Some((key, _)) = next(keys::timed_between(desk.id(), tally.timed_from, u64::MAX))?
    {
        let until = u64::from_be_bytes(keys::moment(&key)?);
        quiet = Some(Duration::from_micros(until.saturating_sub(now.engine_micros)));
    }
    if tally.scheduled > 0
        && let Some((key, _)) = next(keys::scheduled_between(desk.id(), tally.scheduled_from, i64::MAX))?
    {
        let due = i64::from_be_bytes(keys::moment(&key)?) ^ i64::MIN;
        let left = Duration::from_micros(due.saturating_sub(now.wall_micros).max(0).cast_unsigned());
        quiet = Some(quiet.unwrap_or(Duration::MAX).min(left).min(LOOK_AT_WALL_CLOCK));
    }
    Ok(quiet)
}

/// The first items of a range of an index.
fn first(transaction: &Transaction, range: KeyRange, limit: usize) -> Result<Vec<u64>> {
    transaction.scan(range, Direction::Forward)?.take(limit).map(|cell| keys::last_number(&cell?.0)).collect()
}
