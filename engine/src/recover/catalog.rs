//! The catalog is disposable: if it is damaged or too old, a snapshot, and failing that the segments, take its place.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::Layout;
use super::replay::{self, Survey};
use crate::catalog::{Catalog, Change};
use crate::error::{Error, Result};
use crate::format::names;
use crate::ingest::Publisher;
use crate::io::Components;
use crate::model::{Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{Receipt, ReceiptKind, SegmentEntry};
use crate::segment;
use crate::settings::{OnDamage, Settings};
use crate::table::PendingDeletion;

pub(super) struct Opened {
    pub(super) catalog: Catalog,
    /// The log, as far as this catalog lacks it.
    pub(super) survey: Survey,
    pub(super) sealed_through: Sequence,
    /// Whether tables and segments were read back from the segment files.
    pub(super) rebuilt: bool,
    pub(super) receipts: Vec<Receipt>,
}

/// Opens, restores, rebuilds or makes the catalog, and hands it to `load`. What cannot be loaded is damaged like what cannot
/// be opened: the next best takes its place.
pub(super) fn open<T>(
    components: &Components,
    layout: &Layout,
    settings: &Settings,
    load: &dyn Fn(Opened) -> Result<T>,
) -> Result<T> {
    let (dir, cache) = (layout.catalog(), settings.catalog_cache_bytes);
    let current = |catalog| current(catalog, components, layout);
    let trouble = match Catalog::exists(components, &dir)? {
        false => "it is missing".to_owned(),
        true => match Catalog::open(components, &dir, cache).and_then(current).and_then(load) {
            Err(error) if is_no_fault_of_its_own(&error) => return Err(error),
            Err(error) => error.to_string(),
            loaded => return loaded,
        },
    };
    let survey = replay::survey(components, layout, 1)?;
    // What was never finished is no loss.
    if is_new(components, layout, &survey)? && Catalog::snapshots(components, &dir)?.is_empty() {
        let catalog = Catalog::create(components, &dir, cache)?;
        return load(Opened { catalog, survey, sealed_through: 0, rebuilt: false, receipts: Vec::new() });
    }
    if settings.on_damage == OnDamage::Refuse {
        return Err(super::refusal(layout, names::CATALOG, &trouble));
    }
    tracing::warn!(reason = trouble, "the catalog cannot be used and is rebuilt");
    for snapshot in Catalog::snapshots(components, &dir)? {
        let restored = Catalog::restore(components, &dir, snapshot, cache).and_then(current);
        let detail = || format!("{trouble}; restored from the snapshot at record {snapshot} and the log");
        match restored.and_then(|opened| load(with_receipt(opened, components, detail()))) {
            Err(error) if is_no_fault_of_its_own(&error) => return Err(error),
            Err(error) => tracing::warn!(snapshot, %error, "a snapshot cannot be used"),
            loaded => return loaded,
        }
    }
    let detail = format!(
        "{trouble}; tables, series and segments were read back from the segments and the log, metadata from the log alone"
    );
    load(with_receipt(from_segments(components, layout, cache, survey)?, components, detail))
}

/// Whether an error says nothing about the catalog itself.
fn is_no_fault_of_its_own(error: &Error) -> bool {
    matches!(error, Error::DiskFull { .. } | Error::Io { .. })
}

/// A catalog that the log can bring up to date. An older one would leave a hole.
fn current(catalog: Catalog, components: &Components, layout: &Layout) -> Result<Opened> {
    let (applied, sealed_through) = (catalog.applied(), catalog.sealed_through()?);
    let survey = replay::survey(components, layout, applied.min(sealed_through) + 1)?;
    let log_start = survey.report.first_sequence;
    let stale = |why: String| Err(Error::Internal(why));
    if applied + 1 < log_start {
        return stale(format!("it stops at record {applied}, before the log begins"));
    }
    if applied == 0 && log_start != 1 && !is_new(components, layout, &survey)? {
        return stale("it is empty though there are segments".to_owned());
    }
    Ok(Opened { catalog, survey, sealed_through, rebuilt: false, receipts: Vec::new() })
}

fn with_receipt(mut opened: Opened, components: &Components, detail: String) -> Opened {
    opened.receipts.push(Receipt {
        at_micros: components.clock.wall_micros(),
        kind: ReceiptKind::CatalogRebuilt,
        file: names::CATALOG.to_owned(),
        sequences: None,
        table: None,
        series: Vec::new(),
        times: None,
        bytes: 0,
        detail,
    });
    opened
}

fn is_new(components: &Components, layout: &Layout, survey: &Survey) -> Result<bool> {
    let dir = layout.segments();
    let segments = components.disk.list(&dir).map_err(|source| Error::io("list", &dir, source))?;
    let sealed = segments.iter().any(|entry| segment::parse_file_name(Path::new(&entry.name)).is_some());
    Ok(!sealed && survey.report.last_sequence == 0)
}

/// Tables, series and segments as the segment files tell them.
///
/// Everything the log still holds is replayed on top, whether or not segments hold it too: which of them were committed is
/// not known without the catalog, and the same rows twice are the same rows.
fn from_segments(components: &Components, layout: &Layout, cache: usize, survey: Survey) -> Result<Opened> {
    let dir = layout.segments();
    let files = components.disk.list(&dir).map_err(|source| Error::io("list", &dir, source))?;
    let mut tables: BTreeMap<TableId, (TableSchema, BTreeMap<SeriesId, SeriesKey>)> = BTreeMap::new();
    let mut entries: Vec<SegmentEntry> = Vec::new();
    let mut receipts = Vec::new();
    for file in files.iter().filter(|file| segment::parse_file_name(Path::new(&file.name)).is_some()) {
        let rebuilt = match segment::rebuild(&*components.disk, &dir.join(&file.name)) {
            Ok(rebuilt) => rebuilt,
            Err(error @ (Error::DiskFull { .. } | Error::Io { .. })) => return Err(error),
            // The file itself goes to quarantine with all that no entry names.
            Err(error) => {
                receipts.push(unreadable(components, &file.name, file.len, &error));
                continue;
            }
        };
        let (schema, keys) = tables.entry(rebuilt.entry.table).or_insert_with(|| (rebuilt.schema.clone(), BTreeMap::new()));
        if rebuilt.schema.version > schema.version {
            *schema = rebuilt.schema;
        }
        keys.extend(rebuilt.series);
        entries.push(rebuilt.entry);
    }
    let entries = without_superseded(entries);
    let reached = entries.iter().map(|entry| entry.last_sequence).max().unwrap_or(0);
    let sealed_through = survey.report.first_sequence.checked_sub(1).map_or(reached, |before| before.min(reached));
    let mut changes = Vec::new();
    for (table, (schema, keys)) in tables {
        changes.push(Change::PutTable(schema));
        // Segments that contradict each other: a key has one number.
        let mut seen = HashSet::new();
        let keys = keys.into_iter().filter(|(_, key)| seen.insert(key.clone().normalized())).collect();
        changes.extend(dense(table, keys));
    }
    changes.extend(entries.into_iter().map(Change::PutSegment));
    changes.push(Change::SealedThrough(sealed_through));
    let catalog = Catalog::create(components, &layout.catalog(), cache)?;
    catalog.apply(sealed_through, &changes)?;
    catalog.checkpoint()?;
    Ok(Opened { catalog, survey, sealed_through, rebuilt: true, receipts })
}

/// Leaves out the inputs of compactions whose outputs are here too: a later segment that covers the records and the partition
/// of an earlier one was made of it, since seals do not overlap. Their files go to quarantine with all that no entry names.
fn without_superseded(entries: Vec<SegmentEntry>) -> Vec<SegmentEntry> {
    let covers = |later: &SegmentEntry, earlier: &SegmentEntry| {
        let within = match (later.partition, earlier.partition) {
            (Some(later), Some(earlier)) => later.range.covers(earlier.range.start, earlier.range.end - 1),
            (None, None) => true,
            _ => false,
        };
        within
            && later.table == earlier.table
            && later.id > earlier.id
            && later.first_sequence <= earlier.first_sequence
            && later.last_sequence >= earlier.last_sequence
    };
    let superseded: Vec<bool> = entries.iter().map(|earlier| entries.iter().any(|later| covers(later, earlier))).collect();
    entries.into_iter().zip(superseded).filter(|(_, superseded)| !superseded).map(|(entry, _)| entry).collect()
}

fn unreadable(components: &Components, name: &str, bytes: u64, error: &Error) -> Receipt {
    Receipt {
        at_micros: components.clock.wall_micros(),
        kind: ReceiptKind::SegmentDamage,
        file: format!("{}/{name}", names::SEGMENTS),
        sequences: None,
        table: segment::parse_file_name(Path::new(name)).map(|name| name.table),
        series: Vec::new(),
        times: None,
        bytes,
        detail: format!("the segment cannot be read back: {error}"),
    }
}

/// The series that the segments tell of, in stretches of dense numbers. Those between are presumed when they are needed.
pub(super) fn dense(table: TableId, keys: BTreeMap<SeriesId, SeriesKey>) -> Vec<Change> {
    let keys: Vec<_> = keys.into_iter().collect();
    let stretches = keys.chunk_by(|(a, _), (b, _)| a.0 + 1 == b.0);
    stretches
        .filter_map(|stretch| {
            let first = stretch.first()?.0;
            Some(Change::PutSeries { table, first, keys: stretch.iter().map(|(_, key)| key.clone()).collect() })
        })
        .collect()
}

/// Fills the tables in memory from the catalog.
pub(super) fn load(publisher: &Publisher) -> Result<()> {
    let Some(catalog) = publisher.catalog.get() else { return Ok(()) };
    for schema in catalog.tables()? {
        publisher.registry.put(schema);
    }
    for schema in catalog.dropped_tables()? {
        publisher.registry.drop_table(schema);
    }
    for table in publisher.registry.all() {
        let mut series = table.series.write();
        catalog.series(table.id, &mut |id, key| series.restore(id, &key).map_err(Error::Internal))?;
    }
    let mut segments: BTreeMap<TableId, Vec<_>> = BTreeMap::new();
    for entry in catalog.segments()? {
        segments.entry(entry.table).or_default().push(Arc::new(entry));
    }
    let deletions = catalog.deletions()?;
    for table in publisher.registry.all() {
        let mut state = table.state.write();
        state.replace_segments(&[], segments.remove(&table.id).unwrap_or_default());
        let own = deletions.iter().filter(|(_, deletion)| deletion.table == table.id);
        let pending =
            own.map(|(sequence, deletion)| PendingDeletion { sequence: *sequence, deletion: Arc::new(deletion.clone()) });
        state.deletions = Arc::new(pending.collect());
    }
    Ok(())
}
