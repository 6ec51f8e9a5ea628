//! What to do next: a state machine without I/O. It is told what there is to do and what became of what it had done.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::circuit::{BackOff, Circuit};

/// Waits for a target that does not do its part.
const TARGET: BackOff = BackOff { first: Duration::from_secs(2), most: Duration::from_secs(300) };
/// Waits for an item that is refused.
const ITEM: BackOff = BackOff { first: Duration::from_secs(60), most: Duration::from_secs(6 * 3600) };
/// How often what was sent is looked for while there is more to send.
const CONFIRM_EVERY: Duration = Duration::from_secs(60);

/// What is to be done. All times are counted from the start of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action<K> {
    /// See whether the target knows what we know.
    Meet,
    /// Take a cut, if there is anything new. Needs no target.
    Cut,
    /// Announce the next cut.
    Announce,
    /// Send an item.
    Send(K),
    /// Look for what was sent.
    Confirm,
}

/// What there is to do.
#[derive(Debug)]
pub(super) struct Work<K> {
    /// Whether a cut was not announced.
    pub(super) to_announce: bool,
    /// Whether something was sent and not looked for since.
    pub(super) to_confirm: bool,
    /// Items that are worth sending, those wanted most first, none of them on its way: at least as many as may be sent together and are set
    /// aside, if there are so many.
    pub(super) due: Vec<K>,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The target does not do its part; it may have said when to ask again.
    Target {
        /// In how long.
        not_before: Option<Duration>,
    },
    /// It is the item: others are worth trying.
    Item,
    /// Someone else has written what we were to write: we have to meet again.
    Estranged,
}

/// An item that was refused, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aside {
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it is tried again.
    pub(super) until: Duration,
}

/// The state.
#[derive(Debug)]
pub(super) struct Machine<K> {
    parallel: usize,
    cut_every: Duration,
    next_cut: Duration,
    next_confirm: Duration,
    paused: bool,
    met: bool,
    circuit: Circuit,
    aside: HashMap<K, Aside>,
    sending: HashSet<K>,
    /// Something of which only one is done at a time.
    serial: Option<Action<K>>,
    random: fastrand::Rng,
}

impl<K: Copy + Eq + Hash> Machine<K> {
    /// Sends so many items at the same time, and looks for something to cut so often.
    pub(super) fn new(parallel: usize, cut_every: Duration, seed: u64) -> Self {
        Machine {
            parallel: parallel.max(1),
            cut_every,
            next_cut: Duration::ZERO,
            next_confirm: Duration::ZERO,
            paused: false,
            met: false,
            circuit: Circuit::Closed,
            aside: HashMap::new(),
            sending: HashSet::new(),
            serial: None,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What to begin now.
    pub(super) fn decide(&mut self, now: Duration, work: &Work<K>) -> Vec<Action<K>> {
        let mut actions = Vec::new();
        if self.serial.is_none() && now >= self.next_cut {
            self.next_cut = now.saturating_add(self.cut_every);
            self.begin(Action::Cut, &mut actions);
        }
        if self.paused {
            return actions;
        }
        let probing = match self.circuit {
            Circuit::Closed => false,
            // Whoever is still on his way tells whether it is worth it.
            Circuit::Open { until, .. } if now < until || self.is_asking() => return actions,
            Circuit::Open { .. } => true,
        };
        if self.serial.is_none() {
            match (self.met, work.to_announce) {
                (false, _) => self.begin(Action::Meet, &mut actions),
                (true, true) => self.begin(Action::Announce, &mut actions),
                (true, false) => {}
            }
        }
        let may_send = self.met && self.serial != Some(Action::Meet);
        for key in work.due.iter().copied().filter(|_| may_send) {
            let is_alone = !(probing && self.is_asking());
            if !is_alone || self.sending.len() >= self.parallel {
                break;
            }
            let waits = self.aside.get(&key).is_some_and(|aside| now < aside.until);
            if !waits && !self.sending.contains(&key) {
                self.begin(Action::Send(key), &mut actions);
            }
        }
        let is_time = self.sending.is_empty() || now >= self.next_confirm;
        if work.to_confirm && is_time && may_send && self.serial.is_none() && !(probing && self.is_asking()) {
            self.next_confirm = now.saturating_add(CONFIRM_EVERY);
            self.begin(Action::Confirm, &mut actions);
        }
        actions
    }

    fn begin(&mut self, action: Action<K>, actions: &mut Vec<Action<K>>) {
        match action {
            Action::Send(key) => drop(self.sending.insert(key)),
            serial => self.serial = Some(serial),
        }
        actions.push(action);
    }

    /// Whether the target is being asked anything.
    fn is_asking(&self) -> bool {
        !self.sending.is_empty() || matches!(self.serial, Some(Action::Meet | Action::Announce | Action::Confirm))
    }

    /// What became of something.
    pub(super) fn ended(&mut self, now: Duration, action: Action<K>, outcome: Result<(), Failure>) {
        match action {
            Action::Send(key) => drop(self.sending.remove(&key)),
            _ => self.serial = None,
        }
        match (outcome, action) {
            // It says nothing of the target.
            (_, Action::Cut) => {}
            (Ok(()), action) => {
                self.circuit = Circuit::Closed;
                match action {
                    Action::Meet => self.met = true,
                    Action::Send(key) => drop(self.aside.remove(&key)),
                    _ => {}
                }
            }
            (Err(Failure::Item), Action::Send(key)) => {
                // The target answered.
                self.circuit = Circuit::Closed;
                let tries = self.aside.get(&key).map_or(0, |aside| aside.tries).saturating_add(1);
                let wait = ITEM.after(tries, &mut self.random).max(ITEM.first / 2);
                self.aside.insert(key, Aside { tries, until: now.saturating_add(wait) });
            }
            (Err(Failure::Estranged), _) => {
                self.met = false;
                self.fail(now, None);
            }
            (Err(Failure::Target { not_before }), _) => self.fail(now, not_before),
            (Err(Failure::Item), _) => self.fail(now, None),
        }
    }

    fn fail(&mut self, now: Duration, not_before: Option<Duration>) {
        let failures = self.circuit.failures().saturating_add(1);
        let wait = TARGET.after(failures, &mut self.random).max(not_before.unwrap_or_default());
        self.circuit = Circuit::Open { failures, until: now.saturating_add(wait) };
    }

    /// When to ask [`Machine::decide`] again, if nothing ends before.
    pub(super) fn wake_at(&self, now: Duration, work: &Work<K>) -> Duration {
        let mut wake = if self.serial.is_none() { self.next_cut } else { Duration::MAX };
        match self.circuit {
            _ if self.paused => {}
            Circuit::Open { .. } if self.is_asking() => {}
            Circuit::Open { until, .. } if until > now => wake = wake.min(until),
            // What is due and was not begun is set aside.
            _ => {
                let aside = work.due.iter().filter_map(|key| self.aside.get(key)).map(|aside| aside.until);
                wake = wake.min(aside.filter(|until| *until > now).min().unwrap_or(Duration::MAX));
                if work.to_confirm && self.serial.is_none() && self.next_confirm > now {
                    wake = wake.min(self.next_confirm);
                }
            }
        }
        wake
    }

    /// Cuts as soon as it may: there is something new.
    pub(super) fn cut_soon(&mut self) {
        self.next_cut = Duration::ZERO;
    }

    /// Meets again before all else.
    pub(super) fn meet_again(&mut self) {
        self.met = false;
    }

    /// Sends nothing until told otherwise. What is on its way goes on.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Tries at once what it waits for.
    pub(super) fn retry(&mut self) {
        self.aside.values_mut().for_each(|aside| aside.until = Duration::ZERO);
        if let Circuit::Open { until, .. } = &mut self.circuit {
            *until = Duration::ZERO;
        }
    }

    /// Items that were refused.
    pub(super) fn aside(&self) -> &HashMap<K, Aside> {
        &self.aside
    }

    /// Items that are neither wanted any more nor on their way are not set aside any more.
    pub(super) fn keep_aside(&mut self, is_wanted: impl Fn(&K) -> bool) {
        let sending = &self.sending;
        self.aside.retain(|key, _| is_wanted(key) || sending.contains(key));
    }

    /// Whether the target is asked.
    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// How many items are on their way.
    pub(super) fn sending(&self) -> usize {
        self.sending.len()
    }
}

#[cfg(test)]
mod tests;
