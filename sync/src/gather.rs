//! What a cut of a database is announced with.

use alluvium::record::{Deletion, Receipt, ReceiptKind, SeriesSelection};
use alluvium::{Cut, Database, Partition, PartitionKind, SeriesId, TableId, TableSchema, TimeUnit};

use crate::metadata::{unit, wall};
use crate::remote::{
    AuditHead, Delta, Erasure, FORMAT, Gap, Hash, Incarnation, Link, Manifest, Period, PeriodKind, Series, Table, Unit,
};

/// Who announces it, and behind what.
#[derive(Debug, Clone)]
pub struct Announcer<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The cut before.
    pub previous: Option<Link>,
}

/// The manifest of a cut.
pub fn manifest(db: &Database, cut: &Cut, announcer: &Announcer<'_>, metadata: Option<Delta>) -> Manifest {
    let mut gaps: Vec<_> = cut.losses.iter().map(gap).collect();
    gaps.extend(cut.voids.iter().map(|unit| Gap {
        at: wall(cut.taken_at),
        kind: "erased".to_owned(),
        sequences: Some(unit.records),
        table: Some(unit.table.0),
        times: Some(unit.times),
        detail: "all its rows were deleted before they were sent".to_owned(),
    }));
    Manifest {
        format: FORMAT.to_owned(),
        gateway: announcer.gateway.to_owned(),
        incarnation: announcer.incarnation,
        cut: cut.number,
        previous: announcer.previous,
        after: cut.after,
        through: cut.through,
        sealed_at: wall(cut.taken_at),
        audit: cut.audit.map(|(number, hash)| AuditHead { number, hash: Hash(hash) }),
        tables: tables(db, cut),
        units: units(db, cut),
        metadata,
        erasures: cut.erasures.iter().filter_map(|(sequence, deletion)| erasure(db, *sequence, deletion)).collect(),
        gaps,
    }
}

/// The tables that a cut speaks of, by number.
fn tables(db: &Database, cut: &Cut) -> Vec<Table> {
    let units = cut.units.iter().chain(&cut.voids).map(|unit| unit.table);
    let erased = cut.erasures.iter().map(|(_, deletion)| deletion.table);
    let lost = cut.losses.iter().filter_map(|receipt| receipt.table);
    let mut ids: Vec<TableId> = units.chain(erased).chain(lost).chain(cut.dropped.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let table = |id: TableId| {
        let schema = db.table_of(id)?;
        let dropped = cut.dropped.contains(&id);
        Some(Table { table: id.0, name: schema.name.clone(), unit: unit(schema.time_unit), dropped })
    };
    ids.into_iter().filter_map(table).collect()
}

fn units(db: &Database, cut: &Cut) -> Vec<Unit> {
    let unit = |unit: &alluvium::Unit| {
        let schema = db.table_of(unit.table)?;
        Some(Unit {
            table: unit.table.0,
            period: period(unit.partition, schema.time_unit),
            records: unit.records,
            rows: unit.rows,
            first: unit.times.0,
            last: unit.times.1,
        })
    };
    let mut units: Vec<_> = cut.units.iter().filter_map(unit).collect();
    units.sort_by_key(|unit| (unit.table, unit.period, unit.records));
    units
}

/// A partition, as objects name it.
pub fn period(partition: Partition, unit: TimeUnit) -> Period {
    let kind = match partition.kind {
        PartitionKind::Hour => PeriodKind::Hour,
        PartitionKind::Day => PeriodKind::Day,
        PartitionKind::Month => PeriodKind::Month,
        PartitionKind::Year => PeriodKind::Year,
    };
    Period { kind, start: partition.range.start.div_euclid(unit.per_second()) }
}

/// The length of a partition, of that of a period.
pub(crate) fn partition_kind(kind: PeriodKind) -> PartitionKind {
    match kind {
        PeriodKind::Hour => PartitionKind::Hour,
        PeriodKind::Day => PartitionKind::Day,
        PeriodKind::Month => PartitionKind::Month,
        PeriodKind::Year => PartitionKind::Year,
    }
}

fn erasure(db: &Database, sequence: u64, deletion: &Deletion) -> Option<Erasure> {
    let series = match &deletion.series {
        SeriesSelection::All => Series::All,
        SeriesSelection::Only(ids) => Series::Only(ids.iter().map(|id| tags(db, deletion.table, *id)).collect()),
    };
    let (from, to) = (deletion.range.start, deletion.range.end);
    (from < to).then_some(Erasure { sequence, table: deletion.table.0, series, from, to })
}

/// The tags of a series, each none where it has none.
fn tags(db: &Database, table: TableId, id: SeriesId) -> Vec<Option<String>> {
    let width = db.table_of(table).map_or(0, |schema: std::sync::Arc<TableSchema>| schema.tags.len());
    let mut tags = db.series_of(table, id, 1).pop().map_or_else(Vec::new, |key| key.0);
    tags.resize(width, None);
    tags
}

fn gap(receipt: &Receipt) -> Gap {
    let kind = match receipt.kind {
        ReceiptKind::TornTail => "torn_tail",
        ReceiptKind::LogDamage => "log_damage",
        ReceiptKind::SegmentDamage => "segment_damage",
        ReceiptKind::CatalogRebuilt => "catalog_rebuilt",
        ReceiptKind::Evicted => "evicted",
    };
    Gap {
        at: wall(receipt.at_micros),
        kind: kind.to_owned(),
        sequences: receipt.sequences,
        table: receipt.table.map(|table| table.0),
        times: receipt.times,
        detail: receipt.detail.clone(),
    }
}
