//! What is to be popped next, and how many items are where.

use super::desk::Desk;
use super::item::{Stored, incomplete};
use super::keys;
use super::promote::{self, Due, Fate};
use super::state::{Order, Place, State};
use super::tally::Lane;
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, space};

/// How many items of a queue are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueSizes {
    /// They may be popped.
    pub ready: u64,
    /// They are not due yet.
    pub scheduled: u64,
    /// Someone has them.
    pub leased: u64,
    /// They back off.
    pub delayed: u64,
    /// They were tried too often.
    pub dead: u64,
}

/// The items to be popped next, in order: number, priority and order of each.
pub(super) fn first(transaction: &Transaction, desk: &Desk, limit: usize) -> Result<Vec<(u64, u8, Order)>> {
    let mut found = Vec::new();
    if desk.tally.ready == 0 {
        return Ok(found);
    }
    for lane in transaction.scan(keys::all(space::QUEUE_LANE, desk.id()), Direction::Forward)? {
        let (key, (_, cell)) = lane?;
        let priority = !key.last().copied().unwrap_or_default();
        let lane = keys::lane_from(desk.id(), priority, Lane::decode(&cell)?.head);
        for cell in transaction.scan(lane, Direction::Forward)?.take(limit - found.len()) {
            let item = keys::last_number(&cell?.1.1)?;
            let Place::Ready(order) = desk.indexed(transaction, item)?.place else { return Err(incomplete(&desk.name, item)) };
            found.push((item, priority, order));
        }
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

/// The items to be popped next, those included whose time has come but whom nobody has promoted yet.
pub(super) fn peek(transaction: &Transaction, queue: &str, limit: usize) -> Result<Vec<Stored>> {
    let desk = Desk::open(transaction, queue)?;
    let mut waiting: Vec<_> = first(transaction, &desk, limit)?
        .into_iter()
        .map(|(item, priority, Order { available, due, .. })| ((!priority, available, due), item))
        .collect();
    for Due { item, state: State { priority, .. }, fate } in promote::due(transaction, &desk, usize::MAX)? {
        if let Fate::Ready { available, due } = fate {
            waiting.push(((!priority, available, due), item));
        }
    }
    // Whoever is promoted comes behind those who are there already, unless it waited longer; the sort is stable.
    waiting.sort_by_key(|(order, _)| *order);
    let stored = |(_, item): (_, u64)| desk.stored(transaction, item, desk.indexed(transaction, item)?);
    waiting.into_iter().take(limit).map(stored).collect()
}

/// How many items are where, with those whose time has come where they are to be: so many of them at most.
pub(super) fn sizes(transaction: &Transaction, queue: &str, limit: usize) -> Result<QueueSizes> {
    let desk = Desk::open(transaction, queue)?;
    let tally = &desk.tally;
    let mut sizes = QueueSizes {
        ready: tally.ready,
        scheduled: tally.scheduled,
        leased: tally.leased,
        delayed: tally.delayed,
        dead: tally.dead,
    };
    for Due { state, fate, .. } in promote::due(transaction, &desk, limit)? {
        let from = match state.place {
            Place::Scheduled { .. } => &mut sizes.scheduled,
            Place::Leased { .. } => &mut sizes.leased,
            _ => &mut sizes.delayed,
        };
        *from = from.saturating_sub(1);
        match fate {
            Fate::Ready { .. } => sizes.ready += 1,
            Fate::Dead => sizes.dead += 1,
            Fate::Gone => {}
        }
    }
    Ok(sizes)
}
