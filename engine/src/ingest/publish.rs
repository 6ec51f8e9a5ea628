//! The stage after the fdatasync: a mutation becomes visible. Recovery replays through the same code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::group::{Effects, Mutation};
use crate::catalog::{CatalogSlot, Change, Rewrite};
use crate::error::Result;
use crate::keyspace::Keyspace;
use crate::memtable::{MemoryGauge, Run};
use crate::model::{Sequence, TableId};
use crate::record::{Compacted, Deletion, Effect, Evicted, Sealed, SegmentEntry};
use crate::retention;
use crate::table::{Registry, Table, TableState};

/// Materialises mutations: columns in the tables' memory at once, tables in the catalog.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) registry: Registry,
    pub(crate) keyspace: Keyspace,
    pub(crate) catalog: Arc<CatalogSlot>,
    pub(crate) memory: MemoryGauge,
    /// The last record all of which, and of all before it, is visible in the tables.
    published: AtomicU64,
}

/// Bytes of metadata that the catalog was not told of at which writers tell it themselves, so that memory is bounded.
const MOST_UNAPPLIED_BYTES: usize = 16 << 20;

/// What a group of records leaves to be told.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// To the catalog, before anything else is.
    pub(crate) changes: Vec<Change>,
    /// To the key space, all at once.
    pub(crate) cells: Vec<(Sequence, Vec<Effect>)>,
}

impl Publisher {
    pub(crate) fn new(registry: Registry, keyspace: Keyspace, catalog: Arc<CatalogSlot>, memory: MemoryGauge) -> Self {
        Publisher { registry, keyspace, catalog, memory, published: AtomicU64::new(0) }
    }

    /// The last record that every snapshot of a table taken from now on holds, with all before it.
    pub(crate) fn published(&self) -> Sequence {
        self.published.load(Ordering::Acquire)
    }

    pub(super) fn set_published(&self, sequence: Sequence) {
        self.published.store(sequence, Ordering::Release);
    }

    /// Makes the columns of one mutation visible, and adds the rest of it to `news`.
    pub(crate) fn publish(&self, sequence: Sequence, mutation: Mutation, news: &mut News) -> Result<()> {
        let changes = &mut news.changes;
        match mutation {
            Mutation::CreateTable(schema) | Mutation::AlterTable(schema) => {
                changes.push(Change::PutTable(schema.clone()));
                self.registry.put(schema);
            }
            Mutation::DropTable(schema) => {
                changes.push(Change::DropTable(schema.clone()));
                if let Some(table) = self.registry.drop_table(schema) {
                    self.changing_memory(&table, |state| {
                        *state = TableState::default();
                        Ok(())
                    })?;
                }
            }
            Mutation::Rows { table, run } => self.put_rows(sequence, table, run)?,
            Mutation::Delete(deletion) => {
                changes.push(Change::PutDeletions { sequence, deletions: vec![deletion.clone()] });
                self.registry.of(deletion.table)?.state.write().delete(sequence, deletion);
            }
            Mutation::Sealed(sealed) => self.publish_seal(sealed, changes)?,
            Mutation::Compacted(compacted) => self.publish_compaction(compacted, changes)?,
            Mutation::Evicted(evicted) => {
                let table = self.registry.by_id(evicted.table);
                table.iter().for_each(|table| table.state.write().replace_segments(&evicted.removed, []));
                news.cells.push((sequence, vec![retention::total(&evicted)]));
                changes.extend(evicted_changes(sequence, evicted));
            }
            Mutation::Receipt(receipt) => changes.push(Change::PutReceipt { sequence, receipt }),
            Mutation::Transaction(Effects { cells, rows, deletions }) => {
                self.publish_in_tables(sequence, rows, &deletions)?;
                if !deletions.is_empty() {
                    changes.push(Change::PutDeletions { sequence, deletions });
                }
                if !cells.is_empty() {
                    news.cells.push((sequence, cells));
                }
            }
        }
        Ok(())
    }

    /// Tells the key space and, of what cannot wait, the catalog, which then knows everything up to `through`.
    pub(crate) fn tell(&self, through: Sequence, news: &News) -> Result<()> {
        let cells = || news.cells.iter().map(|(sequence, effects)| (*sequence, &**effects));
        if news.changes.is_empty() {
            self.keyspace.publish(cells());
            // Usually someone else has done it before it comes to this.
            return if self.is_much_unapplied() { self.tell_cells() } else { Ok(()) };
        }
        let _applying = self.keyspace.applying();
        self.keyspace.publish(cells());
        self.apply(through, news.changes.clone())
    }

    /// Whether the catalog has to be told before there is more to tell.
    fn is_much_unapplied(&self) -> bool {
        self.keyspace.unapplied_bytes() >= MOST_UNAPPLIED_BYTES
    }

    /// Tells the catalog everything up to the last record, which is `through`.
    pub(crate) fn tell_all(&self, through: Sequence, changes: Vec<Change>) -> Result<()> {
        let _applying = self.keyspace.applying();
        self.apply(through, changes)
    }

    /// Tells the catalog of the key space's last changes, while others go on.
    pub(crate) fn tell_cells(&self) -> Result<()> {
        let _applying = self.keyspace.applying();
        self.apply(0, Vec::new())
    }

    /// Puts a catalog that was written anew in the place of the present one, which is told everything up to the last record
    /// first. Answers whether it did.
    pub(crate) fn replace_catalog(&self, last: Sequence, rewrite: Rewrite) -> Result<bool> {
        let _applying = self.keyspace.applying();
        self.apply(last, Vec::new())?;
        if !self.catalog.get().is_some_and(|catalog| rewrite.is_of(&catalog)) {
            return Ok(false);
        }
        let Some(new) = rewrite.finish()? else { return Ok(false) };
        self.catalog.put(new.clone());
        self.keyspace.rebase(new.cells()?, last);
        Ok(true)
    }

    fn apply(&self, through: Sequence, mut changes: Vec<Change>) -> Result<()> {
        let (last, cells) = self.keyspace.unapplied()?;
        let through = through.max(last);
        if !cells.is_empty() {
            changes.push(Change::PutCells(cells));
        }
        self.catalog.apply(through, &changes)?;
        // Where it was set aside on a full disk, what it was not told stays.
        if let Some(catalog) = self.catalog.get() {
            self.keyspace.rebase(catalog.cells()?, through);
        }
        Ok(())
    }

    fn put_rows(&self, sequence: Sequence, table: TableId, run: Run) -> Result<()> {
        let table = self.registry.of(table)?;
        let schema = table.schema();
        self.changing_memory(&table, |state| state.put(&schema, run.numbered(sequence)))
    }

    /// What a transaction does to rows. Whoever looks at a table sees all of it there, or nothing.
    fn publish_in_tables(&self, sequence: Sequence, rows: Vec<(TableId, Run)>, deletions: &[Deletion]) -> Result<()> {
        let mut tables: BTreeMap<TableId, (Vec<&Deletion>, Option<Run>)> = BTreeMap::new();
        deletions.iter().for_each(|deletion| tables.entry(deletion.table).or_default().0.push(deletion));
        rows.into_iter().for_each(|(table, run)| tables.entry(table).or_default().1 = Some(run));
        for (table, (deletions, run)) in tables {
            let table = self.registry.of(table)?;
            let schema = table.schema();
            self.changing_memory(&table, |state| {
                deletions.into_iter().for_each(|deletion| state.delete(sequence, deletion.clone()));
                run.map_or(Ok(()), |run| state.put(&schema, run.numbered(sequence)))
            })?;
        }
        Ok(())
    }

    /// Merges runs of one table that are due, outside its lock. Answers whether there were any.
    pub(crate) fn consolidate(&self, table: &Table) -> Result<bool> {
        let Some(due) = table.state.read().active.due() else { return Ok(false) };
        let merged = due.merge(&table.schema())?;
        self.changing_memory(table, |state| {
            state.active.replace(&due, merged);
            Ok(())
        })?;
        Ok(true)
    }

    fn publish_seal(&self, sealed: Sealed, changes: &mut Vec<Change>) -> Result<()> {
        for table in self.registry.all() {
            let added: Vec<_> = sealed.segments.iter().filter(|entry| entry.table == table.id).map(without_index).collect();
            self.changing_memory(&table, |state| {
                state.sealed(added);
                Ok(())
            })?;
        }
        changes.extend(sealed_changes(sealed));
        Ok(())
    }

    fn publish_compaction(&self, compacted: Compacted, changes: &mut Vec<Change>) -> Result<()> {
        for table in self.registry.all() {
            let added: Vec<_> = compacted.added.iter().filter(|entry| entry.table == table.id).map(without_index).collect();
            let mut state = table.state.write();
            state.replace_segments(&compacted.removed, added);
            state.retire_deletions(&compacted.retired_deletions);
        }
        changes.extend(compacted_changes(compacted));
        Ok(())
    }

    fn changing_memory(&self, table: &Table, change: impl FnOnce(&mut TableState) -> Result<()>) -> Result<()> {
        let mut state = table.state.write();
        let before = state.memory();
        let outcome = change(&mut state);
        self.memory.replace(before, state.memory());
        outcome
    }
}

/// What the catalog must learn of a seal.
pub(crate) fn sealed_changes(sealed: Sealed) -> Vec<Change> {
    let mut changes: Vec<_> = sealed.segments.into_iter().map(Change::PutSegment).collect();
    changes.push(Change::SealedThrough(sealed.through));
    changes
}

/// What the catalog must learn of a compaction.
pub(crate) fn compacted_changes(compacted: Compacted) -> Vec<Change> {
    let removed = compacted.removed.into_iter().map(Change::RemoveSegment);
    let added = compacted.added.into_iter().map(Change::PutSegment);
    let retired = compacted.retired_deletions.into_iter().map(Change::RemoveDeletions);
    removed.chain(added).chain(retired).collect()
}

/// What the catalog must learn of an eviction, besides the table's total.
pub(crate) fn evicted_changes(sequence: Sequence, evicted: Evicted) -> Vec<Change> {
    let removed = evicted.removed.into_iter().map(Change::RemoveSegment);
    removed.chain(evicted.receipt.map(|receipt| Change::PutReceipt { sequence, receipt })).collect()
}

/// The segment list in memory goes without the indexes, which are read when they are needed.
fn without_index(entry: &SegmentEntry) -> Arc<SegmentEntry> {
    Arc::new(SegmentEntry { index: Vec::new(), ..entry.clone() })
}
