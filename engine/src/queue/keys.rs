//! The keys of all cells of queues. After the first byte comes the number of the queue, so that each has a range of its own.

use std::ops::Bound;

use super::bytes::{Reader, sorted};
use super::state::Order;
use crate::catalog::KeyRange;
use crate::error::Result;
use crate::keyspace::{prefix, space};
use crate::record::Key;

/// What a queue consists of besides its definition, all of it by its number.
pub(super) const OF_A_QUEUE: [u8; 9] = [
    space::QUEUE_ITEM,
    space::QUEUE_STATE,
    space::QUEUE_READY,
    space::QUEUE_SCHEDULED,
    space::QUEUE_TIMED,
    space::QUEUE_DEDUPLICATION,
    space::QUEUE_DEAD,
    space::QUEUE_TALLY,
    space::QUEUE_LANE,
];

fn of(first: u8, queue: u32, rest: &[&[u8]]) -> Key {
    let rest = rest.iter().flat_map(|part| part.iter().copied());
    [first].into_iter().chain(queue.to_be_bytes()).chain(rest).collect()
}

/// The definition of a queue; without a name, the number of the next one.
pub(super) fn definition(name: &str) -> Key {
    [space::QUEUE].iter().chain(name.as_bytes()).copied().collect()
}

pub(super) fn item(queue: u32, item: u64) -> Key {
    of(space::QUEUE_ITEM, queue, &[&item.to_be_bytes()])
}

pub(super) fn state(queue: u32, item: u64) -> Key {
    of(space::QUEUE_STATE, queue, &[&item.to_be_bytes()])
}

/// Queue and item in a key of one of these two.
pub(super) fn read_item(key: &[u8]) -> Result<(u32, u64)> {
    let mut reader = Reader::new("key", key.get(1..).unwrap_or_default());
    Ok((reader.u32()?, reader.u64()?))
}

/// What the queue of a number is called.
pub(super) fn name(queue: u32) -> Key {
    of(space::QUEUE_NAME, queue, &[])
}

/// Higher priorities sort first.
pub(super) fn ready(queue: u32, priority: u8, order: Order) -> Key {
    of(space::QUEUE_READY, queue, &[&[!priority], &order.encode()])
}

pub(super) fn scheduled(queue: u32, due: i64, item: u64) -> Key {
    of(space::QUEUE_SCHEDULED, queue, &[&sorted(due), &item.to_be_bytes()])
}

pub(super) fn timed(queue: u32, until: u64, item: u64) -> Key {
    of(space::QUEUE_TIMED, queue, &[&until.to_be_bytes(), &item.to_be_bytes()])
}

pub(super) fn deduplication(queue: u32, key: &str) -> Key {
    of(space::QUEUE_DEDUPLICATION, queue, &[key.as_bytes()])
}

pub(super) fn dead(queue: u32, item: u64) -> Key {
    of(space::QUEUE_DEAD, queue, &[&item.to_be_bytes()])
}

pub(super) fn tally(queue: u32) -> Key {
    of(space::QUEUE_TALLY, queue, &[])
}

pub(super) fn lane(queue: u32, priority: u8) -> Key {
    of(space::QUEUE_LANE, queue, &[&[!priority]])
}

pub(super) fn expiry(at: u64, queue: u32, key: &[u8]) -> Key {
    let (at, queue) = (at.to_be_bytes(), queue.to_be_bytes());
    [space::QUEUE_DEDUPLICATION_EXPIRY].into_iter().chain(at).chain(queue).chain(key.iter().copied()).collect()
}

pub(super) fn dropped(queue: u32) -> Key {
    of(space::QUEUE_DROPPED, queue, &[])
}

/// Everything under one first byte of a queue.
pub(super) fn all(first: u8, queue: u32) -> KeyRange {
    prefix(&of(first, queue, &[]))
}

/// Items of a lane that are not before one.
pub(super) fn lane_from(queue: u32, priority: u8, head: Order) -> KeyRange {
    let (_, end) = prefix(&of(space::QUEUE_READY, queue, &[&[!priority]]));
    (Bound::Included(ready(queue, priority, head)), end)
}

/// Items due from one moment to another of the wall clock, both included.
pub(super) fn scheduled_between(queue: u32, from: i64, through: i64) -> KeyRange {
    (Bound::Included(scheduled(queue, from, 0)), Bound::Included(scheduled(queue, through, u64::MAX)))
}

/// Items whose time ends from one moment to another of the engine's clock, both included.
pub(super) fn timed_between(queue: u32, from: u64, through: u64) -> KeyRange {
    (Bound::Included(timed(queue, from, 0)), Bound::Included(timed(queue, through, u64::MAX)))
}

/// Items behind one, by number.
pub(super) fn items_behind(first: u8, queue: u32, after: u64) -> KeyRange {
    let (_, end) = all(first, queue);
    (Bound::Excluded(of(first, queue, &[&after.to_be_bytes()])), end)
}

/// The number that a key of [`all`] ends in.
pub(super) fn last_number(key: &[u8]) -> Result<u64> {
    let start = key.len().saturating_sub(size_of::<u64>());
    Reader::new("key", key.get(start..).unwrap_or_default()).u64()
}

/// The moment that a key of [`timed`] or [`scheduled`] speaks of, in the eight bytes in which it sorts.
pub(super) fn moment(key: &[u8]) -> Result<[u8; 8]> {
    Reader::new("key", key.get(1 + size_of::<u32>()..).unwrap_or_default()).array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_items_are_popped() {
        let order = |available, due, number| Order { available, due, number };
        let sorted = [
            ready(7, 9, order(5, i64::MIN, 8)),
            ready(7, 9, order(5, i64::MIN, 9)),
            ready(7, 9, order(5, -1, 1)),
            ready(7, 9, order(5, 1, 1)),
            ready(7, 9, order(6, i64::MIN, 1)),
            ready(7, 8, order(0, i64::MIN, 1)),
            ready(8, 255, order(0, i64::MIN, 1)),
        ];
        assert!(sorted.is_sorted());
        assert!([i64::MIN, -1, 0, 1, i64::MAX].map(|due| scheduled(1, due, 3)).is_sorted());
        assert_eq!(last_number(&timed(1, 2, 3)).unwrap(), 3);
        assert_eq!(moment(&timed(1, 2, 3)).unwrap(), 2_u64.to_be_bytes());
    }
}
