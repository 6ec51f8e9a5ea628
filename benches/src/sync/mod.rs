//! Sync: uploads beside plain object_store, what a worker costs beside ingest, and how a backlog of 30 days drains.

mod backlog;
mod beside;
mod emulator;
mod upload;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this part
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Cuts that nobody was told of, in the backlog: 30 days of one every five minutes
    #[arg(long, default_value_t = 8_640, value_parser = clap::value_parser!(u32).range(1..))]
    cuts: u32,
    /// Seconds of the fleet workload, 200 rows each
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    seconds: u32,
    /// The store that stands for S3, installed by `tests/object-store`
    #[arg(long, value_enum, default_value_t = emulator::Kind::S3sFs)]
    emulator: emulator::Kind,
    /// Where the data go
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// 64 objects of 8 MiB into a folder and into an emulator of S3, beside plain object_store
    Upload,
    /// CPU time and written bytes of ingest with a worker beside it and without
    Beside,
    /// Cuts that nobody was told of for 30 days
    Backlog,
}

/// What runs in a child process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    Beside(beside::Job),
    Backlog(backlog::Job),
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?.join("sync");
    let wanted = |part: Part| options.part.is_none_or(|only| only == part);
    if wanted(Part::Upload) {
        upload::measure(&directory, options)?;
    }
    if wanted(Part::Beside) {
        beside::measure(&directory, options)?;
    }
    if wanted(Part::Backlog) {
        backlog::measure(&directory, options)?;
    }
    Ok(())
}

/// Runs a job in this process, which is a child.
pub(crate) fn run_job(job: Job) -> Result<()> {
    match job {
        Job::Beside(job) => beside::serve(job),
        Job::Backlog(job) => backlog::serve(&job),
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match (numbers.len() % 2, numbers.get(middle), middle.checked_sub(1).and_then(|before| numbers.get(before))) {
        (1, Some(number), _) => *number,
        (_, Some(after), Some(before)) => f64::midpoint(*before, *after),
        _ => f64::NAN,
    }
}

/// The smallest, the middle and the largest of some numbers, in words.
fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.3} ({least:.3} to {most:.3})", median(numbers.to_vec()))
}
