//! Queues as lists: slow, obvious, and independent of the engine.
//!
//! What lasts does so for ever or not at all, so that nothing here depends on the time that passes.

use std::collections::BTreeMap;

use crate::model::Lasts;

/// How often an item is popped before it is dead.
pub const TRIES: u32 = 3;

/// What is done to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QueueChange {
    /// Makes it.
    Create,
    /// Drops it.
    Drop,
    /// Pushes items.
    Push(Vec<PushedItem>),
    /// Pops so many items for ever, or for no time at all.
    Pop(usize, Lasts),
    /// Acknowledges items by their leases.
    Ack(Vec<String>),
    /// Gives items back by their leases, to wait for ever or not at all.
    Nack(Vec<String>, Lasts),
    /// Requeues so many dead items.
    Requeue(usize),
    /// Takes all items away, or only dead ones.
    Purge(bool),
}

/// An item to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PushedItem {
    /// Any bytes.
    pub payload: Vec<u8>,
    /// Higher ones come first.
    pub priority: u8,
    /// Its deduplication key.
    pub key: Option<String>,
    /// Whether it is due only after the end of the simulation.
    pub never_due: bool,
}

/// An item in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueItem {
    /// Its number.
    pub id: u64,
    /// Higher ones come first.
    pub priority: u8,
    /// How often it was popped.
    pub tries: u32,
    /// What was pushed.
    pub payload: Vec<u8>,
}

/// What can be read from a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct QueueView {
    /// What would be popped, in order.
    pub waiting: Vec<QueueItem>,
    /// Dead items, by number.
    pub dead: Vec<QueueItem>,
    /// How many are scheduled, leased, and back off.
    pub others: [u64; 3],
}

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    number: u32,
    keeps_keys: bool,
    keeps_dead: bool,
    /// The last number given to an item, an arrival or a lease.
    drawn: u64,
    keys: BTreeMap<String, u64>,
    /// In the order in which they came.
    waiting: Vec<QueueItem>,
    /// By lease.
    leased: Vec<(String, QueueItem)>,
    /// Leased for no time: they come back with the next change.
    returning: Vec<QueueItem>,
    dead: BTreeMap<u64, QueueItem>,
    scheduled: Vec<QueueItem>,
    delayed: Vec<QueueItem>,
}

/// Where an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It may be popped.
    Waiting,
    /// It is leased for ever.
    Leased,
    /// It was leased for no time: with the next change of the queue, which need change nothing else, it comes back.
    Returning,
    /// It is due only after the end of the simulation.
    Scheduled,
    /// It waits for ever before it is tried again.
    Delayed,
    /// It was tried too often.
    Dead,
}

/// Whether a queue remembers deduplication keys, for ever.
pub fn keeps_keys(name: &str) -> bool {
    name.ends_with('0')
}

/// Whether a queue keeps dead items.
pub fn keeps_dead(name: &str) -> bool {
    !name.ends_with('2')
}

impl Queue {
    /// An empty one, the how-manieth that was made.
    pub fn new(name: &str, number: u32) -> Self {
        Queue {
            number,
            keeps_keys: keeps_keys(name),
            keeps_dead: keeps_dead(name),
            drawn: 0,
            keys: BTreeMap::new(),
            waiting: Vec::new(),
            leased: Vec::new(),
            returning: Vec::new(),
            dead: BTreeMap::new(),
            scheduled: Vec::new(),
            delayed: Vec::new(),
        }
    }

    /// The how-manieth queue it is.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The last number given to anything. Those of new items are above it.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// All items there are.
    pub fn items(&self) -> impl Iterator<Item = (Place, &QueueItem)> {
        let waiting = self.waiting.iter().map(|item| (Place::Waiting, item));
        let leased = self.leased.iter().map(|(_, item)| (Place::Leased, item));
        let returning = self.returning.iter().map(|item| (Place::Returning, item));
        let scheduled = self.scheduled.iter().map(|item| (Place::Scheduled, item));
        let delayed = self.delayed.iter().map(|item| (Place::Delayed, item));
        let dead = self.dead.values().map(|item| (Place::Dead, item));
        waiting.chain(leased).chain(returning).chain(scheduled).chain(delayed).chain(dead)
    }

    /// Leases that hold.
    pub fn leases(&self) -> impl Iterator<Item = &String> {
        self.leased.iter().map(|(lease, _)| lease)
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does what a change does.
    pub fn apply(&mut self, change: &QueueChange) {
        self.promote();
        match change {
            QueueChange::Create | QueueChange::Drop => {}
            QueueChange::Push(items) => items.iter().for_each(|item| self.push(item)),
            QueueChange::Pop(limit, lasts) => self.pop(*limit, *lasts),
            QueueChange::Ack(leases) => leases.iter().for_each(|lease| drop(self.held(lease))),
            QueueChange::Nack(leases, lasts) => leases.iter().for_each(|lease| self.nack(lease, *lasts)),
            QueueChange::Requeue(limit) => {
                for _ in 0..*limit {
                    let Some((_, item)) = self.dead.pop_first() else { return };
                    self.drawn += 1;
                    self.waiting.push(QueueItem { tries: 0, ..item });
                }
            }
            QueueChange::Purge(dead_only) => {
                self.dead.clear();
                if !dead_only {
                    self.waiting.clear();
                    self.leased.clear();
                    self.scheduled.clear();
                    self.delayed.clear();
                }
            }
        }
    }

    /// What can be read.
    pub fn view(&self) -> QueueView {
        let mut now = self.clone();
        now.promote();
        // Stable: of the same priority, who came first is first.
        now.waiting.sort_by_key(|item| !item.priority);
        let others = [now.scheduled.len(), now.leased.len(), now.delayed.len()].map(|count| count as u64);
        QueueView { waiting: now.waiting, dead: now.dead.into_values().collect(), others }
    }

    fn promote(&mut self) {
        let mut returning = std::mem::take(&mut self.returning);
        returning.sort_by_key(|item| item.id);
        returning.into_iter().for_each(|item| self.tried(item));
    }

    /// An item that was tried in vain.
    fn tried(&mut self, item: QueueItem) {
        if item.tries < TRIES {
            self.drawn += 1;
            self.waiting.push(item);
        } else if self.keeps_dead {
            self.dead.insert(item.id, item);
        }
    }

    fn push(&mut self, item: &PushedItem) {
        if item.key.as_ref().is_some_and(|key| self.keys.contains_key(key)) {
            return;
        }
        self.drawn += 1;
        if let Some(key) = item.key.as_ref().filter(|_| self.keeps_keys) {
            self.keys.insert(key.clone(), self.drawn);
        }
        let place = if item.never_due { &mut self.scheduled } else { &mut self.waiting };
        place.push(QueueItem { id: self.drawn, priority: item.priority, tries: 0, payload: item.payload.clone() });
    }

    fn pop(&mut self, limit: usize, lasts: Lasts) {
        for _ in 0..limit {
            let Some(highest) = self.waiting.iter().map(|item| item.priority).max() else { return };
            let first = self.waiting.iter().position(|item| item.priority == highest).expect("the highest is there");
            let mut item = self.waiting.remove(first);
            item.tries += 1;
            self.drawn += 1;
            match lasts {
                Lasts::NotAtAll => self.returning.push(item),
                _ => self.leased.push((format!("{}-{}-{}", self.number, item.id, self.drawn), item)),
            }
        }
    }

    fn nack(&mut self, lease: &str, lasts: Lasts) {
        let item = self.held(lease);
        match lasts {
            _ if item.tries >= TRIES => self.tried(item),
            Lasts::NotAtAll => self.tried(item),
            _ => self.delayed.push(item),
        }
    }

    fn held(&mut self, lease: &str) -> QueueItem {
        let position = self.leased.iter().position(|(held, _)| held == lease).expect("the model gives leases that hold");
        self.leased.remove(position).1
    }
}
