//! Carries what is in a database to a target, in a thread of its own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use alluvium::Database;
use alluvium_sync::objects::{NotASetting, Settings, Target};
use alluvium_sync::worker::{self, Failed, Once, Policy, Report, Worker};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// How often it is looked whether a single run is to end.
const GLANCE: Duration = Duration::from_millis(100);

/// A delivery to a target, which is at work only between [`Sync::start`] and [`Sync::stop`], and while [`Sync::run_once`] is.
pub struct Sync {
    worker: Worker,
    runtime: Arc<Runtime>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: Arc<Notify>,
    thread: JoinHandle<()>,
}

/// Why nothing is carried.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The settings are not what they have to be.
    #[error(transparent)]
    Setting(#[from] NotASetting),
    /// The database or the target does not do its part.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// Something is left, because of what failed.
    #[error("{left} things are left, for the last failure: {why}")]
    Left {
        /// Cuts and files.
        left: u64,
        /// What failed last, and what to do about it.
        why: Failed,
    },
    /// It was told to end before it was done; the next run goes on where it was.
    #[error("sync was interrupted; it goes on where it was when it is run again")]
    Interrupted,
    /// It is at work already.
    #[error("sync is running: stop it before it is run once")]
    Running,
    /// This machine has no thread, or nothing to wait for sockets with.
    #[error("no thread for sync can be had: {0}")]
    NoThread(#[from] std::io::Error),
}

impl Sync {
    /// The delivery `name` of a database to a target, where the gateway is known as `gateway`. It goes on where it was when the name was used before. Files
    /// that are sent and not kept lie in `local/outbox` of the database's directory.
    ///
    /// # Errors
    ///
    /// [`SyncError`].
    pub fn new(db: Arc<Database>, data: &Path, name: &str, gateway: &str, target: &Settings) -> Result<Self, SyncError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("alluvium-sync").enable_all().build()?;
        let target = {
            let _within = runtime.enter();
            Target::open(target)?
        };
        let worker = Worker::new(db, name, gateway, target, Policy::default(), &data.join("local").join("outbox"))?;
        Ok(Sync { worker, runtime: Arc::new(runtime), running: Mutex::new(None) })
    }

    /// Carries everything there is, and returns when the target has it, or soon after `is_interrupted` first says so, which is asked ten times a
    /// second.
    ///
    /// # Errors
    ///
    /// [`SyncError`].
    pub fn run_once(&self, mut is_interrupted: impl FnMut() -> bool) -> Result<Report, SyncError> {
        let running = self.running.lock();
        if running.is_some() {
            return Err(SyncError::Running);
        }
        let interrupted = async {
            while !is_interrupted() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        let once = async {
            tokio::select! {
                once = self.worker.run_once() => Some(once),
                () = interrupted => None,
            }
        };
        match self.runtime.block_on(once).ok_or(SyncError::Interrupted)? {
            Once::Done(report) => Ok(report),
            Once::Left(report, why) => {
                let left = (report.aside.len() as u64).max(1);
                Err(SyncError::Left { left, why })
            }
        }
    }

    /// Carries what there is and what comes, until it is told to stop. Started twice nothing happens.
    ///
    /// # Errors
    ///
    /// [`SyncError::NoThread`].
    pub fn start(&self) -> Result<(), SyncError> {
        let mut running = self.running.lock();
        if running.is_some() {
            return Ok(());
        }
        let stop = Arc::new(Notify::new());
        let (worker, runtime, told) = (self.worker.clone(), Arc::clone(&self.runtime), Arc::clone(&stop));
        let run = move || runtime.block_on(worker.run(async move { told.notified().await }));
        let thread = std::thread::Builder::new().name("alluvium-sync".to_owned()).spawn(run)?;
        *running = Some(Running { stop, thread });
        Ok(())
    }

    /// Stops, when what must not be broken off is done. What was on its way is gone on with the next time.
    pub fn stop(&self) {
        if let Some(Running { stop, thread }) = self.running.lock().take() {
            stop.notify_one();
            // It is over either way.
            let _ = thread.join();
        }
    }

    /// Sends nothing until told otherwise, after a restart too.
    ///
    /// # Errors
    ///
    /// [`SyncError::Failed`] where that cannot be noted.
    pub fn pause(&self, paused: bool) -> Result<(), SyncError> {
        Ok(self.worker.pause(paused)?)
    }

    /// Tries at once what it waits for.
    pub fn retry(&self) {
        self.worker.retry();
    }

    /// How it stands.
    pub fn report(&self) -> Value {
        let report = self.worker.reports().borrow().clone();
        let circuit = report.circuit.as_ref().map(|circuit| {
            json!({ "failures": circuit.failures, "retry_in_seconds": circuit.retry_in.as_secs_f64(), "why": circuit.why })
        });
        let aside = report.aside.iter().map(|(name, aside)| json!({ "file": name, "tries": aside.tries, "why": aside.why }));
        json!({
            "running": self.running.lock().is_some(),
            "paused": report.paused,
            "sending": report.sending,
            "target_is_left_alone": circuit,
            "set_aside": aside.collect::<Vec<_>>(),
        })
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// How all deliveries of a database stand.
///
/// # Errors
///
/// As [`Database::deliveries`].
pub fn statuses(db: &Database) -> Result<Value, Failed> {
    let status = |state: alluvium::DeliveryState| {
        let through =
            state.delivered.as_ref().map(|delivered| json!({ "cut": delivered.cut, "taken_at_micros": delivered.taken_at }));
        Ok(json!({
            "name": state.name,
            "gateway": worker::gateway_of(db, &state.name)?,
            "paused": worker::is_paused(db, &state.name)?,
            "cuts": state.head.cuts,
            "cuts_left": state.cuts_left,
            "units_left": state.units_left,
            "delivered_through": through,
        }))
    };
    db.deliveries()?.into_iter().map(status).collect()
}

#[cfg(test)]
mod tests {
    use alluvium::{FieldType, RowBuilder, TableSpec};

    use super::*;

    #[test]
    fn a_folder_gets_what_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let db = Arc::new(Database::open(&data).unwrap());
        let air = db.create_table(TableSpec::new("air").field("co2", FieldType::Float64)).unwrap();
        let mut rows = RowBuilder::new(air);
        rows.row(1).value("co2", 1.0).unwrap();
        db.append("air", &rows.finish().unwrap()).unwrap();
        let bucket = folder.path().join("bucket");
        let target = Settings::new(bucket.to_str().unwrap());
        let sync = Sync::new(Arc::clone(&db), &data, "cloud", "pump-7", &target).unwrap();
        sync.run_once(|| false).unwrap();
        let found = statuses(&db).unwrap();
        let [status] = &found.as_array().unwrap()[..] else { panic!("one delivery") };
        assert_eq!((&status["gateway"], &status["units_left"]), (&json!("pump-7"), &json!(0)));
        assert!(status["delivered_through"]["cut"].as_u64().unwrap() > 0);
        assert!(bucket.join("table=air").is_dir());
        assert!(matches!(sync.run_once(|| true), Ok(_) | Err(SyncError::Interrupted)));
        sync.start().unwrap();
        sync.start().unwrap();
        assert!(matches!(sync.run_once(|| false), Err(SyncError::Running)));
        sync.pause(true).unwrap();
        assert_eq!(statuses(&db).unwrap()[0]["paused"], json!(true));
        sync.stop();
        sync.stop();
        drop(sync);
        assert!(Arc::try_unwrap(db).is_ok(), "nobody keeps the database");
    }
}
