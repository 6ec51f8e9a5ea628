//! The worker: carries what a database holds to one target, for as long as it is asked to.
//!
//! - `machine`: decides what to do next, without I/O;
//! - `cut`, `meet`, `announce`, `send`, `confirm`: what it decides to do;
//! - `drive`: does it, several things at a time, and tells how it stands;
//! - `sweep`: gives up uploads that nobody goes on with;
//! - `notes`: what it notes in the database, so that a restart goes on where it was;
//! - `ledger`: tells the centre what the target has, where there is one, and in nobody's way.
//!
//! Whatever fails is tried again, whatever is asked twice has the effect of once: objects are named by their hash or created only once,
//! and what was noted here is no more than what was seen there.

mod announce;
mod circuit;
mod confirm;
mod cut;
mod drive;
mod failed;
pub(crate) mod ledger;
mod machine;
mod meet;
mod notes;
mod report;
mod send;
mod sweep;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alluvium::{Database, SendOrder};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};

pub use drive::Once;
pub use failed::Failed;
pub use ledger::{Centre, MemoryCentre, Told, told};
pub(crate) use notes::put_sent_as;
pub use report::{AsideReport, CircuitReport, Counts, LedgerReport, Report};

use crate::metadata::{Looked, Wanted};
use crate::objects::Target;
use crate::postgres::Ledger;
use ledger::Telling;
use report::Reporter;

/// How the worker goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Segments on their way at the same time.
    pub parallel: usize,
    /// Which of them go first.
    pub order: SendOrder,
    /// How often to look for what was sealed since the last cut.
    pub cut_every: Duration,
    /// After how long everything is cut and sent, however little it is.
    pub max_delay: Duration,
    /// How long after the end of a partition rows of it are still expected.
    pub late_allowance: Duration,
    /// Bytes of a segment that is sent at once; smaller ones wait to be folded together until one of the above says otherwise.
    pub enough_bytes: u64,
    /// Which metadata are sent besides those that always are.
    pub wanted: Wanted,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            parallel: 4,
            order: SendOrder::default(),
            cut_every: Duration::from_secs(60),
            max_delay: Duration::from_secs(3600),
            late_allowance: Duration::from_secs(3600),
            enough_bytes: 8 << 20,
            wanted: Wanted::default(),
        }
    }
}

/// What the gateway is called where a delivery goes; `None` before anything was to be sent.
///
/// # Errors
///
/// [`Failed`] where there is no such delivery.
pub fn gateway_of(db: &Database, delivery: &str) -> Result<Option<String>, Failed> {
    notes::gateway(db, delivery)
}

/// Whether a delivery is paused.
///
/// # Errors
///
/// [`Failed`] where there is no such delivery.
pub fn is_paused(db: &Database, delivery: &str) -> Result<bool, Failed> {
    notes::is_paused(db, delivery)
}

/// Pauses a delivery that no worker is at, or resumes it.
///
/// # Errors
///
/// [`Failed`] where there is no such delivery, or that cannot be noted.
pub fn pause(db: &Database, delivery: &str, paused: bool) -> Result<(), Failed> {
    notes::pause(db, delivery, paused)
}

/// Carries what a database holds to one target.
#[derive(Debug, Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// What all steps know.
#[derive(Debug)]
struct Shared {
    db: Arc<Database>,
    /// What the delivery is called here.
    name: String,
    /// What the gateway is called there.
    gateway: String,
    target: Target,
    policy: Policy,
    /// Where files lie that are sent and not kept.
    scratch: PathBuf,
    /// When everything was last tried to be cut.
    tried: Mutex<Option<Instant>>,
    /// Of which metadata nothing is to be sent.
    looked: Mutex<Looked>,
    /// Whether the target creates a name only once.
    create_only: OnceCell<bool>,
    /// Whether uploads that nobody goes on with were given up.
    is_swept: AtomicBool,
    /// Whether something may have been sent and not looked for since.
    to_confirm: AtomicBool,
    reporter: Reporter,
    orders: watch::Sender<Orders>,
    /// Where all of it is registered.
    centre: Option<Arc<Telling>>,
    /// Held while cuts are queued for the centre.
    queueing: Mutex<()>,
}

/// What it was told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Orders {
    paused: bool,
    /// How often it was told to try again at once.
    retries: u64,
    /// How often it was told to meet the target again.
    meetings: u64,
}

impl Worker {
    /// A worker for the delivery `name` of a database to a target, which knows the gateway as `gateway`. Files that are sent and not kept
    /// are made in `scratch`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`Failed`] where the database does not take the name, or the directory cannot be made.
    pub fn new(
        db: Arc<Database>,
        name: &str,
        gateway: &str,
        target: Target,
        policy: Policy,
        scratch: &Path,
    ) -> Result<Self, Failed> {
        Worker::make(db, (name, gateway), target, policy, scratch, None)
    }

    /// The same that also tells a centre what the target has: one that knows the gateway by the same name.
    ///
    /// # Errors
    ///
    /// As [`Worker::new`].
    pub fn with_ledger(
        db: Arc<Database>,
        name: &str,
        gateway: &str,
        target: Target,
        policy: Policy,
        scratch: &Path,
        ledger: Ledger,
    ) -> Result<Self, Failed> {
        Worker::with_centre(db, name, gateway, target, policy, scratch, Box::new(ledger))
    }

    /// The same with any centre.
    ///
    /// # Errors
    ///
    /// As [`Worker::new`].
    pub fn with_centre(
        db: Arc<Database>,
        name: &str,
        gateway: &str,
        target: Target,
        policy: Policy,
        scratch: &Path,
        centre: Box<dyn Centre>,
    ) -> Result<Self, Failed> {
        Worker::make(db, (name, gateway), target, policy, scratch, Some(centre))
    }

    fn make(
        db: Arc<Database>,
        (name, gateway): (&str, &str),
        target: Target,
        policy: Policy,
        scratch: &Path,
        centre: Option<Box<dyn Centre>>,
    ) -> Result<Self, Failed> {
        std::fs::create_dir_all(scratch).map_err(|source| Failed::Scratch { path: scratch.to_owned(), source })?;
        db.delivery(name).begin()?;
        let shared = Shared {
            name: name.to_owned(),
            gateway: gateway.to_owned(),
            target,
            policy,
            scratch: scratch.to_owned(),
            tried: Mutex::default(),
            looked: Mutex::default(),
            create_only: OnceCell::new(),
            is_swept: AtomicBool::new(false),
            to_confirm: AtomicBool::new(true),
            reporter: Reporter::new(),
            orders: watch::Sender::default(),
            centre: centre.map(|centre| Arc::new(Telling::new(centre))),
            queueing: Mutex::default(),
            db,
        };
        match notes::gateway(&shared.db, name)? {
            Some(known) if known != gateway => {
                return Err(Failed::Renamed { name: name.to_owned(), known, asked: gateway.to_owned() });
            }
            Some(_) => {}
            None => notes::put_gateway(&shared)?,
        }
        let paused = notes::is_paused(&shared.db, name)?;
        shared.orders.send_modify(|orders| orders.paused = paused);
        notes::resume_budget(&shared)?;
        Ok(Worker { shared: Arc::new(shared) })
    }

    /// How it stands: the last report, and those to come.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.shared.reporter.watch()
    }

    /// Sends nothing until told otherwise, after a restart too; cuts are taken all the same. What is on its way goes on.
    ///
    /// # Errors
    ///
    /// [`Failed`] where that cannot be noted.
    pub fn pause(&self, paused: bool) -> Result<(), Failed> {
        pause(&self.shared.db, &self.shared.name, paused)?;
        self.shared.orders.send_modify(|orders| orders.paused = paused);
        Ok(())
    }

    /// Tries at once what it waits for: a target that failed, and what was set aside.
    pub fn retry(&self) {
        self.shared.orders.send_modify(|orders| orders.retries += 1);
    }
}

impl Shared {
    /// Something new is to be told, if there is somebody to be told.
    fn ring(&self) {
        if let Some(telling) = &self.centre {
            telling.news.notify_one();
        }
    }
}
