//! Faults: every I/O operation of a life fails once, and for good, in every way it can.

use std::sync::atomic::Ordering;

use super::subject::Subject;
use super::workload::Recording;
use super::{Progress, Violation, at, parallel};
use crate::sim::{Fault, Injection, Machine};
use crate::steps::Step;

/// Steps of the life that follow a fault.
const STEPS_AFTER: usize = 12;

/// Every fault there is for a recorded life.
pub fn all(recording: &Recording) -> Vec<Injection> {
    let operations = recording.classes.iter().enumerate();
    let faults = operations.flat_map(|(at, class)| {
        let concerned = Fault::ALL.into_iter().filter(|fault| fault.concerns(*class));
        concerned.flat_map(move |fault| [false, true].map(|for_good| Injection { at: at as u64, fault, for_good }))
    });
    faults.collect()
}

/// Lives the life once for each fault. Answers how many runs were made.
pub fn run(recording: &Recording, seed: u64, faults: &[Injection], tell: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation> {
    let work = |number: usize, progress: &Progress| {
        let fault = faults[number];
        live(&recording.steps, seed, fault).map_err(at(format_args!("{fault:?}")))?;
        progress.trials.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    parallel(faults.len(), work, tell)
}

fn live(steps: &[Step], seed: u64, fault: Injection) -> Result<(), Violation> {
    let machine = Machine::new(seed);
    machine.disk.inject(Some(fault));
    let mut subject = Subject::create(machine, seed ^ fault.at)?;
    let mut left = STEPS_AFTER;
    for (number, step) in steps.iter().enumerate() {
        subject.perform(step).map_err(at(format_args!("step {number}, {}", step.name())))?;
        left -= usize::from(subject.is_faulted());
        if left == 0 {
            break;
        }
    }
    subject.machine().disk.inject(None);
    for step in [Step::Seal, Step::Compact, Step::Reopen] {
        subject.perform(&step).map_err(at(format_args!("at the end, {step:?}")))?;
        subject.check().map_err(at(format_args!("at the end, after {step:?}")))?;
    }
    let problems = subject.db()?.verify(&mut |_, _| {}).map_err(super::power::failed("verify"))?.problems;
    super::ensure(problems.is_empty(), || format!("finds problems: {problems:?}"))
}
