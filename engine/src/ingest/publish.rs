//! The stage after the fdatasync: a mutation becomes visible. Recovery replays through the same code.

use std::sync::Arc;

use super::group::Mutation;
use crate::catalog::{CatalogSlot, Change};
use crate::error::{Error, Result};
use crate::memtable::MemoryGauge;
use crate::model::{Sequence, TableId};
use crate::record::{Compacted, Sealed, SegmentEntry};
use crate::table::{Registry, Table, TableState};

/// Materialises mutations: columns in the tables' memory at once, tables in the catalog.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) registry: Registry,
    pub(crate) catalog: Arc<CatalogSlot>,
    pub(crate) memory: MemoryGauge,
}

impl Publisher {
    /// Makes one mutation visible, and adds to `changes` what the catalog must learn of it.
    pub(crate) fn publish(&self, sequence: Sequence, mutation: Mutation, changes: &mut Vec<Change>) -> Result<()> {
        match mutation {
            Mutation::CreateTable(schema) | Mutation::AlterTable(schema) => {
                changes.push(Change::PutTable(schema.clone()));
                self.registry.put(schema);
            }
            Mutation::Rows { table, run } => {
                let table = self.table(table)?;
                let schema = table.schema();
                self.changing_memory(&table, |state| state.put(&schema, run.numbered(sequence)))?;
            }
            Mutation::Delete(deletion) => {
                changes.push(Change::PutDeletion { sequence, deletion: deletion.clone() });
                self.table(deletion.table)?.state.write().delete(sequence, deletion);
            }
            Mutation::Sealed(sealed) => self.publish_seal(sealed, changes)?,
            Mutation::Compacted(compacted) => self.publish_compaction(compacted, changes)?,
            Mutation::Receipt(receipt) => changes.push(Change::PutReceipt { sequence, receipt }),
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

    fn table(&self, id: TableId) -> Result<Arc<Table>> {
        self.registry.by_id(id).ok_or_else(|| Error::Internal(format!("a record names table {}, which does not exist", id.0)))
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
    let retired = compacted.retired_deletions.into_iter().map(Change::RemoveDeletion);
    removed.chain(added).chain(retired).collect()
}

/// The segment list in memory goes without the indexes, which are read when they are needed.
fn without_index(entry: &SegmentEntry) -> Arc<SegmentEntry> {
    Arc::new(SegmentEntry { index: Vec::new(), ..entry.clone() })
}
