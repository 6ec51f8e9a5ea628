//! The protocol under `shuttle`, which chooses at every step the thread that goes on: at random, and by priorities that a few
//! random changes upset (PCT). A failure prints the schedule that replays it.
//!
//! `ALLUVIUM_CASES` asks for more schedules, `ALLUVIUM_SEED` for others.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex as Plain, PoisonError};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::thread;

use super::*;

const SUBMITTERS: u32 = 4;
const SUBMISSIONS: u32 = 3;
/// Places at which PCT upsets its priorities.
const DEPTH: usize = 3;

const PANIC: &str = "a panic while committing";

struct Modelled;

impl Monitors for Modelled {
    type Monitor<T> = ModelledMonitor<T>;
}

/// A monitor whose waits end early now and then, as those of real ones may.
struct ModelledMonitor<T> {
    mutex: Mutex<T>,
    places: [Condvar; 2],
}

impl<T> Monitor<T> for ModelledMonitor<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        ModelledMonitor { mutex: Mutex::new(value), places: Default::default() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>, at: Place) -> MutexGuard<'a, T> {
        if thread_rng().gen_ratio(1, 8) {
            return self.wait_arrival_for(guard, Duration::MAX);
        }
        self.places[at as usize].wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn notify_all(&self, at: Place) {
        self.places[at as usize].notify_all();
    }

    fn notify_one(&self, at: Place) {
        self.places[at as usize].notify_one();
    }

    /// Others go on meanwhile, any number of steps.
    fn wait_arrival_for<'a>(&'a self, guard: MutexGuard<'a, T>, _time: Duration) -> MutexGuard<'a, T> {
        drop(guard);
        thread::yield_now();
        self.lock()
    }

    fn notify_arrival(&self) {}
}

/// How commits go in one run of the model.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    /// Groups wait for company.
    company: bool,
    /// Commits sometimes fail.
    failures: bool,
    /// Commits sometimes panic.
    panics: bool,
}

/// What everyone is told about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Committed(u32),
    Failed(u32),
}

/// What groups are committed to.
#[derive(Default)]
struct Log {
    works: Vec<u32>,
    /// Lengths of the log between groups.
    boundaries: BTreeSet<usize>,
    failed: BTreeSet<u32>,
}

#[derive(Default)]
struct Model {
    plan: Plan,
    /// Of the plain kind: no other thread goes on while it is held.
    seen: Plain<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The group taken and not yet committed.
    under_way: Option<Vec<u32>>,
    /// What was left waiting.
    left: Vec<u32>,
}

impl Grouping for Model {
    type Work = u32;
    type Outcome = Told;
    type State = Log;

    fn linger(&self) -> Duration {
        Duration::from_micros(if self.plan.company { thread_rng().gen_range(0..3) } else { 0 })
    }

    fn patience(&self) -> Duration {
        Duration::from_micros(thread_rng().gen_range(0..2))
    }

    fn members<'a>(&self, waiting: impl Iterator<Item = &'a u32>) -> usize {
        let waiting: Vec<u32> = waiting.copied().collect();
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(seen.under_way, None, "one group at a time");
        assert!(waiting.starts_with(&seen.left), "{:?} waited before {waiting:?}", seen.left);
        assert!(!waiting.is_empty(), "a leader has something to do");
        let members = thread_rng().gen_range(1..=waiting.len());
        seen.left = waiting[members..].to_vec();
        seen.under_way = Some(waiting[..members].to_vec());
        members
    }

    fn commit(&self, log: &mut Log, group: Vec<u32>) -> Vec<Told> {
        let taken = self.seen.lock().unwrap().under_way.take();
        assert_eq!(taken.as_ref(), Some(&group), "the group that was taken");
        let before = log.works.len();
        for &work in &group {
            log.works.push(work);
            // The disk takes its time.
            thread::yield_now();
        }
        if self.plan.panics && thread_rng().gen_ratio(1, 8) {
            resume_unwind(Box::new(PANIC));
        }
        if self.plan.failures && thread_rng().gen_bool(0.5) {
            log.works.truncate(before);
            log.failed.extend(&group);
            return group.into_iter().map(Told::Failed).collect();
        }
        log.boundaries.insert(log.works.len());
        group.into_iter().map(Told::Committed).collect()
    }
}

type Modelling = Leader<Model, Modelled>;

/// A few submitters and one who looks between groups; the whole is run once per schedule.
fn run(plan: Plan) {
    let log = Log { boundaries: BTreeSet::from([0]), ..Log::default() };
    let leader = Arc::new(Modelling::new(Model { plan, seen: Plain::default() }, log));
    let submitter = |writer: u32| {
        let leader = leader.clone();
        move || submit_some(&leader, plan, writer)
    };
    let submitters: Vec<_> = (0..SUBMITTERS).map(|writer| thread::spawn(submitter(writer))).collect();
    let observer = thread::spawn({
        let leader = leader.clone();
        move || observe(&leader, plan)
    });
    let told: Vec<Vec<Told>> = submitters.into_iter().map(|submitter| submitter.join().unwrap()).collect();
    observer.join().unwrap();
    check(&leader.state(), plan, &told);
}

/// Submits one work after the other, and sees to it that each is told of itself.
fn submit_some(leader: &Modelling, plan: Plan, writer: u32) -> Vec<Told> {
    let mut told = Vec::new();
    for work in (0..SUBMISSIONS).map(|n| writer * SUBMISSIONS + n) {
        match catch_unwind(AssertUnwindSafe(|| leader.submit(work))) {
            Ok(Some(outcome)) => {
                assert!([Told::Committed(work), Told::Failed(work)].contains(&outcome), "{outcome:?} told to {work}");
                told.push(outcome);
            }
            // Everyone who comes after a panic, and whoever led then.
            Ok(None) => assert!(plan.panics),
            Err(panic) if panic.downcast_ref() == Some(&PANIC) => {}
            Err(panic) => resume_unwind(panic),
        }
    }
    told
}

fn observe(leader: &Modelling, plan: Plan) {
    let mut before = 0;
    for _ in 0..3 {
        let log = leader.state();
        let now = log.works.len();
        assert!(plan.panics || log.boundaries.contains(&now), "half a group: {now} of {:?}", log.boundaries);
        assert!(now >= before);
        before = now;
        drop(log);
        thread::yield_now();
    }
}

fn check(log: &Log, plan: Plan, told: &[Vec<Told>]) {
    let told: Vec<Told> = told.iter().flatten().copied().collect();
    for outcome in &told {
        match outcome {
            Told::Committed(work) => assert!(log.works.contains(work), "{work} was told committed"),
            Told::Failed(work) => assert!(log.failed.contains(work) && !log.works.contains(work), "{work} was told failed"),
        }
    }
    let once: BTreeSet<u32> = log.works.iter().copied().collect();
    assert_eq!(once.len(), log.works.len(), "nothing twice");
    let in_order = |writer: u32| log.works.iter().filter(move |&work| work / SUBMISSIONS == writer).is_sorted();
    assert!((0..SUBMITTERS).all(in_order));
    if !plan.panics {
        assert_eq!(told.len() as u32, SUBMITTERS * SUBMISSIONS, "an outcome for each");
        assert_eq!(log.works.len() + log.failed.len(), told.len());
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs the plan under many schedules of both kinds.
fn check_schedules(plan: Plan) {
    let schedules = number("ALLUVIUM_CASES", 1_500) as usize;
    let seed = number("ALLUVIUM_SEED", 1);
    println!("ALLUVIUM_SEED={seed}");
    let random = RandomScheduler::new_from_seed(seed, schedules);
    shuttle::Runner::new(random, shuttle::Config::default()).run(move || run(plan));
    let pct = PctScheduler::new_from_seed(seed, DEPTH, schedules);
    shuttle::Runner::new(pct, shuttle::Config::default()).run(move || run(plan));
}

#[test]
fn everyone_is_told_what_became_of_its_own_work() {
    check_schedules(Plan::default());
}

#[test]
fn groups_that_wait_for_company_lose_nobody() {
    check_schedules(Plan { company: true, ..Plan::default() });
}

#[test]
fn all_members_of_a_group_that_failed_learn_it() {
    check_schedules(Plan { failures: true, company: true, ..Plan::default() });
}

#[test]
fn nobody_waits_for_ever_for_a_leader_that_panicked() {
    check_schedules(Plan { panics: true, ..Plan::default() });
}
