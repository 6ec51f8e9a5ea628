//! A queue opened within a transaction: the one place where items change places, so that cells, indexes and counts agree.

use super::item::{Stored, incomplete};
use super::spec::{self, Settings};
use super::state::{Order, Place, State};
use super::tally::{self, Tally};
use super::{keys, promote};
use crate::error::Result;
use crate::keyspace::Transaction;
use crate::record::Moment;

/// A queue at one moment.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) tally: Tally,
    pub(super) now: Moment,
    /// Whether all whose time has come were promoted.
    pub(super) up_to_date: bool,
    before: Tally,
    /// Whether something changed that no count shows.
    touched: bool,
}

impl Desk {
    /// Opens a queue to be read.
    pub(super) fn open(transaction: &Transaction, name: &str) -> Result<Self> {
        let settings = spec::find(transaction, name)?;
        let tally = Tally::load(transaction, settings.id)?;
        Ok(Desk {
            name: name.to_owned(),
            settings,
            tally,
            now: transaction.at(),
            up_to_date: false,
            before: tally,
            touched: false,
        })
    }

    /// Changes a queue. Those whose time has come are promoted first, so that nobody has to do so in the background.
    ///
    /// A change has to find out whether it can be made before it makes any of it: whoever is refused within a transaction may
    /// commit what else it did.
    pub(super) fn change<T>(
        transaction: &mut Transaction,
        name: &str,
        change: impl FnOnce(&mut Transaction, &mut Desk) -> Result<T>,
    ) -> Result<T> {
        let mut desk = Desk::open(transaction, name)?;
        desk.up_to_date = promote::promote(transaction, &mut desk)?;
        let outcome = change(transaction, &mut desk);
        // Whoever waits watches this cell: it changes whenever an item does.
        if desk.touched || !desk.tally.counts_like(&desk.before) {
            desk.tally.save(transaction, desk.id());
        }
        outcome
    }

    pub(super) fn id(&self) -> u32 {
        self.settings.id
    }

    /// Something changed, though no count does.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// A number that this queue has not given before.
    pub(super) fn draw(&mut self) -> u64 {
        self.tally.drawn += 1;
        self.tally.drawn
    }

    /// The place of an item that may be popped from a moment on; with the time it was due, if that is what held it back.
    pub(super) fn ready(&mut self, available: u64, due: i64) -> Place {
        Place::Ready(Order { available, due, number: self.draw() })
    }

    /// How it stands with an item, if it is there.
    pub(super) fn state(&self, transaction: &Transaction, item: u64) -> Result<Option<State>> {
        let cell = transaction.get(&keys::state(self.id(), item))?;
        cell.map(|(_, cell)| State::decode(&cell)).transpose()
    }

    /// How it stands with an item that an index names.
    pub(super) fn indexed(&self, transaction: &Transaction, item: u64) -> Result<State> {
        self.state(transaction, item)?.ok_or_else(|| incomplete(&self.name, item))
    }

    /// An item with what was pushed.
    pub(super) fn stored(&self, transaction: &Transaction, item: u64, state: State) -> Result<Stored> {
        let content = transaction.get(&keys::item(self.id(), item))?;
        let (_, content) = content.ok_or_else(|| incomplete(&self.name, item))?;
        Ok(Stored { id: item, state, content })
    }

    /// Puts an item that is nowhere into its place.
    pub(super) fn put(&mut self, transaction: &mut Transaction, item: u64, state: &State) -> Result<()> {
        let (queue, nothing) = (self.id(), || [].into());
        match state.place {
            Place::Ready(order) => {
                transaction.put(keys::ready(queue, state.priority, order), item.to_be_bytes().into());
                tally::enter_lane(transaction, queue, state.priority, order)?;
                self.tally.ready += 1;
            }
            Place::Scheduled { due } => {
                transaction.put(keys::scheduled(queue, due, item), nothing());
                self.tally.scheduled_from = self.tally.scheduled_from.min(due);
                self.tally.scheduled += 1;
            }
            Place::Leased { until, .. } => {
                transaction.put(keys::timed(queue, until, item), nothing());
                self.tally.timed_from = self.tally.timed_from.min(until);
                self.tally.leased += 1;
            }
            Place::Delayed { until } => {
                transaction.put(keys::timed(queue, until, item), nothing());
                self.tally.timed_from = self.tally.timed_from.min(until);
                self.tally.delayed += 1;
            }
            Place::Dead => {
                transaction.put(keys::dead(queue, item), nothing());
                self.tally.dead += 1;
            }
        }
        transaction.put(keys::state(queue, item), state.encode());
        Ok(())
    }

    /// Takes an item out of its place. It has to be put into another, or removed.
    pub(super) fn take(&mut self, transaction: &mut Transaction, item: u64, state: &State) -> Result<()> {
        let queue = self.id();
        let less = |count: &mut u64| *count = count.saturating_sub(1);
        match state.place {
            Place::Ready(order) => {
                transaction.remove(keys::ready(queue, state.priority, order));
                tally::leave_lane(transaction, queue, state.priority)?;
                less(&mut self.tally.ready);
            }
            Place::Scheduled { due } => {
                transaction.remove(keys::scheduled(queue, due, item));
                less(&mut self.tally.scheduled);
            }
            Place::Leased { until, .. } => {
                transaction.remove(keys::timed(queue, until, item));
                less(&mut self.tally.leased);
            }
            Place::Delayed { until } => {
                transaction.remove(keys::timed(queue, until, item));
                less(&mut self.tally.delayed);
            }
            Place::Dead => {
                transaction.remove(keys::dead(queue, item));
                less(&mut self.tally.dead);
            }
        }
        Ok(())
    }

    /// Takes an item away for good.
    pub(super) fn remove(&mut self, transaction: &mut Transaction, item: u64, state: &State) -> Result<()> {
        self.take(transaction, item, state)?;
        transaction.remove(keys::item(self.id(), item));
        transaction.remove(keys::state(self.id(), item));
        Ok(())
    }

    /// Moves an item from its place to another.
    pub(super) fn replace(&mut self, transaction: &mut Transaction, item: u64, before: &State, after: &State) -> Result<()> {
        self.take(transaction, item, before)?;
        self.put(transaction, item, after)
    }
}
