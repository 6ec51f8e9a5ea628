//! What sync costs beside ingest: the fleet workload with a worker beside it and without, each in a process of its own, in turn.
//!
//! The target is in memory: what it costs to keep the objects there is another's, what it costs to read, hash, hand them over and read them back is not.
//! What a store over a link wants besides, TLS and a sum that it knows, is not in it.
//! Time passes a thousand times as fast as for a fleet, so the worker looks for new segments far more often than once a minute.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::Database;
use alluvium_sync::objects::{Target, Throttle};
use alluvium_sync::worker::{Once, Policy, Worker};
use anyhow::{Result, anyhow, bail};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Options, median, spread};
use crate::accounting;
use crate::child::{self, Child};
use crate::fleet::Generator;
use crate::fresh_directory;
use crate::stores::{TABLE, batch_of, table_of};

/// What sync may cost.
const MOST_CPU: f64 = 1.05;
const MOST_WRITTEN: f64 = 1.01;
const MOST_SENT: f64 = 1.05;
/// Seconds of the workload that are made ready at a time.
const CHUNK: usize = 250;
/// How often the worker looks: a minute of the fleet's.
const CUT_EVERY: Duration = Duration::from_millis(15);

/// What a child does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    directory: PathBuf,
    seconds: usize,
    is_synced: bool,
}

/// What it cost.
#[derive(Debug, Serialize, Deserialize)]
struct Cost {
    /// Of all threads, but for making rows.
    cpu: f64,
    /// Until everything is durable, but for making rows.
    seconds: f64,
    written: u64,
    cuts: u64,
    sent: u64,
    /// Of segments in the bucket.
    segments: u64,
    /// Of segments in the database, in the end.
    kept: u64,
}

/// Measures and prints.
pub(super) fn measure(directory: &Path, options: &Options) -> Result<()> {
    let (mut alone, mut synced) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for is_synced in [round % 2 == 0, round % 2 == 1] {
            let directory = fresh_directory(directory, "beside")?;
            let job = Job { directory: directory.join("data"), seconds: options.seconds as usize, is_synced };
            let mut child = Child::start("ingest", &super::Job::Beside(job))?;
            let cost: Cost = child.ask(&())?;
            if is_synced { &mut synced } else { &mut alone }.push(cost);
            std::fs::remove_dir_all(&directory)?;
        }
    }
    let ratios =
        |of: fn(&Cost) -> f64| synced.iter().zip(&alone).map(|(with, without)| of(with) / of(without)).collect::<Vec<_>>();
    let middle = |costs: &[Cost], of: fn(&Cost) -> f64| median(costs.iter().map(of).collect());
    println!("{} points beside a worker, {} rounds:", u64::from(options.seconds) * 2_000, options.rounds);
    println!(
        "  CPU {} of alone ({:.2} s); {MOST_CPU} allowed",
        spread(&ratios(|cost| cost.cpu)),
        middle(&alone, |cost| cost.cpu)
    );
    println!("  time {} of alone", spread(&ratios(|cost| cost.seconds)));
    println!(
        "  bytes written {} of alone ({:.1} MB); {MOST_WRITTEN} allowed",
        spread(&ratios(|cost| cost.written as f64)),
        middle(&alone, |cost| cost.written as f64) / 1e6
    );
    let sent = |of: fn(&Cost) -> u64| synced.iter().map(|cost| cost.sent as f64 / of(cost) as f64).collect::<Vec<_>>();
    println!(
        "  bytes sent {} of the segments there, {} of those in the database; {MOST_SENT} allowed; {:.0} cuts",
        spread(&sent(|cost| cost.segments)),
        spread(&sent(|cost| cost.kept)),
        middle(&synced, |cost| cost.cuts as f64)
    );
    Ok(())
}

/// The child: ingests once.
pub(crate) fn serve(job: Job) -> Result<()> {
    child::serve(|(): ()| run(&job))
}

fn run(job: &Job) -> Result<Cost> {
    let (cpu, written) = (accounting::process_cpu(), accounting::written_bytes()?);
    let db = Arc::new(Database::open(&job.directory)?);
    db.create_table(table_of(false))?;
    let target = Target::in_memory(Throttle::new(None, None));
    let syncing = job.is_synced.then(|| Syncing::begin(db.clone(), target.clone(), &job.directory)).transpose()?;
    let (mut preparing, mut preparing_time) = (Duration::ZERO, Duration::ZERO);
    let begin = Instant::now();
    ingest(&db, job.seconds, &mut preparing, &mut preparing_time)?;
    let counts = syncing.map_or(Ok((0, 0)), Syncing::end)?;
    db.seal()?;
    db.compact()?;
    let kept = db.inspect()?.tables.iter().map(|table| table.bytes_on_disk).sum();
    Arc::try_unwrap(db).map_err(|_| anyhow!("the worker still has the database"))?.close()?;
    let seconds = (begin.elapsed() - preparing_time).as_secs_f64();
    let cpu = (accounting::process_cpu() - cpu - preparing).as_secs_f64();
    let written = accounting::written_bytes()? - written;
    let ((cuts, sent), segments) = (counts, segment_bytes(&target)?);
    Ok(Cost { cpu, seconds, written, cuts, sent, segments, kept })
}

/// Appends the workload in batches of 200 rows, each durable.
fn ingest(db: &Database, seconds: usize, preparing: &mut Duration, preparing_time: &mut Duration) -> Result<()> {
    let mut generator = Generator::new(1)?;
    let schema = db.table(TABLE)?.arrow();
    let mut left = seconds;
    while left > 0 {
        let (cpu, time) = (accounting::thread_cpu(), Instant::now());
        let some = CHUNK.min(left);
        left -= some;
        let batches = (0..some).map(|_| batch_of(&schema, &generator.rows(1))).collect::<Result<Vec<_>>>()?;
        *preparing += accounting::thread_cpu() - cpu;
        *preparing_time += time.elapsed();
        for batch in &batches {
            db.append(TABLE, batch)?;
        }
        let cpu = accounting::thread_cpu();
        drop(batches);
        *preparing += accounting::thread_cpu() - cpu;
    }
    Ok(())
}

/// A worker beside it.
struct Syncing {
    runtime: tokio::runtime::Runtime,
    worker: Worker,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Syncing {
    fn begin(db: Arc<Database>, target: Target, directory: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let policy = Policy { cut_every: CUT_EVERY, ..Policy::default() };
        let worker = Worker::new(db, "bench", "bench", target, policy, &directory.with_extension("scratch"))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let works = worker.clone();
        let running = runtime.spawn(async move { works.run(async { drop(stopped.await) }).await });
        Ok(Syncing { runtime, worker, stop, running })
    }

    /// Sends the rest. Answers cuts and bytes sent.
    fn end(self) -> Result<(u64, u64)> {
        drop(self.stop);
        self.runtime.block_on(self.running)?;
        match self.runtime.block_on(self.worker.run_once()) {
            Once::Done(report) => Ok((report.counts.announced, report.counts.bytes_sent)),
            Once::Left(_, failed) => bail!("not all was sent: {failed}"),
        }
    }
}

fn segment_bytes(target: &Target) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let is_segment = |key: &str| Path::new(key).extension().is_some_and(|end| end == "parquet");
        let listed: Vec<_> = target.list("").try_collect().await?;
        Ok(listed.iter().filter(|object| is_segment(&object.key)).map(|object| object.bytes).sum())
    })
}
