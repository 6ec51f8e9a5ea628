//! Measures Alluvium beside SQLite and the limits of the machine it runs on.

mod accounting;
mod attacked;
mod child;
mod documents;
mod fleet;
mod limits;
mod line_protocol;
mod micro;
mod queues;
mod served;
mod sizes;
mod stores;
mod sync;
mod threads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Deserialize;

/// Measures Alluvium beside SQLite and the limits of this machine.
#[derive(Parser)]
#[command(name = "alluvium-benches")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The fleet workload: 200 devices, 10,000,000 points
    Fleet(fleet::Options),
    /// Bytes per value of every CSV in a folder, per column
    Sizes(sizes::Options),
    /// Parts by themselves: log codec, segments, merge
    Micro,
    /// Queues: push, pop and acknowledge from many threads
    Queues(queues::Options),
    /// Documents: puts, reads, queries, the change feed, opening after a crash
    Documents(documents::Options),
    /// The server: batches and rows of many clients, beside the engine in process
    Served(served::Options),
    /// A well-behaved client of a server that others attack
    Attacked(attacked::Options),
    /// Line protocol over HTTP, beside InfluxDB and VictoriaMetrics
    LineProtocol(line_protocol::Options),
    /// Sync: uploads beside plain object_store, what it costs beside ingest, and a backlog of 30 days
    Sync(sync::Options),
    /// Runs one measurement; `fleet` starts these
    #[command(name = child::SUBCOMMAND, hide = true)]
    Child {
        /// What to do, as JSON
        job: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Fleet(options) => fleet::run(&options),
        Command::Sizes(options) => sizes::run(&options),
        Command::Micro => micro::run(),
        Command::Queues(options) => queues::run(&options),
        Command::Documents(options) => documents::run(&options),
        Command::Served(options) => served::run(&options),
        Command::Attacked(options) => attacked::run(&options),
        Command::LineProtocol(options) => line_protocol::run(&options),
        Command::Sync(options) => sync::run(&options),
        // The parent reports what went wrong.
        Command::Child { job } => return if run_job(&job).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a child process does.
#[derive(Deserialize)]
#[serde(untagged)]
enum Job {
    Fleet(fleet::Job),
    Documents(documents::crash::Job),
    Sync(sync::Job),
}

/// Runs a job in this process, which is a child.
fn run_job(job: &str) -> Result<()> {
    let done = match serde_json::from_str(job).context("a job that is not understood")? {
        Job::Fleet(job) => fleet::run_job(job),
        Job::Documents(job) => documents::crash::serve(&job),
        Job::Sync(job) => sync::run_job(job),
    };
    done.or_else(|error| {
        child::failed(&error)?;
        Err(error)
    })
}

/// An empty directory below another.
fn fresh_directory(within: &Path, name: &str) -> Result<PathBuf> {
    let path = within.join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Where data goes: the directory asked for, or `bench-data` in cargo's target directory. In memory nothing is measured, so
/// a tmpfs is refused.
fn data_directory(asked: Option<&Path>) -> Result<PathBuf> {
    let directory = match asked {
        Some(directory) => directory.to_owned(),
        None => {
            let program = std::env::current_exe().context("cannot find this program")?;
            program.ancestors().nth(2).context("this program lies nowhere")?.join("bench-data")
        }
    };
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file_system = accounting::file_system(&directory)?;
    anyhow::ensure!(
        !matches!(file_system.as_str(), "tmpfs" | "ramfs"),
        "{} lies in memory ({file_system}), where syncing costs nothing: name a directory on disk with --dir",
        directory.display()
    );
    Ok(directory)
}
