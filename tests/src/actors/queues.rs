//! Those who use queues.

use fastrand::Rng;

use super::Actors;
use crate::model::{Effect, Lasts, Model};
use crate::queues::{PushedItem, Queue, QueueChange};
use crate::steps::Step;

/// Queues there are at most.
const QUEUES: u8 = 3;
/// Items of a queue above which it is purged.
const MOST_ITEMS: usize = 60;

impl Actors {
    /// One change of a queue, or several of several queues and pairs at once.
    pub(super) fn use_queues(&mut self, model: &Model) -> Step {
        let name = |rng: &mut Rng| format!("queue/{}", rng.u8(0..QUEUES));
        if self.rng.u8(0..4) > 0 {
            let name = name(&mut self.rng);
            let change = match model.queues.get(&name) {
                None => QueueChange::Create,
                Some(_) if self.rng.u8(0..40) == 0 => QueueChange::Drop,
                Some(queue) => self.change_queue(queue),
            };
            return Step::Write(Effect::Queues(vec![(name, change)], Vec::new()));
        }
        // Each change is made up for what those before it leave.
        let (mut model, mut changes) = (model.clone(), Vec::new());
        for _ in 0..self.rng.usize(1..4) {
            let name = name(&mut self.rng);
            if let Some(queue) = model.queues.get(&name) {
                let change = vec![(name, self.change_queue(queue))];
                model.apply(&Effect::Queues(change.clone(), Vec::new()));
                changes.extend(change);
            }
        }
        let pairs = (0..self.rng.usize(1..3)).map(|_| self.pair()).collect();
        Step::Write(Effect::Queues(changes, pairs))
    }

    fn change_queue(&mut self, queue: &Queue) -> QueueChange {
        if queue.len() > MOST_ITEMS {
            return QueueChange::Purge(false);
        }
        let mut leases: Vec<_> = queue.leases().cloned().collect();
        self.rng.shuffle(&mut leases);
        leases.truncate(self.rng.usize(1..4));
        let lasts = if self.rng.u8(0..3) == 0 { Lasts::NotAtAll } else { Lasts::Long };
        match self.rng.u8(0..20) {
            0..=6 => QueueChange::Push((0..self.rng.usize(1..5)).map(|_| self.pushed_item()).collect()),
            7..=12 => QueueChange::Pop(self.rng.usize(1..5), lasts),
            13..=15 if !leases.is_empty() => QueueChange::Ack(leases),
            16..=17 if !leases.is_empty() => QueueChange::Nack(leases, lasts),
            18 => QueueChange::Requeue(self.rng.usize(1..4)),
            19 if self.rng.u8(0..5) == 0 => QueueChange::Purge(self.rng.bool()),
            _ => QueueChange::Pop(1, Lasts::NotAtAll),
        }
    }

    fn pushed_item(&mut self) -> PushedItem {
        let most = if self.rng.u8(0..20) == 0 { 9_000 } else { 40 };
        PushedItem {
            payload: (0..self.rng.usize(0..most)).map(|_| self.rng.u8(..)).collect(),
            priority: self.rng.u8(0..3),
            key: self.rng.bool().then(|| format!("key/{}", self.rng.u16(0..500))),
            never_due: self.rng.u8(0..10) == 0,
        }
    }
}
