//! Trials that may end their process, each stretch of them in a process of its own. Where one dies, the next has to find a
//! database that opens: not at once perhaps, but after the few attempts that the engine grants.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;

use alluvium::{Database, Settings};
use clap::Subcommand;

use super::{MORTAL, image, settings, trial, use_all};
use crate::campaign::sample::Sample;
use crate::campaign::{Progress, Violation, at, parallel};
use crate::sim::{Image, ROOT};

/// Trials of one process, if it does not die before.
const STRETCH: usize = 256;
/// Processes in a row that may die of the same files.
const DEATHS: usize = 3;
const SIGABRT: i32 = 6;

/// What such a process does.
#[derive(Debug, Subcommand)]
pub enum Life {
    /// Makes trials, and says the number of each before it begins.
    Trials {
        /// The first.
        from: usize,
        /// The one after the last.
        to: usize,
    },
    /// Uses a database that another process died of.
    After {
        /// Where it lies.
        dir: PathBuf,
    },
}

/// The life of a process that may die.
pub fn live(seed: u64, life: &Life) -> Result<(), Violation> {
    match life {
        Life::Trials { from, to } => {
            let sample = Sample::make().map_err(|error| Violation(format!("cannot make a sample: {error}")))?;
            (*from..*to).try_for_each(|number| {
                println!("{number}");
                trial(&sample, &MORTAL, seed, number)
            })
        }
        Life::After { dir } => {
            let settings = Settings { background: false, ..settings() };
            use_all(Database::builder().settings(settings).open(dir))
        }
    }
}

/// Makes trials in processes of their own. Answers how many.
pub(super) fn run(
    sample: &Sample,
    program: &Path,
    seed: u64,
    trials: usize,
    tell: &(dyn Fn(&Progress) + Sync),
) -> Result<u64, Violation> {
    let work = |piece: usize, progress: &Progress| {
        let (mut from, to) = (piece * STRETCH, trials.min((piece + 1) * STRETCH));
        while from < to {
            let (status, last) = stretch(program, seed, from..to, progress)?;
            match (status.success(), status.signal()) {
                (true, _) => break,
                (_, Some(SIGABRT)) => afterwards(program, seed, &image(sample, &MORTAL, seed, last)),
                _ => Err(Violation(format!("the process ended with {status}"))),
            }
            .map_err(at(format_args!("forgery {last}")))?;
            from = last + 1;
        }
        Ok(())
    };
    parallel(trials.div_ceil(STRETCH), work, tell)
}

/// Answers how a process ended, and the last trial it began.
fn stretch(
    program: &Path,
    seed: u64,
    trials: std::ops::Range<usize>,
    progress: &Progress,
) -> Result<(ExitStatus, usize), Violation> {
    let failed = |error| Violation(format!("cannot run {}: {error}", program.display()));
    let mut command = command(program, seed);
    command.args(["trials", &trials.start.to_string(), &trials.end.to_string()]).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut last = trials.start;
    for line in child.stdout.take().into_iter().flat_map(|told| BufReader::new(told).lines()) {
        last = line.ok().and_then(|line| line.parse().ok()).unwrap_or(last);
        progress.trials.fetch_add(1, Ordering::Relaxed);
    }
    Ok((child.wait().map_err(failed)?, last))
}

/// Sees processes die of these files, and one that lives.
fn afterwards(program: &Path, seed: u64, image: &Image) -> Result<(), Violation> {
    let failed = |error| Violation(format!("cannot lay out files: {error}"));
    let dir = tempfile::tempdir().map_err(failed)?;
    for (path, content) in &image.files {
        let path = dir.path().join(path.strip_prefix(ROOT).unwrap_or(path));
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        fs::write(path, content.to_vec()).map_err(failed)?;
    }
    for deaths in 1..=DEATHS + 1 {
        let status = command(program, seed).arg("after").arg(dir.path()).status().map_err(failed)?;
        match (status.success(), status.signal()) {
            (true, _) => {
                println!("a forged catalog ended {deaths} processes, then the database opened");
                return Ok(());
            }
            (_, Some(SIGABRT)) => {}
            _ => return Err(Violation(format!("the next process ended with {status}"))),
        }
    }
    Err(Violation(format!("the files ended {} processes in a row", DEATHS + 1)))
}

fn command(program: &Path, seed: u64) -> Command {
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string(), "mortal"]).stderr(Stdio::null());
    command
}
