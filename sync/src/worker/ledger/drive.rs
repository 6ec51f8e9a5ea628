//! Does what the machine decides, one at a time, until there is nothing to do or it is told to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::circuit::Circuit;
use super::super::failed::Failed;
use super::super::machine::Failure;
use super::super::report::{self, LedgerReport};
use super::super::{Orders, Shared};
use super::Telling;
use super::machine::{Machine, Step, Work};
use super::queue;

/// Failures of the centre in a row after which a single run gives up, and what it does not wait for.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is counted what is queued.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What ended.
type Ended = (Step, Result<(), Failed>);

/// Tells one centre of what one worker does.
pub(in crate::worker) struct Teller {
    shared: Arc<Shared>,
    telling: Arc<Telling>,
    machine: Machine,
    began: Instant,
    tasks: JoinSet<Ended>,
    orders: Orders,
    why: String,
    last: Option<Failed>,
    counted: Option<Instant>,
}

impl Teller {
    /// Where there is a centre.
    pub(in crate::worker) fn new(shared: &Arc<Shared>) -> Option<Self> {
        Some(Teller {
            telling: shared.centre.clone()?,
            shared: shared.clone(),
            machine: Machine::new(fastrand::u64(..)),
            began: Instant::now(),
            tasks: JoinSet::new(),
            orders: *shared.orders.borrow(),
            why: String::new(),
            last: None,
            counted: None,
        })
    }

    /// Works until it is dropped; or, `once`, until everything is told that there is, or the centre does not do its part. To drop this and
    /// begin it again is to go on.
    pub(in crate::worker) async fn run(&mut self, once: bool) {
        let mut orders = self.shared.orders.subscribe();
        let telling = self.telling.clone();
        loop {
            self.obey(*orders.borrow_and_update());
            let work = match self.look() {
                Ok(work) => work,
                // The database was closed, or a note cannot be read.
                Err(failed) if once => {
                    self.last = Some(failed);
                    return;
                }
                Err(failed) => {
                    self.cannot_look(failed);
                    Work::default()
                }
            };
            if let Some(step) = self.machine.decide(self.now(), &work) {
                self.begin(step);
            }
            let is_over = once && self.is_over(&work);
            self.tell(is_over);
            if is_over {
                return;
            }
            let wake = self.machine.wake_at(self.now()).saturating_sub(self.now());
            // A clock that is read twice may have moved on.
            let wake = wake.clamp(Duration::from_millis(1), Duration::from_secs(3600));
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = tokio::time::sleep(wake) => {}
                () = telling.news.notified() => {}
                changed = orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives up what is under way.
    pub(in crate::worker) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }

    /// What failed last, where something is left to be told.
    pub(in crate::worker) fn left(&mut self) -> Option<Failed> {
        let told = queue::told(&self.shared.db, &self.shared.name);
        let is_left = told.is_ok_and(|told| told.is_some_and(|told| told.cuts + told.metadata + told.segments > 0));
        let is_left = is_left || self.machine.circuit().failures() > 0;
        self.last.take().filter(|_| is_left)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn obey(&mut self, orders: Orders) {
        self.machine.pause(orders.paused);
        if orders.retries != self.orders.retries {
            self.machine.retry();
        }
        self.orders = orders;
    }

    /// What there is to tell.
    fn look(&mut self) -> Result<Work, Failed> {
        let announced = self.shared.db.delivery(&self.shared.name).head()?.announced.map_or(0, |announced| announced.cut);
        let aside = self.machine.aside().len();
        let queued = self.shared.queued_metadata(aside + 1)?.into_iter().map(|(cut, _)| cut);
        let work = Work {
            // What is queued and was not announced may come to be another one.
            cut: self.shared.first_queued()?.is_some_and(|(cut, _)| cut <= announced),
            metadata: queued.filter(|cut| *cut <= announced).collect(),
            segments: !self.shared.queued_segments(1)?.is_empty(),
        };
        let is_queued = |cut| work.metadata.contains(&cut);
        if aside > 0 && !self.machine.aside().keys().all(|cut| is_queued(*cut)) {
            self.machine.keep_aside(is_queued);
        }
        Ok(work)
    }

    fn begin(&mut self, step: Step) {
        let (shared, telling) = (self.shared.clone(), self.telling.clone());
        self.tasks.spawn(async move {
            let outcome = match step {
                Step::Meet => shared.meet_centre(&telling).await,
                Step::Cut => shared.tell_cut(&telling).await,
                Step::Metadata(cut) => shared.tell_metadata(&telling, cut).await,
                Step::Segments => shared.tell_segments(&telling).await,
                Step::Fill => shared.fill(&telling).await,
            };
            (step, outcome)
        });
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let (step, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // A machine that begins anew meets first.
                tracing::error!(%error, "a task of the worker did not come to its end");
                self.last = Some(error.into());
                self.machine = Machine::new(fastrand::u64(..));
                return;
            }
        };
        let means = outcome.as_ref().map(drop).map_err(Failed::means);
        if let Err(failed) = outcome {
            self.failed(&failed);
            self.last = Some(failed);
        }
        self.machine.ended(self.now(), step, means);
    }

    fn failed(&mut self, failed: &Failed) {
        let delivery = &self.shared.name;
        match failed.means() {
            Failure::Estranged => tracing::warn!(delivery, %failed, "the centre is not where it was"),
            _ => tracing::warn!(delivery, %failed, "the centre was not told something; it is tried again"),
        }
        self.why = failed.to_string();
    }

    /// It is not known what there is to tell: it is looked again after a while.
    fn cannot_look(&mut self, failed: Failed) {
        if self.tasks.is_empty() && self.now() >= self.machine.wake_at(self.now()) {
            self.failed(&failed);
            self.machine.ended(self.now(), Step::Meet, Err(failed.means()));
        }
        self.last = Some(failed);
    }

    /// Whether a single run has nothing more to do, or no hope.
    fn is_over(&self, work: &Work) -> bool {
        if !self.tasks.is_empty() {
            return false;
        }
        let is_for_somebody = self.last.as_ref().is_some_and(Failed::is_for_somebody);
        match self.machine.circuit() {
            Circuit::Closed => self.orders.paused || self.machine.is_idle(self.now(), work),
            // Whoever announces cuts has to fork first.
            _ if self.telling.wants_fork() => true,
            Circuit::Open { failures, until } => is_for_somebody || failures >= TRIES || until > self.now() + PATIENCE,
        }
    }

    fn tell(&mut self, always: bool) {
        let circuit = report::circuit(self.machine.circuit(), self.now(), &self.why);
        let is_time = self.counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY);
        let told = (always || is_time).then(|| queue::told(&self.shared.db, &self.shared.name).ok().flatten()).flatten();
        if told.is_some() {
            self.counted = Some(Instant::now());
        }
        self.shared.reporter.tell(|report| {
            let ledger = report.ledger.get_or_insert_with(LedgerReport::default);
            ledger.circuit = circuit;
            ledger.told = told.unwrap_or(ledger.told);
            ledger.aside = self.machine.aside().len() as u64;
        });
    }
}
