//! What is counted, so that nobody has to count: items by place, and of those that may be popped, by priority.
//!
//! A removed key is passed over by scans until the catalog has been told of it, and what goes through a queue leaves many. So each
//! count goes with a bound below which nothing is left, where a scan begins: the cost of a pop does not grow with what was popped
//! before.

use super::bytes::{Reader, sorted};
use super::keys;
use super::state::Order;
use crate::error::Result;
use crate::keyspace::Transaction;

/// Counts of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Drawn last: for an item, an order or a lease.
    pub(super) drawn: u64,
    pub(super) ready: u64,
    pub(super) scheduled: u64,
    pub(super) leased: u64,
    pub(super) delayed: u64,
    pub(super) dead: u64,
    /// No lease or back-off ends before this time of the engine's clock.
    pub(super) timed_from: u64,
    /// Nothing scheduled is due before this time of the wall clock.
    pub(super) scheduled_from: i64,
}

impl Tally {
    const EMPTY: Tally =
        Tally { drawn: 0, ready: 0, scheduled: 0, leased: 0, delayed: 0, dead: 0, timed_from: 0, scheduled_from: i64::MIN };

    pub(super) fn load(transaction: &Transaction, queue: u32) -> Result<Self> {
        let Some((_, cell)) = transaction.get(&keys::tally(queue))? else { return Ok(Tally::EMPTY) };
        let mut reader = Reader::new("tally", &cell);
        Ok(Tally {
            drawn: reader.u64()?,
            ready: reader.u64()?,
            scheduled: reader.u64()?,
            leased: reader.u64()?,
            delayed: reader.u64()?,
            dead: reader.u64()?,
            timed_from: reader.u64()?,
            scheduled_from: reader.sorted()?,
        })
    }

    /// All parts in this order.
    pub(super) fn save(&self, transaction: &mut Transaction, queue: u32) {
        let Tally { drawn, ready, scheduled, leased, delayed, dead, timed_from, scheduled_from } = *self;
        let mut bytes = [drawn, ready, scheduled, leased, delayed, dead, timed_from].map(u64::to_be_bytes).concat();
        bytes.extend(sorted(scheduled_from));
        transaction.put(keys::tally(queue), bytes.into());
    }

    /// Whether another says the same of the items, whatever it says of where to look for them.
    pub(super) fn counts_like(&self, other: &Tally) -> bool {
        Tally { timed_from: other.timed_from, scheduled_from: other.scheduled_from, ..*self } == *other
    }
}

/// The items of one priority that may be popped. Where there are none there is no lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) ready: u64,
    /// None of them comes before this.
    pub(super) head: Order,
}

impl Lane {
    pub(super) fn decode(cell: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("lane", cell);
        Ok(Lane { ready: reader.u64()?, head: Order::decode(&mut reader)? })
    }

    fn load(transaction: &Transaction, queue: u32, priority: u8) -> Result<Option<Self>> {
        transaction.get(&keys::lane(queue, priority))?.map(|(_, cell)| Lane::decode(&cell)).transpose()
    }

    fn save(&self, transaction: &mut Transaction, queue: u32, priority: u8) {
        let key = keys::lane(queue, priority);
        if self.ready == 0 {
            return transaction.remove(key);
        }
        transaction.put(key, [&self.ready.to_be_bytes()[..], &self.head.encode()].concat().into());
    }
}

/// One item more.
pub(super) fn enter_lane(transaction: &mut Transaction, queue: u32, priority: u8, order: Order) -> Result<()> {
    let lane = Lane::load(transaction, queue, priority)?.unwrap_or(Lane { ready: 0, head: order });
    Lane { ready: lane.ready + 1, head: lane.head.min(order) }.save(transaction, queue, priority);
    Ok(())
}

/// One item less.
pub(super) fn leave_lane(transaction: &mut Transaction, queue: u32, priority: u8) -> Result<()> {
    let Some(lane) = Lane::load(transaction, queue, priority)? else { return Ok(()) };
    Lane { ready: lane.ready.saturating_sub(1), ..lane }.save(transaction, queue, priority);
    Ok(())
}

/// Nothing is left before this.
pub(super) fn advance_lane(transaction: &mut Transaction, queue: u32, priority: u8, head: Order) -> Result<()> {
    let Some(lane) = Lane::load(transaction, queue, priority)? else { return Ok(()) };
    Lane { head, ..lane }.save(transaction, queue, priority);
    Ok(())
}
