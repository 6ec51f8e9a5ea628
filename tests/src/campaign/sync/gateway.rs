//! A gateway that lives, is carried to a store by the real worker, loses power, and goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{Database, Settings};
use alluvium_sync::metadata::Wanted;
use alluvium_sync::objects::{Sizes, Target, Throttle};
use alluvium_sync::worker::{Once, Policy, Worker};
use fastrand::Rng;
use tempfile::TempDir;

use super::bucket::Kind;
use super::fate::{Asked, Fate};
use super::fault::{Call, Fault};
use super::life::{self, Run};
use super::mirror::MirroredDisk;
use super::store::Store;
use super::{Violation, at, check, ensure};
use crate::model::Model;
use crate::sim::{Machine, locked, small_settings};
use crate::steps::{self, Step};

/// What the gateway is called.
pub const NAME: &str = "pump house";
/// What its delivery is called.
pub const DELIVERY: &str = "bucket";
/// How long somebody waits for an answer before he gives up.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Runs in a row that may end with something left although nothing fails any more.
const LEFT: usize = 2;

/// What a gateway holds, and should hold.
struct Home {
    db: Option<Arc<Database>>,
    model: Model,
    machine: Machine,
    fate: Arc<Fate>,
    /// Steps that went wrong while somebody else was at it.
    wrong: Option<Violation>,
    seed: u64,
    meanwhiles: u64,
}

/// A gateway and what is around it.
pub struct Gateway {
    seed: u64,
    fate: Arc<Fate>,
    store: Store,
    home: Arc<Mutex<Home>>,
    dir: TempDir,
    worker: Option<Worker>,
    random: Rng,
    /// How often it went on under a new incarnation.
    forks: u64,
}

/// How a run of the worker ended.
enum Ended {
    Done,
    Left(String),
    Cut,
    Stopped,
}

/// Under which settings little makes much happen.
fn settings() -> Settings {
    Settings { ballast_bytes: 0, ..small_settings() }
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

/// Whether manifests were read as something else more than once: of one such answer the worker makes sure.
fn is_misled(fate: &Fate) -> bool {
    let asked = fate.asked();
    let read = |asked: &&Asked| asked.call == Call::Get && asked.key.ends_with(".manifest.json");
    asked.iter().filter(read).filter(|asked| asked.fault == Some(Fault::Wrong)).count() > 1
}

impl Home {
    fn db(&self) -> Result<&Arc<Database>, Violation> {
        self.db.as_ref().ok_or_else(|| Violation("the database is not open".to_owned()))
    }

    fn perform(&mut self, step: &Step) -> Result<(), Violation> {
        let db = self.db()?;
        let done = match step {
            Step::Write(effect) => steps::write(db, effect),
            Step::Seal => db.seal(),
            Step::Compact => db.compact().map(drop),
            Step::Pass(micros) => {
                self.machine.clock.pass(*micros);
                Ok(())
            }
            other => return Err(Violation(format!("no step of a gateway: {other:?}"))),
        };
        done.map_err(|error| Violation(format!("{}: {error}", step.name())))?;
        step.apply(&mut self.model, |_, _| {});
        Ok(())
    }

    /// Lives on while a call takes long.
    fn meanwhile(&mut self) {
        self.meanwhiles += 1;
        let steps = life::meanwhile(&self.model, self.seed ^ self.meanwhiles << 48);
        self.fate.count(false);
        let lived = steps.iter().try_for_each(|step| self.perform(step));
        self.fate.count(true);
        if let Err(violation) = lived {
            self.wrong.get_or_insert(violation);
        }
    }
}

impl Gateway {
    /// A gateway that has not lived yet.
    pub fn new(seed: u64, fate: Arc<Fate>) -> Result<Gateway, Violation> {
        let dir = directory().map_err(|error| Violation(format!("no directory: {error}")))?;
        let machine = Machine::new(seed);
        machine.clock.set_wall(life::BEGIN);
        let store = Store::new(kind(seed), fate.clone());
        let (fate_of_home, model) = (fate.clone(), Model::default());
        let home = Home { db: None, model, machine, fate: fate_of_home, wrong: None, seed, meanwhiles: 0 };
        let home = Arc::new(Mutex::new(home));
        let for_store = home.clone();
        store.meanwhile(Some(Box::new(move || locked(&for_store).meanwhile())));
        let random = Rng::with_seed(seed);
        let gateway = Gateway { seed, fate, store, home, dir, worker: None, random, forks: 0 };
        gateway.open()?;
        Ok(gateway)
    }

    /// Lives its life, followed by the worker, and holds what there is then against what there should be.
    pub async fn live(&mut self) -> Result<(), Violation> {
        for number in 0..life::STRETCHES {
            let (steps, run) = life::stretch(number, &locked(&self.home).model, self.seed);
            steps.iter().try_for_each(|step| locked(&self.home).perform(step))?;
            self.carry(run).await.map_err(at(format_args!("stretch {number}")))?;
        }
        self.carry_all().await.map_err(at("at the end"))?;
        self.stop_worker().await?;
        self.store.meanwhile(None);
        self.fate.rest();
        let (db, model) = {
            let home = locked(&self.home);
            (home.db()?.clone(), home.model.clone())
        };
        check::everything(&db, &model, &self.store, &self.target(), self.dir.path(), is_misled(&self.fate)).await
    }

    /// How often it went on under a new incarnation.
    pub fn forks(&self) -> u64 {
        self.forks
    }

    /// Uploads in parts that are left in the store.
    pub fn uploads_left(&self) -> usize {
        self.store.look(super::bucket::Bucket::uploads)
    }

    fn open(&self) -> Result<(), Violation> {
        let mut home = locked(&self.home);
        let disk = MirroredDisk::new(home.machine.disk.clone(), self.fate.clone());
        let builder = home.machine.builder_over(Arc::new(disk), settings());
        let db = builder.open(self.dir.path().join("data"));
        home.db = Some(Arc::new(db.map_err(|error| Violation(format!("does not open: {error}")))?));
        Ok(())
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
        let worker = Worker::new(db, DELIVERY, NAME, self.target(), policy, &self.dir.path().join("scratch"));
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

    /// Lets the worker run until nothing was done meanwhile: what is done while a call takes hours may be left to the next run.
    async fn carry_all(&mut self) -> Result<(), Violation> {
        loop {
            let before = locked(&self.home).meanwhiles;
            self.carry(Run::Once).await?;
            if locked(&self.home).meanwhiles == before {
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
                    self.store.give_up();
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

    /// Loses what was not synced, and opens what is left.
    async fn lose_power(&mut self) -> Result<(), Violation> {
        self.stop_worker().await?;
        self.store.give_up();
        let image = {
            let mut home = locked(&self.home);
            home.db = None;
            // Some lose no more than the process.
            let disk = &home.machine.disk;
            let image = if self.random.u8(0..4) == 0 { disk.after_shutdown() } else { disk.after_power_cut(&mut self.random) };
            let mut machine = Machine::from_image(&image, self.random.u64(..));
            machine.clock = home.machine.clock.clone();
            machine.clock.start_again();
            home.machine = machine;
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
