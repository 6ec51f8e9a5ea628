mod crash;
pub(crate) mod damage;
mod rewriting;
mod room;
mod snapshots;

use std::num::NonZeroU64;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Catalog, Cell, Change, KeyRange, Note, Stored};
use crate::clock::EngineTime;
use crate::error::{Error, Result};
use crate::io::{Components, Disk, MemoryDisk, SyncLabel};
use crate::model::{Field, FieldType, Partitioning, SeriesId, SeriesKey, TableId, TableSchema, Tag, TimeRange, TimeUnit};
use crate::record::{Deletion, Effect, Key, Receipt, ReceiptKind, SegmentEntry, SegmentId, SeriesSelection, is_derived};

const CACHE: usize = 1 << 20;

fn dir() -> PathBuf {
    PathBuf::from("db/catalog")
}

fn on(disk: Arc<dyn Disk>) -> Components {
    Components { disk, ..Components::os() }
}

fn create(disk: &MemoryDisk) -> Arc<Catalog> {
    Arc::new(Catalog::create(&on(Arc::new(disk.clone())), &dir(), CACHE).unwrap())
}

fn open(disk: &MemoryDisk) -> Result<Arc<Catalog>> {
    Catalog::open(&on(Arc::new(disk.clone())), &dir(), CACHE).map(Arc::new)
}

fn schema(id: u32) -> TableSchema {
    TableSchema {
        id: TableId(id),
        name: format!("table {id}"),
        version: 1,
        time_unit: TimeUnit::Micro,
        partitioning: Partitioning::Auto,
        tags: vec![Tag { name: "room".into(), id: 2 }],
        fields: vec![Field { name: "co2".into(), id: 3, kind: FieldType::Float64 }],
    }
}

fn series_key(id: u32) -> SeriesKey {
    SeriesKey(vec![Some(format!("site-{}", id / 1000)), None, Some(format!("device-{id:06}"))])
}

fn series(table: u32, ids: std::ops::Range<u32>) -> Change {
    Change::PutSeries { table: TableId(table), first: SeriesId(ids.start), keys: ids.map(series_key).collect() }
}

fn segment(id: u64, index: usize) -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(id),
        table: TableId(1),
        partition: None,
        first_sequence: 1,
        last_sequence: id,
        deletions_through: id,
        rows: 1_000_000,
        points: 10_000_000,
        bytes: 20_000_000,
        times: (-5, 5),
        series: 200,
        hash: [id as u8; 32],
        index: (0..index)
            .map(|i| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(id).rotate_left(17) as u8)
            .collect(),
    }
}

fn deletion(table: u32) -> Deletion {
    Deletion {
        table: TableId(table),
        series: SeriesSelection::Only(vec![SeriesId(1), SeriesId(4)]),
        range: TimeRange::new(-3, 7),
    }
}

fn receipt(detail: &str) -> Receipt {
    Receipt {
        at_micros: 1_700_000_000_000_000,
        kind: ReceiptKind::LogDamage,
        file: "log/0000000001.log".into(),
        sequences: Some((4, 9)),
        table: None,
        series: Vec::new(),
        times: None,
        bytes: 17,
        detail: detail.into(),
    }
}

/// Everything a catalog says, in a form that compares.
#[derive(Debug, Clone, PartialEq, Default)]
struct Contents {
    applied: u64,
    sealed_through: u64,
    tables: Vec<TableSchema>,
    series: Vec<(u32, u32, SeriesKey)>,
    segments: Vec<SegmentEntry>,
    deletions: Vec<(u64, Deletion)>,
    receipts: Vec<(u64, Receipt)>,
    engine_time: EngineTime,
    cells: Vec<(Key, Stored)>,
    changed: Vec<Note>,
    dropped: Vec<TableSchema>,
}

impl Contents {
    fn of(catalog: &Arc<Catalog>) -> Result<Contents> {
        let mut contents = Contents {
            applied: catalog.applied(),
            sealed_through: catalog.sealed_through()?,
            tables: catalog.tables()?,
            segments: catalog.segments()?,
            deletions: catalog.deletions()?,
            receipts: catalog.receipts()?,
            engine_time: catalog.engine_time()?,
            cells: catalog.cells()?.range(&everything())?.collect::<Result<_>>()?,
            changed: catalog.cells()?.noted(0, &[], usize::MAX)?,
            dropped: catalog.dropped_tables()?,
            ..Contents::default()
        };
        for segment in &mut contents.segments {
            assert!(segment.index.is_empty(), "listing segments does not read indexes");
            segment.index = catalog.segment_index(segment.id)?.unwrap();
        }
        for table in &contents.tables {
            catalog.series(table.id, &mut |id, key| {
                contents.series.push((table.id.0, id.0, key));
                Ok(())
            })?;
        }
        Ok(contents)
    }

    /// What the changes mean, worked out without a catalog.
    fn apply(&mut self, through: u64, changes: &[Change]) {
        self.applied = through;
        for change in changes {
            match change.clone() {
                Change::PutTable(schema) => put(&mut self.tables, schema, |schema| schema.id.0),
                Change::DropTable(schema) => self.drop_table(schema),
                Change::PutSeries { table, first, keys } => {
                    for (id, key) in (first.0..).zip(keys) {
                        put(&mut self.series, (table.0, id, key), |(table, id, _)| (*table, *id));
                    }
                }
                Change::PutSegment(entry) => put(&mut self.segments, entry, |entry| entry.id),
                Change::RemoveSegment(id) => self.segments.retain(|entry| entry.id != id),
                Change::PutDeletions { sequence, deletions } => {
                    self.deletions.retain(|row| row.0 != sequence);
                    self.deletions.extend(deletions.into_iter().map(|deletion| (sequence, deletion)));
                    self.deletions.sort_by_key(|row| row.0);
                }
                Change::RemoveDeletions(sequence) => self.deletions.retain(|row| row.0 != sequence),
                Change::PutReceipt { sequence, receipt } => put(&mut self.receipts, (sequence, receipt), |row| row.0),
                Change::SealedThrough(sequence) => self.sealed_through = sequence,
                Change::BytesWritten(_) => {}
                Change::EngineTime(time) => self.engine_time = time,
                Change::PutCells(cells) => cells.into_iter().for_each(|cell| self.put_cell(cell)),
            }
        }
    }
}

impl Contents {
    fn drop_table(&mut self, schema: TableSchema) {
        let id = schema.id;
        self.tables.retain(|table| table.id != id);
        self.series.retain(|(table, _, _)| *table != id.0);
        self.segments.retain(|entry| entry.table != id);
        self.deletions.retain(|(_, deletion)| deletion.table != id);
        put(&mut self.dropped, schema, |schema| schema.id.0);
    }

    fn put_cell(&mut self, Cell { sequence, effect: Effect { key, value } }: Cell) {
        self.changed.retain(|row| row.key != key || row.gone);
        self.cells.retain(|row| row.0 != key);
        if !is_derived(&key) {
            let note = Note { sequence, key: key.clone(), gone: value.is_none(), value: None };
            put(&mut self.changed, note, |note| (note.sequence, note.key.clone()));
        }
        if let Some(value) = value {
            put(&mut self.cells, (key, (sequence, value)), |row| row.0.clone());
        }
    }
}

fn put<T, K: Ord>(rows: &mut Vec<T>, row: T, key: impl Fn(&T) -> K) {
    rows.retain(|other| key(other) != key(&row));
    rows.push(row);
    rows.sort_by_key(key);
}

fn cell(sequence: u64, key: &[u8], value: Option<&[u8]>) -> Cell {
    Cell { sequence, effect: Effect { key: key.into(), value: value.map(Arc::from) } }
}

fn everything() -> KeyRange {
    (Bound::Unbounded, Bound::Unbounded)
}

/// One of everything.
fn all_kinds() -> Vec<Change> {
    vec![
        Change::PutTable(schema(1)),
        Change::PutTable(schema(2)),
        series(1, 0..50),
        series(2, 0..3),
        Change::PutSegment(segment(1, 300)),
        Change::PutSegment(segment(2, 9_000)),
        Change::PutSegment(segment(3, 10)),
        Change::RemoveSegment(SegmentId(3)),
        Change::PutDeletions { sequence: 5, deletions: vec![deletion(1)] },
        Change::PutDeletions { sequence: 6, deletions: vec![deletion(2)] },
        Change::RemoveDeletions(6),
        Change::PutTable(schema(4)),
        Change::PutTable(schema(5)),
        series(4, 0..9),
        series(5, 0..2),
        Change::PutSegment(SegmentEntry { table: TableId(4), ..segment(4, 100) }),
        Change::PutDeletions { sequence: 7, deletions: vec![deletion(4)] },
        Change::PutDeletions { sequence: 8, deletions: vec![deletion(5), deletion(4), deletion(2), deletion(5)] },
        Change::DropTable(TableSchema { version: 2, ..schema(4) }),
        Change::PutReceipt { sequence: 7, receipt: receipt("gone") },
        Change::SealedThrough(8),
        Change::EngineTime(EngineTime { engine_micros: 12_345, machine: NonZeroU64::new(7).map(|boot| (boot, 9)) }),
        Change::PutCells(vec![
            cell(2, b"\x10gone", Some(b"")),
            cell(3, b"\x10key", Some(b"old")),
            cell(3, b"\x90key", Some(b"")),
        ]),
        Change::PutCells(vec![cell(4, b"\x10gone", None), cell(9, b"\x10key", Some(&[7; 9_000]))]),
    ]
}

#[test]
fn what_was_applied_is_there_at_once_and_after_a_checkpoint_for_good() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    assert_eq!(Contents::of(&catalog).unwrap(), Contents::default());
    let mut expected = Contents::default();
    expected.apply(9, &all_kinds());
    catalog.apply(9, &all_kinds()).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), expected);
    catalog.apply(9, &all_kinds()).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), expected, "twice is once");
    catalog.checkpoint().unwrap();
    drop(catalog);
    assert_eq!(Contents::of(&open(&disk).unwrap()).unwrap(), expected);
    assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
    assert_eq!(open(&disk).unwrap().segment_index(SegmentId(3)).unwrap(), None);
    assert_eq!(open(&disk).unwrap().segment_index(SegmentId(4)).unwrap(), None, "dropped with its table");
    assert!(open(&disk).unwrap().verify().unwrap().is_empty());
}

#[test]
fn the_tail_after_the_checkpoint_is_left_to_the_log() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(4, &[Change::PutTable(schema(1))]).unwrap();
    catalog.checkpoint().unwrap();
    // Far more than the caches hold, so that pages have gone to the file.
    catalog.apply(5, &[series(1, 0..40_000), Change::SealedThrough(5)]).unwrap();
    assert_eq!((catalog.applied(), catalog.sealed_through().unwrap()), (5, 5));
    let cut = disk.after_power_cut();
    drop(catalog);
    for disk in [disk, cut] {
        let catalog = open(&disk).unwrap();
        assert_eq!((catalog.applied(), catalog.sealed_through().unwrap()), (4, 0));
        assert_eq!(Contents::of(&catalog).unwrap().series, []);
    }
}

#[test]
fn applied_moves_without_changes_and_never_back() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(7, &[]).unwrap();
    assert!(matches!(catalog.apply(6, &[]), Err(Error::Internal(_))));
    catalog.checkpoint().unwrap();
    drop(catalog);
    assert_eq!(open(&disk).unwrap().applied(), 7);
}

#[test]
fn a_checkpoint_without_changes_writes_nothing() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    disk.fail_writes(true);
    disk.fail_syncs(true);
    catalog.checkpoint().unwrap();
    drop(catalog);
    let catalog = open(&disk).unwrap();
    catalog.checkpoint().unwrap();
}

#[test]
fn a_catalog_is_durable_once_made() {
    let disk = MemoryDisk::new();
    drop(create(&disk));
    let catalog = open(&disk.after_power_cut()).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), Contents::default());
}

#[test]
fn making_one_replaces_one() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(9, &all_kinds()).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    drop(create(&disk));
    assert_eq!(Contents::of(&open(&disk).unwrap()).unwrap(), Contents::default());
}

#[test]
fn where_there_is_none_opening_says_damaged() {
    let disk = MemoryDisk::new();
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
    disk.create_dir_all(&dir()).unwrap();
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
    drop(create(&disk));
    disk.remove(&dir().join("catalog.pages")).unwrap();
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

/// Each sync of a checkpoint is needed: without it a power cut takes back what was promised, or damages the catalog.
#[test]
fn every_sync_is_needed() {
    for label in [SyncLabel::CatalogPages, SyncLabel::CatalogChecksums, SyncLabel::CatalogDirectory] {
        let disk = MemoryDisk::new();
        disk.ignore_sync(Some(label));
        let catalog = create(&disk);
        catalog.apply(9, &all_kinds()).unwrap();
        catalog.checkpoint().unwrap();
        drop(catalog);
        let after = open(&disk.after_power_cut());
        assert!(after.is_err() || after.unwrap().applied() < 9, "{label:?} is not needed");
    }
}

#[test]
fn series_are_read_in_order_across_pages_of_them() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(1, &[series(1, 0..10_000), series(2, 0..4096), series(3, 0..1)]).unwrap();
    for (table, count) in [(1, 10_000), (2, 4096), (3, 1), (4, 0)] {
        let mut next = 0;
        let visited = catalog.series(TableId(table), &mut |id, key| {
            assert_eq!((id.0, key), (next, series_key(next)));
            next += 1;
            Ok(())
        });
        visited.unwrap();
        assert_eq!(next, count);
    }
    let mut seen = 0;
    let stopped = catalog.series(TableId(1), &mut |_, _| {
        seen += 1;
        Err(Error::Closed)
    });
    assert!(matches!(stopped, Err(Error::Closed)));
    assert_eq!(seen, 1);
    assert_eq!(catalog.applied(), 1, "the visitor's error is its own");
    catalog.checkpoint().unwrap();
}

#[test]
fn a_failed_write_or_sync_stops_the_catalog_until_it_is_opened_again() {
    for fail in [MemoryDisk::fail_writes, MemoryDisk::fail_syncs] {
        let disk = MemoryDisk::new();
        let catalog = create(&disk);
        catalog.apply(3, &[Change::PutTable(schema(1))]).unwrap();
        catalog.checkpoint().unwrap();
        catalog.apply(4, &[Change::PutTable(schema(2))]).unwrap();
        fail(&disk, true);
        assert!(matches!(catalog.checkpoint(), Err(Error::Io { .. })));
        fail(&disk, false);
        assert!(matches!(catalog.checkpoint(), Err(Error::Stopped { .. })));
        assert!(matches!(catalog.apply(5, &[]), Err(Error::Stopped { .. })));
        assert!(matches!(catalog.tables(), Err(Error::Stopped { .. })));
        drop(catalog);
        let catalog = open(&disk).unwrap();
        assert_eq!((catalog.applied(), catalog.tables().unwrap().len()), (3, 1));
        catalog.apply(4, &[Change::PutTable(schema(2))]).unwrap();
        catalog.checkpoint().unwrap();
        drop(catalog);
        assert_eq!(open(&disk).unwrap().tables().unwrap().len(), 2);
    }
}

#[test]
fn readers_go_on_beside_a_writer() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(1, &[Change::PutTable(schema(1)), series(1, 0..20_000)]).unwrap();
    catalog.checkpoint().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let mut count = 0;
                    let visited = catalog.series(TableId(1), &mut |id, key| {
                        assert_eq!(key, series_key(id.0));
                        count += 1;
                        Ok(())
                    });
                    visited.unwrap();
                    assert!(count >= 20_000);
                }
            });
        }
        for step in 0..20u32 {
            catalog.apply(2 + u64::from(step), &[series(1, 20_000 + step * 500..20_500 + step * 500)]).unwrap();
            catalog.checkpoint().unwrap();
        }
    });
    assert!(catalog.verify().unwrap().is_empty());
}

#[test]
fn the_operating_systems_files_do_as_well() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("catalog");
    let components = Components::os();
    let mut expected = Contents::default();
    let catalog = Arc::new(Catalog::create(&components, &dir, CACHE).unwrap());
    for sequence in 1..40_u64 {
        let mut changes = if sequence == 1 { all_kinds() } else { vec![Change::PutSegment(segment(sequence, 30_000))] };
        if sequence == 39 {
            changes = (1..39).map(|id| Change::RemoveSegment(SegmentId(id))).collect();
        }
        catalog.apply(sequence, &changes).unwrap();
        expected.apply(sequence, &changes);
        catalog.checkpoint().unwrap();
    }
    catalog.write_snapshot().unwrap();
    drop(catalog);
    let catalog = Arc::new(Catalog::open(&components, &dir, CACHE).unwrap());
    assert_eq!(Contents::of(&catalog).unwrap(), expected);
    assert!(catalog.verify().unwrap().is_empty());
    drop(catalog);
    let catalog = Arc::new(Catalog::restore(&components, &dir, 39, CACHE).unwrap());
    assert_eq!(Contents::of(&catalog).unwrap(), expected);
    let on_disk: u64 = components.disk.list(&dir).unwrap().iter().map(|entry| entry.len).sum();
    assert_eq!(catalog.bytes_on_disk().unwrap(), on_disk);
}

/// The file of the catalog in its directory.
fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn len(disk: &MemoryDisk, path: &Path) -> usize {
    let entries = disk.list(path.parent().unwrap()).unwrap();
    entries.iter().find(|entry| path.ends_with(&entry.name)).unwrap().len as usize
}
