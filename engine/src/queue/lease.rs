//! Popping, and what whoever has popped an item does with it.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::desk::Desk;
use super::item::{Item, Stored};
use super::promote::{self, Fate};
use super::spec::micros;
use super::state::{Order, Place, State};
use super::{ready, tally};
use crate::error::{Error, LeaseLoss, Result};
use crate::keyspace::Transaction;

/// The right to an item for a time. Holds only for the pop that it came from; it may be written down, and read again with
/// [`str::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    queue: u32,
    item: u64,
    token: u64,
}

/// An item that was popped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// What to acknowledge it with, give it back or keep it longer.
    pub lease: Lease,
    /// How long the lease lasts, from the pop on.
    pub lasts: Duration,
    /// The item.
    pub item: Item,
}

/// How items are popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pop {
    pub(super) at_most: usize,
    pub(super) lease: Option<Duration>,
}

/// When an item that is given back may be popped again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// After the queue's back-off, which doubles with every try.
    #[default]
    BackOff,
    /// After so long.
    After(Duration),
}

/// What became of an item that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nacked {
    /// It may be popped again after so long.
    Waits(Duration),
    /// That was its last try: it is a dead letter now.
    Dead,
    /// That was its last try, and the queue keeps no dead letters.
    Gone,
}

impl Pop {
    /// Up to so many items.
    pub fn at_most(items: usize) -> Self {
        Pop { at_most: items, lease: None }
    }

    /// For so long, whatever the queue says.
    #[must_use]
    pub fn lease(self, time: Duration) -> Self {
        Pop { lease: Some(time), ..self }
    }
}

impl Lease {
    /// The number of the item.
    pub fn item(&self) -> u64 {
        self.item
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.queue, self.item, self.token)
    }
}

impl FromStr for Lease {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('-');
        let mut next = || parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let lease = (|| {
            let (queue, item, token) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
            Some(Lease { queue, item, token })
        })();
        let wrong = || Error::invalid(format!("{text:?} is no lease: it is three numbers, such as 1-17-42"));
        lease.filter(|_| parts.next().is_none()).ok_or_else(wrong)
    }
}

/// Items popped, as they lie in their cells.
#[derive(Debug, Default)]
pub(super) struct Taken {
    leased: Vec<(Lease, Stored)>,
    lasts: Duration,
}

impl Taken {
    pub(super) fn open(self) -> Result<Vec<Leased>> {
        let open = |(lease, stored): (Lease, Stored)| Ok(Leased { lease, lasts: self.lasts, item: stored.open()? });
        self.leased.into_iter().map(open).collect()
    }
}

/// Whether a pop may find anything, or have something to promote.
pub(super) fn is_worth_a_pop(transaction: &Transaction, queue: &str) -> Result<bool> {
    let desk = Desk::open(transaction, queue)?;
    Ok(desk.tally.ready > 0 || !promote::due(transaction, &desk, 1)?.is_empty())
}

/// Pops items, unless more have come due than are promoted at once: then `None`, since what comes first is known only afterwards.
pub(super) fn pop(transaction: &mut Transaction, queue: &str, how: Pop) -> Result<Option<Taken>> {
    Desk::change(transaction, queue, |transaction, desk| {
        if !desk.up_to_date {
            return Ok(None);
        }
        let lasts = how.lease.map_or(desk.settings.lease, micros);
        let until = desk.now.engine_micros.saturating_add(lasts);
        let found = ready::first(transaction, desk, how.at_most)?;
        let lease = |&(item, ..): &(u64, u8, Order)| lease_one(transaction, desk, item, until);
        let leased = found.iter().map(lease).collect::<Result<_>>()?;
        for lane in found.chunk_by(|(_, one, _), (_, other, _)| one == other) {
            if let Some(&(_, priority, order)) = lane.last() {
                tally::advance_lane(transaction, desk.id(), priority, order)?;
            }
        }
        Ok(Some(Taken { leased, lasts: Duration::from_micros(lasts) }))
    })
}

fn lease_one(transaction: &mut Transaction, desk: &mut Desk, item: u64, until: u64) -> Result<(Lease, Stored)> {
    let before = desk.indexed(transaction, item)?;
    let token = desk.draw();
    let after = State { tries: before.tries.saturating_add(1), place: Place::Leased { until, token }, ..before };
    desk.replace(transaction, item, &before, &after)?;
    Ok((Lease { queue: desk.id(), item, token }, desk.stored(transaction, item, after)?))
}

pub(super) fn ack(transaction: &mut Transaction, queue: &str, leases: &[Lease]) -> Result<()> {
    Desk::change(transaction, queue, |transaction, desk| {
        for (item, state) in all_held(transaction, desk, leases)? {
            desk.remove(transaction, item, &state)?;
        }
        Ok(())
    })
}

pub(super) fn nack(transaction: &mut Transaction, queue: &str, leases: &[Lease], retry: Retry) -> Result<Vec<Nacked>> {
    Desk::change(transaction, queue, |transaction, desk| {
        let held = all_held(transaction, desk, leases)?;
        held.into_iter().map(|(item, state)| give_back(transaction, desk, item, &state, retry)).collect()
    })
}

fn give_back(transaction: &mut Transaction, desk: &mut Desk, item: u64, state: &State, retry: Retry) -> Result<Nacked> {
    let wait = match retry {
        Retry::BackOff => desk.settings.back_off_after(state.tries),
        Retry::After(time) => micros(time),
    };
    let now = desk.now.engine_micros;
    match desk.fate_after_try(state, now) {
        Fate::Ready { .. } if wait > 0 => {
            let place = Place::Delayed { until: now.saturating_add(wait) };
            desk.replace(transaction, item, state, &State { place, ..*state })?;
            Ok(Nacked::Waits(Duration::from_micros(wait)))
        }
        fate => {
            desk.settle(transaction, item, state, fate)?;
            Ok(match fate {
                Fate::Ready { .. } => Nacked::Waits(Duration::ZERO),
                Fate::Dead => Nacked::Dead,
                Fate::Gone => Nacked::Gone,
            })
        }
    }
}

pub(super) fn extend(transaction: &mut Transaction, queue: &str, leases: &[Lease], time: Duration) -> Result<()> {
    Desk::change(transaction, queue, |transaction, desk| {
        let until = desk.now.engine_micros.saturating_add(micros(time));
        for ((item, before), lease) in all_held(transaction, desk, leases)?.into_iter().zip(leases) {
            let place = Place::Leased { until, token: lease.token };
            desk.replace(transaction, item, &before, &State { place, ..before })?;
            // It may end earlier now than those who wait for that believe.
            desk.touch();
        }
        Ok(())
    })
}

/// Items that someone has leases of, with their states. All have to hold.
fn all_held(transaction: &Transaction, desk: &Desk, leases: &[Lease]) -> Result<Vec<(u64, State)>> {
    let held = leases.iter().map(|lease| Ok((lease.item, held(transaction, desk, lease)?))).collect::<Result<Vec<_>>>()?;
    // The second would find what the first has left.
    match first_twice(held.iter().map(|(item, _)| *item)) {
        Some(item) => Err(Error::invalid(format!("the lease of item {item} of queue {:?} is there twice", desk.name))),
        None => Ok(held),
    }
}

/// A number that is there twice.
pub(super) fn first_twice(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    let mut seen = HashSet::with_hasher(FixedState::default());
    numbers.find(|number| !seen.insert(*number))
}

/// The state of an item that someone has a lease of, which has to hold.
fn held(transaction: &Transaction, desk: &Desk, lease: &Lease) -> Result<State> {
    let state = match lease.queue == desk.id() {
        true => desk.state(transaction, lease.item)?,
        // That queue was dropped, and another made of the same name.
        false => None,
    };
    let how = match state {
        None => LeaseLoss::Gone,
        Some(state) => match state.place {
            Place::Leased { token, until } if token == lease.token && until > desk.now.engine_micros => return Ok(state),
            Place::Leased { token, .. } if token != lease.token => LeaseLoss::Taken,
            _ => LeaseLoss::Ended,
        },
    };
    Err(Error::LeaseLost { queue: desk.name.clone(), item: lease.item, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_can_be_written_down() {
        let lease = Lease { queue: 3, item: 17, token: u64::MAX };
        assert_eq!(lease.to_string().parse::<Lease>().unwrap(), lease);
        for text in ["", "1-2", "1-2-3-4", "1-2-x", "-1-2-3", "1-2-+3", "4294967296-1-1"] {
            let refused = text.parse::<Lease>().unwrap_err().to_string();
            assert!(refused.contains(&format!("{text:?} is no lease")), "{refused}");
        }
    }
}
