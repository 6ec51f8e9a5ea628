//! Runs campaigns: a bounded number of trials for `tests/run`, or as many as asked for.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use alluvium::io::SyncLabel;
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::campaign::{Progress, Violation, faults, flips, power, sample::Sample, world};
use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

/// Proves by many small trials that nothing acknowledged is lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seed of everything random.
    #[arg(long, env = "ALLUVIUM_SEED", default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Cuts power at every change to the disk, and again during recovery.
    Power {
        /// How many trials, at least.
        #[arg(long, default_value_t = 20_000)]
        trials: usize,
    },
    /// Lets I/O operations fail.
    Faults {
        /// How many, spread over all there are.
        #[arg(long, default_value_t = 3_000)]
        runs: usize,
    },
    /// Damages files at rest.
    Flips {
        /// Flips besides every bit of the log and of segment footers.
        #[arg(long, default_value_t = 40_000)]
        others: usize,
        /// Lengths at which files are cut.
        #[arg(long, default_value_t = 20_000)]
        cuts: usize,
    },
    /// Lets actors do anything in any order.
    World {
        /// How many worlds.
        #[arg(long, default_value_t = 20)]
        seeds: usize,
        /// How long each lives.
        #[arg(long, default_value_t = 20_000)]
        steps: usize,
    },
    /// Everything, at one of two sizes.
    All {
        /// How much of it.
        #[arg(value_enum)]
        size: Size,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// What every change has to pass.
    Bounded,
    /// What a release has to pass.
    Full,
}

fn main() -> ExitCode {
    let Arguments { seed, what } = Arguments::parse();
    match run(seed, what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("ALLUVIUM_SEED={seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn run(seed: u64, what: What) -> Result<(), Violation> {
    match what {
        What::Power { trials } => power_cuts(seed, trials),
        What::Faults { runs } => failing_io(seed, runs),
        What::Flips { others, cuts } => damage(seed, others, cuts),
        What::World { seeds, steps } => worlds(seed, seeds, steps),
        What::All { size } => {
            let full = size == Size::Full;
            power_cuts(seed, if full { 100_000 } else { 20_000 })?;
            failing_io(seed, if full { usize::MAX } else { 3_000 })?;
            damage(seed, if full { 500_000 } else { 40_000 }, if full { usize::MAX } else { 20_000 })?;
            worlds(seed, if full { 200 } else { 20 }, 20_000)
        }
    }
}

fn life(seed: u64, ignored: Option<SyncLabel>) -> Result<Recording, Violation> {
    Recording::make(seed, workload::steps(seed, workload::STEPS), ignored)
}

fn power_cuts(seed: u64, trials: usize) -> Result<(), Violation> {
    let recording = life(seed, None)?;
    let plan = power::Plan::for_trials(&recording, trials);
    told(&format!("power cuts at {} changes", recording.journal.len()), trials, |tell| power::run(&recording, seed, plan, tell))
}

fn failing_io(seed: u64, runs: usize) -> Result<(), Violation> {
    let recording = life(seed, None)?;
    let all = faults::all(&recording);
    let runs = runs.min(all.len());
    let chosen: Vec<_> = (0..runs).map(|n| all[n * all.len() / runs]).collect();
    told(&format!("faults of {} in {} operations", all.len(), recording.classes.len()), runs, |tell| {
        faults::run(&recording, seed, &chosen, tell)
    })
}

fn damage(seed: u64, others: usize, cuts: usize) -> Result<(), Violation> {
    let sample = Sample::make().map_err(|error| Violation(format!("cannot make a sample: {error}")))?;
    let all = flips::choose(&sample, seed, others, cuts);
    told("bits and lengths", all.len(), |tell| flips::run(&sample, &all, tell))
}

fn worlds(seed: u64, seeds: usize, steps: usize) -> Result<(), Violation> {
    told(&format!("steps in {seeds} worlds"), seeds * steps, |tell| world::run(seed, seeds, steps, tell))
}

/// Shows progress, then how many trials there were and how fast.
fn told(
    what: &str,
    expected: usize,
    run: impl FnOnce(&(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation>,
) -> Result<(), Violation> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}").expect("a valid template");
    let bar = ProgressBar::new(expected as u64).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    let begun = Instant::now();
    let trials = run(&|progress| bar.set_position(progress.trials.load(std::sync::atomic::Ordering::Relaxed)))?;
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    println!("{trials} {what}: no violation, {seconds:.0} s, {:.0} a second", trials as f64 / seconds);
    Ok(())
}
