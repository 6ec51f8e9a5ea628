//! Damage with the checksums made right again: what nobody notices before it is decoded. Answers may then be anything, but the
//! database opens or says why not, nothing panics or hangs, and memory stays bounded.

mod forge;
mod mortal;

use std::path::Path;
use std::sync::atomic::Ordering;

use alluvium::{Database, Error, ErrorKind, Query};
use fastrand::Rng;

use super::sample::{Sample, settings};
use super::{Progress, Violation, at, ensure, memory, parallel};
use crate::answers;
use crate::sim::{Image, Machine};
use forge::{Kind, forge};
pub(super) use forge::{group_len, groups};
pub use mortal::{Life, live};

/// Trials in one piece of work.
const PIECE: usize = 64;

/// Those that redb does not come to see as they are.
const BOUNDED: [Kind; 5] = [Kind::LogHeader, Kind::LogGroup, Kind::LogFrame, Kind::Segment, Kind::Snapshot];
/// Those that it does. redb believes the length of a value on a page and reserves, without touching it, that much before it asks
/// for the bytes, which are not there; and it may panic while it cleans up after a panic, which ends the process.
const MORTAL: [Kind; 2] = [Kind::Page, Kind::Journal];

/// Forges so many times, each kind in turn. Answers how many trials were made. `program` is the campaign binary.
pub fn run(
    sample: &Sample,
    program: &Path,
    seed: u64,
    trials: usize,
    tell: &(dyn Fn(&Progress) + Sync),
) -> Result<u64, Violation> {
    let mortal = trials / 4;
    let bounded = forge_many(sample, seed, trials - mortal, tell)?;
    Ok(bounded + mortal::run(sample, program, !seed, mortal, tell)?)
}

fn forge_many(sample: &Sample, seed: u64, trials: usize, tell: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation> {
    let memory = memory::Bound::begin();
    let work = |piece: usize, progress: &Progress| {
        for number in piece * PIECE..trials.min((piece + 1) * PIECE) {
            trial(sample, &BOUNDED, seed, number).and_then(|()| memory.check())?;
            progress.trials.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    parallel(trials.div_ceil(PIECE), work, tell)
}

/// What a trial finds on its disk.
fn image(sample: &Sample, kinds: &[Kind], seed: u64, number: usize) -> Image {
    forge(sample, kinds[number % kinds.len()], &mut Rng::with_seed(seed ^ (number as u64) << 8))
}

fn trial(sample: &Sample, kinds: &[Kind], seed: u64, number: usize) -> Result<(), Violation> {
    let machine = Machine::from_image(&image(sample, kinds, seed, number), 1);
    let kind = kinds[number % kinds.len()];
    use_all(machine.open(settings())).map_err(at(format_args!("forgery {number} of a {kind:?}")))
}

/// Reads everything, verifies, writes and seals, as far as that goes.
fn use_all(opened: alluvium::Result<Database>) -> Result<(), Violation> {
    let db = opened.map_err(|error| Violation(format!("does not open: {error}")))?;
    for schema in db.tables() {
        let fields = || answers::rows(&db, &Query::table(&schema.name)).map(drop);
        for answer in [fields(), answers::rows(&db, &Query::table(&schema.name).last()).map(drop)] {
            answer.or_else(refused)?;
        }
    }
    db.verify(&mut |_, _| {}).map(drop).or_else(refused)?;
    db.seal().or_else(refused)?;
    db.compact().map(drop).or_else(refused)
}

/// Forged definitions may contradict the rows, which shows as a state that the engine cannot reach by itself.
fn refused(error: Error) -> Result<(), Violation> {
    let told =
        error.kind() != ErrorKind::Fatal || matches!(error, Error::Internal(_)) || error.to_string().contains("is damaged");
    ensure(told, || format!("an error that does not name damage: {error:?}"))
}
