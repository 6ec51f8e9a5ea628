//! Does what the machine decides: several things at a time, until there is nothing to do or it is told to end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium::Shipment;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::circuit::Circuit;
use super::failed::Failed;
use super::ledger::Teller;
use super::machine::{Action, Machine, Work};
use super::report::{self, Report};
use super::{Orders, Shared, Worker};

/// Failures of the target in a row after which a single run gives up, and what it does not wait for.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a segment is known by.
type Id = [u8; 32];

/// How a single run ended.
#[derive(Debug)]
pub enum Once {
    /// Everything there was is announced and held.
    Done(Report),
    /// Something is left, for what failed; the report says what was set aside.
    Left(Report, Failed),
}

/// What ended, and whether everything is to be cut again.
type Ended = (Action<Id>, Result<bool, Failed>);

/// One run of the worker.
struct Drive {
    shared: Arc<Shared>,
    machine: Machine<Id>,
    /// Whether it is to send everything there is, and end.
    once: bool,
    has_cut: bool,
    began: Instant,
    tasks: JoinSet<Ended>,
    /// What is due, by its hash.
    due: HashMap<Id, Shipment>,
    orders: Orders,
    why: String,
    /// Files that were begun to be sent.
    names: HashMap<Id, String>,
    why_aside: HashMap<Id, String>,
    last: Option<Failed>,
}

impl Worker {
    /// Works until `stop` ends. What is on its way then is given up: the next run goes on with it.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let (mut drive, mut teller) = (Drive::new(&self.shared, false), Teller::new(&self.shared));
        tokio::select! {
            // Always in this order, here and below, so that who simulates it sees the same each time: who tells looks before anything is cut.
            biased;
            () = stop => {}
            () = tell(&mut teller, false) => {}
            () = drive.run() => {}
        }
        drive.tasks.shutdown().await;
        shutdown(teller).await;
    }

    /// Cuts, announces and sends everything there is, and ends; or gives up where the target does not do its part.
    pub async fn run_once(&self) -> Once {
        let mut teller = Teller::new(&self.shared);
        let mut drive = Drive::new(&self.shared, true);
        for _ in 0..TRIES {
            tokio::select! {
                biased;
                () = tell(&mut teller, false) => {}
                () = drive.run() => {}
            }
            tell(&mut teller, true).await;
            if !self.shared.centre.as_ref().is_some_and(|telling| telling.wants_fork()) {
                break;
            }
        }
        drive.tasks.shutdown().await;
        let failed = drive.last.take().filter(|_| drive.is_left()).or_else(|| teller.as_mut()?.left());
        shutdown(teller).await;
        let report = self.shared.reporter.watch().borrow().clone();
        match failed {
            Some(failed) => Once::Left(report, failed),
            None => Once::Done(report),
        }
    }
}

/// Tells the centre, where there is one: see [`Teller::run`]; but for `once` for ever.
async fn tell(teller: &mut Option<Teller>, once: bool) {
    if let Some(teller) = teller {
        teller.run(once).await;
    }
    // What carries things to the target goes on by itself.
    if !once {
        std::future::pending::<()>().await;
    }
}

async fn shutdown(teller: Option<Teller>) {
    if let Some(mut teller) = teller {
        teller.shutdown().await;
    }
}

impl Drive {
    fn new(shared: &Arc<Shared>, once: bool) -> Self {
        let policy = &shared.policy;
        Drive {
            machine: Machine::new(policy.parallel, policy.cut_every, fastrand::u64(..)),
            shared: shared.clone(),
            once,
            has_cut: false,
            began: Instant::now(),
            tasks: JoinSet::new(),
            due: HashMap::new(),
            orders: *shared.orders.borrow(),
            why: String::new(),
            names: HashMap::new(),
            why_aside: HashMap::new(),
            last: None,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn run(&mut self) {
        let mut orders = self.shared.orders.subscribe();
        self.obey(*orders.borrow_and_update());
        loop {
            let work = match self.look() {
                Ok(work) => work,
                // The database was closed, or cannot be read: whoever owns it knows.
                Err(failed) => {
                    self.last = Some(failed);
                    return;
                }
            };
            for action in self.machine.decide(self.now(), &work) {
                self.begin(action);
            }
            self.tell();
            if self.once && self.is_over(&work) {
                return;
            }
            let wake = self.machine.wake_at(self.now(), &work).saturating_sub(self.now());
            // A clock that is read twice may have moved on.
            let wake = wake.clamp(Duration::from_millis(1), Duration::from_secs(3600));
            tokio::select! {
                biased;
                changed = orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.obey(*orders.borrow_and_update());
                }
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    fn obey(&mut self, orders: Orders) {
        self.machine.pause(orders.paused);
        if orders.retries != self.orders.retries {
            self.machine.retry();
        }
        if orders.meetings != self.orders.meetings {
            self.machine.meet_again();
        }
        self.orders = orders;
    }

    /// What there is to do.
    fn look(&mut self) -> Result<Work<Id>, Failed> {
        let head = self.shared.db.delivery(&self.shared.name).head()?;
        let to_announce = head.announced.map_or(0, |announced| announced.cut) < head.cuts;
        let due = self.shared.due(self.machine.aside().len(), self.once)?;
        let keys = due.iter().map(|shipment| shipment.hash).collect();
        self.due = due.into_iter().map(|shipment| (shipment.hash, shipment)).collect();
        let (due, machine) = (&self.due, &mut self.machine);
        machine.keep_aside(|key| due.contains_key(key));
        self.why_aside.retain(|key, _| machine.aside().contains_key(key));
        Ok(Work { to_announce, to_confirm: self.shared.to_confirm.load(Ordering::Acquire), due: keys })
    }

    fn begin(&mut self, action: Action<Id>) {
        let (shared, everything) = (self.shared.clone(), self.once && !self.has_cut);
        match action {
            Action::Cut => {
                self.has_cut = true;
                self.tasks.spawn_blocking(move || (action, shared.cut(everything).map(|()| false)));
            }
            Action::Confirm => drop(self.tasks.spawn(async move { (action, shared.confirm().await.map(|()| false)) })),
            Action::Meet => drop(self.tasks.spawn(async move { (action, shared.meet().await) })),
            Action::Announce => drop(self.tasks.spawn(async move { (action, shared.announce().await.map(|()| false)) })),
            Action::Send(key) => {
                let Some(shipment) = self.due.get(&key).cloned() else { return };
                self.names.insert(key, shipment.path.display().to_string());
                self.tasks.spawn(async move { (action, shared.send(&shipment).await.map(|()| false)) });
            }
        }
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let (action, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Which it was is not known: a run that begins anew knows what there is to do.
                tracing::error!(%error, "a task of the worker did not come to its end");
                self.last = Some(error.into());
                let (parallel, every) = (self.shared.policy.parallel, self.shared.policy.cut_every);
                self.tasks.abort_all();
                self.tasks = JoinSet::new();
                self.machine = Machine::new(parallel, every, fastrand::u64(..));
                return;
            }
        };
        let means = outcome.as_ref().map(drop).map_err(Failed::means);
        if matches!(outcome, Ok(true) | Err(Failed::Estranged { .. })) {
            self.has_cut = false;
            self.machine.cut_soon();
        }
        if let Err(failed) = outcome {
            self.failed(action, failed);
        }
        self.machine.ended(self.now(), action, means);
        if let Action::Send(key) = action
            && !self.machine.aside().contains_key(&key)
        {
            self.names.remove(&key);
        }
    }

    fn failed(&mut self, action: Action<Id>, failed: Failed) {
        tracing::warn!(delivery = self.shared.name, %failed, "something was not sent; it is tried again");
        self.shared.reporter.count(|counts| counts.failures += 1);
        self.why = failed.to_string();
        if let Action::Send(key) = action {
            self.why_aside.insert(key, self.why.clone());
        }
        self.last = Some(failed);
    }

    /// Whether a single run has nothing more to do, or no hope.
    fn is_over(&self, work: &Work<Id>) -> bool {
        if !self.tasks.is_empty() {
            return false;
        }
        let is_hopeless = match self.machine.circuit() {
            Circuit::Closed => self.orders.paused,
            Circuit::Open { failures, until } => failures >= TRIES || until > self.now() + PATIENCE,
        };
        let is_left = work.to_announce || work.to_confirm || work.due.iter().any(|key| !self.machine.aside().contains_key(key));
        is_hopeless || (self.has_cut && !is_left)
    }

    /// Whether anything is left.
    fn is_left(&self) -> bool {
        let state = self.shared.db.delivery(&self.shared.name).state();
        state.is_ok_and(|state| state.cuts_left > 0) || self.machine.circuit().failures() > 0
    }

    fn tell(&self) {
        let now = self.now();
        let aside = self
            .machine
            .aside()
            .iter()
            .filter_map(|(key, aside)| Some((self.names.get(key)?.clone(), aside, self.why_aside.get(key)?.as_str())));
        let aside = report::aside(aside, now);
        self.shared.reporter.tell(|report| {
            report.paused = self.orders.paused;
            report.circuit = report::circuit(self.machine.circuit(), now, &self.why);
            report.aside = aside;
            report.sending = self.machine.sending() as u64;
        });
    }
}
