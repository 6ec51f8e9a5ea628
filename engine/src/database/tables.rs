//! Tables: made, extended, renamed, dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::inner::Inner;
use crate::error::{Error, Result};
use crate::format::limits;
use crate::ingest::Work;
use crate::model::{FieldType, TableSchema, TableSpec};
use crate::record::Record;

impl Inner {
    pub(super) fn create_table(&self, spec: TableSpec) -> Result<Arc<TableSchema>> {
        self.check_open()?;
        let _deciding = self.schema_changes.lock();
        let registry = &self.publisher.registry;
        self.check_name_is_free(&spec.name)?;
        let id = registry.next_id();
        limits::check("tables", u64::from(id.0) + 1, limits::TABLES, "")?;
        let schema = spec.into_schema(id)?;
        self.committer.submit(Work::record(Record::CreateTable(schema.clone()))?)?;
        Ok(Arc::new(schema))
    }

    pub(super) fn add_columns(&self, table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<Arc<TableSchema>> {
        self.check_open()?;
        let _deciding = self.schema_changes.lock();
        let table = self.publisher.registry.get(table)?;
        if tags.is_empty() && fields.is_empty() {
            return Ok(table.schema());
        }
        let schema = table.schema().extended(tags, fields)?;
        self.committer.submit(Work::record(Record::AlterTable(schema))?)?;
        Ok(table.schema())
    }

    pub(super) fn rename_table(&self, table: &str, name: &str) -> Result<Arc<TableSchema>> {
        self.check_open()?;
        let _deciding = self.schema_changes.lock();
        let table = self.publisher.registry.get(table)?;
        let schema = table.schema();
        if schema.name == name {
            return Ok(schema);
        }
        let schema = schema.renamed(name)?;
        self.check_name_is_free(name)?;
        self.committer.submit(Work::record(Record::AlterTable(schema))?)?;
        Ok(table.schema())
    }

    /// Gives room, and so may use what is kept for that.
    pub(super) fn drop_table(&self, table: &str) -> Result<()> {
        self.check_open()?;
        let _deciding = self.schema_changes.lock();
        let table = self.publisher.registry.get(table)?;
        // Nobody makes segments of it meanwhile.
        let _compacting = self.compacting.lock();
        let _sealing = self.sealing.lock();
        let segments = table.snapshot().segments;
        let schema = TableSchema { version: table.schema().version + 1, ..(*table.schema()).clone() };
        self.ballast.lend(|| self.committer.submit(Work::record(Record::DropTable(schema.clone()))?))?;
        self.store.retire(segments.iter().cloned());
        drop(segments);
        self.publisher.memory.wake();
        if let Err(error) = self.ballast.lend(|| self.checkpoint()) {
            // It is dropped all the same; the next checkpoint gives its room back.
            self.unchecked.store(true, Ordering::Release);
            tracing::warn!(%error, table = schema.name, "the room of a dropped table is given back later");
        }
        Ok(())
    }

    fn check_name_is_free(&self, name: &str) -> Result<()> {
        match self.publisher.registry.find(name) {
            Some(_) => Err(Error::TableExists { name: name.to_owned() }),
            None => Ok(()),
        }
    }
}
