//! A world of actors over one database, from one seed: everything that may happen, in any order, against the model.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering;

use fastrand::Rng;

use super::subject::Subject;
use super::{Progress, Violation, at, ensure, parallel};
use crate::actors::{self, Actors, Scale};
use crate::model::Effect;
use crate::questions::Question;
use crate::sim::{Fault, Injection, Machine};
use crate::steps::Step;

/// Larger than in a trial that starts anew each time, small enough for many steps.
const SCALE: Scale = Scale { batch: 30, burst: 200, table: 600 };

/// A world.
#[derive(Debug)]
pub struct World {
    subject: Subject,
    actors: Actors,
    rng: Rng,
    trace: DefaultHasher,
}

impl World {
    /// A world of its own for every seed.
    pub fn new(seed: u64) -> Result<World, Violation> {
        let mut subject = Subject::create(Machine::new(seed), seed)?;
        for spec in actors::tables() {
            subject.perform(&Step::Write(Effect::Create(spec)))?;
        }
        let actors = Actors::new(seed ^ 0xAC70, SCALE);
        Ok(World { subject, actors, rng: Rng::with_seed(seed ^ 0x3031), trace: DefaultHasher::new() })
    }

    /// One thing happens.
    pub fn step(&mut self) -> Result<(), Violation> {
        match self.rng.u16(0..1_000) {
            0..=399 => self.ask()?,
            400..=403 => self.check()?,
            404..=411 => self.subject.survive_power_cut()?,
            412..=431 => self.inject()?,
            _ => self.act(None)?,
        }
        self.subject.machine().disk.trace().hash(&mut self.trace);
        Ok(())
    }

    /// A number that all that happened determines.
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The disk it lives on now.
    pub fn disk(&self) -> &crate::sim::SimDisk {
        &self.subject.machine().disk
    }

    /// Happens as bytes say, three for each thing: what, and the seed of the rest.
    pub fn play(&mut self, choices: &[u8]) -> Result<(), Violation> {
        for choice in choices.chunks_exact(3) {
            let seed = u64::from(choice[1]) << 8 | u64::from(choice[2]);
            self.rng = Rng::with_seed(seed);
            self.actors.reseed(seed);
            match choice[0] {
                what @ 0..100 => self.act(Some(what))?,
                100..180 => self.ask()?,
                180..200 => self.inject()?,
                200..220 => self.subject.survive_power_cut()?,
                _ => self.check()?,
            }
        }
        self.disk().inject(None);
        self.subject.check()
    }

    fn act(&mut self, kind: Option<u8>) -> Result<(), Violation> {
        let (model, clock) = (self.subject.model(), &self.subject.machine().clock);
        let step = match (self.actors.bound(model), kind) {
            (Some(bound), _) => bound,
            (None, Some(kind)) => self.actors.of_kind(kind, model, clock),
            (None, None) => self.actors.next(model, clock),
        };
        self.subject.perform(&step).map_err(at(step.name()))
    }

    fn check(&mut self) -> Result<(), Violation> {
        if self.subject.check_despite_faults()? { Ok(()) } else { self.subject.go_on_after_fault() }
    }

    fn ask(&mut self) -> Result<(), Violation> {
        let question = Question::random(&mut self.rng, self.subject.model(), self.actors.now());
        let answer = match question.ask(self.subject.db()?) {
            Ok(answer) => answer,
            // The fault that waits may strike here.
            Err(_) if self.subject.machine().disk.has_struck() => return self.subject.go_on_after_fault(),
            Err(error) => return Err(Violation(format!("{question:?} fails: {error}"))),
        };
        let expected = question.expect(self.subject.model());
        let differs = answer.iter().zip(&expected).position(|(a, b)| a != b);
        answer.len().hash(&mut self.trace);
        ensure(differs.is_none() && answer.len() == expected.len(), || {
            let at = differs.unwrap_or(answer.len().min(expected.len()));
            let (found, wanted) = (answer.get(at), expected.get(at));
            format!("{question:?}: {} rows of {}; row {at} is {found:?} instead of {wanted:?}", answer.len(), expected.len())
        })
    }

    /// A fault is to strike soon. One that has struck without anybody's being told, as after an acknowledgement, ends before.
    fn inject(&mut self) -> Result<(), Violation> {
        if self.disk().has_struck() {
            self.subject.go_on_after_fault()?;
        }
        let disk = self.subject.machine().disk.clone();
        let fault = Fault::ALL[self.rng.usize(0..4)];
        let at = disk.operations() + self.rng.u64(0..60);
        let injection = Injection { at, fault, for_good: self.rng.bool() };
        disk.inject(Some(injection));
        self.subject.note(|| format!("{injection:?}"));
        Ok(())
    }
}

/// Lets worlds live for so many steps each. Answers how many steps there were.
pub fn run(first_seed: u64, seeds: usize, steps: usize, tell: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation> {
    let work = |number: usize, progress: &Progress| {
        let seed = first_seed + number as u64;
        let mut world = World::new(seed)?;
        for step in 0..steps {
            let stepped = world.step();
            stepped.map_err(at(format_args!("ALLUVIUM_SEED={seed} step {step} after{}\n", world.subject.events())))?;
            progress.trials.fetch_add(1, Ordering::Relaxed);
        }
        world.disk().inject(None);
        world.subject.check().map_err(at(format_args!("ALLUVIUM_SEED={seed} at the end")))
    };
    parallel(seeds, work, tell)
}
