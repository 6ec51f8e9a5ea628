//! How the worker stands, for whoever watches it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::circuit::Circuit;
use super::ledger::Told;
use super::machine::Aside;

/// How the worker stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Whether it was told to send nothing.
    pub paused: bool,
    /// Why the target is left alone; `None` while it does its part.
    pub circuit: Option<CircuitReport>,
    /// Files that were set aside, by their names, at most 100 of them.
    pub aside: BTreeMap<String, AsideReport>,
    /// Files on their way.
    pub sending: u64,
    /// What was done since it was started.
    pub counts: Counts,
    /// How it stands with the centre, where there is one.
    pub ledger: Option<LedgerReport>,
}

/// How it stands with the centre.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LedgerReport {
    /// Why the centre is left alone; `None` while it does its part.
    pub circuit: Option<CircuitReport>,
    /// What it was told, and what it is to be told.
    pub told: Told,
    /// Cuts whose metadata were set aside.
    pub aside: u64,
}

/// Why a target is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitReport {
    /// Failures in a row.
    pub failures: u32,
    /// In how long it is asked again.
    pub retry_in: Duration,
    /// What it said last, and what to do about it.
    pub why: String,
}

/// Why a file was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideReport {
    /// How often it was tried.
    pub tries: u32,
    /// In how long it is tried again.
    pub retry_in: Duration,
    /// What happened last, and what to do about it.
    pub why: String,
}

/// What was done since the worker was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Cuts announced.
    pub announced: u64,
    /// Segments sent, or found to be there.
    pub segments: u64,
    /// Segments that were looked for and found, by a connection of its own.
    pub confirmed: u64,
    /// Bytes of bodies sent, with those that were sent in vain.
    pub bytes_sent: u64,
    /// Bytes of bodies read.
    pub bytes_read: u64,
    /// Things that failed, and were or are tried again.
    pub failures: u64,
    /// How often it went on under a new incarnation.
    pub forks: u64,
}

/// Where reports are made.
#[derive(Debug)]
pub(super) struct Reporter {
    report: watch::Sender<Report>,
}

/// Files that are named.
const MOST_ASIDE: usize = 100;

impl Reporter {
    pub(super) fn new() -> Self {
        Reporter { report: watch::Sender::default() }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        self.report.send_modify(|report| count(&mut report.counts));
    }

    /// Tells how it stands.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Report)) {
        self.report.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }
}

/// How a circuit stands.
pub(super) fn circuit(circuit: Circuit, now: Duration, why: &str) -> Option<CircuitReport> {
    match circuit {
        Circuit::Closed => None,
        Circuit::Open { failures, until } => {
            Some(CircuitReport { failures, retry_in: until.saturating_sub(now), why: why.to_owned() })
        }
    }
}

/// Files that were set aside.
pub(super) fn aside<'a>(
    aside: impl Iterator<Item = (String, &'a Aside, &'a str)>,
    now: Duration,
) -> BTreeMap<String, AsideReport> {
    let report = |(name, aside, why): (String, &Aside, &str)| {
        let retry_in = aside.until.saturating_sub(now);
        (name, AsideReport { tries: aside.tries, retry_in, why: why.to_owned() })
    };
    aside.take(MOST_ASIDE).map(report).collect()
}
