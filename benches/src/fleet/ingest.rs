//! Ingest: every store and the limit append the same workload, chunk by chunk in turn.
//!
//! Only the calls that append are timed. Rows are generated and brought into the store's own form before, by the child
//! itself; that CPU time is taken off. What a store does in the background between two of its chunks costs it nothing but
//! what it takes while rows are generated: between answers children are stopped.

use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::generate::{Generator, Rows};
use super::{Fleet, Job};
use crate::accounting;
use crate::child::{self, Child};
use crate::limits::{self, RecycledFile};
use crate::stores::{Footprint, Place, Store, StoreKind};

/// How rows arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Load {
    /// 200 rows at a time, each batch durable before the next.
    Batch200,
    /// 200 rows at a time from each of four threads.
    Batch200Threads4,
    /// 100,000 rows at a time.
    Batch100k,
}

impl Load {
    /// All of them.
    pub(crate) const ALL: [Load; 3] = [Load::Batch200, Load::Batch200Threads4, Load::Batch100k];

    /// Its key in JSON.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Load::Batch200 => "batch200_durable",
            Load::Batch200Threads4 => "batch200_threads4",
            Load::Batch100k => "batch100k",
        }
    }

    /// What it is, for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Load::Batch200 => "200-row batches, each durable",
            Load::Batch200Threads4 => "200-row batches, 4 threads",
            Load::Batch100k => "100,000-row batches",
        }
    }

    const fn threads(self) -> usize {
        if matches!(self, Load::Batch200Threads4) { 4 } else { 1 }
    }

    const fn seconds_per_batch(self) -> usize {
        if matches!(self, Load::Batch100k) { 500 } else { 1 }
    }

    const fn seconds_per_chunk(self) -> usize {
        if matches!(self, Load::Batch100k) { 500 } else { 250 }
    }
}

/// What an ingest child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IngestJob {
    pub(crate) place: Place,
    pub(crate) load: Load,
    pub(crate) seed: u64,
    pub(crate) seconds: usize,
}

/// What a limit child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LimitJob {
    pub(crate) file: PathBuf,
    pub(crate) load: Load,
    pub(crate) seed: u64,
    pub(crate) seconds: usize,
}

#[derive(Serialize, Deserialize)]
enum Request {
    /// Append the next chunk.
    Append,
    /// Finish all work, close, and tell what it cost.
    Settle,
}

/// Points and the seconds they took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) points: u64,
    pub(crate) seconds: f64,
}

impl Rate {
    /// Points per second.
    pub(crate) fn per_second(self) -> f64 {
        self.points as f64 / self.seconds
    }

    fn add(&mut self, points: u64, time: Duration) {
        self.points += points;
        self.seconds += time.as_secs_f64();
    }
}

/// What appending everything cost, once settled.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Settled {
    /// Points appended, and the time of the calls that appended them.
    pub(crate) appended: Rate,
    /// Time to seal, compact and close (SQLite: checkpoint and close).
    pub(crate) settle_seconds: f64,
    /// CPU time of all threads, to the end; generating rows not counted.
    pub(crate) cpu_seconds: f64,
    /// Bytes written to storage, to the end.
    pub(crate) written_bytes: u64,
    /// Largest resident set.
    pub(crate) peak_memory: u64,
    /// On disk at the end.
    pub(crate) footprint: Footprint,
}

impl Settled {
    /// `bytes` per point appended.
    pub(crate) fn per_point(&self, bytes: u64) -> f64 {
        bytes as f64 / self.appended.points as f64
    }

    /// Microseconds of CPU per point.
    pub(crate) fn cpu_us_per_point(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.appended.points as f64
    }

    /// Points per second if the settling counts too.
    pub(crate) fn settled_per_second(&self) -> f64 {
        self.appended.points as f64 / (self.appended.seconds + self.settle_seconds)
    }
}

/// The limit: the same raw bytes overwritten and synced, or only copied.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) overwrite: Rate,
    pub(crate) copy: Rate,
}

/// One load on every store.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) load: Load,
    pub(crate) limit: Limit,
    pub(crate) stores: Vec<(StoreKind, Settled)>,
}

impl Ingest {
    /// What Alluvium did.
    pub(crate) fn alluvium(&self) -> Option<&Settled> {
        self.stores.iter().find(|(kind, _)| *kind == StoreKind::Alluvium).map(|(_, settled)| settled)
    }

    /// SQLite in whichever layout took this load faster.
    pub(crate) fn sqlite(&self) -> Option<&(StoreKind, Settled)> {
        let sqlite = self.stores.iter().filter(|(kind, _)| kind.is_sqlite());
        sqlite.max_by(|(_, a), (_, b)| a.appended.per_second().total_cmp(&b.appended.per_second()))
    }
}

/// Runs one load on the limit and every store in turn.
pub(crate) fn measure(fleet: &Fleet, load: Load) -> Result<Ingest> {
    let directory = fleet.scratch(load.key())?;
    let (seed, seconds) = (fleet.seed, fleet.seconds);
    let file = directory.path().join("recycled");
    let mut limit = Child::start("limit", &Job::Limit(LimitJob { file, load, seed, seconds }))?;
    let kinds = [StoreKind::Alluvium, StoreKind::SqliteByTime, StoreKind::SqliteByDevice];
    let mut stores = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let place = Place { kind, directory: directory.path().join(number.to_string()) };
        stores.push((kind, Child::start(kind.name(), &Job::Ingest(IngestJob { place, load, seed, seconds }))?));
    }
    let mut totals = Limit::default();
    for round in 0..seconds.div_ceil(load.seconds_per_chunk()) {
        totals = limit.ask(&Request::Append)?;
        for (kind, child) in &mut stores {
            if takes_part(*kind, load, round) {
                child.ask::<Rate>(&Request::Append)?;
            }
        }
    }
    let settled = stores.iter_mut().map(|(kind, child)| Ok((*kind, child.ask(&Request::Settle)?)));
    Ok(Ingest { load, limit: totals, stores: settled.collect::<Result<_>>()? })
}

/// SQLite by device writes a page per row of a small batch, eight times slower than by time: one chunk in five is enough to
/// see that, and flatters it, since its tree stays smaller.
fn takes_part(kind: StoreKind, load: Load, round: usize) -> bool {
    kind != StoreKind::SqliteByDevice || load == Load::Batch100k || round.is_multiple_of(5)
}

/// Fills a store with the whole workload in large batches and settles it.
pub(crate) fn fill(fleet: &Fleet, place: Place) -> Result<Settled> {
    let (load, seed, seconds) = (Load::Batch100k, fleet.seed, fleet.seconds);
    let mut child = Child::start(place.kind.name(), &Job::Ingest(IngestJob { place, load, seed, seconds }))?;
    for _ in 0..seconds.div_ceil(load.seconds_per_chunk()) {
        child.ask::<Rate>(&Request::Append)?;
    }
    child.ask(&Request::Settle)
}

/// The child that appends to a store.
pub(crate) fn serve<S: Store>(job: IngestJob) -> Result<()> {
    let mut appender = Some(Appender::<S>::new(job)?);
    child::serve(|request| {
        let answer = match request {
            Request::Append => serde_json::to_value(appender.as_mut().context("settled already")?.append()?),
            Request::Settle => serde_json::to_value(appender.take().context("settled already")?.settle()?),
        };
        Ok(answer?)
    })
}

struct Appender<S> {
    store: S,
    job: IngestJob,
    generator: Generator,
    appended: Rate,
    cpu_before: Duration,
    written_before: u64,
    /// CPU time spent on generating rows and forming batches.
    preparing: Duration,
}

impl<S: Store> Appender<S> {
    fn new(job: IngestJob) -> Result<Self> {
        let (cpu_before, written_before) = (accounting::process_cpu(), accounting::written_bytes()?);
        let store = S::open(job.place.kind, &job.place.directory)?;
        let generator = Generator::new(job.seed)?;
        Ok(Appender { store, job, generator, appended: Rate::default(), cpu_before, written_before, preparing: Duration::ZERO })
    }

    fn append(&mut self) -> Result<Rate> {
        let before = accounting::thread_cpu();
        let load = self.job.load;
        let mut seconds = load.seconds_per_chunk().min(self.job.seconds);
        self.job.seconds -= seconds;
        let (mut batches, mut points) = (Vec::new(), 0);
        while seconds > 0 {
            let rows = self.generator.rows(load.seconds_per_batch().min(seconds));
            seconds -= load.seconds_per_batch().min(seconds);
            points += rows.points();
            batches.push(self.store.batch(&rows)?);
        }
        self.preparing += accounting::thread_cpu() - before;
        let time = time_appends(&self.store, &batches, load.threads())?;
        self.appended.add(points, time);
        // Freeing them belongs to the preparation as well.
        let before = accounting::thread_cpu();
        drop(batches);
        self.preparing += accounting::thread_cpu() - before;
        Ok(Rate { points, seconds: time.as_secs_f64() })
    }

    fn settle(self) -> Result<Settled> {
        let begin = Instant::now();
        self.store.settle()?;
        let mut settling = begin.elapsed();
        let footprint = self.store.footprint()?;
        let begin = Instant::now();
        self.store.close()?;
        settling += begin.elapsed();
        let cpu = accounting::process_cpu() - self.cpu_before - self.preparing;
        Ok(Settled {
            appended: self.appended,
            settle_seconds: settling.as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
            written_bytes: accounting::written_bytes()? - self.written_before,
            peak_memory: accounting::peak_memory()?,
            footprint,
        })
    }
}

fn time_appends<S: Store>(store: &S, batches: &[S::Batch], threads: usize) -> Result<Duration> {
    if threads == 1 {
        let begin = Instant::now();
        batches.iter().try_for_each(|batch| store.append(batch))?;
        return Ok(begin.elapsed());
    }
    let barrier = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let barrier = &barrier;
        let work = |first: usize| {
            move || {
                barrier.wait();
                batches.iter().skip(first).step_by(threads).try_for_each(|batch| store.append(batch))
            }
        };
        let writers: Vec<_> = (0..threads).map(|first| scope.spawn(work(first))).collect();
        let begin = Instant::now();
        barrier.wait();
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writing thread panicked"))??;
        }
        Ok(begin.elapsed())
    })
}

/// The child that overwrites and copies raw bytes. Threads share a sync at best: their batches make one write.
pub(crate) fn serve_limit(mut job: LimitJob) -> Result<()> {
    let mut file = RecycledFile::create(&job.file)?;
    let mut generator = Generator::new(job.seed)?;
    let (mut totals, mut destination) = (Limit::default(), Vec::new());
    child::serve(|request| {
        let Request::Append = request else { return Ok(totals) };
        let mut seconds = job.load.seconds_per_chunk().min(job.seconds);
        job.seconds -= seconds;
        let mut groups: Vec<(u64, Vec<u8>)> = Vec::new();
        while seconds > 0 {
            let rows: Rows = generator.rows((job.load.seconds_per_batch() * job.load.threads()).min(seconds));
            seconds -= (job.load.seconds_per_batch() * job.load.threads()).min(seconds);
            groups.push((rows.points(), limits::padded(rows.raw())));
        }
        for (points, bytes) in &groups {
            totals.copy.add(*points, limits::copy(bytes, &mut destination));
        }
        let begin = Instant::now();
        for (_, bytes) in &groups {
            file.overwrite(bytes)?;
        }
        totals.overwrite.add(groups.iter().map(|(points, _)| points).sum(), begin.elapsed());
        Ok(totals)
    })
}
