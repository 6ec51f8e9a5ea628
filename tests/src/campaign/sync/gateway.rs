//! A gateway that lives, is carried to a store by the real worker, loses power, and goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_sync::metadata::Wanted;
use alluvium_sync::objects::{Sizes, Target, Throttle};
use alluvium_sync::worker::{Once, Policy, Worker};
use fastrand::Rng;
use tempfile::TempDir;

use super::bucket::Kind;
use super::centre::SimulatedCentre;
use super::fate::{Asked, Fate};
use super::fault::{Call, Fault};
use super::home::Home;
use super::kept::Evicted;
use super::life::{self, Run};
use super::mirror::MirroredDisk;
use super::store::Store;
use super::{Violation, at, check, ensure, ledger};
use crate::sim::{Machine, locked};

/// What the gateway is called.
pub const NAME: &str = "pump house";
/// What its delivery is called.
pub const DELIVERY: &str = "bucket";
/// How long somebody waits for an answer before he gives up.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Runs in a row that may end with something left although nothing fails any more.
const LEFT: usize = 2;

/// A gateway and what is around it.
pub struct Gateway {
    seed: u64,
    fate: Arc<Fate>,
    store: Store,
    centre: Option<SimulatedCentre>,
    home: Arc<Mutex<Home>>,
    dir: TempDir,
    worker: Option<Worker>,
    random: Rng,
    /// How often it went on under a new incarnation.
    forks: u64,
    evicted: Evicted,
}

/// How a run of the worker ended.
enum Ended {
    Done,
    Left(String),
    Cut,
    Stopped,
}

/// A directory in memory, where there is one.
fn directory() -> std::io::Result<TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }
}

/// Stores differ from seed to seed.
fn kind(seed: u64) -> Kind {
    Kind { creates_only_once: seed % 3 != 2, marks_content: (seed / 2) % 2 == 1 }
}

/// Whether a life has a centre. Most gateways have none, and then nothing is queued, so that lives without one stay; of the two kinds of
/// stores each is met with a centre and without. Of any three seeds that follow each other there are both.
pub fn has_centre(seed: u64) -> bool {
    matches!(seed % 6, 0 | 2 | 3)
}

/// Whether manifests were read as something else more than once: of one such answer the worker makes sure.
fn is_misled(fate: &Fate) -> bool {
    let asked = fate.asked();
    let read = |asked: &&Asked| asked.call == Call::Get && asked.key.ends_with(".manifest.json");
    asked.iter().filter(read).filter(|asked| asked.fault == Some(Fault::Wrong)).count() > 1
}

impl Drop for Gateway {
    /// What happens meanwhile has the home, and the home has the store.
    fn drop(&mut self) {
        self.live_on_meanwhile(false);
    }
}

impl Gateway {
    /// A gateway that has not lived yet.
    pub fn new(seed: u64, fate: Arc<Fate>) -> Result<Gateway, Violation> {
        let dir = directory().map_err(|error| Violation(format!("no directory: {error}")))?;
        let store = Store::new(kind(seed), fate.clone());
        let centre = has_centre(seed).then(|| SimulatedCentre::new(NAME, fate.clone()));
        let home = Arc::new(Mutex::new(Home::new(seed, store.clone(), fate.clone())));
        let random = Rng::with_seed(seed);
        let gateway =
            Gateway { seed, fate, store, centre, home, dir, worker: None, random, forks: 0, evicted: Evicted::default() };
        gateway.live_on_meanwhile(true);
        gateway.open()?;
        Ok(gateway)
    }

    /// Whether it lives on while a call takes long.
    fn live_on_meanwhile(&self, lives: bool) {
        let meanwhile = || -> Option<Box<dyn Fn() + Send + Sync>> {
            let home = self.home.clone();
            lives.then(|| Box::new(move || locked(&home).meanwhile()) as _)
        };
        self.store.meanwhile(meanwhile());
        self.centre.iter().for_each(|centre| centre.meanwhile(meanwhile()));
    }

    /// Lives its life, followed by the worker, and holds what there is then against what there should be.
    pub async fn live(&mut self) -> Result<(), Violation> {
        for number in 0..life::STRETCHES {
            let (steps, run) = life::stretch(number, &locked(&self.home).kept.written, self.seed);
            steps.iter().try_for_each(|step| locked(&self.home).perform(step))?;
            self.carry(run).await.map_err(at(format_args!("stretch {number}")))?;
        }
        self.carry_all().await.map_err(at("at the end"))?;
        self.stop_worker().await?;
        self.live_on_meanwhile(false);
        self.fate.rest();
        let (db, kept) = {
            let mut home = locked(&self.home);
            (home.db()?.clone(), std::mem::take(&mut home.kept))
        };
        let target = self.target();
        self.evicted = check::everything(&db, &kept, &self.store, &target, self.dir.path(), is_misled(&self.fate)).await?;
        match &self.centre {
            Some(centre) => ledger::everything(&db, centre.now(), &self.store, &target).await.map_err(at("at the centre")),
            None => Ok(()),
        }
    }

    /// How often it went on under a new incarnation.
    pub fn forks(&self) -> u64 {
        self.forks
    }

    /// What came of letting go of rows, once that is seen.
    pub fn evicted(&self) -> Evicted {
        self.evicted
    }

    /// Uploads in parts that are left in the store.
    pub fn uploads_left(&self) -> usize {
        self.store.look(super::bucket::Bucket::uploads)
    }

    fn open(&self) -> Result<(), Violation> {
        locked(&self.home).open(&self.dir.path().join("data"))
    }

    fn target(&self) -> Target {
        // So small that the largest segments go in a few parts.
        let sizes = Sizes { in_one: 8 << 10, part: 4 << 10 };
        let (store, parts) = (Arc::new(self.store.clone()), Arc::new(self.store.clone()));
        Target::in_store("simulated:///", store, parts, sizes, Throttle::new(None, None))
    }

    fn start_worker(&mut self) -> Result<Worker, Violation> {
        if let Some(worker) = &self.worker {
            return Ok(worker.clone());
        }
        let policy = Policy {
            parallel: 2,
            cut_every: Duration::from_secs(3_600),
            enough_bytes: 1 << 20,
            wanted: Wanted { pairs: true, queues: false },
            ..Policy::default()
        };
        let db = locked(&self.home).db()?.clone();
        let (target, scratch) = (self.target(), self.dir.path().join("scratch"));
        let worker = match self.centre.clone() {
            Some(centre) => Worker::with_centre(db, DELIVERY, NAME, target, policy, &scratch, Box::new(centre)),
            None => Worker::new(db, DELIVERY, NAME, target, policy, &scratch),
        };
        let worker = worker.map_err(|failed| Violation(format!("no worker: {failed}")))?;
        self.worker = Some(worker.clone());
        Ok(worker)
    }

    /// Ends the worker, and waits until nothing of it is left.
    async fn stop_worker(&mut self) -> Result<(), Violation> {
        if let Some(worker) = self.worker.take() {
            self.forks += worker.reports().borrow().counts.forks;
        }
        for _ in 0..1_000 {
            if Arc::strong_count(locked(&self.home).db()?) == 1 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(Violation("something of the worker goes on after its end".to_owned()))
    }

    /// Lets the worker run until nothing was done meanwhile: what is done while a call takes hours may be left to the next run, and that the
    /// centre was put back is seen when it is met the next time.
    async fn carry_all(&mut self) -> Result<(), Violation> {
        let meanwhile = |of: &Self| (locked(&of.home).meanwhiles, of.centre.as_ref().map_or(0, SimulatedCentre::put_back));
        loop {
            let before = meanwhile(self);
            self.carry(Run::Once).await?;
            if meanwhile(self) == before {
                return Ok(());
            }
        }
    }

    /// Lets the worker run, however often that takes.
    async fn carry(&mut self, run: Run) -> Result<(), Violation> {
        let (mut left, mut struck) = (0, self.fate.struck().len());
        loop {
            let ended = self.run(run).await;
            if let Some(violation) = locked(&self.home).wrong.take() {
                return Err(violation);
            }
            match ended {
                Ok(Ended::Done) => return Ok(()),
                Ok(Ended::Left(why)) => {
                    // What was set aside is tried again by the next run.
                    let now = self.fate.struck().len();
                    left = if now == struck { left + 1 } else { 0 };
                    struck = now;
                    ensure(left <= LEFT, || format!("nothing fails any more, and yet: {why}"))?;
                }
                Ok(Ended::Stopped) => {
                    self.stop_worker().await?;
                    self.give_up();
                    if run != Run::Once {
                        return Ok(());
                    }
                }
                Ok(Ended::Cut) => self.lose_power().await.map_err(at("after the power was cut"))?,
                Err(violation) => {
                    // It may have begun when there was no power any more.
                    ensure(self.fate.check().is_err(), || violation.0.clone())?;
                    self.lose_power().await.map_err(at("after the power was cut"))?;
                }
            }
        }
    }

    async fn run(&mut self, run: Run) -> Result<Ended, Violation> {
        self.fate.count(true);
        let outcome = self.run_counted(run).await;
        self.fate.count(false);
        outcome
    }

    async fn run_counted(&mut self, run: Run) -> Result<Ended, Violation> {
        let worker = self.start_worker()?;
        // A run of some minutes ends by itself.
        let given_up = async {
            if run != Run::Once {
                std::future::pending::<()>().await;
            }
            self.fate.hung.notified().await;
            tokio::time::sleep(PATIENCE).await;
        };
        let running = async {
            match run {
                Run::Once => match worker.run_once().await {
                    Once::Done(_) => Ended::Done,
                    Once::Left(_, failed) => Ended::Left(failed.to_string()),
                },
                Run::For(time) => {
                    worker.run(tokio::time::sleep(time)).await;
                    Ended::Stopped
                }
            }
        };
        let ended = tokio::select! {
            biased;
            () = self.fate.cut.notified() => Ended::Cut,
            () = given_up => Ended::Stopped,
            ended = running => ended,
        };
        // Who stops for want of a disk stops before anybody tells.
        Ok(if self.fate.check().is_err() { Ended::Cut } else { ended })
    }

    /// Nobody waits any more for what was asked.
    fn give_up(&self) {
        self.store.give_up();
        self.centre.iter().for_each(SimulatedCentre::give_up);
    }

    /// Loses what was not synced, and opens what is left.
    async fn lose_power(&mut self) -> Result<(), Violation> {
        self.stop_worker().await?;
        self.give_up();
        let image = {
            let mut home = locked(&self.home);
            // Some lose no more than the process.
            let disk = &home.machine.disk;
            let image = if self.random.u8(0..4) == 0 { disk.after_shutdown() } else { disk.after_power_cut(&mut self.random) };
            home.go_on(Machine::from_image(&image, self.random.u64(..)));
            image
        };
        self.fate.revive();
        let shown = MirroredDisk::show(&self.dir.path().join("data"), &image);
        shown.map_err(|error| Violation(format!("cannot show segments: {error}")))?;
        self.open()?;
        let home = locked(&self.home);
        check::nothing_noted_in_vain(home.db()?, &self.store)
    }
}
