//! What to tell next: a state machine without I/O, beside the one that carries things to the target.

use std::collections::HashMap;
use std::time::Duration;

use super::super::circuit::{BackOff, Circuit};
use super::super::machine::{Aside, Failure};

/// Waits for a centre that does not do its part.
const CENTRE: BackOff = BackOff { first: Duration::from_secs(2), most: Duration::from_secs(300) };
/// Waits for metadata that are refused, or not there.
const ITEM: BackOff = BackOff { first: Duration::from_secs(60), most: Duration::from_secs(6 * 3600) };
/// How long the centre is believed to be where it was seen: it may be put back to a backup without anybody noticing.
const MEET_EVERY: Duration = Duration::from_secs(6 * 3600);

/// What is to be done, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// See where the centre is, and queue what it lacks.
    Meet,
    /// Tell the first cut that is queued.
    Cut,
    /// Tell the metadata of a cut.
    Metadata(u64),
    /// Tell some of the segments that are queued.
    Segments,
    /// Look for what the centre lacks though it was told of it once.
    Fill,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Work {
    /// Whether a cut is queued.
    pub(super) cut: bool,
    /// Cuts whose metadata are queued, the first of them: one more than are set aside, if there are so many.
    pub(super) metadata: Vec<u64>,
    /// Whether segments are queued.
    pub(super) segments: bool,
}

/// The state. All times are counted from the start of the worker.
#[derive(Debug)]
pub(super) struct Machine {
    paused: bool,
    /// When to see where the centre is.
    meet_at: Duration,
    /// Whether what it lacks was looked for since then.
    filled: bool,
    circuit: Circuit,
    aside: HashMap<u64, Aside>,
    under_way: bool,
    random: fastrand::Rng,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Machine {
            paused: false,
            meet_at: Duration::ZERO,
            filled: false,
            circuit: Circuit::Closed,
            aside: HashMap::new(),
            under_way: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What to begin now.
    pub(super) fn decide(&mut self, now: Duration, work: &Work) -> Option<Step> {
        let is_left_alone = matches!(self.circuit, Circuit::Open { until, .. } if now < until);
        if self.paused || self.under_way || is_left_alone {
            return None;
        }
        let step = self.next(now, work)?;
        self.under_way = true;
        Some(step)
    }

    fn next(&self, now: Duration, work: &Work) -> Option<Step> {
        if now >= self.meet_at {
            return Some(Step::Meet);
        }
        if work.cut {
            return Some(Step::Cut);
        }
        let waits = |cut: &u64| self.aside.get(cut).is_some_and(|aside| now < aside.until);
        let metadata = work.metadata.iter().find(|cut| !waits(cut)).map(|cut| Step::Metadata(*cut));
        let segments = || work.segments.then_some(Step::Segments);
        metadata.or_else(segments).or_else(|| (!self.filled).then_some(Step::Fill))
    }

    /// What became of it.
    pub(super) fn ended(&mut self, now: Duration, step: Step, outcome: Result<(), Failure>) {
        self.under_way = false;
        match (outcome, step) {
            (Ok(()), step) => {
                self.circuit = Circuit::Closed;
                match step {
                    Step::Meet => {
                        // Not at the same time as everyone else.
                        self.meet_at = now.saturating_add(MEET_EVERY.mul_f64(0.5 + self.random.f64() / 2.0));
                        self.filled = false;
                    }
                    Step::Metadata(cut) => drop(self.aside.remove(&cut)),
                    Step::Fill => self.filled = true,
                    Step::Cut | Step::Segments => {}
                }
            }
            (Err(Failure::Item), Step::Metadata(cut)) => {
                // The centre, or the bucket, answered.
                self.circuit = Circuit::Closed;
                let tries = self.aside.get(&cut).map_or(0, |aside| aside.tries).saturating_add(1);
                let wait = ITEM.after(tries, &mut self.random).max(ITEM.first / 2);
                self.aside.insert(cut, Aside { tries, until: now.saturating_add(wait) });
            }
            (Err(failure), _) => {
                let not_before = if let Failure::Target { not_before } = failure { not_before } else { None };
                let failures = self.circuit.failures().saturating_add(1);
                let wait = CENTRE.after(failures, &mut self.random).max(not_before.unwrap_or_default());
                self.circuit = Circuit::Open { failures, until: now.saturating_add(wait) };
                // Whatever was done to it meanwhile: the first thing that is asked is where it is.
                self.meet_at = Duration::ZERO;
            }
        }
    }

    /// When to ask [`Machine::decide`] again, if nothing ends before and nothing new comes.
    pub(super) fn wake_at(&self, now: Duration) -> Duration {
        if self.paused || self.under_way {
            return Duration::MAX;
        }
        match self.circuit {
            Circuit::Open { until, .. } if until > now => until,
            _ => {
                let aside = self.aside.values().map(|aside| aside.until).filter(|until| *until > now);
                aside.fold(self.meet_at, Duration::min)
            }
        }
    }

    /// Tells nothing until told otherwise. What is under way goes on.
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

    /// Whether nothing is under way or to be begun, but what is set aside.
    pub(super) fn is_idle(&self, now: Duration, work: &Work) -> bool {
        !self.under_way && self.next(now, work).is_none()
    }

    /// Metadata that were refused, or are not there.
    pub(super) fn aside(&self) -> &HashMap<u64, Aside> {
        &self.aside
    }

    /// What is not queued any more is not set aside.
    pub(super) fn keep_aside(&mut self, is_queued: impl Fn(u64) -> bool) {
        self.aside.retain(|cut, _| is_queued(*cut));
    }

    /// Whether the centre is asked.
    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn work(cut: bool, metadata: &[u64], segments: bool) -> Work {
        Work { cut, metadata: metadata.to_vec(), segments }
    }

    fn met() -> Machine {
        let mut machine = Machine::new(1);
        assert_eq!(machine.decide(SECOND, &work(true, &[], true)), Some(Step::Meet), "nothing else before that");
        machine.ended(SECOND, Step::Meet, Ok(()));
        machine
    }

    fn done(machine: &mut Machine, work: &Work) -> Option<Step> {
        let step = machine.decide(SECOND, work)?;
        assert_eq!(machine.decide(SECOND, work), None, "one at a time");
        machine.ended(SECOND, step, Ok(()));
        Some(step)
    }

    #[test]
    fn cuts_go_first_then_metadata_then_segments_and_then_what_is_lacking_is_looked_for() {
        let mut machine = met();
        assert_eq!(done(&mut machine, &work(true, &[1], true)), Some(Step::Cut));
        assert_eq!(done(&mut machine, &work(false, &[1, 2], true)), Some(Step::Metadata(1)));
        assert_eq!(done(&mut machine, &work(false, &[], true)), Some(Step::Segments));
        assert_eq!(done(&mut machine, &Work::default()), Some(Step::Fill));
        assert_eq!(done(&mut machine, &Work::default()), None);
        let wake = machine.wake_at(SECOND);
        assert!(MEET_EVERY / 2 < wake && wake <= MEET_EVERY + SECOND, "{wake:?}");
        assert_eq!(machine.decide(wake, &Work::default()), Some(Step::Meet));
    }

    #[test]
    fn a_centre_that_fails_is_left_alone_and_then_asked_where_it_is() {
        for failure in [Failure::Target { not_before: None }, Failure::Estranged, Failure::Item] {
            let mut machine = met();
            let work = work(true, &[], true);
            machine.decide(SECOND, &work);
            machine.ended(SECOND, Step::Cut, Err(failure));
            let Circuit::Open { failures: 1, until } = machine.circuit() else { panic!("{failure:?}") };
            assert!(until <= 3 * SECOND, "{until:?}");
            assert_eq!(machine.wake_at(SECOND), until);
            assert_eq!(machine.decide(until, &work), Some(Step::Meet));
            machine.ended(until, Step::Meet, Err(Failure::Target { not_before: Some(60 * SECOND) }));
            assert_eq!(machine.decide(until + 59 * SECOND, &work), None);
            machine.retry();
            assert_eq!(machine.decide(until + SECOND, &work), Some(Step::Meet));
        }
    }

    #[test]
    fn waits_grow_to_a_limit() {
        let mut machine = Machine::new(7);
        let (mut now, mut longest) = (SECOND, Duration::ZERO);
        for _ in 0..60 {
            assert_eq!(machine.decide(now, &Work::default()), Some(Step::Meet));
            machine.ended(now, Step::Meet, Err(Failure::Target { not_before: None }));
            let wake = machine.wake_at(now);
            longest = longest.max(wake - now);
            now = wake.max(now);
        }
        assert!(150 * SECOND < longest && longest <= CENTRE.most, "{longest:?}");
    }

    #[test]
    fn metadata_that_are_refused_keep_nobody_waiting() {
        let mut machine = met();
        machine.decide(SECOND, &work(false, &[1], true));
        machine.ended(SECOND, Step::Metadata(1), Err(Failure::Item));
        assert_eq!(done(&mut machine, &work(false, &[1, 2], true)), Some(Step::Metadata(2)));
        assert_eq!(done(&mut machine, &work(false, &[1], true)), Some(Step::Segments));
        assert_eq!(done(&mut machine, &work(false, &[1], false)), Some(Step::Fill));
        assert!(machine.is_idle(SECOND, &work(false, &[1], false)));
        let wake = machine.wake_at(SECOND);
        assert!(31 * SECOND <= wake && wake <= 61 * SECOND, "{wake:?}");
        assert_eq!(machine.decide(wake, &work(false, &[1], false)), Some(Step::Metadata(1)));
        machine.keep_aside(|_| false);
        assert!(machine.aside().is_empty());
    }

    #[test]
    fn who_is_paused_tells_nothing() {
        let mut machine = met();
        machine.pause(true);
        assert_eq!(machine.decide(SECOND, &work(true, &[1], true)), None);
        assert_eq!(machine.wake_at(SECOND), Duration::MAX);
        machine.pause(false);
        assert_eq!(machine.decide(SECOND, &work(true, &[1], true)), Some(Step::Cut));
    }
}
