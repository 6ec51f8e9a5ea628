//! A world in which everything fails at times.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn work(to_announce: bool, due: impl IntoIterator<Item = u32>) -> Work<u32> {
    Work { to_announce, to_confirm: false, due: due.into_iter().collect() }
}

/// A machine that has met, with nothing to cut for long.
fn met() -> Machine<u32> {
    let mut machine = Machine::new(3, 1_000 * SECOND, 1);
    assert_eq!(machine.decide(SECOND, &work(false, [])), [Action::Cut]);
    machine.ended(SECOND, Action::Cut, Ok(()));
    assert_eq!(machine.decide(SECOND, &work(true, [1, 2])), [Action::Meet], "nothing else before that");
    assert_eq!(machine.decide(SECOND, &work(true, [1, 2])), []);
    machine.ended(SECOND, Action::Meet, Ok(()));
    machine
}

#[test]
fn announces_one_at_a_time_and_sends_a_few_together() {
    let mut machine = met();
    let actions = machine.decide(SECOND, &work(true, [1, 2, 3, 4]));
    assert_eq!(actions, [Action::Announce, Action::Send(1), Action::Send(2), Action::Send(3)]);
    assert_eq!(machine.decide(SECOND, &work(true, [4])), []);
    machine.ended(SECOND, Action::Send(2), Ok(()));
    assert_eq!(machine.decide(SECOND, &work(true, [1, 3, 4])), [Action::Send(4)]);
    machine.ended(SECOND, Action::Announce, Ok(()));
    assert_eq!(machine.decide(SECOND, &work(true, [])), [Action::Announce]);
}

#[test]
fn a_target_that_fails_is_left_alone_and_then_asked_once() {
    let mut machine = met();
    machine.decide(SECOND, &work(false, [1, 2]));
    for key in [1, 2] {
        machine.ended(SECOND, Action::Send(key), Err(Failure::Target { not_before: Some(10 * SECOND) }));
    }
    assert_eq!(machine.decide(10 * SECOND, &work(true, [1, 2, 3])), []);
    let wake = machine.wake_at(10 * SECOND, &work(true, [1, 2, 3]));
    assert!(11 * SECOND <= wake && wake <= 15 * SECOND, "{wake:?}");
    assert_eq!(machine.decide(wake, &work(true, [1, 2, 3])), [Action::Announce], "one that shows how it is");
    machine.ended(wake, Action::Announce, Err(Failure::Target { not_before: None }));
    let later = wake + 400 * SECOND;
    assert_eq!(machine.decide(later, &work(false, [1, 2, 3])), [Action::Send(1)]);
    machine.ended(later, Action::Send(1), Ok(()));
    assert_eq!(machine.decide(later, &work(false, [2, 3])), [Action::Send(2), Action::Send(3)]);
}

#[test]
fn an_item_that_is_refused_keeps_nobody_waiting() {
    let mut machine = met();
    machine.decide(SECOND, &work(false, [1]));
    machine.ended(SECOND, Action::Send(1), Err(Failure::Item));
    assert_eq!(machine.decide(SECOND, &work(false, [1, 2])), [Action::Send(2)]);
    machine.ended(SECOND, Action::Send(2), Ok(()));
    let wake = machine.wake_at(SECOND, &work(false, [1]));
    assert!(31 * SECOND <= wake && wake <= 61 * SECOND, "{wake:?}");
    assert_eq!(machine.decide(wake, &work(false, [1])), [Action::Send(1)]);
    machine.ended(wake, Action::Send(1), Err(Failure::Item));
    assert_eq!(machine.aside()[&1].tries, 2);
    machine.retry();
    assert_eq!(machine.decide(wake, &work(false, [1])), [Action::Send(1)]);
    machine.ended(wake, Action::Send(1), Ok(()));
    assert!(machine.aside().is_empty());
}

#[test]
fn who_is_paused_cuts_and_sends_nothing() {
    let mut machine = met();
    machine.pause(true);
    assert_eq!(machine.decide(2_000 * SECOND, &work(true, [1])), [Action::Cut]);
    machine.ended(2_000 * SECOND, Action::Cut, Err(Failure::Item));
    assert_eq!(machine.wake_at(2_000 * SECOND, &work(true, [1])), 3_000 * SECOND);
    machine.pause(false);
    assert_eq!(machine.decide(2_000 * SECOND, &work(true, [1])), [Action::Announce, Action::Send(1)]);
}

#[test]
fn who_meets_a_stranger_meets_again_before_all_else() {
    let mut machine = met();
    machine.decide(SECOND, &work(true, [1]));
    machine.ended(SECOND, Action::Announce, Err(Failure::Estranged));
    machine.ended(SECOND, Action::Send(1), Ok(()));
    assert_eq!(machine.decide(SECOND, &work(true, [2])), [Action::Meet]);
}

#[test]
fn what_was_sent_is_looked_for_when_there_is_nothing_to_send_and_else_at_times() {
    let mut machine = met();
    let work = |due: &[u32]| Work { to_announce: false, to_confirm: true, due: due.to_vec() };
    assert_eq!(machine.decide(SECOND, &work(&[1])), [Action::Send(1), Action::Confirm], "it never did");
    machine.ended(SECOND, Action::Confirm, Ok(()));
    assert_eq!(machine.decide(60 * SECOND, &work(&[])), [], "something is on its way");
    assert_eq!(machine.wake_at(60 * SECOND, &work(&[])), 61 * SECOND);
    assert_eq!(machine.decide(61 * SECOND, &work(&[])), [Action::Confirm]);
    machine.ended(61 * SECOND, Action::Confirm, Ok(()));
    machine.ended(61 * SECOND, Action::Send(1), Ok(()));
    assert_eq!(machine.decide(62 * SECOND, &work(&[])), [Action::Confirm], "nothing is");
    // What was not there is sent again, but not without end.
    machine.ended(62 * SECOND, Action::Confirm, Err(Failure::Item));
    assert_eq!(machine.decide(62 * SECOND, &work(&[1])), []);
    assert_eq!(machine.circuit().failures(), 1);
}

/// Whatever fails, in the end everything is done, once each, in order where that counts.
#[test]
fn in_the_end_everything_is_done() {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("ALLUVIUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for case in 0..200 {
        World::new(random.u64(..)).live(case);
    }
}

struct World {
    random: fastrand::Rng,
    machine: Machine<u32>,
    now: Duration,
    /// What is on its way, and when it ends.
    under_way: BTreeMap<u64, (Duration, Action<u32>)>,
    began: u64,
    /// What failed last began then.
    down: bool,
    cuts: u32,
    announced: u32,
    sent: BTreeSet<u32>,
    confirmed: BTreeSet<u32>,
    poisoned: BTreeSet<u32>,
    parallel: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let parallel = random.usize(1..6);
        let machine = Machine::new(parallel, 20 * SECOND, random.u64(..));
        let poisoned = (0..40).filter(|_| random.u8(..10) == 0).collect();
        let (under_way, sent, confirmed) = Default::default();
        World {
            random,
            machine,
            now: Duration::ZERO,
            under_way,
            began: 0,
            down: false,
            cuts: 0,
            announced: 0,
            sent,
            confirmed,
            poisoned,
            parallel,
        }
    }

    /// Each cut has an item.
    fn work(&self) -> Work<u32> {
        let on_its_way = |key: &u32| self.under_way.values().any(|(_, action)| *action == Action::Send(*key));
        let due = (0..self.announced).filter(|key| !self.sent.contains(key) && !on_its_way(key)).collect();
        Work { to_announce: self.announced < self.cuts, to_confirm: self.confirmed.len() < self.sent.len(), due }
    }

    fn live(&mut self, case: usize) {
        for step in 0..20_000 {
            let healthy = step > 3_000;
            if healthy {
                (self.down, self.poisoned) = (false, BTreeSet::new());
            } else if self.random.u8(..50) == 0 {
                self.down = !self.down;
            }
            if self.cuts == 40 && self.confirmed.len() == 40 {
                return;
            }
            self.step(case);
        }
        panic!("case {case}: {} cuts, {} announced, {} sent", self.cuts, self.announced, self.sent.len());
    }

    fn step(&mut self, case: usize) {
        let work = self.work();
        for action in self.machine.decide(self.now, &work) {
            self.check(case, action);
            let ends = self.now + SECOND * self.random.u32(0..30);
            self.under_way.insert(self.began, (ends, action));
            self.began += 1;
        }
        let work = self.work();
        let wake = self.machine.wake_at(self.now, &work);
        let ends = self.under_way.iter().min_by_key(|(_, (ends, _))| *ends).map(|(id, (ends, _))| (*ends, *id));
        match ends {
            Some((ends, id)) if ends <= wake => {
                self.now = self.now.max(ends);
                let (_, action) = self.under_way.remove(&id).unwrap();
                self.end(action);
            }
            _ => {
                assert!(wake > self.now, "case {case}: it does not sleep at {:?}", self.now);
                assert!(wake < Duration::MAX, "case {case}: it sleeps for ever");
                self.now = wake;
            }
        }
    }

    fn check(&self, case: usize, action: Action<u32>) {
        let running: Vec<_> = self.under_way.values().map(|(_, action)| *action).collect();
        assert!(!running.contains(&action), "case {case}: {action:?} twice");
        let is_send = |action: &&Action<u32>| matches!(action, Action::Send(_));
        match action {
            Action::Send(key) => {
                assert!(key < self.announced && !self.sent.contains(&key), "case {case}: {key} is not due");
                assert!(running.iter().filter(is_send).count() < self.parallel, "case {case}: too many");
            }
            _ => {
                assert!(running.iter().filter(|action| !is_send(action)).count() == 0, "case {case}: {running:?} and {action:?}")
            }
        }
    }

    fn end(&mut self, action: Action<u32>) {
        let outcome = match action {
            Action::Cut if self.cuts < 40 => {
                self.cuts += 1;
                Ok(())
            }
            Action::Cut => Err(Failure::Item),
            _ if self.down => Err(Failure::Target { not_before: None }),
            Action::Send(key) if self.poisoned.contains(&key) => Err(Failure::Item),
            Action::Announce if self.random.u8(..20) == 0 => Err(Failure::Estranged),
            Action::Announce => {
                self.announced += 1;
                Ok(())
            }
            Action::Send(key) => {
                self.sent.insert(key);
                Ok(())
            }
            Action::Confirm => {
                // One of them is gone.
                let lost = self.sent.difference(&self.confirmed).copied().find(|_| self.random.u8(..20) == 0);
                self.sent.retain(|key| Some(*key) != lost);
                self.confirmed = self.sent.clone();
                lost.map_or(Ok(()), |_| Err(Failure::Item))
            }
            Action::Meet => Ok(()),
        };
        self.machine.ended(self.now, action, outcome);
    }
}
