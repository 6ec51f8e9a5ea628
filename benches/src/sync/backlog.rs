//! A backlog: cuts that nobody was told of for 30 days, and then one worker that tells of all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{CutWhat, Database, FieldType, RowBuilder, Settings, TableSpec};
use alluvium_sync::objects::{self, Target};
use alluvium_sync::worker::{Once, Policy, Worker};
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::Options;
use crate::accounting;
use crate::child::{self, Child};
use crate::fresh_directory;

const TABLE: &str = "fleet";
const DELIVERY: &str = "bench";
const DEVICES: usize = 20;
/// Rows of a device between two cuts, which are as far apart as this.
const ROWS: i64 = 5;
const APART: Duration = Duration::from_secs(300);
/// 2025-01-01T00:00:00Z
const START: i64 = 1_735_689_600_000_000;
/// What a drain may take of memory beyond the engine.
const MOST_MEMORY: u64 = 64 << 20;

/// What a child does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    data: PathBuf,
    bucket: PathBuf,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
struct Drained {
    cuts: u64,
    segments: u64,
    bytes: u64,
    seconds: f64,
    cpu: f64,
    memory: u64,
    before: u64,
}

/// Measures and prints.
pub(super) fn measure(directory: &Path, options: &Options) -> Result<()> {
    let directory = fresh_directory(directory, "backlog")?;
    let job = Job { data: directory.join("data"), bucket: directory.join("bucket") };
    let began = Instant::now();
    fill(&job.data, options.cuts)?;
    println!("{} cuts taken in {:.1} s", options.cuts, began.elapsed().as_secs_f64());
    // As after a restart, so that nothing of how it was filled is in memory.
    let mut child = Child::start("drain", &super::Job::Backlog(job))?;
    let drained: Drained = child.ask(&())?;
    drop(child);
    let Drained { cuts, segments, bytes, seconds, cpu, memory, before } = drained;
    println!(
        "{cuts} cuts and {segments} segments ({:.1} MB) into a folder, synced: {seconds:.1} s, {:.0} cuts/s, {:.2} ms of CPU each; memory at most \
         {:.1} MiB above the {:.1} MiB that the open database has, {} allowed",
        bytes as f64 / 1e6,
        cuts as f64 / seconds,
        cpu * 1e3 / cuts as f64,
        mib(memory),
        mib(before),
        MOST_MEMORY >> 20
    );
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A database with so many cuts. Nothing of it has to survive a power cut before it is closed.
fn fill(data: &Path, cuts: u32) -> Result<()> {
    let db = Database::builder().settings(Settings::default()).open(data)?;
    let table = db.create_table(TableSpec::new(TABLE).tag("device").field("v", FieldType::Float64))?;
    let delivery = db.delivery(DELIVERY);
    delivery.begin()?;
    let step = i64::try_from(APART.as_micros())?;
    for cut in 0..i64::from(cuts) {
        let mut rows = RowBuilder::new(table.clone());
        for device in 0..DEVICES {
            for row in 0..ROWS {
                let time = START + cut * step + row * step / ROWS;
                rows.row(time).tag("device", &format!("device-{device}"))?.value("v", (cut * ROWS + row) as f64)?;
            }
        }
        db.append(TABLE, &rows.finish()?)?;
        delivery.cut(CutWhat::News)?.context("a cut was not taken")?;
    }
    Ok(db.close()?)
}

/// The child: drains it once.
pub(crate) fn serve(job: &Job) -> Result<()> {
    let db = Arc::new(Database::open(&job.data)?);
    child::serve(|(): ()| drain(&db, job))
}

fn drain(db: &Arc<Database>, job: &Job) -> Result<Drained> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let before = accounting::memory_from_now()?;
    let (began, cpu) = (Instant::now(), accounting::process_cpu());
    let target = Target::open(&objects::Settings::new(job.bucket.to_str().context("a folder of no name")?))?;
    let scratch = job.bucket.with_extension("scratch");
    let worker = Worker::new(db.clone(), DELIVERY, "bench", target, Policy::default(), &scratch)?;
    let report = match runtime.block_on(worker.run_once()) {
        Once::Done(report) => report,
        Once::Left(_, failed) => bail!("not all was sent: {failed}"),
    };
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), (accounting::process_cpu() - cpu).as_secs_f64());
    let memory = accounting::peak_memory()?.saturating_sub(before);
    let state = db.delivery(DELIVERY).state()?;
    if state.cuts_left > 0 {
        return Err(anyhow!("{} cuts are left", state.cuts_left));
    }
    let (cuts, segments, bytes) = (report.counts.announced, report.counts.segments, report.counts.bytes_sent);
    Ok(Drained { cuts, segments, bytes, seconds, cpu, memory, before })
}
