//! The threads that apply batches. What came meanwhile from many writers is one transaction, and so one sync.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use alluvium::{Database, Error, Transaction, WriterPast};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::job::{Content, Job, What, WriterKey, mutate, split};
use crate::serve::failed;
use crate::serve::metrics::Metrics;

/// Batches that wait for a lane, at most. Streams read no further while they cannot hand theirs over.
const WAITING: usize = 4_096;
/// Batches and bytes of one transaction, at most.
const TOGETHER: usize = 1_024;
const TOGETHER_BYTES: usize = 4 << 20;

/// Where batches go. All of a writer go to the same thread, in their order.
#[derive(Debug)]
pub(crate) struct Lanes {
    senders: Vec<Sender<Job>>,
    hasher: std::hash::RandomState,
}

/// The threads, which end once the lanes and all streams have.
#[derive(Debug)]
pub(crate) struct LaneThreads(Vec<JoinHandle<()>>);

impl Lanes {
    /// So many.
    pub(crate) fn start(db: &Arc<Database>, count: usize, metrics: &Metrics) -> std::io::Result<(Lanes, LaneThreads)> {
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count.max(1) {
            let (sender, mut receiver) = channel(WAITING);
            let (db, metrics) = (Arc::clone(db), metrics.clone());
            let thread = std::thread::Builder::new().name(format!("alluvium-lane-{number}"));
            threads.push(thread.spawn(move || run(&db, &metrics, &mut receiver))?);
            senders.push(sender);
        }
        Ok((Lanes { senders, hasher: std::hash::RandomState::new() }, LaneThreads(threads)))
    }

    /// Where the batches of a writer go.
    pub(in crate::serve) fn of(&self, writer: &WriterKey) -> Sender<Job> {
        let lane = self.hasher.hash_one(writer) as usize % self.senders.len();
        self.senders[lane].clone()
    }
}

impl LaneThreads {
    /// Waits until what was handed over is applied.
    pub(crate) fn join(self) {
        for thread in self.0 {
            // A panic of it was reported, and its streams ended.
            let _ = thread.join();
        }
    }
}

fn run(db: &Database, metrics: &Metrics, jobs: &mut Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut bytes = first.bytes;
        let mut together = vec![first];
        while together.len() < TOGETHER && bytes < TOGETHER_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.bytes;
            together.push(job);
        }
        apply(db, metrics, together);
    }
}

/// Applies batches all at once, or one by one where one of them is refused.
fn apply(db: &Database, metrics: &Metrics, jobs: Vec<Job>) {
    if jobs.len() > 1
        && let Ok(applied) = write(db, metrics, &jobs)
    {
        jobs.into_iter().zip(applied).for_each(|(job, what)| job.done(what));
        return;
    }
    for job in jobs {
        match write(db, metrics, std::slice::from_ref(&job)) {
            Err(_) if job.numbers.count() > 1 => split(job).into_iter().for_each(|one| {
                let outcome = write(db, metrics, std::slice::from_ref(&one));
                one.done(told(outcome));
            }),
            outcome => job.done(told(outcome)),
        }
    }
}

/// What came of one job.
fn told(outcome: Result<Vec<What>, Error>) -> What {
    match outcome {
        Ok(mut applied) => applied.pop().unwrap_or(What::Applied { again: false }),
        // A stream lets none through that leaves a gap; so one before it was refused meanwhile.
        Err(error @ Error::WriterGap { .. }) => What::HeldUp(failed::of_engine(&error)),
        Err(error) if failed::is_of_request(&error) => What::Refused(failed::of_engine(&error)),
        Err(error) => What::Ended(failed::of_engine(&error)),
    }
}

fn write(db: &Database, metrics: &Metrics, jobs: &[Job]) -> Result<Vec<What>, Error> {
    let begun = Instant::now();
    let applied = transact(db, jobs)?;
    let sum = |of: fn(&Job) -> usize| jobs.iter().map(of).sum();
    let batches = sum(|job| if matches!(job.content, Content::Nothing) { 0 } else { job.numbers.count() });
    metrics.applied(batches, sum(|job| job.content.rows()), sum(|job| job.bytes), begun.elapsed());
    Ok(applied)
}

fn transact(db: &Database, jobs: &[Job]) -> Result<Vec<What>, Error> {
    db.transaction(|transaction| {
        let (mut rows, mut applied) = (Rows::default(), Vec::with_capacity(jobs.len()));
        for job in jobs {
            let is_next = advance(transaction, job)?;
            applied.push(What::Applied { again: !is_next });
            if !is_next {
                continue;
            }
            match &job.content {
                Content::Rows(batches) => batches.iter().for_each(|(table, batch)| rows.add(table, batch)),
                Content::Run { table, rows: batch, .. } => rows.add(table, batch),
                Content::Mutations(mutations) => mutations.iter().try_for_each(|mutation| mutate(transaction, mutation))?,
                Content::Nothing => {}
            }
        }
        rows.append(transaction)?;
        Ok(applied)
    })
}

/// Whether batches are the next of their writer.
fn advance(transaction: &mut Transaction<'_>, job: &Job) -> Result<bool, Error> {
    let WriterKey { principal, id } = &*job.writer;
    let numbers = job.numbers.first..=job.numbers.last;
    match transaction.writers().advance_through(principal, *id, numbers.clone()) {
        Err(Error::WriterExpired { .. }) if job.begins => {
            transaction.writers().open(principal, *id, WriterPast::New)?;
            transaction.writers().advance_through(principal, *id, numbers)
        }
        outcome => outcome,
    }
}

/// Rows of several batches, by table.
#[derive(Debug, Default)]
struct Rows<'j> {
    batches: HashMap<&'j str, Vec<&'j RecordBatch>>,
}

impl<'j> Rows<'j> {
    fn add(&mut self, table: &'j str, batch: &'j RecordBatch) {
        self.batches.entry(table).or_default().push(batch);
    }

    fn append(self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        for (table, batches) in self.batches {
            // What streams describe alike is put together first: that is cheaper than to merge it sorted.
            for alike in batches.chunk_by(|one, other| one.schema_ref() == other.schema_ref()) {
                match alike {
                    [batch] => transaction.append(table, batch)?,
                    several => transaction.append(table, &concat_batches(several[0].schema_ref(), several.iter().copied())?)?,
                }
            }
        }
        Ok(())
    }
}

/// The lane of a writer has ended, which it does only with the server or by a defect.
pub(in crate::serve) fn gone() -> Failed {
    Failed { may_retry: true, ..Failed::new(Code::Internal, "the thread that applies batches has ended: connect again") }
}
