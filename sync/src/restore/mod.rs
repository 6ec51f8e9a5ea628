//! Makes a database again of what a bucket holds of a gateway, and nothing else.
//!
//! [`restore`] asks the bucket what it proves, chooses the cut, fetches what that needs, several objects at a time and each verified by
//! its hash, makes the database of it, and lets its delivery go on behind that cut under a new incarnation. Whatever interrupts it, the
//! same call goes on with what was fetched; until it has come to its end there is no database.
//!
//! What comes back: tables with their series, rows and deletions; documents with their collections, schemas, references and indexes;
//! principals and roles; and where they were sent, pairs, queues and what is in these. Documents get new revisions and no history, and
//! what was deleted can be had back for as long again. Of a queue's items, which are held in memory meanwhile, those that were leased are
//! to be done again, with all their tries; those that were tried too often are left out, as are the keys by which others were left out.
//! The audit trail begins anew, with what the old one ended with. Tokens, certificates, revocations, writers and cursors never leave a
//! gateway: they have to be made again.
//!
//! - `contents`: which objects are of which table, for who reads them where they lie;
//! - `inventory`: what there is; `lineage`: which cuts; `plan`: which segments; `fetch`, `stage`: into the directory;
//! - `lines`, `told`: what metadata say; `parts`, `make`, `apply`: into the database.

mod apply;
mod contents;
mod error;
mod fetch;
mod inventory;
mod lineage;
mod lines;
mod make;
mod parts;
mod plan;
mod stage;
mod told;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use contents::{Contents, TableContents, contents};
pub use error::{Exact, NotRestored, Tip};
pub use inventory::Segment;

use self::fetch::Wanted;
use self::inventory::Inventory;
use self::lineage::Lineage;
use self::make::{Job, Making};
use self::plan::{Plan, Without};
use self::stage::Stage;
use self::told::Told;
use crate::objects::Target;
use crate::prove::Missing;
use crate::remote::{AuditHead, Incarnation};

/// What is to be restored, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway; the only one that the bucket is of where none is named.
    pub gateway: Option<String>,
    /// The incarnation with whose last cut the branch ends; the only branch there is where none is named.
    pub incarnation: Option<Incarnation>,
    /// Rows of the last cut sealed by then, and metadata as they were sent last by then; the last of all where there is none.
    pub until: Option<Timestamp>,
    /// Whether what is asked for may be restored although some of it is missing. A receipt in the database says what.
    pub allow_missing: bool,
    /// Whether rows of later cuts than the one asked for may come along where its own were folded together with them, and deletions of
    /// later ones where they were carried out before rows were sent.
    pub allow_newer: bool,
    /// Objects that are fetched at the same time.
    pub parallel: usize,
    /// The delivery that goes on behind the cut that is restored, so that nothing is sent twice; none where it is not to go on.
    pub delivery: Option<String>,
    /// With which settings the database is made. None of them stays.
    pub settings: alluvium::Settings,
}

impl Default for Options {
    /// All of the only gateway, exactly, and nothing goes on.
    fn default() -> Self {
        Options {
            gateway: None,
            incarnation: None,
            until: None,
            allow_missing: false,
            allow_newer: false,
            parallel: 4,
            delivery: None,
            settings: alluvium::Settings::default(),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// So many objects are listed.
    Listed {
        /// Of all kinds, and of all gateways.
        objects: u64,
    },
    /// Manifests are read.
    Manifests {
        /// So many …
        read: u64,
        /// … of these.
        of: u64,
    },
    /// Metadata are fetched.
    Metadata {
        /// So many objects …
        objects: u64,
        /// … of these.
        of: u64,
    },
    /// Segments are fetched, or were there already.
    Segments {
        /// So many …
        objects: u64,
        /// … of these.
        of: u64,
        /// Their bytes …
        bytes: u64,
        /// … of these.
        of_bytes: u64,
    },
    /// Segments are read, and held against what is said of them.
    Checked {
        /// So many …
        segments: u64,
        /// … of these.
        of: u64,
    },
    /// Documents and pairs are put.
    Put {
        /// So many changes of them …
        lines: u64,
        /// … of these at most.
        of: u64,
    },
}

/// Who is told how far it is.
type Tell<'a> = dyn FnMut(Progress) + Send + 'a;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Restored {
    /// The gateway.
    pub gateway: String,
    /// The incarnation of the cut.
    pub incarnation: Incarnation,
    /// The cut: everything up to it is there.
    pub cut: u64,
    /// Its last record.
    pub record: u64,
    /// When it was sealed, by the gateway's clock.
    pub sealed_at: Timestamp,
    /// As of when metadata are, by the gateway's clock; none where there were none.
    pub metadata_at: Option<Timestamp>,
    /// Where rows behind the cut came along: the last record of any. Which of the rows up to it are there is not said.
    pub newer_through: Option<u64>,
    /// Objects with rows of a time of which later cuts deleted some, with fewer rows than were cut of them: some are perhaps gone for that.
    pub erased_later: Vec<String>,
    /// What was announced and is not there. Whether it is stated to be gone is what later cuts say.
    pub missing: Vec<Missing>,
    /// What the gateway itself stated to be gone by then.
    pub gone: Vec<Missing>,
    /// What is wrong with the bucket besides, in words.
    pub problems: Vec<String>,
    /// Where the audit trail of the gateway ended.
    pub audit: Option<AuditHead>,
    /// The incarnation under which it goes on; none where it does not.
    pub goes_on_as: Option<Incarnation>,
    /// Tables.
    pub tables: u64,
    /// Series.
    pub series: u64,
    /// Segments.
    pub segments: u64,
    /// Rows in them, before deletions, and before later rows take the place of earlier ones.
    pub rows: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Lines of metadata that nothing was made of, by their kind.
    pub left_out: BTreeMap<String, u64>,
}

/// What was asked for, and what came of it: kept until it has taken its place.
#[derive(Debug, Serialize, Deserialize)]
struct Whole {
    gateway: Option<String>,
    incarnation: Option<Incarnation>,
    until: Option<Timestamp>,
    allow_missing: bool,
    allow_newer: bool,
    delivery: Option<String>,
    restored: Restored,
}

/// Makes a database in a directory, which is empty or not there yet, of what a target holds of a gateway. `progress` is told how far it
/// is. Where it fails, or is given up, the same call goes on with what was fetched.
///
/// ```
/// use std::sync::Arc;
///
/// use alluvium::{Database, PutDocument, CollectionSpec};
/// use alluvium_sync::objects::{Target, Throttle};
/// use alluvium_sync::restore::{Options, restore};
/// use alluvium_sync::worker::{Policy, Worker};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let db = Arc::new(Database::open(dir.path().join("data"))?);
/// db.collections().create(CollectionSpec::new("devices"))?;
/// db.collection("devices").put("pump-7", &serde_json::json!({"floor": 2}), PutDocument::default())?;
/// let target = Target::in_memory(Throttle::new(None, None));
/// Worker::new(db, "bucket", "pump house", target.clone(), Policy::default(), &dir.path().join("scratch"))?.run_once().await;
///
/// let options = Options { delivery: Some("bucket".to_owned()), ..Options::default() };
/// let restored = restore(&target, &dir.path().join("restored"), &options, &mut |step| println!("{step:?}")).await?;
/// assert_eq!((restored.gateway.as_str(), restored.cut), ("pump house", 1));
/// let db = Database::open(dir.path().join("restored"))?;
/// assert_eq!(db.collection("devices").get("pump-7")?.unwrap().content["floor"], 2);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`NotRestored`], which says what to do. The directory holds no database then, and the engine refuses to open it.
pub async fn restore(
    target: &Target,
    dir: &Path,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Restored, NotRestored> {
    let root = dir.to_owned();
    let stage = tokio::task::spawn_blocking(move || Stage::open(&root)).await??;
    if let Some(restored) = whole(&stage, dir, options)? {
        return finish(stage, restored).await;
    }
    let mut inventory = Inventory::take(target, options.gateway.as_deref(), progress).await?;
    let proof = inventory.prover.look();
    let mut lineage = Lineage::choose(&inventory.prover, &proof, options)?;
    let metadata = fetch_metadata(target, &stage, &mut lineage, &inventory.gateway, options, progress).await?;
    let stage = Arc::new(stage);
    let told = read(&stage, &metadata).await?;
    let without = Without { tables: parts::dropped(&lineage, &told).collect(), ..Without::default() };
    let plan = fetch_segments(target, &stage, &lineage, &inventory, without, options, progress).await?;
    let job = Job::new(&inventory.gateway, &lineage, plan, told, metadata, options)?;
    let restored = make(stage.clone(), job, progress).await?;
    // Nobody else has it: the tasks that had are over.
    match Arc::try_unwrap(stage) {
        Ok(stage) => finish(stage, restored).await,
        Err(_) => Err(NotRestored::Stopped),
    }
}

/// What an earlier call made, if that is what is asked for.
fn whole(stage: &Stage, dir: &Path, options: &Options) -> Result<Option<Restored>, NotRestored> {
    let Some(bytes) = stage.whole()? else { return Ok(None) };
    let unlike = |was: String| Err(NotRestored::Unlike { path: dir.to_owned(), was });
    let Ok(whole) = serde_json::from_slice::<Whole>(&bytes) else { return unlike("something unknown".to_owned()) };
    let is_same = (&whole.gateway, whole.incarnation, whole.until) == (&options.gateway, options.incarnation, options.until)
        && (whole.allow_missing, whole.allow_newer) == (options.allow_missing, options.allow_newer)
        && whole.delivery == options.delivery;
    match is_same {
        true => Ok(Some(whole.restored)),
        false => unlike(format!("cut {} of gateway {:?}", whole.restored.cut, whole.restored.gateway)),
    }
}

async fn finish(stage: Stage, restored: Restored) -> Result<Restored, NotRestored> {
    tokio::task::spawn_blocking(move || stage.take_place()).await??;
    Ok(restored)
}

/// Fetches what metadata there are. Answers those that were got.
async fn fetch_metadata(
    target: &Target,
    stage: &Stage,
    lineage: &mut Lineage<'_>,
    gateway: &str,
    options: &Options,
    progress: &mut Tell<'_>,
) -> Result<Vec<lineage::Source>, NotRestored> {
    let mut sources = lineage.metadata(gateway, options.until);
    // That they are not there was allowed already.
    sources.retain(|source| !lineage.lacks_metadata(&source.key));
    let wanted: Vec<_> = sources
        .iter()
        .map(|source| Wanted { key: source.key.to_string(), hash: source.hash, bytes: 0, path: stage.metadata(source.hash) })
        .collect();
    let of = wanted.len() as u64;
    let mut done = |objects, _| progress(Progress::Metadata { objects, of });
    let altered = fetch::fetch(target, wanted, options.parallel, &mut done).await?;
    let problems = altered.iter().map(|of| crate::prove::Problem::Altered {
        key: of.key.clone(),
        why: "it is not there with the hash in its name".to_owned(),
    });
    let problems: Vec<_> = problems.collect();
    if !(problems.is_empty() || options.allow_missing) {
        // What changed is not known of without it, so that older states would be taken for the present.
        return Err(NotRestored::Unproved { problems });
    }
    lineage.tolerated.extend(problems);
    sources.retain(|source| altered.iter().all(|altered| altered.hash != source.hash));
    Ok(sources)
}

async fn read(stage: &Arc<Stage>, sources: &[lineage::Source]) -> Result<Told, NotRestored> {
    let (stage, sources) = (stage.clone(), sources.to_vec());
    let read = move || {
        let mut told = Told::default();
        for source in &sources {
            lines::each(source, &stage.metadata(source.hash), &mut |line| told.take(line, source.is_of_then))?;
        }
        Ok(told)
    };
    tokio::task::spawn_blocking(read).await?
}

/// Fetches the segments that are needed. One that is not what it is called by is done without, if that can be.
async fn fetch_segments(
    target: &Target,
    stage: &Arc<Stage>,
    lineage: &Lineage<'_>,
    inventory: &Inventory,
    mut without: Without,
    options: &Options,
    progress: &mut Tell<'_>,
) -> Result<Plan, NotRestored> {
    loop {
        let plan = Plan::choose(lineage, &inventory.segments, &without, options)?;
        let wanted: Vec<_> = (1..)
            .zip(&plan.segments)
            .map(|(number, segment)| Wanted {
                key: segment.key.to_string(),
                hash: segment.key.hash,
                bytes: segment.bytes,
                path: parts::segment(number, &segment.key).path(stage.dir()),
            })
            .collect();
        let paths: HashMap<_, _> = wanted.iter().map(|wanted| (wanted.hash, wanted.path.clone())).collect();
        let here = stage.clone();
        tokio::task::spawn_blocking(move || here.adopt(&paths)).await??;
        let (of, of_bytes) = (wanted.len() as u64, wanted.iter().map(|wanted| wanted.bytes).sum());
        let mut done = |objects, bytes| progress(Progress::Segments { objects, of, bytes, of_bytes });
        let altered = fetch::fetch(target, wanted, options.parallel, &mut done).await?;
        if altered.is_empty() {
            return Ok(plan);
        }
        without.objects.extend(altered.iter().map(|wanted| wanted.hash));
    }
}

/// Makes the database on a thread of its own. Who no longer waits for it ends it.
async fn make(stage: Arc<Stage>, job: Job, progress: &mut Tell<'_>) -> Result<Restored, NotRestored> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let making = Making { stage, job, tell };
    let making = tokio::task::spawn_blocking(move || making.run());
    while let Some(step) = told.recv().await {
        progress(step);
    }
    making.await?
}
