//! Queries: the same kinds of question, freshly drawn for every run, asked of every store in turn.
//!
//! A run is timed from the question until the whole answer lies in memory. Every timed answer is then checked against the
//! generator's rows; checking happens after a group of runs, so that it does not disturb them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::generate::{DEVICES, Generator, Rows};
use super::questions::{Question, QuestionKind};
use super::{Fleet, Job};
use crate::child::{self, Child};
use crate::stores::{Place, Store, StoreKind};

/// Timed runs of every question.
const RUNS: usize = 50;
/// They come in so many groups; between two groups the other stores have their turn.
const GROUPS: usize = 5;
/// Questions that begin a group and are not timed: the processor's caches are full of what the other stores did.
const LEAD: usize = 20;
/// Enough of them, and of those that warm caches.
const LEAD_TIME: Duration = Duration::from_millis(20);
const WARMING_TIME: Duration = Duration::from_millis(500);
/// Questions asked before, so that caches hold what a store in use has in them.
const WARMING_RUNS: usize = 5_000;
/// A group ends early once its runs have taken this long: SQLite scans for a third of a second at a time.
const BUDGET: Duration = Duration::from_millis(500);

/// What a child that answers questions is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QueryJob {
    pub(crate) place: Place,
    pub(crate) seed: u64,
    pub(crate) seconds: usize,
    /// Fill the store first: what is before this second settled, the rest not. Without it the store is there already.
    pub(crate) unsettled_after: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Request {
    kind: QuestionKind,
    runs: usize,
    /// Runs before those, not timed, and how long there may be such.
    lead: (usize, Duration),
    /// Empty the store's own cache before every run.
    cold: bool,
}

/// Run times of one kind of question, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) sealed: Vec<f64>,
    pub(crate) cold: Vec<f64>,
    pub(crate) unsealed: Vec<f64>,
    pub(crate) sqlite: Vec<(StoreKind, Vec<f64>)>,
}

impl Times {
    /// SQLite in whichever layout answers this faster: its median.
    pub(crate) fn sqlite_median(&self) -> Option<(StoreKind, f64)> {
        let medians = self.sqlite.iter().map(|(kind, times)| (*kind, quantile(times, 0.5)));
        medians.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

/// The value below which a part of the values lies: the nearest rank, or for the median the mean of the middle two.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = part * sorted.len() as f64;
    let at = |position: f64| sorted.get(position.max(0.0) as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    if part == 0.5 { (at((rank - 0.5).floor()) + at(rank.floor())) / 2.0 } else { at(rank.ceil() - 1.0) }
}

/// Asks every kind of question of every store.
pub(crate) fn measure(fleet: &mut Fleet) -> Result<Vec<(QuestionKind, Times)>> {
    let mut sealed = start(fleet, StoreKind::Alluvium)?;
    let scratch = fleet.scratch("unsealed")?;
    let place = Place { kind: StoreKind::Alluvium, directory: scratch.path().join("data") };
    let mut unsealed = start_unsettled(fleet, place)?;
    let mut sqlite = Vec::new();
    for kind in [StoreKind::SqliteByDevice, StoreKind::SqliteByTime] {
        sqlite.push((kind, start(fleet, kind)?, Vec::new()));
    }
    let mut measured = Vec::new();
    for kind in QuestionKind::ALL {
        eprintln!("  {}", kind.title());
        let ask = |child: &mut Child, lead, runs, cold| child.ask::<Vec<f64>>(&Request { kind, runs, lead, cold });
        // Warms caches with questions of the same kind, none of which is asked again.
        for child in [&mut sealed, &mut unsealed].into_iter().chain(sqlite.iter_mut().map(|(_, child, _)| child)) {
            ask(child, (WARMING_RUNS, WARMING_TIME), 1, false)?;
        }
        let mut times = Times::default();
        for _ in 0..GROUPS {
            times.sealed.extend(ask(&mut sealed, (LEAD, LEAD_TIME), RUNS / GROUPS, false)?);
            times.unsealed.extend(ask(&mut unsealed, (LEAD, LEAD_TIME), RUNS / GROUPS, false)?);
            for (_, child, times) in &mut sqlite {
                times.extend(ask(child, (LEAD, LEAD_TIME), RUNS / GROUPS, false)?);
            }
        }
        times.cold = ask(&mut sealed, (0, Duration::ZERO), RUNS, true)?;
        times.sqlite = sqlite.iter_mut().map(|(kind, _, times)| (*kind, std::mem::take(times))).collect();
        measured.push((kind, times));
    }
    Ok(measured)
}

fn start(fleet: &mut Fleet, kind: StoreKind) -> Result<Child> {
    let directory = fleet.settled(kind)?.directory;
    let place = Place { kind, directory };
    let job = QueryJob { place, seed: fleet.seed, seconds: fleet.seconds, unsettled_after: None };
    Child::start(kind.name(), &Job::Query(job))
}

/// Starts a child that fills a store, three quarters of it settled and the last quarter not.
pub(crate) fn start_unsettled(fleet: &Fleet, place: Place) -> Result<Child> {
    let name = format!("{} with unsealed rows", place.kind.name());
    let unsettled_after = Some(fleet.seconds * 3 / 4);
    Child::start(name, &Job::Query(QueryJob { place, seed: fleet.seed, seconds: fleet.seconds, unsettled_after }))
}

/// The child that answers questions.
pub(crate) fn serve<S: Store>(job: QueryJob) -> Result<()> {
    let store = S::open(job.place.kind, &job.place.directory)?;
    if let Some(sealed) = job.unsettled_after {
        fill(&store, &job, sealed)?;
    }
    let rows = Generator::new(job.seed)?.rows(job.seconds);
    let after = job.unsettled_after.unwrap_or(0);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(!job.seed);
    let asker = Asker { kind: job.place.kind, store, rows };
    child::serve(|request: Request| {
        let draw = |_| Question::draw(request.kind, &mut random, &asker.rows, after);
        let questions: Vec<_> = (0..request.lead.0 + request.runs).map(draw).collect();
        asker.ask(&questions, request.lead, request.cold)
    })
}

/// Large batches for what is settled, one second at a time for the rest, as it would arrive.
fn fill<S: Store>(store: &S, job: &QueryJob, sealed: usize) -> Result<()> {
    let mut generator = Generator::new(job.seed)?;
    for first in (0..sealed).step_by(500) {
        store.append(&store.batch(&generator.rows(500.min(sealed - first)))?)?;
    }
    store.settle()?;
    for _ in sealed..job.seconds {
        store.append(&store.batch(&generator.rows(1))?)?;
    }
    Ok(())
}

struct Asker<S> {
    kind: StoreKind,
    store: S,
    rows: Rows,
}

impl<S: Store> Asker<S> {
    /// Run times in microseconds of all questions but the first, every timed answer checked.
    fn ask(&self, questions: &[Question], lead: (usize, Duration), cold: bool) -> Result<Vec<f64>> {
        let (mut times, mut answers, mut spent) = (Vec::new(), Vec::new(), Duration::ZERO);
        let (untimed, timed) = questions.split_at(lead.0.min(questions.len()));
        let begin = Instant::now();
        for question in untimed.iter().take_while(|_| begin.elapsed() < lead.1) {
            std::hint::black_box(self.store.answer(question)?);
        }
        for question in timed {
            if cold {
                self.store.empty_cache()?;
            }
            let begin = Instant::now();
            let answer = self.store.answer(question)?;
            let time = begin.elapsed();
            answers.push(answer);
            times.push(time.as_secs_f64() * 1e6);
            spent += time;
            if spent > BUDGET {
                break;
            }
        }
        for (question, answer) in timed.iter().zip(answers) {
            question.check(&S::numbers(answer)?, &self.rows).context(self.kind.name())?;
        }
        Ok(times)
    }
}

/// Rows of the workload that are not settled in a store that [`start_unsettled`] filled.
pub(crate) fn unsettled_rows(fleet: &Fleet) -> u64 {
    ((fleet.seconds - fleet.seconds * 3 / 4) * DEVICES) as u64
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_of_fifty_runs() {
        let values: Vec<_> = (1..=50).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 25.5);
        assert_eq!(quantile(&values, 0.95), 48.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[7.0], 0.95), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
