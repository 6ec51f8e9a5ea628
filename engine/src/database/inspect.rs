//! What a database holds and what it costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inner::Inner;
use crate::error::Result;
use crate::format;
use crate::model::{FieldType, PartitionKind, TIME_COLUMN, TableSchema};
use crate::record::{Evictions, Receipt};
use crate::retention;
use crate::segment::ColumnRef;
use crate::table::{Table, TableState};

/// A whole database.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// By name.
    pub tables: Vec<TableInspection>,
    /// Bytes of log files, spare ones included.
    pub log_bytes: u64,
    /// Bytes of changes kept for the change feed from log files that were let go of.
    pub history_bytes: u64,
    /// Bytes of the catalog, its checksums and snapshots.
    pub catalog_bytes: u64,
    /// Bytes written to the directory since it was created.
    pub bytes_written: u64,
    /// What was lost and when it was noticed, oldest first.
    pub receipts: Vec<ReceiptInspection>,
    /// Identity of this database, as 32 hexadecimal digits.
    pub incarnation: String,
    /// Version of the directory format.
    pub format_version: u32,
}

/// A receipt and its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptInspection {
    /// The number of its record.
    pub sequence: u64,
    /// The name of the table touched.
    pub table: Option<String>,
    /// What was lost.
    pub receipt: Receipt,
}

/// One table.
#[derive(Debug, Clone)]
pub struct TableInspection {
    /// Its schema.
    pub schema: Arc<TableSchema>,
    /// Rows. Rows of the same series and time count once per segment or unsealed run that holds them.
    pub rows: u64,
    /// Values present, counted likewise.
    pub points: u64,
    /// Different series.
    pub series: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of segments.
    pub bytes_on_disk: u64,
    /// Rows not yet in segments.
    pub unsealed_rows: u64,
    /// What it has let go of, ever; `None` where that is nothing.
    pub evicted: Option<Evictions>,
    /// Earliest and latest time, in the table's unit.
    pub times: Option<(i64, i64)>,
    /// Length of the longest partition in use.
    pub partitions: Option<PartitionKind>,
    /// Bytes of segments per value in them.
    pub bytes_per_point: Option<f64>,
    /// Columns as they lie in segments: time, tags, fields.
    pub columns: Vec<ColumnInspection>,
}

/// One column of a table's segments.
#[derive(Debug, Clone)]
pub struct ColumnInspection {
    /// Its name.
    pub name: String,
    /// Its type, for a field.
    pub kind: Option<FieldType>,
    /// How it is encoded; several, with their share of segments, where segments differ.
    pub encoding: String,
    /// Bytes in segments.
    pub bytes: u64,
    /// Values present in segments.
    pub values: u64,
}

impl Inner {
    pub(super) fn inspect(&self) -> Result<Inspection> {
        self.check_open()?;
        let tables = self.publisher.registry.all();
        let name_of = |id| tables.iter().find(|table| Some(table.id) == id).map(|table| table.schema().name.clone());
        let (receipts, catalog_bytes) = match self.publisher.catalog.get() {
            Some(catalog) => (catalog.receipts()?, catalog.bytes_on_disk()?),
            None => (Vec::new(), 0),
        };
        let receipts = receipts
            .into_iter()
            .map(|(sequence, receipt)| ReceiptInspection { sequence, table: name_of(receipt.table), receipt })
            .collect();
        Ok(Inspection {
            tables: tables.iter().map(|table| self.inspect_table(table)).collect::<Result<_>>()?,
            log_bytes: self.committer.bytes_on_disk(),
            history_bytes: self.feed.history.bytes_on_disk(),
            catalog_bytes,
            bytes_written: self.bytes_written(),
            receipts,
            incarnation: self.identity.incarnation_hex(),
            format_version: format::VERSION,
        })
    }

    fn inspect_table(&self, table: &Table) -> Result<TableInspection> {
        let state = table.snapshot();
        let sealed = |of: fn(&crate::record::SegmentEntry) -> u64| state.segments.iter().map(|entry| of(entry)).sum::<u64>();
        let (sealed_points, bytes_on_disk) = (sealed(|entry| entry.points), sealed(|entry| entry.bytes));
        let unsealed_rows = state.unsealed_rows();
        let unsealed_points: u64 = state.runs().map(|run| run.block.points()).sum();
        let times = state.segments.iter().map(|entry| entry.times).chain(state.runs().map(|run| run.times));
        Ok(TableInspection {
            schema: table.schema(),
            rows: sealed(|entry| entry.rows) + unsealed_rows,
            points: sealed_points + unsealed_points,
            series: u64::from(table.series.read().len()),
            segments: state.segments.len() as u64,
            bytes_on_disk,
            unsealed_rows,
            evicted: retention::of_table(&self.begin_keys()?, table.id)?,
            times: times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d))),
            partitions: state.segments.iter().filter_map(|entry| entry.partition).map(|partition| partition.kind).max(),
            bytes_per_point: (sealed_points > 0).then(|| bytes_on_disk as f64 / sealed_points as f64),
            columns: self.inspect_columns(table, &state)?,
        })
    }

    fn inspect_columns(&self, table: &Table, state: &TableState) -> Result<Vec<ColumnInspection>> {
        let schema = table.schema();
        let mut columns: BTreeMap<String, (BTreeMap<String, usize>, u64, u64)> = BTreeMap::new();
        for entry in state.segments.iter() {
            for report in self.store.open(entry)?.encodings() {
                let (encodings, bytes, values) = columns.entry(column_name(&schema, report.column)).or_default();
                *encodings.entry(report.encoding.to_string()).or_default() += 1;
                *bytes += report.bytes;
                *values += report.present;
            }
        }
        let names = std::iter::once(TIME_COLUMN)
            .chain(schema.tags.iter().map(|tag| tag.name.as_str()))
            .chain(schema.fields.iter().map(|field| field.name.as_str()));
        let inspected = names.filter_map(|name| {
            let (encodings, bytes, values) = columns.get(name)?;
            let kind = schema.field_position(name).map(|position| schema.fields[position].kind);
            Some(ColumnInspection { name: name.to_owned(), kind, encoding: listed(encodings), bytes: *bytes, values: *values })
        });
        Ok(inspected.collect())
    }
}

fn column_name(schema: &TableSchema, column: ColumnRef) -> String {
    let name = match column {
        ColumnRef::Time => Some(TIME_COLUMN),
        ColumnRef::Tag(position) => schema.tags.get(position).map(|tag| tag.name.as_str()),
        ColumnRef::Field(position) => schema.fields.get(position).map(|field| field.name.as_str()),
    };
    name.unwrap_or_default().to_owned()
}

/// The one encoding, or all with their number of segments.
fn listed(encodings: &BTreeMap<String, usize>) -> String {
    match encodings.iter().next() {
        Some((only, _)) if encodings.len() == 1 => only.clone(),
        _ => encodings.iter().map(|(name, segments)| format!("{name} ×{segments}")).collect::<Vec<_>>().join(", "),
    }
}
