//! Counts what is asked of each part, and decides how it fares.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::fault::{Call, Fault, Part, Strike};
use crate::sim::locked;

/// How long a call is on its way, at most.
const WAY: u64 = 1_000;

/// What was asked of a target or a centre, as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The kind of call.
    pub call: Call,
    /// Of which object, or of what else.
    pub key: String,
    /// What became of it.
    pub fault: Option<Fault>,
    /// Changes of the disk before it.
    pub changes: u64,
}

/// What is shared by everything that can be struck.
#[derive(Debug)]
pub struct Fate {
    seed: u64,
    state: Mutex<State>,
    /// Power was cut.
    pub cut: Notify,
    /// Somebody waits for an answer that does not come.
    pub hung: Notify,
}

#[derive(Debug, Default)]
struct State {
    strikes: Vec<Strike>,
    struck: Vec<Strike>,
    asked: Vec<Asked>,
    /// How many of these there were of each part.
    calls: BTreeMap<Part, u64>,
    changes: u64,
    /// Whether changes of the disk are the worker's, and count.
    counts: bool,
    dead: bool,
    /// Whether it is over: nothing is counted any more, and nothing fails.
    over: bool,
    /// How often which call was on its way.
    ways: BTreeMap<(Call, String), u64>,
}

impl Fate {
    /// With some faults to come.
    pub fn new(seed: u64, strikes: &[Strike]) -> Self {
        let state = State { strikes: strikes.to_vec(), ..State::default() };
        Fate { seed, state: Mutex::new(state), cut: Notify::new(), hung: Notify::new() }
    }

    /// Lets a call be on its way. Time passes only while everybody waits, so that which of several calls arrives first depends on nothing but
    /// what they are.
    pub async fn travel(&self, call: Call, key: &str) {
        let way = {
            let mut state = locked(&self.state);
            if state.over {
                return;
            }
            let nth = state.ways.entry((call, key.to_owned())).or_default();
            *nth += 1;
            1 + self.number(&(call, key, *nth)) % WAY
        };
        tokio::time::sleep(Duration::from_millis(way)).await;
    }

    /// A call arrives. Where there is no power nothing ever does.
    pub async fn arrive(&self, call: Call, key: &str) -> Option<Fault> {
        if locked(&self.state).dead {
            return std::future::pending().await;
        }
        let mut state = locked(&self.state);
        if state.over {
            return None;
        }
        let calls = state.calls.entry(call.part()).or_default();
        let number = *calls;
        *calls += 1;
        let fault = state.strike(call.part(), number);
        let changes = state.changes;
        state.asked.push(Asked { call, key: key.to_owned(), fault, changes });
        fault
    }

    /// A number for the call that arrived last, to choose by.
    pub fn choice(&self) -> u64 {
        let number = locked(&self.state).asked.len();
        self.number(&("choice", number))
    }

    fn number(&self, of: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, of).hash(&mut hasher);
        hasher.finish()
    }

    /// The disk is about to be changed. Without power it is not.
    pub fn change(&self) -> io::Result<()> {
        let mut state = locked(&self.state);
        if state.counts && !state.dead {
            let number = state.changes;
            state.changes += 1;
            if state.strike(Part::Disk, number).is_some() {
                state.dead = true;
                self.cut.notify_one();
            }
        }
        if state.dead { Err(io::Error::other("there is no power")) } else { Ok(()) }
    }

    /// Whether there is power.
    pub fn check(&self) -> io::Result<()> {
        if locked(&self.state).dead { Err(io::Error::other("there is no power")) } else { Ok(()) }
    }

    /// From now on changes of the disk count, or not.
    pub fn count(&self, counts: bool) {
        locked(&self.state).counts = counts;
    }

    /// Cuts power.
    pub fn cut_power(&self) {
        locked(&self.state).dead = true;
        self.cut.notify_one();
    }

    /// Power is there again.
    pub fn revive(&self) {
        let mut state = locked(&self.state);
        state.dead = false;
        // Who was about to leave when it went may have left or not: that is a matter of threads.
        state.ways.clear();
        drop(state);
        // Nobody may have waited for that.
        let _ = self.cut.notified().now_or_never();
    }

    /// Nothing fails any more.
    pub fn rest(&self) {
        locked(&self.state).over = true;
    }

    /// What struck so far.
    pub fn struck(&self) -> Vec<Strike> {
        locked(&self.state).struck.clone()
    }

    /// All calls so far.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.state).asked.clone()
    }

    /// How many calls of a part there were.
    pub fn calls(&self, part: Part) -> u64 {
        locked(&self.state).calls.get(&part).copied().unwrap_or_default()
    }

    /// Changes of the disk that counted.
    pub fn changes(&self) -> u64 {
        locked(&self.state).changes
    }
}

impl State {
    fn strike(&mut self, part: Part, at: u64) -> Option<Fault> {
        let found = self.strikes.iter().position(|strike| strike.part == part && strike.at == at)?;
        let strike = self.strikes.remove(found);
        self.struck.push(strike);
        Some(strike.fault)
    }
}
