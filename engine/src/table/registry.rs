//! All tables of a database, by name and by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{SeriesIndex, TableState};
use crate::error::{Error, Result};
use crate::model::{SeriesId, SeriesKey, TableId, TableSchema};

/// One table. The locks are taken in the order they are declared, and held briefly.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    schema: RwLock<Arc<TableSchema>>,
    pub(crate) series: RwLock<SeriesIndex>,
    pub(crate) state: RwLock<TableState>,
}

impl Table {
    fn new(schema: TableSchema) -> Self {
        let mut series = SeriesIndex::default();
        series.set_tags(schema.tags.len());
        Table { id: schema.id, schema: RwLock::new(Arc::new(schema)), series: RwLock::new(series), state: RwLock::default() }
    }

    /// The schema as it stands.
    pub(crate) fn schema(&self) -> Arc<TableSchema> {
        self.schema.read().clone()
    }

    /// What the table consists of now.
    pub(crate) fn snapshot(&self) -> TableState {
        self.state.read().clone()
    }

    /// All series in tag order.
    pub(crate) fn ordered_series(&self) -> Arc<[SeriesId]> {
        let known = self.series.read().ordered_if_known();
        known.unwrap_or_else(|| self.series.write().ordered())
    }

    /// The tag values of a series.
    pub(crate) fn key(&self, id: SeriesId) -> SeriesKey {
        self.series.read().key(id)
    }

    /// The tag values of several series.
    pub(crate) fn keys(&self, ids: impl IntoIterator<Item = SeriesId>) -> Vec<SeriesKey> {
        let series = self.series.read();
        ids.into_iter().map(|id| series.key(id)).collect()
    }
}

/// Tables by name and by number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: BTreeMap<String, Arc<Table>>,
    by_id: Vec<Option<Arc<Table>>>,
}

impl Registry {
    /// The table of a name.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Table>> {
        self.find(name).ok_or_else(|| Error::NoSuchTable { name: name.to_owned() })
    }

    /// The table of a name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Table>> {
        self.tables.read().by_name.get(name).cloned()
    }

    /// The table of a number.
    pub(crate) fn by_id(&self, id: TableId) -> Option<Arc<Table>> {
        self.tables.read().by_id.get(id.0 as usize)?.clone()
    }

    /// All tables, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.read().by_name.values().cloned().collect()
    }

    /// The number the next table gets.
    pub(crate) fn next_id(&self) -> TableId {
        TableId(self.tables.read().by_id.len() as u32)
    }

    /// Adds a table, or gives an existing one a later schema.
    pub(crate) fn put(&self, schema: TableSchema) -> Arc<Table> {
        let mut tables = self.tables.write();
        let at = schema.id.0 as usize;
        if let Some(Some(table)) = tables.by_id.get(at) {
            let table = table.clone();
            let mut current = table.schema.write();
            if schema.version > current.version {
                table.series.write().set_tags(schema.tags.len());
                *current = Arc::new(schema);
            }
            drop(current);
            return table;
        }
        if tables.by_id.len() <= at {
            tables.by_id.resize(at + 1, None);
        }
        let name = schema.name.clone();
        let table = Arc::new(Table::new(schema));
        tables.by_id[at] = Some(table.clone());
        tables.by_name.insert(name, table.clone());
        table
    }
}
