//! Making a database out of parts that were carried elsewhere: tables, segments and deletions, as their numbers of then say.
//!
//! What comes of it has no identity yet, so that it is no database before whoever asked for it opens it there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Layout;
use crate::catalog::{Catalog, Change};
use crate::error::{Error, Result};
use crate::format::{limits, names};
use crate::io::Components;
use crate::model::{PartitionKind, Partitioning, Sequence, SeriesId, SeriesKey, TableId, TableSchema, TimeRange, TimeUnit};
use crate::record::{Deletion, Receipt, SegmentEntry, SegmentId, SeriesSelection};
use crate::segment::{self, Rebuilt};
use crate::settings::Settings;

/// Segments that the catalog is told of at a time: their indexes are held in memory.
const TOGETHER: usize = 16;
/// Records and segments are counted no further than this, wherever their numbers come from.
const MOST: u64 = 1 << 60;

/// A table that is to be there again.
#[derive(Debug, Clone)]
pub struct TablePart {
    /// As it stood last.
    pub schema: TableSchema,
    /// Whether it was dropped: its number stays taken, and nothing else is left of it.
    pub dropped: bool,
    /// Its series by their numbers, as far as they are known besides those that segments tell of.
    pub series: BTreeMap<SeriesId, SeriesKey>,
}

/// A segment that is to be there again. Its file lies [where it belongs](SegmentPart::path) already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPart {
    /// The number that it gets: each another one, rising with the records.
    pub number: u64,
    /// Its table.
    pub table: TableId,
    /// The length of its partition.
    pub kind: PartitionKind,
    /// The first second of its partition, since 1970.
    pub start: i64,
    /// The first and the last record that it may hold rows of.
    pub records: (Sequence, Sequence),
    /// BLAKE3 of the file.
    pub hash: [u8; 32],
}

/// A deletion that is to hold again of all segments older than its record.
#[derive(Debug, Clone)]
pub struct DeletionPart {
    /// Its record.
    pub sequence: Sequence,
    /// Its table.
    pub table: TableId,
    /// Which series; all where none are named.
    pub series: Option<Vec<SeriesKey>>,
    /// Which times, in the table's unit.
    pub range: TimeRange,
}

/// What a database is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Its tables, in any order.
    pub tables: Vec<TablePart>,
    /// Its segments. No two of one table may be of the same rows.
    pub segments: Vec<SegmentPart>,
    /// Rows that were deleted.
    pub deletions: Vec<DeletionPart>,
    /// What is known to be lost.
    pub receipts: Vec<Receipt>,
    /// The last record that any of it is of: whatever is written later gets higher numbers.
    pub through: Sequence,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assembled {
    /// The last record that it knows of, behind which it goes on.
    pub through: Sequence,
    /// Tables that were not dropped.
    pub tables: u64,
    /// Series of these.
    pub series: u64,
    /// Rows in segments, before deletions and before later rows take the place of earlier ones.
    pub rows: u64,
}

impl SegmentPart {
    /// Where its file belongs in a database directory.
    pub fn path(&self, dir: &Path) -> PathBuf {
        let hash = blake3::Hash::from_bytes(self.hash).to_hex();
        dir.join(names::SEGMENTS).join(format!("t{}-{}-{hash}.parquet", self.table.0, self.number))
    }
}

impl Parts {
    /// Makes all of a database but its identity, in a directory that has none: opening it there is what is left to do. Every
    /// segment is read and held against what is said of it. Whatever an earlier try left of the catalog is replaced; of a log
    /// there has to be nothing. `progress` is told of every segment and of the rows in it, and may refuse to go on.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment is not what its part says, [`Error::Invalid`] where parts contradict each other.
    pub fn assemble(
        self,
        dir: &Path,
        components: &Components,
        settings: &Settings,
        progress: &mut dyn FnMut(&SegmentPart, u64) -> Result<()>,
    ) -> Result<Assembled> {
        let layout = Layout { root: dir.to_owned() };
        layout.create(components)?;
        refuse_used(components, &layout)?;
        let mut tables = Tables::new(self.tables)?;
        let catalog = Catalog::create(components, &layout.catalog(), settings.catalog_cache_bytes)?;
        let rows = put_segments(components, &layout, &catalog, &self.segments, &mut tables, self.through, progress)?;
        let (live, series) = tables.counts();
        let mut changes = tables.deletions(self.deletions, self.through)?;
        changes.extend(tables.changes()?);
        let mut through = self.through;
        for receipt in self.receipts {
            through += 1;
            changes.push(Change::PutReceipt { sequence: through, receipt });
        }
        changes.push(Change::SealedThrough(through));
        catalog.apply(through, &changes)?;
        catalog.checkpoint()?;
        Ok(Assembled { through, tables: live, series, rows })
    }
}

/// Refuses a directory in which a database is, or was begun.
fn refuse_used(components: &Components, layout: &Layout) -> Result<()> {
    let list = |dir: &Path| components.disk.list(dir).map_err(|source| Error::io("list", dir, source));
    if list(&layout.root)?.iter().any(|entry| entry.name == names::IDENTITY) {
        return Err(Error::invalid(format_args!("{} is a database already", layout.root.display())));
    }
    if list(&layout.log())?.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format_args!("{} has a log: parts of a database cannot be added to it", layout.root.display())))
}

/// Reads every segment and tells the catalog of it. Answers how many rows there are.
fn put_segments(
    components: &Components,
    layout: &Layout,
    catalog: &Catalog,
    parts: &[SegmentPart],
    tables: &mut Tables,
    through: Sequence,
    progress: &mut dyn FnMut(&SegmentPart, u64) -> Result<()>,
) -> Result<u64> {
    if through >= MOST {
        return Err(Error::invalid(format_args!("records are not numbered up to {through}")));
    }
    let (mut rows, mut numbers) = (0, HashSet::new());
    for some in parts.chunks(TOGETHER) {
        let mut changes = Vec::with_capacity(some.len());
        for part in some {
            if part.number >= MOST || !numbers.insert(part.number) {
                return Err(Error::invalid(format_args!("no two segments may have the number {}", part.number)));
            }
            let path = part.path(&layout.root);
            let rebuilt = segment::rebuild(&*components.disk, &path)?;
            let entry = tables.take(part, rebuilt, through).map_err(|why| Error::damaged(&path, why))?;
            rows += entry.rows;
            progress(part, entry.rows)?;
            changes.push(Change::PutSegment(entry));
        }
        catalog.apply(0, &changes)?;
    }
    Ok(rows)
}

/// The tables, as they are and as segments tell of them.
struct Tables {
    by_id: BTreeMap<TableId, Known>,
}

struct Known {
    part: TablePart,
    /// The last record of its oldest segment.
    oldest: Option<Sequence>,
}

impl Tables {
    fn new(parts: Vec<TablePart>) -> Result<Self> {
        let (mut by_id, mut named) = (BTreeMap::new(), HashMap::new());
        for mut part in parts {
            let (id, name) = (part.schema.id, part.schema.name.clone());
            part.schema.check()?;
            limits::check("tables", u64::from(id.0) + 1, limits::TABLES, "")?;
            if !part.dropped && named.insert(name.clone(), id).is_some() {
                return Err(Error::TableExists { name });
            }
            if part.dropped {
                part.series.clear();
            }
            if by_id.insert(id, Known { part, oldest: None }).is_some() {
                return Err(Error::invalid(format_args!("there are two tables of the number {}", id.0)));
            }
        }
        Ok(Tables { by_id })
    }

    fn counts(&self) -> (u64, u64) {
        let live = self.by_id.values().filter(|known| !known.part.dropped);
        live.fold((0, 0), |(tables, series), known| (tables + 1, series + known.part.series.len() as u64))
    }

    /// Holds a segment against its part and its table, and learns what it tells of that.
    fn take(&mut self, part: &SegmentPart, rebuilt: Rebuilt, through: Sequence) -> std::result::Result<SegmentEntry, String> {
        let Rebuilt { entry, schema, series } = rebuilt;
        let known = self.by_id.get_mut(&part.table).filter(|known| !known.part.dropped);
        let Some(known) = known else { return Err(format!("there is no table {}", part.table.0)) };
        let start = entry.partition.map(|of| (of.kind, of.range.start.div_euclid(schema.time_unit.per_second())));
        if start != Some((part.kind, part.start)) || (entry.first_sequence, entry.last_sequence) != part.records {
            return Err("it is of another partition, or of other records, than it is said to be".to_owned());
        }
        if entry.last_sequence > through || entry.first_sequence > entry.last_sequence {
            return Err(format!("its records end with {}, and those of all with {through}", entry.last_sequence));
        }
        let of_time = |time: i64| Some(part.kind.of(time, schema.time_unit));
        if of_time(entry.times.0) != entry.partition || of_time(entry.times.1) != entry.partition {
            return Err("it has rows outside its partition".to_owned());
        }
        known.learn(schema)?;
        for (id, key) in series {
            known.name(id, key)?;
        }
        known.oldest = Some(known.oldest.map_or(entry.last_sequence, |oldest| oldest.min(entry.last_sequence)));
        Ok(SegmentEntry { id: SegmentId(part.number), ..entry })
    }

    /// Deletions that some segment is older than, with their series by number.
    fn deletions(&self, parts: Vec<DeletionPart>, through: Sequence) -> Result<Vec<Change>> {
        let mut by_record: BTreeMap<Sequence, Vec<Deletion>> = BTreeMap::new();
        let mut numbers: HashMap<TableId, HashMap<SeriesKey, SeriesId>> = HashMap::new();
        for part in parts {
            let known = self.by_id.get(&part.table).filter(|known| known.oldest.is_some_and(|oldest| oldest < part.sequence));
            let Some(known) = known else { continue };
            if part.sequence > through {
                return Err(Error::invalid(format_args!("a deletion is of record {}, behind {through}", part.sequence)));
            }
            let series = match part.series {
                None => SeriesSelection::All,
                Some(keys) => {
                    let numbers = numbers.entry(part.table).or_insert_with(|| known.numbers());
                    // A series that nothing else tells of has no rows.
                    let mut ids: Vec<_> = keys.into_iter().filter_map(|key| numbers.get(&key.normalized()).copied()).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    SeriesSelection::Only(ids)
                }
            };
            let deletion = Deletion { table: part.table, series, range: part.range };
            by_record.entry(part.sequence).or_default().push(deletion);
        }
        Ok(by_record.into_iter().map(|(sequence, deletions)| Change::PutDeletions { sequence, deletions }).collect())
    }

    /// All tables and series. A number that nothing tells of is that of a table that was dropped.
    fn changes(self) -> Result<Vec<Change>> {
        let (mut changes, mut all_series) = (Vec::new(), Vec::new());
        for (id, Known { part, .. }) in self.by_id {
            let unknown = changes.len() as u32..id.0;
            changes.extend(unknown.map(|id| Change::DropTable(unknown_table(TableId(id)))));
            let TablePart { schema, dropped, series } = part;
            check_series(&schema.name, &series)?;
            changes.push(if dropped { Change::DropTable(schema) } else { Change::PutTable(schema) });
            all_series.extend(super::catalog::dense(id, series));
        }
        changes.extend(all_series);
        Ok(changes)
    }
}

impl Known {
    /// Takes the schema of a segment where that is later than the one known.
    fn learn(&mut self, schema: TableSchema) -> std::result::Result<(), String> {
        let known = &mut self.part.schema;
        let (earlier, later) = if schema.version > known.version { (&*known, &schema) } else { (&schema, &*known) };
        if !later.extends(earlier) {
            return Err(format!("its columns are not those of table {:?}", known.name));
        }
        if schema.version > known.version {
            // What it is called now is not told by its rows.
            *known = TableSchema { name: known.name.clone(), ..schema };
        }
        Ok(())
    }

    fn name(&mut self, id: SeriesId, key: SeriesKey) -> std::result::Result<(), String> {
        if u64::from(id.0) >= limits::SERIES {
            return Err(format!("no table has a series {}", id.0));
        }
        match self.part.series.get(&id) {
            None => drop(self.part.series.insert(id, key)),
            Some(known) if known.clone().normalized() == key.clone().normalized() => {}
            Some(known) => return Err(format!("its series {} is {key:?}, and is known to be {known:?}", id.0)),
        }
        Ok(())
    }

    fn numbers(&self) -> HashMap<SeriesKey, SeriesId> {
        self.part.series.iter().map(|(id, key)| (key.clone().normalized(), *id)).collect()
    }
}

/// Refuses series that a table cannot have: the number of each stands for one key.
fn check_series(table: &str, series: &BTreeMap<SeriesId, SeriesKey>) -> Result<()> {
    let mut seen = HashSet::new();
    for (id, key) in series {
        let key = key.clone().normalized();
        let is_short = key.0.iter().flatten().all(|tag| tag.len() as u64 <= limits::TAG_BYTES);
        if u64::from(id.0) >= limits::SERIES || key.0.len() as u64 >= limits::COLUMNS || !is_short {
            return Err(Error::invalid(format_args!("no table has a series {} like that of table {table:?}", id.0)));
        }
        if !seen.insert(key) {
            return Err(Error::invalid(format_args!("two series of table {table:?} have the tags of series {}", id.0)));
        }
    }
    Ok(())
}

/// Stands for a table of which nothing is known but that its number is taken.
fn unknown_table(id: TableId) -> TableSchema {
    TableSchema {
        id,
        name: format!("unknown table {}", id.0),
        version: 1,
        time_unit: TimeUnit::default(),
        partitioning: Partitioning::default(),
        tags: Vec::new(),
        fields: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
