//! How the database stands, looked up no more often than is useful.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use alluvium::{Counts, Database, Status};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::serve::failed;

/// For how long what was looked up is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody waits for it. On a disk that hangs, what was known before is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the database stood at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: SystemTime,
    since: Instant,
    pub(crate) status: Status,
    pub(crate) counts: Counts,
}

/// The latest sample.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    latest: Arc<RwLock<Option<Arc<Sample>>>>,
    /// Held by whoever looks, so that there is one at a time, however long that takes.
    looking: Arc<Mutex<()>>,
}

impl Sampled {
    /// A sample of about now; an older one if a new one is not to be had in time.
    pub(crate) async fn get(&self, db: &Arc<Database>) -> Result<Arc<Sample>, Failed> {
        if let Some(sample) = self.fresh() {
            return Ok(sample);
        }
        let outcome = timeout(PATIENCE, self.look(db)).await;
        let latest = || self.latest.read().clone();
        match outcome {
            Ok(Ok(sample)) => Ok(sample),
            Ok(Err(failed)) => latest().ok_or(failed),
            Err(_) => latest().ok_or_else(|| failed::timeout("how the database stands")),
        }
    }

    fn fresh(&self) -> Option<Arc<Sample>> {
        self.latest.read().clone().filter(|sample| sample.since.elapsed() < FRESH)
    }

    async fn look(&self, db: &Arc<Database>) -> Result<Arc<Sample>, Failed> {
        let turn = self.looking.clone().lock_owned().await;
        if let Some(sample) = self.fresh() {
            return Ok(sample);
        }
        let (db, latest) = (db.clone(), self.latest.clone());
        let looking = tokio::task::spawn_blocking(move || {
            // Kept though nobody waits any more.
            let _turn = turn;
            let sample = Arc::new(Sample::take(&db)?);
            *latest.write() = Some(sample.clone());
            Ok(sample)
        });
        let looked: alluvium::Result<Arc<Sample>> = looking
            .await
            .map_err(|_| Failed::new(Code::Internal, "the engine gave up on its status: the server's log says more"))?;
        looked.map_err(|error| failed::of_engine(&error))
    }
}

impl Sample {
    fn take(db: &Database) -> alluvium::Result<Sample> {
        let (status, counts) = (db.status()?, db.counts());
        Ok(Sample { at: SystemTime::now(), since: Instant::now(), status, counts })
    }
}
