//! The fleet benchmark: what runs, where, and in which child process.

mod generate;
mod ingest;
mod queries;
mod questions;
mod reopen;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub(crate) use self::generate::{DEVICES, FIELDS, Generator, Rows, START, decimals, device_name, field_name};
use self::ingest::Settled;
pub(crate) use self::questions::{Question, QuestionKind};
use crate::accounting;
use crate::stores::{Alluvium, Place, Sqlite, StoreKind};

/// Parts that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Points per second, CPU time, written bytes, peak memory.
    Ingest,
    /// Bytes per point on disk.
    Sizes,
    /// Opening after a kill.
    Reopen,
    /// Q1 to Q6.
    Queries,
}

/// Options of `fleet`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of the workload, 200 rows each: fewer for a quick look, but only the default is the fleet workload
    #[arg(long, default_value_t = generate::SECONDS, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    seconds: u32,
    /// Run only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Directory for the data, on the disk to be measured [default: bench-data in cargo's target directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What runs in a child process.
#[derive(Serialize, Deserialize)]
pub(crate) enum Job {
    Limit(ingest::LimitJob),
    Ingest(ingest::IngestJob),
    Query(queries::QueryJob),
    Reopen(Place),
}

/// A run of the benchmark: its workload, its place on disk, and the stores filled so far.
pub(crate) struct Fleet {
    seed: u64,
    seconds: usize,
    directory: PathBuf,
    filled: Vec<Filled>,
}

/// A store that holds the whole workload, settled and closed.
struct Filled {
    kind: StoreKind,
    scratch: TempDir,
    settled: Settled,
}

/// Where a settled store is, and what it cost.
struct SettledStore {
    directory: PathBuf,
    settled: Settled,
}

impl Fleet {
    /// A directory of its own that goes away when dropped.
    fn scratch(&self, name: &str) -> Result<TempDir> {
        let made = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&self.directory);
        made.with_context(|| format!("cannot make a directory in {}", self.directory.display()))
    }

    /// A store that holds the whole workload, filled the first time it is asked for.
    fn settled(&mut self, kind: StoreKind) -> Result<SettledStore> {
        let found = self.filled.iter().position(|filled| filled.kind == kind);
        let filled = match found {
            Some(position) => &self.filled[position],
            None => {
                eprintln!("  filling {}", kind.name());
                let scratch = self.scratch("filled")?;
                let settled = ingest::fill(self, Place { kind, directory: scratch.path().join("data") })?;
                self.filled.push(Filled { kind, scratch, settled });
                self.filled.last().context("nothing was filled")?
            }
        };
        Ok(SettledStore { directory: filled.scratch.path().join("data"), settled: filled.settled })
    }
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?;
    let file_system = accounting::file_system(&directory)?;
    eprintln!("data in {} ({file_system})", directory.display());
    let mut fleet = Fleet { seed: options.seed, seconds: options.seconds as usize, directory, filled: Vec::new() };
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let mut report = report::Report::new(fleet.seed, fleet.seconds, file_system);
    if wanted(Part::Ingest) {
        for load in ingest::Load::ALL {
            eprintln!("ingest: {}", load.title());
            report.ingest.push(ingest::measure(&fleet, load)?);
        }
    }
    if wanted(Part::Sizes) {
        eprintln!("sizes");
        for kind in [StoreKind::Alluvium, StoreKind::AlluviumCompact, StoreKind::AlluviumDecimal, StoreKind::SqliteByDevice] {
            report.sizes.push((kind, fleet.settled(kind)?.settled));
        }
    }
    if wanted(Part::Reopen) {
        eprintln!("reopen after a kill with {} unsealed rows", queries::unsettled_rows(&fleet));
        for kind in [StoreKind::Alluvium, StoreKind::SqliteByTime] {
            report.reopen.push(reopen::measure(&fleet, kind)?);
        }
    }
    if wanted(Part::Queries) {
        eprintln!("queries");
        report.queries = queries::measure(&mut fleet)?;
    }
    println!("{}", report.table());
    if options.json {
        println!("{}", report.json());
    }
    Ok(())
}

/// Runs a job in this process, which is a child.
pub(crate) fn run_job(job: Job) -> Result<()> {
    match job {
        Job::Limit(job) => ingest::serve_limit(job),
        Job::Ingest(job) if job.place.kind.is_sqlite() => ingest::serve::<Sqlite>(job),
        Job::Ingest(job) => ingest::serve::<Alluvium>(job),
        Job::Query(job) if job.place.kind.is_sqlite() => queries::serve::<Sqlite>(job),
        Job::Query(job) => queries::serve::<Alluvium>(job),
        Job::Reopen(place) if place.kind.is_sqlite() => reopen::serve::<Sqlite>(&place),
        Job::Reopen(place) => reopen::serve::<Alluvium>(&place),
    }
}
