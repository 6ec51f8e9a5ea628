//! A fixed life of a database that touches every path, as the actors live it for one seed.

use alluvium::io::SyncLabel;

use super::Violation;
use crate::actors::{self, Actors, Scale};
use crate::feed::{Found, Told};
use crate::model::{Effect, Model};
use crate::sim::{Change, Machine, OpClass, SimClock, small_settings};
use crate::steps::{Runner, Step};

/// Small, so that a trial is short.
const SCALE: Scale = Scale { batch: 12, burst: 60, table: 350 };

/// Steps of a life that makes more than 2,000 changes to the disk.
pub const STEPS: usize = 330;

/// The steps of a life.
pub fn steps(seed: u64, count: usize) -> Vec<Step> {
    let (mut actors, mut model, clock) = (Actors::new(seed, SCALE), Model::default(), SimClock::default());
    let mut steps: Vec<_> = actors::tables().into_iter().map(|spec| Step::Write(Effect::Create(spec))).collect();
    for step in &steps {
        step.apply(&mut model, |_, _| {});
    }
    while steps.len() < count {
        let next = |actors: &mut Actors| match steps.len() % 30 {
            // What comes seldom comes often enough.
            0 => actors.of_kind(actors::TABLES, &model, &clock),
            15 => actors.of_kind(actors::EVICTIONS, &model, &clock),
            _ => actors.next(&model, &clock),
        };
        let step = actors.bound(&model).unwrap_or_else(|| next(&mut actors));
        step.apply(&mut model, |_, _| {});
        steps.push(step);
    }
    steps
}

/// A life as it was lived, change by change.
#[derive(Debug)]
pub struct Recording {
    /// What was done.
    pub steps: Vec<Step>,
    /// Every change to the device.
    pub journal: Vec<Change>,
    /// The class of every operation.
    pub classes: Vec<OpClass>,
    marks: Vec<Mark>,
    /// What can be read after so many effects.
    digests: Vec<u64>,
    /// What the feed tells of them all, and of how many of these so many effects are.
    told: Vec<Told>,
    lengths: Vec<usize>,
    /// Which database it is.
    incarnation: String,
}

/// Where a step lies.
#[derive(Debug)]
struct Mark {
    /// Changes before it, and with it.
    begins: usize,
    ends: usize,
    /// Effects with it.
    after: usize,
    settles: bool,
}

/// What may be read after a power cut: the digests after some numbers of effects.
#[derive(Debug, Clone)]
pub struct Allowed {
    digests: Vec<u64>,
    /// What the feed may tell at most, and after each of those numbers of effects.
    told: Vec<Told>,
    lengths: Vec<usize>,
    /// The step at which power was cut.
    pub step: usize,
    /// Which database it must be, once it was made.
    pub incarnation: Option<String>,
    /// How often the catalog was taken away so far.
    pub lost_catalogs: usize,
    /// Whether a snapshot of the catalog was finished.
    pub has_snapshot: bool,
}

impl Allowed {
    /// Whether the feed may tell this.
    pub fn may_be_told(&self, feed: &Found) -> Result<(), String> {
        let mut answer = Ok(());
        for &length in &self.lengths {
            answer = feed.agrees(&self.told[..length]);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    /// Whether a digest is among them.
    pub fn contains(&self, digest: u64) -> bool {
        self.digests.contains(&digest)
    }
}

impl Recording {
    /// Lives a life on a machine whose disk ignores syncs of one label.
    pub fn make(seed: u64, steps: Vec<Step>, ignored: Option<SyncLabel>) -> Result<Recording, Violation> {
        let machine = Machine::new(seed);
        machine.disk.ignore_sync(ignored);
        machine.disk.record();
        let mut model = Model::default();
        let mut recording = Recording {
            incarnation: String::new(),
            journal: Vec::new(),
            classes: Vec::new(),
            marks: Vec::new(),
            digests: vec![model.digest()],
            told: Vec::new(),
            lengths: vec![0],
            steps,
        };
        let opened = Runner::open(machine, small_settings());
        let mut runner = opened.map_err(|error| Violation(format!("the first opening fails: {error}")))?;
        for (number, step) in recording.steps.iter().enumerate() {
            let begins = runner.machine.disk.journal_len();
            runner.run(step).map_err(|error| Violation(format!("step {number} {step:?} fails: {error}")))?;
            let settles = step.apply(&mut model, |model, _| {
                recording.digests.push(model.digest());
                recording.lengths.push(model.told.len());
            });
            recording.marks.push(Mark {
                begins,
                ends: runner.machine.disk.journal_len(),
                after: recording.digests.len() - 1,
                settles,
            });
        }
        recording.told = model.told;
        let inspection = runner.db().and_then(alluvium::Database::inspect);
        recording.incarnation = inspection.map_err(|error| Violation(format!("cannot inspect: {error}")))?.incarnation;
        (recording.journal, recording.classes) = (runner.machine.disk.journal(), runner.machine.disk.classes());
        Ok(recording)
    }

    /// What may be read if power is cut after so many changes.
    pub fn allowed(&self, changes: usize) -> Allowed {
        let begun = self.marks.partition_point(|mark| mark.begins <= changes);
        let done = self.marks.partition_point(|mark| mark.ends <= changes);
        let at_least = self.marks[..done].iter().rfind(|mark| mark.settles).map_or(0, |mark| mark.after);
        // A settled step settles those before it, its own effects included; one under way may have any first part of its own.
        let at_most = self.marks[..begun].last().map_or(0, |mark| mark.after);
        let taken_away = |step: &&Step| matches!(step, Step::LoseCatalog);
        Allowed {
            digests: self.digests[at_least..=at_most].to_vec(),
            told: self.told[..self.lengths[at_most]].to_vec(),
            lengths: self.lengths[at_least..=at_most].to_vec(),
            step: done,
            incarnation: (done > 0).then(|| self.incarnation.clone()),
            lost_catalogs: self.steps[..begun].iter().filter(taken_away).count(),
            has_snapshot: self.journal[..self.marks[..done].last().map_or(0, |mark| mark.ends)].iter().any(is_snapshot),
        }
    }
}

/// Whether a change gives a snapshot of the catalog its name.
fn is_snapshot(change: &Change) -> bool {
    matches!(change, Change::Rename(_, to) if to.to_string_lossy().contains("/snapshot-"))
}
