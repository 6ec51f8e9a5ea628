//! A database under test and the model it must agree with, through every failure.

use std::collections::VecDeque;

use alluvium::{Error, ErrorKind};
use fastrand::Rng;

use super::{Violation, at, ensure};
use crate::answers;
use crate::feed::Found;
use crate::model::{Effect, Model};
use crate::sim::{Machine, small_settings};
use crate::steps::{Runner, Step};

/// How a violation begins that is an error where an answer should be.
const CANNOT_READ: &str = "cannot read";
/// How often a step is tried on a full disk before there is room again.
const TRIES_WHEN_FULL: usize = 3;
/// Events remembered.
const EVENTS: usize = 24;

/// A database, and what must be read from it.
#[derive(Debug)]
pub struct Subject {
    runner: Runner,
    /// What readers see.
    visible: Model,
    /// What a power cut leaves at least.
    settled: Model,
    /// What it may leave beyond that, any first part of it.
    unsettled: Vec<Effect>,
    /// Whether any step failed so far.
    faulted: bool,
    /// What happened last, in words.
    events: VecDeque<String>,
    rng: Rng,
}

impl Subject {
    /// Makes a database on a machine, whose faults may strike already.
    pub fn create(machine: Machine, seed: u64) -> Result<Subject, Violation> {
        let mut attempts = 0;
        let runner = loop {
            match Runner::open(machine.clone(), small_settings()) {
                Ok(runner) => break runner,
                Err(error) => clear(&error)?,
            }
            attempts += 1;
            ensure(attempts < 3, || "cannot be made on a disk that was mended".to_owned())?;
            machine.disk.inject(None);
        };
        let (visible, settled) = Default::default();
        Ok(Subject {
            runner,
            visible,
            settled,
            unsettled: Vec::new(),
            faulted: attempts > 0,
            events: VecDeque::new(),
            rng: Rng::with_seed(seed),
        })
    }

    /// What readers see.
    pub fn model(&self) -> &Model {
        &self.visible
    }

    /// Remembers what happens, for when something goes wrong.
    pub fn note(&mut self, event: impl FnOnce() -> String) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event());
    }

    /// What happened last.
    pub fn events(&self) -> String {
        self.events.iter().map(|event| format!("\n    {event}")).collect()
    }

    /// Whether a fault has struck, seen or unseen.
    pub fn is_faulted(&self) -> bool {
        self.faulted || self.machine().disk.has_struck()
    }

    /// The machine it runs on.
    pub fn machine(&self) -> &Machine {
        &self.runner.machine
    }

    /// The database.
    pub fn db(&self) -> Result<&alluvium::Database, Violation> {
        self.runner.db().map_err(|error| Violation(format!("no database: {error}")))
    }

    /// Does a step, whatever it takes: after failures the disk is mended and the database goes on, or is opened again.
    pub fn perform(&mut self, step: &Step) -> Result<(), Violation> {
        for attempt in 0.. {
            let error = match self.runner.run(step) {
                Ok(()) => {
                    self.note(|| step.name());
                    self.done(step);
                    return Ok(());
                }
                Err(error) => error,
            };
            self.faulted = true;
            self.note(|| format!("{} fails: {error}", step.name()));
            ensure(attempt < 2 * TRIES_WHEN_FULL, || format!("a mended disk does not help: {error}"))?;
            clear(&error)?;
            let applied = match error {
                Error::DiskFull { .. } if self.runner.db().is_ok() && !step.has_parts() => {
                    self.wait_for_room(attempt).map(|()| false)
                }
                _ => self.open_again(step),
            };
            if applied.map_err(at(format_args!("attempt {attempt} fails with {error}")))? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What can be read is what the model says, as far as a fault on the way lets it be read. Answers whether it did.
    pub fn check_despite_faults(&self) -> Result<bool, Violation> {
        match self.check() {
            Err(violation) if self.machine().disk.has_struck() && violation.0.starts_with(CANNOT_READ) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Everything that can be read is what the model says.
    pub fn check(&self) -> Result<(), Violation> {
        let found = answers::digest(self.db()?).map_err(|error| Violation(format!("{CANNOT_READ}: {error}")))?;
        ensure(found == self.visible.digest(), || {
            format!("reads something else than was written: {}", self.difference(&self.visible))
        })?;
        let (_, last) = self.check_feed(1)?;
        self.check_feed(last / 2 + 1).map(drop)
    }

    /// The change feed tells what was done, as far as it is durable. Answers the first sequence told and the last.
    fn check_feed(&self, from: u64) -> Result<(u64, u64), Violation> {
        let (feed, told) = (self.feed(from)?, &self.visible.told);
        let mut durable = self.settled.told.len()..=told.len();
        let agrees = durable.any(|length| feed.agrees(&told[..length]).is_ok());
        ensure(agrees, || format!("the feed from {from} tells something else: {:?}", feed.agrees(told)))?;
        let leads = feed.leads_to(&self.visible);
        ensure(leads.is_ok(), || format!("the feed from {from} leads elsewhere: {leads:?}"))?;
        Ok(feed.sequences)
    }

    fn feed(&self, from: u64) -> Result<Found, Violation> {
        Found::read(self.db()?, from, "").map_err(|error| Violation(format!("{CANNOT_READ} the feed: {error}")))
    }

    /// Where the database and a model part.
    fn difference(&self, model: &Model) -> String {
        let mut told = String::new();
        for (name, table) in &model.tables {
            let found = self.runner.db().and_then(|db| answers::rows(db, &alluvium::Query::table(name))).unwrap_or_default();
            let expected: Vec<_> = table.all().collect();
            if found != expected {
                let differs = found.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
                let rows = (found.get(differs), expected.get(differs));
                told += &format!("{} rows of {} in {name}, first other {rows:?}; ", found.len(), expected.len());
            }
        }
        for (name, queue) in &model.queues {
            let (found, expected) = (self.runner.db().and_then(|db| answers::queue(db, name)), queue.view());
            if found.as_ref().ok() != Some(&expected) {
                told += &format!("queue {name} is {found:?} instead of {expected:?}; ");
            }
        }
        for (name, collection) in model.documents.all() {
            let found = self.runner.db().and_then(|db| answers::collection(db, &db.collections().get(name)?));
            if found.as_ref().ok() != Some(&collection.view()) {
                told += &format!("collection {name} is {found:?} instead of {:?}; ", collection.view());
            }
        }
        if told.is_empty() { "only schemas differ".to_owned() } else { told }
    }

    /// A step that worked.
    fn done(&mut self, step: &Step) {
        let unsettled = &mut self.unsettled;
        if step.apply(&mut self.visible, |_, effect| unsettled.push(effect)) {
            self.unsettled.drain(..).for_each(|effect| self.settled.apply(&effect));
        }
    }

    /// The disk is full: nothing of the step was done, reading goes on, and once there is room so does writing.
    fn wait_for_room(&mut self, attempt: usize) -> Result<(), Violation> {
        if self.rng.bool() {
            self.check_despite_faults()?;
        }
        if self.rng.bool()
            && let Err(error) = self.runner.run(&Step::Seal)
        {
            clear(&error)?;
        }
        if attempt + 1 >= TRIES_WHEN_FULL {
            self.machine().disk.inject(None);
        }
        Ok(())
    }

    /// The step's outcome is unknown. After opening again, with or without a power cut before, it is there as a whole or not at
    /// all. Answers whether it is there.
    fn open_again(&mut self, step: &Step) -> Result<bool, Violation> {
        if self.runner.db().is_ok() && !step.has_parts() {
            // What was not acknowledged is not seen.
            self.check_despite_faults()?;
        }
        let before = self.unsettled.len();
        self.unsettled.extend(step.effects());
        if self.rng.bool()
            && let Err(error) = self.runner.reopen()
        {
            // The fault may still be there.
            clear(&error)?;
        }
        if self.rng.bool() {
            self.cut_power();
        }
        self.machine().disk.inject(None);
        self.note(|| "opened on a mended disk".to_owned());
        self.runner.reopen().map_err(|error| Violation(format!("does not open on a mended disk: {error}")))?;
        let kept = self.settle()?;
        if self.rng.u8(0..4) == 0 {
            // What was read after opening is durable, however it came about.
            self.cut_power();
            self.runner.reopen().map_err(|error| Violation(format!("does not open after a power cut: {error}")))?;
            self.check().map_err(at("after another power cut"))?;
        }
        Ok(kept == before + step.effects().len() && !step.effects().is_empty())
    }

    /// After a fault that no step met: the disk is mended and the database opened again, since what met it may not go on.
    pub fn go_on_after_fault(&mut self) -> Result<(), Violation> {
        self.note(|| "a fault struck; opened on a mended disk".to_owned());
        self.machine().disk.inject(None);
        self.runner.reopen().map_err(|error| Violation(format!("does not open on a mended disk: {error}")))?;
        self.settle().map(drop)
    }

    /// Cuts power: the next opening finds what is left. Call [`Subject::settle`] after it.
    fn cut_power(&mut self) {
        let image = self.runner.machine.disk.after_power_cut(&mut self.rng);
        let mut machine = Machine::from_image(&image, self.rng.u64(..));
        machine.clock = self.machine().clock.clone();
        machine.clock.start_again();
        self.runner.replace_machine(machine);
        self.note(|| "power cut".to_owned());
    }

    /// Cuts power, opens what is left, and finds out what that is.
    pub fn survive_power_cut(&mut self) -> Result<(), Violation> {
        self.cut_power();
        self.runner.reopen().map_err(|error| Violation(format!("does not open after a power cut: {error}")))?;
        self.settle().map(drop)
    }

    /// Finds out how much of what was unsettled is there after an opening. Answers the number of effects.
    fn settle(&mut self) -> Result<usize, Violation> {
        let found = answers::digest(self.db()?).map_err(|error| Violation(format!("{CANNOT_READ}: {error}")))?;
        let feed = self.feed(1)?;
        let mut model = std::mem::take(&mut self.settled);
        let effects = std::mem::take(&mut self.unsettled);
        let mut kept = 0;
        // As much as possible: effects that change nothing readable count as kept only if something after them is.
        for (number, effect) in std::iter::once(None).chain(effects.iter().map(Some)).enumerate() {
            effect.into_iter().for_each(|effect| model.apply(effect));
            if model.digest() == found && feed.agrees(&model.told).is_ok() {
                kept = number + 1;
                break;
            }
        }
        ensure(kept > 0, || {
            let (states, difference) = (effects.len() + 1, self.difference(&model));
            format!(
                "after opening holds none of {states} states it may hold; of all: {difference}, {:?}",
                feed.agrees(&model.told)
            )
        })?;
        self.visible = model.clone();
        self.settled = model;
        Ok(kept - 1)
    }
}

/// An error that says what happened, and is not the fault of the caller or of the engine.
fn clear(error: &Error) -> Result<(), Violation> {
    let expected = matches!(error.kind(), ErrorKind::Fatal | ErrorKind::Unavailable | ErrorKind::Damaged);
    // Nobody else is there to conflict with.
    let odd = matches!(error, Error::Internal(_) | Error::Conflict | Error::Stale { .. });
    ensure(expected && !odd, || format!("an error that should not come: {error:?}"))
}
