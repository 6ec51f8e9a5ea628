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
    by_id: Vec<Slot>,
}

/// What is known of a number.
#[derive(Debug, Clone, Default)]
enum Slot {
    #[default]
    Unused,
    Table(Arc<Table>),
    /// Never used again. The schema as it last stood.
    Dropped(Arc<TableSchema>),
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
        match self.tables.read().by_id.get(id.0 as usize)? {
            Slot::Table(table) => Some(table.clone()),
            _ => None,
        }
    }

    /// The table of a number that was that of a table. [`Error::NoSuchTable`] where it was dropped.
    pub(crate) fn of(&self, id: TableId) -> Result<Arc<Table>> {
        self.by_id(id).ok_or_else(|| match self.dropped(id) {
            Some(schema) => Error::NoSuchTable { name: schema.name.clone() },
            None => Error::Internal(format!("there was never a table {}", id.0)),
        })
    }

    /// A table that was dropped, as it last stood.
    pub(crate) fn dropped(&self, id: TableId) -> Option<Arc<TableSchema>> {
        match self.tables.read().by_id.get(id.0 as usize)? {
            Slot::Dropped(schema) => Some(schema.clone()),
            _ => None,
        }
    }

    /// All tables, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.read().by_name.values().cloned().collect()
    }

    /// The number the next table gets.
    pub(crate) fn next_id(&self) -> TableId {
        TableId(self.tables.read().by_id.len() as u32)
    }

    /// Adds a table, or gives an existing one a later schema. A name belongs to whoever got it last.
    pub(crate) fn put(&self, schema: TableSchema) {
        let mut tables = self.tables.write();
        let slot = tables.slot(schema.id);
        let table = match slot {
            Slot::Dropped(_) => return,
            Slot::Table(table) => table.clone(),
            Slot::Unused => {
                let (name, table) = (schema.name.clone(), Arc::new(Table::new(schema)));
                *slot = Slot::Table(table.clone());
                tables.by_name.insert(name, table);
                return;
            }
        };
        let current = table.schema();
        if schema.version <= current.version {
            return;
        }
        if schema.name != current.name {
            tables.forget_name(&current);
            tables.by_name.insert(schema.name.clone(), table.clone());
        }
        table.series.write().set_tags(schema.tags.len());
        *table.schema.write() = Arc::new(schema);
    }

    /// Drops a table, and answers it if there was one.
    pub(crate) fn drop_table(&self, schema: TableSchema) -> Option<Arc<Table>> {
        let mut tables = self.tables.write();
        let slot = tables.slot(schema.id);
        let before = std::mem::replace(slot, Slot::Dropped(Arc::new(schema)));
        let Slot::Table(table) = before else { return None };
        tables.forget_name(&table.schema());
        Some(table)
    }

    /// Tables whose names others bear, which comes of damage alone.
    pub(crate) fn nameless(&self) -> Vec<Arc<Table>> {
        let tables = self.tables.read();
        let has_its_name =
            |table: &Arc<Table>| tables.by_name.get(&table.schema().name).is_some_and(|named| named.id == table.id);
        let there = tables.by_id.iter().filter_map(|slot| if let Slot::Table(table) = slot { Some(table) } else { None });
        there.filter(|table| !has_its_name(table)).cloned().collect()
    }
}

impl Tables {
    fn slot(&mut self, id: TableId) -> &mut Slot {
        let at = id.0 as usize;
        if self.by_id.len() <= at {
            self.by_id.resize(at + 1, Slot::Unused);
        }
        &mut self.by_id[at]
    }

    /// Unless another bears it.
    fn forget_name(&mut self, schema: &TableSchema) {
        if self.by_name.get(&schema.name).is_some_and(|table| table.id == schema.id) {
            self.by_name.remove(&schema.name);
        }
    }
}
