//! The log, read from the start: what is not yet in segments or in the catalog is materialised again.

use std::path::{Path, PathBuf};

use super::Layout;
use crate::catalog::{Catalog, Cell, Change};
use crate::error::{Error, Result};
use crate::format::{limits, names};
use crate::ingest::{Effects, Mutation, News, Publisher, compacted_changes, evicted_changes, sealed_changes};
use crate::io::Components;
use crate::memtable::Run;
use crate::model::{Block, Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{Deletion, Effect, Receipt, ReceiptKind, Record, RecordKind, Transaction};
use crate::retention;
use crate::table::Table;
use crate::wal::{self, FrameRef, LogDamage, ScanReport};

/// Changes handed to the catalog at a time.
const CHANGES_PER_APPLY: usize = 4_096;

/// Bytes of cells from which on the catalog is told of them. Fewer are told later, while the database is used already: what
/// writers may leave untold, and what comes while the catalog is saved.
const UNTOLD_BYTES: usize = 32 << 20;

/// What a first pass over the log tells.
pub(super) struct Survey {
    pub(super) report: ScanReport,
    /// The last cut that the log knows to be sealed.
    pub(super) sealed_through: Sequence,
    /// The latest definition of each table, in the order of the log.
    tables: Vec<Defined>,
}

/// A table as a record has it.
struct Defined {
    schema: TableSchema,
    dropped: bool,
}

/// Reads the log from a record on for its extent, its damage, its tables and the last seal in it.
pub(super) fn survey(components: &Components, layout: &Layout, from: Sequence) -> Result<Survey> {
    let (mut seals, mut tables) = (Vec::new(), Vec::<Defined>::new());
    let wanted = [RecordKind::Sealed, RecordKind::CreateTable, RecordKind::AlterTable, RecordKind::DropTable];
    let wanted = wanted.map(RecordKind::code);
    let mut define = |schema: TableSchema, dropped| {
        let known = tables.iter().position(|known| known.schema.id == schema.id);
        if known.is_none_or(|at| tables[at].schema.version < schema.version) {
            // A name is that of the table which got it last.
            known.map(|at| tables.remove(at));
            tables.push(Defined { schema, dropped });
        }
    };
    let report = wal::scan_from(&*components.disk, &layout.log(), from, &mut |frame| {
        if !wanted.contains(&frame.kind) {
            return Ok(());
        }
        match decode(&frame) {
            Some(Record::Sealed(sealed)) if sealed.through < frame.sequence => seals.push((frame.sequence, sealed.through)),
            Some(Record::CreateTable(schema) | Record::AlterTable(schema)) => define(schema, false),
            Some(Record::DropTable(schema)) => define(schema, true),
            _ => {}
        }
        Ok(())
    })?;
    let sealed_through =
        seals.into_iter().filter(|(record, _)| *record <= report.last_sequence).map(|(_, through)| through).max();
    Ok(Survey { report, sealed_through: sealed_through.unwrap_or(0), tables })
}

/// What became of the records that were replayed.
pub(super) struct Replayed {
    /// Those that could not be, at least in part.
    pub(super) undefined: Vec<Undefined>,
    /// The last moment that any of them speaks of, by the engine's clock.
    pub(super) engine_micros: u64,
    /// Tables whose names others have by now, and what they are named instead.
    pub(super) named: Vec<(String, TableSchema)>,
}

/// Materialises every record that the segments or the catalog lack. Answers the records that could not be, since what
/// defines their table or series is lost.
pub(super) fn replay(
    components: &Components,
    layout: &Layout,
    publisher: &Publisher,
    survey: &Survey,
    sealed_through: Sequence,
) -> Result<Replayed> {
    let Some(catalog) = publisher.catalog.get() else { return Err(Error::Closed) };
    let mut known = Known::new(layout, catalog.applied(), sealed_through);
    // The latest definitions serve everything before them, since columns are only ever added: so the loss of one is made up for.
    for Defined { schema, dropped } in &survey.tables {
        if let Some(true) = is_news(publisher, schema) {
            let mutation = if *dropped { Mutation::DropTable } else { Mutation::AlterTable };
            publisher.publish(0, mutation(schema.clone()), &mut known.news)?;
        }
    }
    let named = name_nameless(publisher, &mut known.news)?;
    let from = known.applied.min(sealed_through) + 1;
    wal::scan_from(&*components.disk, &layout.log(), from, &mut |frame| {
        if frame.kind == RecordKind::PutRows.code() && frame.sequence <= sealed_through {
            return Ok(());
        }
        let record = decode(&frame);
        // A repeated definition carries the number of the record to follow, which may not be there.
        known.through = frame.sequence - u64::from(frame.flags & wal::CONTEXT != 0);
        match record {
            Some(record) => materialise(publisher, &mut known, &frame, record)?,
            None => known.lack(Undefined { why: UNREADABLE, ..Undefined::of(&frame, None) })?,
        }
        known.tell(publisher, CHANGES_PER_APPLY)
    })?;
    // Cells that are not many may wait, as when they were written.
    known.tell(publisher, 1)?;
    Ok(Replayed { undefined: known.undefined, engine_micros: known.engine_micros, named })
}

/// Names tables that lost their names to others: the records of their new names, or of their end, are lost.
fn name_nameless(publisher: &Publisher, news: &mut News) -> Result<Vec<(String, TableSchema)>> {
    let registry = &publisher.registry;
    let mut named = Vec::new();
    for table in registry.nameless() {
        let before = table.schema();
        let mut name = format!("lost name {}", table.id.0);
        while registry.find(&name).is_some() {
            name.push('\'');
        }
        let schema = before.renamed(&name)?;
        publisher.publish(0, Mutation::AlterTable(schema.clone()), news)?;
        named.push((before.name.clone(), schema));
    }
    Ok(named)
}

/// A record that nothing makes sense of any more, at least in part.
pub(super) struct Undefined {
    sequence: Sequence,
    file: u64,
    offset: u64,
    table: Option<TableId>,
    why: &'static str,
}

const UNREADABLE: &str = "is whole but cannot be understood";
const LACKING: &str = "is of a table, series or column whose definition is lost";

impl Undefined {
    fn of(frame: &FrameRef<'_>, table: Option<TableId>) -> Self {
        Undefined { sequence: frame.sequence, file: frame.file, offset: frame.offset, table, why: LACKING }
    }
}

/// Tells the catalog what it missed; everything else is in memory already.
pub(super) fn catalog_only(components: &Components, layout: &Layout, catalog: &Catalog) -> Result<()> {
    let mut known = Known::new(layout, catalog.applied(), 0);
    wal::scan_from(&*components.disk, &layout.log(), known.applied + 1, &mut |frame| {
        let new = frame.sequence > known.applied && frame.flags & wal::CONTEXT == 0;
        if !new || frame.kind == RecordKind::PutRows.code() {
            return Ok(());
        }
        known.through = frame.sequence;
        known.news.changes.extend(decode(&frame).into_iter().flat_map(|record| changes_of(frame.sequence, record)));
        known.apply(catalog, CHANGES_PER_APPLY)
    })?;
    known.apply(catalog, 0)
}

/// States what the scan found lost. What lies in segments and in the catalog already is no loss.
pub(super) fn report_losses(components: &Components, survey: &Survey, covered: Sequence, replayed: &Replayed) -> Vec<Receipt> {
    let at_micros = components.clock.wall_micros();
    let blank = |kind, file: u64, bytes, detail: String| Receipt {
        at_micros,
        kind,
        file: relative_path(file),
        sequences: None,
        table: None,
        series: Vec::new(),
        times: None,
        bytes,
        detail,
    };
    let mut receipts = Vec::new();
    if let Some(torn) = &survey.report.torn {
        let detail = format!("the log ends in an unfinished write at byte {}, after record {}", torn.offset, torn.after);
        receipts.push(blank(ReceiptKind::TornTail, torn.file, torn.bytes, detail));
    }
    for damage in &survey.report.damage {
        if damage.sequences.is_some_and(|(_, last)| last > covered) {
            let receipt = blank(ReceiptKind::LogDamage, damage.file, damage.bytes, describe(damage));
            receipts.push(Receipt { sequences: damage.sequences, ..receipt });
        }
    }
    for lost in &replayed.undefined {
        let detail = format!("record {} at byte {} {}", lost.sequence, lost.offset, lost.why);
        let receipt = blank(ReceiptKind::LogDamage, lost.file, 0, detail);
        receipts.push(Receipt { sequences: Some((lost.sequence, lost.sequence)), table: lost.table, ..receipt });
    }
    for (name, schema) in &replayed.named {
        let detail = format!(
            "another table is named {name:?}: what this one was named last, or that it was dropped, is lost; it is named {:?} now",
            schema.name
        );
        receipts.push(Receipt {
            file: names::LOG.to_owned(),
            table: Some(schema.id),
            ..blank(ReceiptKind::LogDamage, 0, 0, detail)
        });
    }
    receipts
}

/// States that the log ends before what the catalog was told from it, which it never does by itself: a checkpoint syncs the log
/// first. What lies in segments is no loss.
pub(super) fn report_missing_end(
    components: &Components,
    survey: &Survey,
    sealed_through: Sequence,
    applied: Sequence,
) -> Option<Receipt> {
    let reached = survey.report.next_sequence() - 1;
    let first = reached.max(sealed_through) + 1;
    (first <= applied).then(|| Receipt {
        at_micros: components.clock.wall_micros(),
        kind: ReceiptKind::LogDamage,
        file: names::LOG.to_owned(),
        sequences: Some((first, applied)),
        table: None,
        series: Vec::new(),
        times: None,
        bytes: 0,
        detail: format!("the log ends at record {reached}, the catalog knew it up to {applied}: rows between are lost"),
    })
}

/// What cannot be read, in words.
pub(crate) fn describe(damage: &LogDamage) -> String {
    let records = match damage.sequences {
        Some((first, last)) if first == last => format!("record {first} is lost"),
        Some((first, last)) => format!("records {first} to {last} are lost"),
        None => "no record is known to be lost".to_owned(),
    };
    format!("{} bytes at byte {} cannot be read: {records}", damage.bytes, damage.offset)
}

/// The path of a log file below the database directory.
pub(crate) fn relative_path(file: u64) -> String {
    wal::log_path(Path::new(names::LOG), file).display().to_string()
}

struct Known {
    /// The catalog already has everything up to here.
    applied: Sequence,
    /// Rows up to here lie in segments.
    sealed_through: Sequence,
    news: News,
    through: Sequence,
    undefined: Vec<Undefined>,
    engine_micros: u64,
    /// Where the catalog is.
    catalog: PathBuf,
}

impl Known {
    fn new(layout: &Layout, applied: Sequence, sealed_through: Sequence) -> Self {
        let (news, undefined) = (News::default(), Vec::new());
        Known { applied, sealed_through, news, through: 0, undefined, engine_micros: 0, catalog: layout.catalog() }
    }

    fn lack(&mut self, record: Undefined) -> Result<()> {
        self.undefined.push(record);
        Ok(())
    }

    /// Tells the key space of the cells so far, and the catalog once there are many, so that it is told in the order of keys, of
    /// each once; or of all if there are so many other changes.
    fn tell(&mut self, publisher: &Publisher, many: usize) -> Result<()> {
        publisher.keyspace.publish(self.news.cells.iter().map(|(sequence, effects)| (*sequence, &**effects)));
        self.news.cells.clear();
        if publisher.keyspace.unapplied_bytes() < UNTOLD_BYTES && self.news.changes.len() < many {
            return Ok(());
        }
        publisher.tell_all(self.through.max(self.applied), std::mem::take(&mut self.news.changes))?;
        // It was set aside: what gives up the ballast begins again with it.
        publisher.catalog.get().map(drop).ok_or_else(|| Error::DiskFull { path: self.catalog.clone() })
    }

    /// Tells a catalog of all changes if there are so many.
    fn apply(&mut self, catalog: &Catalog, many: usize) -> Result<()> {
        if self.news.changes.is_empty() || self.news.changes.len() < many {
            return Ok(());
        }
        catalog.apply(self.through.max(self.applied), &std::mem::take(&mut self.news.changes))
    }
}

fn put_cells(sequence: Sequence, effects: Vec<Effect>) -> Change {
    Change::PutCells(effects.into_iter().map(|effect| Cell { sequence, effect }).collect())
}

/// `None` where the bytes of a frame, which are as they were written, are no record.
fn decode(frame: &FrameRef<'_>) -> Option<Record> {
    Record::decode(frame.kind, frame.payload).ok()
}

fn materialise(publisher: &Publisher, known: &mut Known, frame: &FrameRef<'_>, record: Record) -> Result<()> {
    let sequence = frame.sequence;
    let new = sequence > known.applied;
    let undefined = |table| Undefined::of(frame, Some(table));
    // What a table held before it was dropped is no more than that.
    let gone = |table| publisher.registry.dropped(table).is_some();
    let mutation = match record {
        // Definitions are repeated in every log file, so what counts is whether they say something new.
        Record::CreateTable(schema) | Record::AlterTable(schema) => match is_news(publisher, &schema) {
            None => return known.lack(undefined(schema.id)),
            Some(false) => return Ok(()),
            Some(true) => Mutation::AlterTable(schema),
        },
        Record::DropTable(schema) => match is_news(publisher, &schema) {
            None => return known.lack(undefined(schema.id)),
            Some(false) => return Ok(()),
            Some(true) => Mutation::DropTable(schema),
        },
        Record::CreateSeries { table, .. } if gone(table) => return Ok(()),
        Record::CreateSeries { table, first, keys } => {
            let Some(owner) = publisher.registry.by_id(table) else { return known.lack(undefined(table)) };
            let whole = restore_series(&owner, &mut known.news.changes, first, &keys);
            return if whole { Ok(()) } else { known.lack(undefined(table)) };
        }
        Record::PutRows { table, .. } if gone(table) => return Ok(()),
        Record::PutRows { table, block } => match restore_rows(publisher, known, undefined(table), table, block)? {
            Some(run) => Mutation::Rows { table, run },
            None => return Ok(()),
        },
        Record::Transaction(transaction) => {
            known.engine_micros = known.engine_micros.max(transaction.at.engine_micros);
            let cells = if new { transaction.cells } else { Vec::new() };
            let mut rows = Vec::new();
            if sequence > known.sealed_through {
                for (table, block) in transaction.rows.into_iter().filter(|(table, _)| !gone(*table)) {
                    let run = restore_rows(publisher, known, undefined(table), table, block)?;
                    rows.extend(run.map(|run| (table, run)));
                }
            }
            let deletions = restore_deletions(publisher, known, frame, transaction.deletions, new)?;
            Mutation::Transaction(Effects { cells, rows, deletions })
        }
        Record::DeleteRows(deletion) => match restore_deletions(publisher, known, frame, vec![deletion], new)?.pop() {
            Some(deletion) => Mutation::Delete(deletion),
            None => return Ok(()),
        },
        Record::Sealed(sealed) if sealed.through >= sequence => {
            return known.lack(Undefined { why: UNREADABLE, ..Undefined::of(frame, None) });
        }
        Record::Sealed(mut sealed) if new => {
            sealed.segments.retain(|entry| !gone(entry.table));
            Mutation::Sealed(sealed)
        }
        Record::Compacted(mut compacted) if new => {
            compacted.added.retain(|entry| !gone(entry.table));
            Mutation::Compacted(compacted)
        }
        Record::Evicted(evicted) if new => Mutation::Evicted(evicted),
        Record::Receipt(receipt) if new => Mutation::Receipt(receipt),
        Record::Sealed(_) | Record::Compacted(_) | Record::Evicted(_) | Record::Receipt(_) => return Ok(()),
    };
    publisher.publish(sequence, mutation, &mut known.news)
}

/// The deletions that the catalog has not got yet.
fn restore_deletions(
    publisher: &Publisher,
    known: &mut Known,
    frame: &FrameRef<'_>,
    mut deletions: Vec<Deletion>,
    new: bool,
) -> Result<Vec<Deletion>> {
    deletions.retain(|deletion| publisher.registry.dropped(deletion.table).is_none());
    let mut left = Vec::new();
    for deletion in deletions {
        match publisher.registry.by_id(deletion.table) {
            None => known.lack(Undefined::of(frame, Some(deletion.table)))?,
            Some(_) if new => left.push(deletion),
            // Rows on either side of it must still be kept apart.
            Some(table) => table.state.write().active.set_barrier(frame.sequence),
        }
    }
    Ok(left)
}

/// Rows as a run that fits their table. `None` where they contradict it, which is noted.
fn restore_rows(
    publisher: &Publisher,
    known: &mut Known,
    undefined: Undefined,
    table: TableId,
    block: Block,
) -> Result<Option<Run>> {
    let Some(owner) = publisher.registry.by_id(table) else { return known.lack(undefined).map(|()| None) };
    let schema = owner.schema();
    let Some(fitted) = fit(&owner, &schema, block, &mut known.news.changes) else { return known.lack(undefined).map(|()| None) };
    if fitted.lacking {
        known.undefined.push(undefined);
    }
    Run::from_batch(&schema, fitted.block).map(Some)
}

/// Whether a schema says something new; `None` where it contradicts what is known already.
fn is_news(publisher: &Publisher, schema: &TableSchema) -> Option<bool> {
    let Some(table) = publisher.registry.by_id(schema.id) else {
        return Some(publisher.registry.dropped(schema.id).is_none());
    };
    let current = table.schema();
    if schema.version <= current.version { Some(false) } else { schema.extends(&current).then_some(true) }
}

/// Rows that fit their table as it is known.
struct Fitted {
    block: Block,
    /// Whether a series had to be made up, or a column left out.
    lacking: bool,
}

/// Fits rows to a table of which definitions may be lost. `None` where they contradict it.
fn fit(owner: &Table, schema: &TableSchema, mut block: Block, changes: &mut Vec<Change>) -> Option<Fitted> {
    let highest = block.series.iter().copied().max().unwrap_or(0);
    if u64::from(highest) >= limits::SERIES {
        return None;
    }
    let mut known = block.columns.iter().zip(&schema.fields);
    if known.any(|(column, field)| column.as_ref().is_some_and(|array| *array.data_type() != field.kind.arrow())) {
        return None;
    }
    let mut index = owner.series.write();
    let before = index.len();
    let mut lacking = index.presume(SeriesId(highest)).ok()?;
    if lacking {
        // Segments may come to refer to them when the log is gone.
        let keys = (before..index.len()).map(|id| index.key(SeriesId(id))).collect();
        changes.push(Change::PutSeries { table: owner.id, first: SeriesId(before), keys });
    }
    if block.columns.len() > schema.fields.len() {
        lacking |= block.columns.drain(schema.fields.len()..).any(|column| column.is_some());
    }
    Some(Fitted { block, lacking })
}

/// Adds or confirms series, and tells the catalog of those it does not have. Answers whether all have the keys named here.
fn restore_series(owner: &Table, changes: &mut Vec<Change>, first: SeriesId, keys: &[SeriesKey]) -> bool {
    let mut index = owner.series.write();
    let before = index.len();
    let (mut redefined, mut whole) = (false, true);
    for (id, key) in (first.0..).map(SeriesId).zip(keys) {
        redefined |= id.0 < before && index.key(id).normalized() != key.clone().normalized();
        whole &= index.restore(id, key).is_ok();
    }
    let end = (first.0 + keys.len() as u32).min(index.len());
    if redefined || end > before {
        let from = if redefined { first.0 } else { first.0.min(before) };
        let keys = (from..end).map(|id| index.key(SeriesId(id))).collect();
        changes.push(Change::PutSeries { table: owner.id, first: SeriesId(from), keys });
    }
    whole
}

fn changes_of(sequence: Sequence, record: Record) -> Vec<Change> {
    match record {
        Record::CreateTable(schema) | Record::AlterTable(schema) => vec![Change::PutTable(schema)],
        Record::DropTable(schema) => vec![Change::DropTable(schema)],
        Record::CreateSeries { table, first, keys } => vec![Change::PutSeries { table, first, keys }],
        Record::PutRows { .. } => Vec::new(),
        Record::DeleteRows(deletion) => vec![Change::PutDeletions { sequence, deletions: vec![deletion] }],
        Record::Sealed(sealed) => sealed_changes(sealed),
        Record::Compacted(compacted) => compacted_changes(compacted),
        Record::Evicted(evicted) => {
            let total = put_cells(sequence, vec![retention::total(&evicted)]);
            [total].into_iter().chain(evicted_changes(sequence, evicted)).collect()
        }
        Record::Receipt(receipt) => vec![Change::PutReceipt { sequence, receipt }],
        Record::Transaction(Transaction { cells, deletions, .. }) => {
            let deletions = (!deletions.is_empty()).then_some(Change::PutDeletions { sequence, deletions });
            deletions.into_iter().chain([put_cells(sequence, cells)]).collect()
        }
    }
}
