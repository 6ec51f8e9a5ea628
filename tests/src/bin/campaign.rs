//! Runs campaigns: a bounded number of trials for `tests/run`, or as many as asked for.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use alluvium::io::SyncLabel;
use alluvium_tests::campaign::sample::Sample;
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::campaign::{Progress, Violation, faults, flips, hostile, power, sync, world};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// Flips besides every bit of the log and of a segment's footer for each table, and lengths at which files are cut: so many that
/// every change has to pass 200,000 in all.
const OTHERS: usize = 10_000;
const CUTS: usize = 6_000;
/// Forgeries that every change has to pass, and ten times as many for a release.
const FORGERIES: usize = 10_000;
/// Combinations of faults that strike the sync worker, in each of 3 lives, and of 10 for a release.
const COMBINATIONS: u64 = 3_600;

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
    /// Damages files at rest, and forges them.
    Flips {
        /// Flips besides every bit of the log and of a segment's footer for each table.
        #[arg(long, default_value_t = OTHERS)]
        others: usize,
        /// Lengths at which files are cut.
        #[arg(long, default_value_t = CUTS)]
        cuts: usize,
        /// Whether every bit of the log's padding and of all footers is among them
        #[arg(long)]
        all: bool,
        /// Files with damage under right checksums.
        #[arg(long, default_value_t = FORGERIES)]
        forgeries: usize,
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
    /// Strikes the sync worker, of a gateway that lets go of what is held, with every fault at every call, and with pairs of faults.
    Sync {
        /// How many lives, each of another seed.
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        /// Combinations of faults in each.
        #[arg(long, default_value_t = COMBINATIONS)]
        cases: u64,
        /// All pairs there are, hours of them, instead of some.
        #[arg(long)]
        all: bool,
        /// Lives one life again, with the faults given, and tells what is asked.
        #[arg(long)]
        replay: bool,
        /// A fault of the life that is lived again, as target:12:lost, centre:12:lost or disk:40:cut.
        #[arg(long, requires = "replay", value_name = "PART:CALL:FAULT")]
        strike: Vec<sync::Strike>,
    },
    /// A process that may die of what it does, for the forgeries.
    #[command(hide = true, subcommand)]
    Mortal(hostile::Life),
    /// Everything, as much as every change has to pass.
    Bounded,
    /// Everything, as much as a release has to pass; again with other seeds as long as there is time.
    Soak {
        /// How long rounds are begun after the first; 0 = without end.
        #[arg(long)]
        minutes: Option<u64>,
    },
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
        What::Flips { others, cuts, all, forgeries } => damage(seed, flips::Plan { all, others, cuts }, forgeries),
        What::World { seeds, steps } => worlds(seed, seeds, steps),
        What::Sync { replay: true, strike, .. } => sync::replay(seed, &strike, &|line| println!("{line}")),
        What::Sync { seeds, cases, all, .. } => synced(seed, sync::Plan { seeds, cases, all }),
        What::Bounded => {
            power_cuts(seed, 20_000)?;
            failing_io(seed, 3_000)?;
            damage(seed, flips::Plan { all: false, others: OTHERS, cuts: CUTS }, FORGERIES)?;
            worlds(seed, 20, 20_000)?;
            synced(seed, sync::Plan { seeds: 3, cases: COMBINATIONS, all: false })
        }
        What::Mortal(life) => hostile::live(seed, &life),
        What::Soak { minutes } => soak(seed, minutes),
    }
}

fn soak(first_seed: u64, minutes: Option<u64>) -> Result<(), Violation> {
    let begun = Instant::now();
    for round in 0.. {
        // Worlds use neighbouring seeds.
        let seed = first_seed + round * 1_000;
        println!("round {round}, seed {seed}");
        power_cuts(seed, 100_000)?;
        failing_io(seed, usize::MAX)?;
        damage(seed, flips::Plan { all: true, others: 300_000, cuts: usize::MAX }, 10 * FORGERIES)?;
        worlds(seed, 200, 20_000)?;
        synced(seed, sync::Plan { seeds: 10, cases: COMBINATIONS, all: false })?;
        let elapsed = begun.elapsed();
        println!("{} rounds without a violation in {} minutes", round + 1, elapsed.as_secs() / 60);
        if minutes.is_none_or(|minutes| minutes > 0 && elapsed >= Duration::from_secs(60 * minutes)) {
            break;
        }
    }
    Ok(())
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

fn damage(seed: u64, plan: flips::Plan, forgeries: usize) -> Result<(), Violation> {
    let sample = Sample::make().map_err(|error| Violation(format!("cannot make a sample: {error}")))?;
    let all = flips::choose(&sample, seed, plan);
    told("bits and lengths", all.len(), |tell| flips::run(&sample, &all, tell))?;
    let program = std::env::current_exe().map_err(|error| Violation(format!("cannot find this program: {error}")))?;
    told("forgeries", forgeries, |tell| hostile::run(&sample, &program, seed, forgeries, tell))
}

fn worlds(seed: u64, seeds: usize, steps: usize) -> Result<(), Violation> {
    told(&format!("steps in {seeds} worlds"), seeds * steps, |tell| world::run(seed, seeds, steps, tell))
}

fn synced(seed: u64, plan: sync::Plan) -> Result<(), Violation> {
    let counts = std::cell::RefCell::new(sync::Counts::default());
    let expected = plan.seeds * plan.cases;
    told(&format!("faults and pairs of them in {} lives that are synced", plan.seeds), expected as usize, |tell| {
        *counts.borrow_mut() = sync::run(seed, plan, tell)?;
        Ok(counts.borrow().combinations)
    })?;
    println!("{}", counts.borrow());
    Ok(())
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
