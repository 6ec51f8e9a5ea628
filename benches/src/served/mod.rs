//! The server beside the engine in process: the engine and the server on one core, clients on the other.

mod clients;
mod idle;
mod inside;
mod queries;
mod round_trips;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alluvium_tests::served::Served;
use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of the engine or server.
pub(crate) const SERVER_CORE: usize = 0;
/// That of clients.
pub(crate) const CLIENT_CORE: usize = 1;
/// Connections that do nothing.
const IDLE: usize = 1_000;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds for each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The `alluvium` binary [default: the one beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the data go
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?.join("served");
    let fresh = |name: &str| crate::fresh_directory(&directory, name);
    println!("engine and server on core {SERVER_CORE}, clients on core {CLIENT_CORE}; a batch is 200 rows of 10 fields, durable");
    pin(SERVER_CORE)?;
    let alone = inside::appended(&fresh("appended")?, options.seconds)?;
    println!("in process, one batch after the other: {alone:.0} rows/s");
    let counted = inside::counted(&fresh("counted")?, options.seconds)?;
    println!("in process, as batches of a writer: {counted:.0} rows/s, {:.2} of that", counted / alone);
    for connections in [1, 4, 16] {
        let rows = with_server(&fresh("served")?, options, |served| clients::batches(served.at, connections, options.seconds))?;
        println!("served, {connections} writer streams: {rows:.0} rows/s, {:.2} of that", rows / alone);
    }
    let rows = with_server(&fresh("single")?, options, |served| clients::single_rows(served.at, 200, options.seconds))?;
    println!("served, single rows from 200 connections: {rows:.0} rows/s");
    let (rate, bytes) = with_server(&directory.join("counted"), options, |served| queries::everything(served.at))?;
    println!("served, a query of {} MB of Arrow: {:.0} MB/s", bytes / 1_000_000, rate / 1e6);
    let memory = with_server(&fresh("idle")?, options, |served| idle::connections(served.at, served.id(), IDLE))?;
    println!("served, {IDLE} idle connections: {:.1} MiB", memory as f64 / f64::from(1 << 20));
    pin(SERVER_CORE)?;
    let echo = round_trips::Echo::start()?;
    pin(CLIENT_CORE)?;
    let bare = echo.times()?;
    drop(echo);
    let served = with_server(&fresh("requests")?, options, |served| round_trips::requests(served.at))?;
    let ratio = served.median.as_secs_f64() / bare.median.as_secs_f64();
    println!(
        "round trips of a request: median {:?}, {ratio:.2} of a bare echo; at 1,000 a second 99 % within {:?} (echo {:?})",
        served.median, served.p99, bare.p99
    );
    Ok(())
}

/// Does something to a server that serves a directory.
fn with_server<T>(data: &Path, options: &Options, work: impl FnOnce(&Served) -> Result<T>) -> Result<T> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("alluvium"));
    let binary = options.binary.clone().or_else(beside).context("this program lies nowhere")?;
    let mut command = std::process::Command::new(&binary);
    command
        .arg("--data")
        .arg(data)
        .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0"])
        .stderr(std::process::Stdio::null());
    // Threads and processes have the cores of the thread that starts them.
    pin(SERVER_CORE)?;
    let served = Served::spawn(command);
    pin(CLIENT_CORE)?;
    let outcome = work(&served);
    served.end();
    pin(SERVER_CORE)?;
    outcome
}

/// The time within which so many percent of them are.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied()
}

/// Keeps this thread, and what it starts, on a core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot stay on core {core}"))
}
