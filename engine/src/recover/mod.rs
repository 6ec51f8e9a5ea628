//! Opening: identity, catalog, segments and log become one consistent state. It always opens; what is lost has a receipt.

mod assemble;
mod ballast;
mod catalog;
mod identity;
mod quarantine;
mod replay;
mod segments;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use assemble::{Assembled, DeletionPart, Parts, SegmentPart, TablePart};
pub(crate) use ballast::Ballast;
pub(crate) use identity::{Identity, check as check_identity};
pub(crate) use replay::{describe, relative_path};

use self::replay::Survey;
use crate::catalog::{Catalog, CatalogSlot};
use crate::error::{Error, Result};
use crate::format::names;
use crate::ingest::Publisher;
use crate::io::Components;
use crate::keyspace::Keyspace;
use crate::memtable::MemoryGauge;
use crate::model::Sequence;
use crate::record::{Receipt, ReceiptKind};
use crate::settings::{OnDamage, Settings};
use crate::store::Store;
use crate::table::Registry;
use crate::wal::{self, Log};

/// Everything a database consists of, ready to go on.
pub(crate) struct Recovered {
    pub(crate) identity: Identity,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) store: Arc<Store>,
    pub(crate) log: Log,
    /// The number of the next record.
    pub(crate) next: Sequence,
    /// Every record up to here lies in segments.
    pub(crate) sealed_through: Sequence,
    /// The number of the next segment.
    pub(crate) next_segment: u64,
    /// What was found lost, to be recorded.
    pub(crate) receipts: Vec<Receipt>,
    /// The last moment known of, by the engine's clock.
    pub(crate) engine_micros: u64,
}

/// Where things lie in a database directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join(names::LOG)
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join(names::SEGMENTS)
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.root.join(names::CATALOG)
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.root.join(names::HISTORY)
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join(names::QUARANTINE)
    }

    fn create(&self, components: &Components) -> Result<()> {
        for dir in [self.log(), self.segments(), self.catalog()] {
            components.disk.create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
        }
        Ok(())
    }
}

/// Opens what is there, or makes a new database in an empty directory.
pub(crate) fn open(components: &Components, root: &Path, settings: &Settings) -> Result<Recovered> {
    let layout = Layout { root: root.to_owned() };
    let strict = settings.on_damage == OnDamage::Refuse;
    let identity = identity::open_or_create(components, &layout, settings.on_damage)?;
    layout.create(components)?;

    // What can refuse does so before anything is changed.
    wal::check(&*components.disk, &layout.log())?;
    let load = |opened| Loaded::new(components, &layout, opened);
    let Loaded { publisher, survey, sealed_through, receipts, engine_micros } =
        catalog::open(components, &layout, settings, &load)?;
    let loss = receipts.iter().find(|receipt| receipt.kind != ReceiptKind::TornTail);
    if let (true, Some(loss)) = (strict, loss) {
        return Err(refusal(&layout, &loss.file, &loss.detail));
    }
    set_aside(components, &layout, &survey)?;

    let index_bytes = settings.page_cache_bytes.max(1 << 20) as u64 / 2;
    let (catalog, pages) = (publisher.catalog.clone(), settings.page_cache_bytes);
    let store = Store::new(components.disk.clone(), &layout.segments(), catalog, index_bytes, pages);
    let next_segment = segments::highest_number(components, &layout, &publisher)? + 1;
    let next = survey.report.next_sequence().max(applied(&publisher).max(sealed_through) + 1);
    let log = Log::start(components, &layout.log(), settings.log_file_bytes, next, &survey.report)?;
    // Only what is durable may take files away: after a sync that failed, a record may be read that the device does not hold.
    segments::clear_unlisted(components, &layout, &publisher, loss.is_some())?;
    let store = Arc::new(store);
    Ok(Recovered { identity, publisher, store, log, next, sealed_through, next_segment, receipts, engine_micros })
}

/// The catalog and the log as they are in memory.
struct Loaded {
    publisher: Arc<Publisher>,
    survey: Survey,
    sealed_through: Sequence,
    receipts: Vec<Receipt>,
    engine_micros: u64,
}

impl Loaded {
    fn new(components: &Components, layout: &Layout, opened: catalog::Opened) -> Result<Self> {
        let survey = opened.survey;
        let sealed = survey.sealed_through.max(opened.sealed_through);
        let sealed_through = if opened.rebuilt { opened.sealed_through } else { sealed };
        let applied = opened.catalog.applied();
        let covered = sealed_through.min(applied);
        let known: HashSet<String> = opened.catalog.receipts()?.iter().map(|(_, receipt)| loss_of(receipt)).collect();
        let mut receipts = opened.receipts;
        let catalog = Arc::new(opened.catalog);
        let engine_micros = catalog.engine_time()?.until_now(&*components.clock);
        let keyspace = Keyspace::new(catalog.cells()?, applied);
        let slot = Arc::new(CatalogSlot::new(catalog));
        let publisher = Arc::new(Publisher::new(Registry::default(), keyspace, slot, MemoryGauge::default()));
        catalog::load(&publisher)?;
        let replayed = replay::replay(components, layout, &publisher, &survey, sealed_through)?;
        receipts.extend(replay::report_losses(components, &survey, covered, &replayed));
        receipts.extend(replay::report_missing_end(components, &survey, sealed_through, applied));
        // All that opening changes of a catalog is changed here, where another can still take its place.
        receipts.extend(segments::drop_missing(components, layout, &publisher)?);
        // The same damage is found again at every open until its file is gone; one receipt says it.
        receipts.retain(|receipt| !known.contains(&loss_of(receipt)));
        let engine_micros = engine_micros.max(replayed.engine_micros);
        Ok(Loaded { publisher, survey, sealed_through, receipts, engine_micros })
    }
}

/// What tells one loss from another. How many bytes a damaged stretch has may change as the log goes on.
fn loss_of(receipt: &Receipt) -> String {
    match receipt.sequences {
        Some(sequences) => format!("{:?} {} {sequences:?}", receipt.kind, receipt.file),
        None => format!("{:?} {} {}", receipt.kind, receipt.file, receipt.detail),
    }
}

/// Copies log bytes that cannot be read, before their file is recycled one day.
fn set_aside(components: &Components, layout: &Layout, survey: &Survey) -> Result<()> {
    for damage in &survey.report.damage {
        let path = wal::log_path(&layout.log(), damage.file);
        match quarantine::copy_bytes(components, layout, &path, damage.offset, damage.bytes) {
            // The copy is a courtesy; the next opening tries again while the file is there.
            Err(Error::DiskFull { .. }) => tracing::warn!(path = %path.display(), "no room to set damaged bytes aside"),
            copied => copied?,
        }
    }
    Ok(())
}

/// Why a strict opening goes no further.
fn refusal(layout: &Layout, file: &str, detail: &str) -> Error {
    Error::damaged(
        &layout.root.join(file),
        format_args!("{detail}; nothing was changed: the default mode opens with what is readable"),
    )
}

/// Brings a reopened catalog up to date from the log, as after a full disk.
pub(crate) fn catch_up(components: &Components, layout: &Layout, settings: &Settings) -> Result<Catalog> {
    let catalog = Catalog::open(components, &layout.catalog(), settings.catalog_cache_bytes)?;
    replay::catalog_only(components, layout, &catalog)?;
    Ok(catalog)
}

fn applied(publisher: &Publisher) -> Sequence {
    publisher.catalog.get().map_or(0, |catalog| catalog.applied())
}
