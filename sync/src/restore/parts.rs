//! What a database is made of, in the engine's terms.

use std::collections::{BTreeMap, HashSet};

use alluvium::model::{Field, Tag};
use alluvium::record::{Receipt, ReceiptKind};
use alluvium::{
    DeletionPart, Partitioning, Parts, SegmentPart, SeriesId, SeriesKey, TableId, TablePart, TableSchema, TimeRange, TimeUnit,
};

use super::lineage::{Lineage, in_words};
use super::plan::Plan;
use super::told::{TableTold, Told};
use crate::gather;
use crate::metadata::TableValue;
use crate::prove::Missing;
use crate::remote::{self, Erasure, Gap, Series};

/// What a cut calls gaps of rows that were deleted before they were sent: no loss.
const ERASED: &str = "erased";

/// The numbers of tables that were dropped: as manifests say, or lines.
pub(super) fn dropped(lineage: &Lineage<'_>, told: &Told) -> impl Iterator<Item = u32> {
    let by_cuts = lineage.wanted().iter().flat_map(|(_, cut)| &cut.tables).filter(|table| table.dropped);
    let by_lines = told.tables.iter().filter(|(_, table)| table.dropped).map(|(id, _)| *id);
    by_cuts.map(|table| table.table).chain(by_lines)
}

/// Where a segment goes, once it has a number.
pub(super) fn segment(number: u64, key: &remote::SegmentKey) -> SegmentPart {
    let kind = gather::partition_kind(key.period.kind);
    let (table, start, records, hash) = (TableId(key.table), key.period.start, key.records, key.hash.0);
    SegmentPart { number, table, kind, start, records, hash }
}

/// The times that rows of a segment can have.
pub(super) fn times(key: &remote::SegmentKey, unit: TimeUnit) -> TimeRange {
    let start = key.period.start.saturating_mul(unit.per_second());
    gather::partition_kind(key.period.kind).of(start, unit).range
}

/// All parts, or why some table cannot be.
pub(super) fn parts(lineage: &Lineage<'_>, plan: &Plan, told: &mut Told, through: u64, now_micros: i64) -> Result<Parts, String> {
    let dropped: HashSet<_> = dropped(lineage, told).collect();
    let erasures = lineage.wanted().iter().flat_map(|(_, cut)| &cut.erasures).map(deletion);
    Ok(Parts {
        tables: tables(lineage, plan, told, &dropped)?,
        segments: (1..).zip(&plan.segments).map(|(number, of)| segment(number, &of.key)).collect(),
        deletions: erasures.collect(),
        receipts: receipts(lineage, plan, now_micros),
        through,
    })
}

/// The last record that anything restored is of.
pub(super) fn through(lineage: &Lineage<'_>, plan: &Plan, metadata: impl Iterator<Item = u64>) -> u64 {
    let cut = lineage.last().map(|(_, cut)| cut.records.1);
    cut.into_iter().chain(plan.newer).chain(metadata).max().unwrap_or(0)
}

/// All tables as they stand, or why some cannot be.
pub(super) fn tables(
    lineage: &Lineage<'_>,
    plan: &Plan,
    told: &mut Told,
    dropped: &HashSet<u32>,
) -> Result<Vec<TablePart>, String> {
    // What cuts and segments call tables stands where no line tells of them: their columns are learned from their rows.
    let mut bare: BTreeMap<u32, TableSchema> = BTreeMap::new();
    for table in lineage.wanted().iter().flat_map(|(_, cut)| &cut.tables) {
        bare.insert(table.table, bare_table(table));
    }
    let mut schemas = BTreeMap::new();
    for (id, TableTold { value, .. }) in std::mem::take(&mut told.tables) {
        schemas.insert(id, schema(id, value)?);
    }
    for (id, bare) in bare {
        schemas.entry(id).or_insert(bare);
    }
    if let Some(unknown) = plan.segments.iter().find(|of| !schemas.contains_key(&of.key.table)) {
        return Err(format!("neither a manifest nor a line tells of table {}", unknown.key.table));
    }
    // A name is that of the table which got it last.
    let mut taken = HashSet::new();
    let mut parts = Vec::with_capacity(schemas.len());
    for (id, mut schema) in schemas.into_iter().rev() {
        let is_dropped = dropped.contains(&id);
        while !is_dropped && !taken.insert(schema.name.clone()) {
            schema.name = format!("{} ({id})", schema.name);
        }
        let series = told.series.remove(&id).unwrap_or_default();
        let series = series.into_iter().map(|(id, tags)| (SeriesId(id), SeriesKey(tags))).collect();
        parts.push(TablePart { schema, dropped: is_dropped, series });
    }
    Ok(parts)
}

fn schema(id: u32, value: TableValue) -> Result<TableSchema, String> {
    let partitioning = value.partitions.parse().map_err(|error| format!("table {:?}: {error}", value.name))?;
    if value.tags.len() != value.tag_ids.len() {
        return Err(format!("table {:?} has other tags than numbers of tags", value.name));
    }
    let mut fields = Vec::with_capacity(value.fields.len());
    for field in value.fields {
        let kind = field.kind.parse().map_err(|error| format!("table {:?}: {error}", value.name))?;
        fields.push(Field { name: field.name, id: field.id, kind });
    }
    Ok(TableSchema {
        id: TableId(id),
        name: value.name,
        version: value.version,
        time_unit: unit(value.unit),
        partitioning,
        tags: value.tags.into_iter().zip(value.tag_ids).map(|(name, id)| Tag { name, id }).collect(),
        fields,
    })
}

fn bare_table(table: &remote::Table) -> TableSchema {
    TableSchema {
        id: TableId(table.table),
        name: table.name.clone(),
        // Any version that is told of is later.
        version: 0,
        time_unit: unit(table.unit),
        partitioning: Partitioning::Auto,
        tags: Vec::new(),
        fields: Vec::new(),
    }
}

fn unit(unit: remote::TimeUnit) -> TimeUnit {
    match unit {
        remote::TimeUnit::Milli => TimeUnit::Milli,
        remote::TimeUnit::Micro => TimeUnit::Micro,
        remote::TimeUnit::Nano => TimeUnit::Nano,
    }
}

fn deletion(erasure: &Erasure) -> DeletionPart {
    let series = match &erasure.series {
        Series::All => None,
        Series::Only(keys) => Some(keys.iter().cloned().map(SeriesKey).collect()),
    };
    let range = TimeRange { start: erasure.from, end: erasure.to };
    DeletionPart { sequence: erasure.sequence, table: TableId(erasure.table), series, range }
}

/// What is known to be lost: what the gateway noticed itself, and what the bucket lacks.
fn receipts(lineage: &Lineage<'_>, plan: &Plan, now_micros: i64) -> Vec<Receipt> {
    let blank = |detail: String| Receipt {
        at_micros: now_micros,
        kind: ReceiptKind::SegmentDamage,
        file: String::new(),
        sequences: None,
        table: None,
        series: Vec::new(),
        times: None,
        bytes: 0,
        detail,
    };
    let gaps = lineage.wanted().iter().flat_map(|(_, cut)| &cut.gaps).filter(|gap| gap.kind != ERASED);
    let mut receipts: Vec<_> = gaps.map(noticed).collect();
    let units = lineage.wanted().iter().flat_map(|((_, cut), of)| of.units.iter().map(move |unit| (*cut, unit)));
    let units: BTreeMap<_, _> =
        units.map(|(cut, unit)| ((cut, unit.table, unit.period, unit.records), (unit.first, unit.last))).collect();
    receipts.extend(plan.missing.iter().map(|lacking| {
        let Missing { cut, table, period, records, .. } = lacking;
        let detail = format!("rows of {period} that cut {cut} announced were not in the bucket when this was restored from it");
        let times = units.get(&(*cut, *table, *period, *records)).copied();
        Receipt { sequences: Some(*records), table: Some(TableId(*table)), times, ..blank(detail) }
    }));
    if let Some((_, first)) = lineage.wanted().first()
        && first.records.0 > 0
    {
        let detail = "nothing of the first cuts was in the bucket when this was restored from it".to_owned();
        receipts.push(Receipt { sequences: Some((1, first.records.0)), ..blank(detail) });
    }
    receipts.extend(in_words(&lineage.tolerated).into_iter().map(|words| blank(format!("restored in spite of this: {words}"))));
    receipts
}

fn noticed(gap: &Gap) -> Receipt {
    let kind = match gap.kind.as_str() {
        "torn_tail" => ReceiptKind::TornTail,
        "log_damage" => ReceiptKind::LogDamage,
        "catalog_rebuilt" => ReceiptKind::CatalogRebuilt,
        "evicted" => ReceiptKind::Evicted,
        _ => ReceiptKind::SegmentDamage,
    };
    Receipt {
        at_micros: gap.at.as_microsecond(),
        kind,
        file: String::new(),
        sequences: gap.sequences,
        table: gap.table.map(TableId),
        series: Vec::new(),
        times: gap.times,
        bytes: 0,
        detail: gap.detail.clone(),
    }
}
