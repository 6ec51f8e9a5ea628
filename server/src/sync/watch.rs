//! What is worth telling of a worker: that its target is left alone and why, that it does its part again, that files were set aside, that it
//! went on under another incarnation. Without I/O.
//!
//! Each is told once. A target that comes and goes is told of no more often than once in [`APART`]: what happened meanwhile is counted, and
//! told then, if it is still so.

use std::collections::BTreeSet;
use std::time::Duration;

use alluvium_sync::worker::Report;
use serde::{Deserialize, Serialize};

/// So far apart are two that tell the same of a target, at least.
pub(super) const APART: Duration = Duration::from_secs(300);

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The target is left alone.
    Waits {
        /// What it said last, and what to do about it.
        why: String,
        /// How often that changed since it was told last.
        times: u32,
    },
    /// It does its part again.
    Works {
        /// Likewise.
        times: u32,
    },
    /// Files were set aside.
    Aside {
        /// One of them.
        file: String,
        /// What happened to it, and what to do about it.
        why: String,
        /// How many there are.
        files: u32,
    },
    /// It went on under another incarnation.
    Forked {
        /// How often.
        times: u32,
    },
}

/// What was told, which outlives a restart, so that the same is not told again for that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    waits: bool,
    aside: BTreeSet<String>,
}

/// When something was told last.
#[derive(Debug, Clone, Copy, Default)]
struct Pace(Option<Duration>);

impl Pace {
    fn may_at(self) -> Duration {
        self.0.map_or(Duration::ZERO, |last| last.saturating_add(APART))
    }

    /// Takes the turn, where it has come.
    fn turn(&mut self, now: Duration) -> bool {
        let may = now >= self.may_at();
        if may {
            self.0 = Some(now);
        }
        may
    }
}

/// Watches one worker.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    pub(super) told: Told,
    /// What was seen last, and how often that changed since it was told.
    waits: bool,
    changes: u32,
    forks_told: u64,
    circuit: Pace,
    aside: Pace,
    forked: Pace,
    /// When something waits to be told.
    pub(super) wake: Option<Duration>,
}

impl Watch {
    /// Goes on from what was told before a restart, as if it were told just now: nothing is known of the target before it was asked.
    pub(super) fn new(told: Told) -> Self {
        let pace = Pace((told != Told::default()).then_some(Duration::ZERO));
        Watch { waits: told.waits, told, circuit: pace, aside: pace, ..Watch::default() }
    }

    /// What was to be told could not be: it is tried again, not sooner than if it had been told.
    pub(super) fn untold(&mut self, before: Watch) {
        let Watch { circuit, aside, forked, .. } = *self;
        *self = Watch { circuit, aside, forked, ..before };
        self.wake = [circuit, aside, forked].into_iter().map(Pace::may_at).max();
    }

    /// What is to be told now of a report.
    pub(super) fn look(&mut self, report: &Report, now: Duration) -> Vec<Event> {
        self.wake = None;
        let mut events = Vec::new();
        events.extend(self.circuit(report, now));
        events.extend(self.aside(report, now));
        events.extend(self.forked(report, now));
        events
    }

    fn circuit(&mut self, report: &Report, now: Duration) -> Option<Event> {
        let waits = report.circuit.is_some();
        if waits != self.waits {
            self.waits = waits;
            self.changes = self.changes.saturating_add(1);
        }
        if waits == self.told.waits || !self.circuit.turn(now) {
            self.later(waits != self.told.waits, self.circuit);
            return None;
        }
        self.told.waits = waits;
        let times = std::mem::take(&mut self.changes).max(1);
        Some(match &report.circuit {
            Some(circuit) => Event::Waits { why: circuit.why.clone(), times },
            None => Event::Works { times },
        })
    }

    fn aside(&mut self, report: &Report, now: Duration) -> Option<Event> {
        // One that was sent after all, and is set aside again, is news again.
        if now >= self.aside.may_at() {
            self.told.aside.retain(|file| report.aside.contains_key(file));
        }
        let news = report.aside.iter().filter(|(file, _)| !self.told.aside.contains(*file));
        let (file, of) = news.clone().next()?;
        if !self.aside.turn(now) {
            self.later(true, self.aside);
            return None;
        }
        let event =
            Event::Aside { file: file.clone(), why: of.why.clone(), files: u32::try_from(news.count()).unwrap_or(u32::MAX) };
        self.told.aside = report.aside.keys().cloned().collect();
        Some(event)
    }

    fn forked(&mut self, report: &Report, now: Duration) -> Option<Event> {
        let forks = report.counts.forks.saturating_sub(self.forks_told);
        if forks == 0 || !self.forked.turn(now) {
            self.later(forks > 0, self.forked);
            return None;
        }
        self.forks_told = report.counts.forks;
        Some(Event::Forked { times: u32::try_from(forks).unwrap_or(u32::MAX) })
    }

    /// Looks again once it may be told.
    fn later(&mut self, is_news: bool, pace: Pace) {
        if is_news {
            self.wake = Some(self.wake.map_or(pace.may_at(), |wake| wake.min(pace.may_at())));
        }
    }
}

#[cfg(test)]
mod tests {
    use alluvium_sync::worker::{AsideReport, CircuitReport};

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn report(waits: Option<&str>, aside: &[&str], forks: u64) -> Report {
        let mut report = Report::default();
        report.circuit = waits.map(|why| CircuitReport { failures: 1, retry_in: seconds(2), why: why.to_owned() });
        let of =
            |file: &&str| ((*file).to_owned(), AsideReport { tries: 1, retry_in: seconds(60), why: format!("{file} is bad") });
        report.aside = aside.iter().map(of).collect();
        report.counts.forks = forks;
        report
    }

    fn waits(why: &str, times: u32) -> Event {
        Event::Waits { why: why.to_owned(), times }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(&report(None, &[], 0), seconds(0)), []);
        assert_eq!(watch.look(&report(Some("no link"), &[], 0), seconds(10)), [waits("no link", 1)]);
        assert_eq!(watch.look(&report(Some("no link still"), &[], 0), seconds(1_000)), [], "it is told");
        assert_eq!(watch.look(&report(None, &[], 0), seconds(2_000)), [Event::Works { times: 1 }]);
        let aside = |file: &str, files| Event::Aside { file: file.to_owned(), why: format!("{file} is bad"), files };
        assert_eq!(watch.look(&report(None, &["a", "b"], 0), seconds(3_000)), [aside("a", 2)]);
        assert_eq!(watch.look(&report(None, &["b", "a"], 0), seconds(4_000)), []);
        assert_eq!(watch.look(&report(None, &["b", "c"], 0), seconds(5_000)), [aside("c", 1)]);
        assert_eq!(watch.look(&report(None, &[], 0), seconds(6_000)), []);
        assert_eq!(watch.look(&report(None, &["c"], 0), seconds(7_000)), [aside("c", 1)], "it was none meanwhile");
        assert_eq!(watch.look(&report(None, &["c"], 2), seconds(8_000)), [Event::Forked { times: 2 }]);
        assert_eq!(watch.look(&report(None, &["c"], 2), seconds(9_000)), []);
        assert_eq!(watch.wake, None);
    }

    #[test]
    fn who_comes_and_goes_is_told_of_now_and_then() {
        let mut watch = Watch::default();
        let (mut told, hours) = (Vec::new(), 24);
        for second in 0..hours * 3_600 {
            // Another one each second, with a fork and a file set aside.
            let is_odd = second % 2 == 1;
            let file = format!("file {second}");
            let aside: &[&str] = if is_odd { &[] } else { &[file.as_str()] };
            told.extend(watch.look(&report(is_odd.then_some("?"), aside, second), seconds(second)));
        }
        let count = |is: fn(&Event) -> bool| told.iter().filter(|event| is(event)).count() as u64;
        let most = hours * 3_600 / APART.as_secs() + 1;
        for count in [
            count(|event| matches!(event, Event::Waits { .. } | Event::Works { .. })),
            count(|event| matches!(event, Event::Aside { .. })),
            count(|event| matches!(event, Event::Forked { .. })),
        ] {
            assert!((most / 2..=most).contains(&count), "{count} of {most}");
        }
        // None is forgotten in what is told.
        let sum = |of: fn(&Event) -> u32| told.iter().map(of).sum::<u32>();
        let forks = sum(|event| if let Event::Forked { times } = event { *times } else { 0 });
        assert!(u64::from(forks) > hours * 3_600 - APART.as_secs() - 2, "{forks}");
        let changes = sum(|event| match event {
            Event::Waits { times, .. } | Event::Works { times } => *times,
            _ => 0,
        });
        assert!(u64::from(changes) > hours * 3_600 - 2 * APART.as_secs(), "{changes}");
    }

    #[test]
    fn what_waits_to_be_told_is_told_if_it_is_still_so() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(&report(Some("a"), &[], 0), seconds(10)), [waits("a", 1)]);
        assert_eq!(watch.look(&report(None, &[], 0), seconds(20)), []);
        assert_eq!(watch.wake, Some(seconds(10) + APART));
        assert_eq!(watch.look(&report(Some("b"), &[], 0), seconds(30)), []);
        assert_eq!(watch.wake, None, "that is told already");
        assert_eq!(watch.look(&report(None, &[], 0), seconds(40)), []);
        assert_eq!(watch.look(&report(None, &[], 0), seconds(10) + APART), [Event::Works { times: 3 }]);
    }

    #[test]
    fn after_a_restart_the_same_is_not_told_again() {
        let mut watch = Watch::default();
        watch.look(&report(Some("a"), &["f"], 0), seconds(10));
        let kept: Told = serde_json::from_slice(&serde_json::to_vec(&watch.told).unwrap()).unwrap();
        let mut watch = Watch::new(kept.clone());
        // Not asked yet, then as before.
        assert_eq!(watch.look(&report(None, &[], 0), seconds(0)), []);
        assert_eq!(watch.look(&report(Some("a"), &["f"], 0), seconds(1)), []);
        assert_eq!(watch.look(&report(Some("a"), &["f"], 0), APART), []);
        let mut watch = Watch::new(kept);
        assert_eq!(watch.look(&report(None, &[], 0), seconds(0)), []);
        assert_eq!(watch.wake, Some(APART));
        assert_eq!(watch.look(&report(None, &[], 0), APART), [Event::Works { times: 1 }]);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let mut watch = Watch::default();
        let (before, full) = (watch.clone(), report(Some("a"), &["f"], 1));
        assert_eq!(watch.look(&full, seconds(10)).len(), 3);
        watch.untold(before);
        assert_eq!(watch.look(&full, seconds(11)), []);
        assert_eq!(watch.wake, Some(seconds(10) + APART));
        assert_eq!(watch.look(&full, seconds(10) + APART).len(), 3);
    }
}
