//! Queues: priorities, schedules, leases, back-off, dead letters, deduplication.
//!
//! An item is two cells of the key space: what was pushed, which never changes, and how it stands with it, which says its one
//! place. For each place there is an index in the order in which items leave it, and there are counts, all of them derived. Every
//! change is decided by whoever leads the group, on what everything before it has left; first of all it promotes those whose time
//! has come. So a queue that nobody uses costs nothing but its cells.
//!
//! A scheduled time is one of the wall clock. All else is the engine's clock, so that no step of the other one lets a lease run
//! out, and first in is first out whatever it does.

mod bytes;
mod dead;
mod desk;
mod item;
mod keys;
mod lease;
mod promote;
mod purge;
mod push;
mod ready;
mod spec;
mod state;
mod tally;
mod told;
mod wait;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use item::{Item, NewItem};
pub use lease::{Lease, Leased, Nacked, Pop, Retry};
pub(crate) use purge::{has_dropped, reclaim_dropped};
pub use push::Pushed;
pub(crate) use push::{has_expired_keys, reclaim_expired_keys};
pub use ready::QueueSizes;
pub use spec::QueueSpec;
pub(crate) use spec::{alter, create, drop, list};
pub use told::{ItemContent, ItemPlace, ItemState, QueueState};
pub(crate) use told::{Told, told};

use crate::error::Result;
use crate::format::limits;
use crate::keyspace::{Access, Transaction};
use item::{Prepared, Stored};
use purge::{Purge, Which};

/// Items of one call that changes them, at most: others wait until it is decided.
const MOST_AT_ONCE: usize = 1_000;

/// A queue, of a database or as a transaction sees it.
///
/// Items are popped by priority, then in the order in which they became available, then in that in which they were pushed. Whoever
/// pops an item has a lease of it: it is acknowledged, given back, or comes back by itself when the lease ends. So every item is
/// delivered at least once, whoever dies; and acknowledged once.
///
/// Every method answers [`Error::NoSuchQueue`](crate::Error::NoSuchQueue) unless the queue was made with
/// [`Database::create_queue`](crate::Database::create_queue). What is done to several items at once is done to all or none of them.
///
/// ```
/// use alluvium::{Database, NewItem, Pop, QueueSpec, Retry};
/// use std::time::Duration;
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// db.create_queue(&QueueSpec::new("alarms").tries(3).back_off(Duration::ZERO, Duration::ZERO))?;
///
/// let mut alarms = db.queue("alarms");
/// alarms.push(NewItem::new("door open").deduplicate("door/7"))?;
/// alarms.push(NewItem::new("fire").priority(9))?;
/// assert!(alarms.push(NewItem::new("door open").deduplicate("door/7"))?.duplicate);
///
/// let first = alarms.pop()?.unwrap();
/// assert_eq!(first.item.payload, b"fire");
/// alarms.ack(first.lease)?;
///
/// let second = alarms.pop_wait(Pop::at_most(10), Duration::from_secs(1))?.remove(0);
/// alarms.nack(second.lease, Retry::BackOff)?; // not now
/// assert!(alarms.ack(second.lease).is_err()); // it has been given back
/// assert_eq!(alarms.sizes()?.ready, 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Queue<A> {
    access: A,
    name: String,
}

impl<A: Access> Queue<A> {
    pub(crate) fn new(access: A, name: &str) -> Self {
        Queue { access, name: name.to_owned() }
    }

    /// Pushes an item.
    pub fn push(&mut self, item: NewItem) -> Result<Pushed> {
        let item = item.prepare(self.access.shared())?;
        self.change(move |transaction, queue| Ok(push::push(transaction, queue, vec![item])?.swap_remove(0)))
    }

    /// Pushes items, and answers for each. Together they may be as large as a batch (setting `batch_bytes`).
    pub fn push_all(&mut self, items: Vec<NewItem>) -> Result<Vec<Pushed>> {
        check_count("items pushed at once", items.len())?;
        let shared = self.access.shared();
        let items = items.into_iter().map(|item| item.prepare(shared)).collect::<Result<Vec<Prepared>>>()?;
        shared.check_batch("bytes of items pushed together", items.iter().map(|item| item.content.len()).sum())?;
        self.change(move |transaction, queue| push::push(transaction, queue, items))
    }

    /// Pops the next item, if there is one, for as long as the queue says.
    pub fn pop(&mut self) -> Result<Option<Leased>> {
        Ok(self.pop_many(Pop::at_most(1))?.pop())
    }

    /// Pops the next items, as many as there are.
    pub fn pop_many(&mut self, how: Pop) -> Result<Vec<Leased>> {
        check_count("items popped at once", how.at_most)?;
        // Those who find nothing keep nobody from writing.
        let name = &self.name;
        if !self.access.read(|transaction| lease::is_worth_a_pop(transaction, name))? {
            return Ok(Vec::new());
        }
        loop {
            if let Some(taken) = self.change(move |transaction, queue| lease::pop(transaction, queue, how))? {
                return taken.open();
            }
        }
    }

    /// Acknowledges an item: it is done, and gone. [`Error::LeaseLost`](crate::Error::LeaseLost) if the lease holds no more; then
    /// someone else will do it again, or has done it.
    pub fn ack(&mut self, lease: Lease) -> Result<()> {
        self.ack_all(&[lease])
    }

    /// Acknowledges items, all or none.
    pub fn ack_all(&mut self, leases: &[Lease]) -> Result<()> {
        let leases = checked(leases)?;
        self.free(move |transaction, queue| lease::ack(transaction, queue, &leases))
    }

    /// Gives an item back, to be tried again later, or to be a dead letter if it was tried often enough.
    pub fn nack(&mut self, lease: Lease, retry: Retry) -> Result<Nacked> {
        self.change(move |transaction, queue| Ok(lease::nack(transaction, queue, &[lease], retry)?.swap_remove(0)))
    }

    /// Gives items back, all or none, and answers for each.
    pub fn nack_all(&mut self, leases: &[Lease], retry: Retry) -> Result<Vec<Nacked>> {
        let leases = checked(leases)?;
        self.change(move |transaction, queue| lease::nack(transaction, queue, &leases, retry))
    }

    /// Lets a lease last for so long from now, be it longer or shorter than before.
    pub fn extend(&mut self, lease: Lease, time: Duration) -> Result<()> {
        self.extend_all(&[lease], time)
    }

    /// Lets leases last for so long from now, all or none.
    pub fn extend_all(&mut self, leases: &[Lease], time: Duration) -> Result<()> {
        let leases = checked(leases)?;
        self.change(move |transaction, queue| lease::extend(transaction, queue, &leases, time))
    }

    /// The items that would be popped next, in order, which stay where they are.
    pub fn peek(&self, limit: usize) -> Result<Vec<Item>> {
        opened(self.access.read(|transaction| ready::peek(transaction, &self.name, limit))?)
    }

    /// Dead letters with higher numbers than `after`, by number.
    pub fn dead(&self, after: u64, limit: usize) -> Result<Vec<Item>> {
        opened(self.access.read(|transaction| dead::list(transaction, &self.name, after, limit))?)
    }

    /// Lets dead letters be popped again, as if they had never been tried. [`Error::NoSuchItem`](crate::Error::NoSuchItem) names
    /// the first that is none.
    pub fn requeue(&mut self, items: &[u64]) -> Result<()> {
        check_count("items requeued at once", items.len())?;
        let items = items.to_owned();
        self.change(move |transaction, queue| dead::requeue(transaction, queue, &items))
    }

    /// Lets so many dead letters be popped again, the oldest first. Answers how many there were.
    pub fn requeue_dead(&mut self, limit: usize) -> Result<usize> {
        check_count("items requeued at once", limit)?;
        self.change(move |transaction, queue| dead::requeue_some(transaction, queue, limit))
    }

    /// Takes away every item there is when it begins, leased and dead ones included. Answers how many there were. Others go on
    /// meanwhile, since a database does it in steps; if the process dies, some are gone.
    pub fn purge(&mut self) -> Result<usize> {
        self.purge_all(Which::All)
    }

    /// Takes away every dead letter there is when it begins, likewise.
    pub fn purge_dead(&mut self) -> Result<usize> {
        self.purge_all(Which::Dead)
    }

    /// How many items are where. Looks at none of them, but at those whose time has come since the queue was last changed.
    pub fn sizes(&self) -> Result<QueueSizes> {
        self.sizes_within(usize::MAX)
    }

    /// The same, looking at so many at most of those whose time has come; the others count where they were.
    pub(crate) fn sizes_within(&self, due: usize) -> Result<QueueSizes> {
        self.access.read(|transaction| ready::sizes(transaction, &self.name, due))
    }

    fn purge_all(&mut self, which: Which) -> Result<usize> {
        let mut purge = Purge::of(which);
        while !purge.done {
            purge = self.free(move |transaction, queue| purge.step(transaction, queue))?;
        }
        Ok(purge.removed)
    }

    /// Does what leaves less than there was.
    fn free<T: Send + 'static>(
        &mut self,
        change: impl Fn(&mut Transaction, &str) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let name = self.name.clone();
        self.access.free(move |transaction| change(transaction, &name)).map(|(answer, _)| answer)
    }

    fn change<T: Send + 'static>(
        &mut self,
        change: impl FnOnce(&mut Transaction, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let name = self.name.clone();
        self.access.write(move |transaction| change(transaction, &name)).map(|(answer, _)| answer)
    }
}

fn check_count(what: &'static str, count: usize) -> Result<()> {
    limits::check(what, count as u64, MOST_AT_ONCE as u64, "")
}

fn checked(leases: &[Lease]) -> Result<Vec<Lease>> {
    check_count("leases of one call", leases.len())?;
    Ok(leases.to_owned())
}

fn opened(items: Vec<Stored>) -> Result<Vec<Item>> {
    items.into_iter().map(Stored::open).collect()
}
