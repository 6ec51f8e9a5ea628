//! What lines tell, but documents and pairs: little enough to be held in memory, and needed before these.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::lines::Refused;
use crate::metadata::{
    CollectionValue, ItemStateValue, ItemValue, Line, PrincipalValue, QueueValue, RoleValue, SchemaValue, TableValue, kind,
};

/// Tables that a database can have, and series that a table can.
const TABLES: u32 = alluvium::format::limits::TABLES as u32;
const SERIES: u32 = alluvium::format::limits::SERIES as u32;

/// What is told of a table.
#[derive(Debug, Clone)]
pub(super) struct TableTold {
    pub(super) value: TableValue,
    /// Whether it was dropped by the time that was asked for.
    pub(super) dropped: bool,
}

/// An item of a queue, as far as it is told.
#[derive(Debug, Clone, Default)]
pub(super) struct ItemTold {
    pub(super) content: Option<ItemValue>,
    pub(super) state: Option<ItemStateValue>,
}

/// The newest of each.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) tables: BTreeMap<u32, TableTold>,
    pub(super) series: BTreeMap<u32, BTreeMap<u32, Vec<Option<String>>>>,
    /// By name.
    pub(super) collections: BTreeMap<String, CollectionValue>,
    /// By the number of the collection, and version.
    pub(super) schemas: BTreeMap<(u32, u32), SchemaValue>,
    pub(super) principals: BTreeMap<String, PrincipalValue>,
    pub(super) roles: BTreeMap<String, RoleValue>,
    pub(super) queues: BTreeMap<String, QueueValue>,
    /// By the number of the queue, and their own.
    pub(super) items: BTreeMap<(u32, u64), ItemTold>,
    /// Lines that nothing was made of, by their kind.
    pub(super) left_out: BTreeMap<String, u64>,
    /// Lines that documents and pairs are in.
    pub(super) later: u64,
}

impl Told {
    /// Takes a line that is newer than all before. Of one that is newer than what was asked for, tables and series alone.
    pub(super) fn take(&mut self, line: Line, is_of_then: bool) -> Result<(), Refused> {
        let Line { kind, key, value, .. } = line;
        let value = value.as_deref();
        match kind.as_str() {
            kind::TABLE => return self.table(number(&key, 0)?, parsed(value)?, is_of_then),
            kind::SERIES => return self.series(number(&key, 0)?, number(&key, 1)?, parsed(value)?),
            _ if !is_of_then => return Ok(()),
            kind::COLLECTION => put(&mut self.collections, name(&key)?, parsed(value)?),
            kind::SCHEMA => put(&mut self.schemas, (number(&key, 0)?, number(&key, 1)?), parsed(value)?),
            kind::PRINCIPAL => put(&mut self.principals, name(&key)?, parsed(value)?),
            kind::ROLE => put(&mut self.roles, name(&key)?, parsed(value)?),
            kind::QUEUE => put(&mut self.queues, name(&key)?, parsed(value)?),
            kind::ITEM => {
                let id = (number(&key, 0)?, number(&key, 1)?);
                match parsed::<ItemValue>(value)? {
                    None => drop(self.items.remove(&id)),
                    Some(content) => self.items.entry(id).or_default().content = Some(content),
                }
            }
            kind::ITEM_STATE => {
                let id = (number(&key, 0)?, number(&key, 1)?);
                match parsed::<ItemStateValue>(value)? {
                    None => drop(self.items.remove(&id)),
                    Some(state) => self.items.entry(id).or_default().state = Some(state),
                }
            }
            kind::DOCUMENT | kind::PAIR => self.later += 1,
            // The trail of a database is its own; what later versions send is not known here.
            _ => *self.left_out.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    fn table(&mut self, id: u32, value: Option<TableValue>, is_of_then: bool) -> Result<(), Refused> {
        let value = value.ok_or_else(|| Refused::line("a table has no value"))?;
        if id >= TABLES {
            return Err(Refused::line(format!("no table has the number {id}")));
        }
        if is_of_then {
            let dropped = value.dropped;
            self.tables.insert(id, TableTold { value, dropped });
        } else {
            // One that is known keeps the name of then, and has the columns of its rows. Others were made since, and not dropped by then.
            self.tables.entry(id).or_insert(TableTold { value, dropped: false });
        }
        Ok(())
    }

    fn series(&mut self, table: u32, id: u32, tags: Option<Vec<Option<String>>>) -> Result<(), Refused> {
        let tags = tags.ok_or_else(|| Refused::line("a series has no value"))?;
        if table >= TABLES || id >= SERIES {
            return Err(Refused::line(format!("no table has the series {id} of table {table}")));
        }
        self.series.entry(table).or_default().insert(id, tags);
        Ok(())
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

/// What a value says; nothing where there is none any more.
pub(super) fn parsed<T: DeserializeOwned>(value: Option<&RawValue>) -> Result<Option<T>, Refused> {
    value.map(|value| T::deserialize(value).map_err(Refused::line)).transpose()
}

/// The only text of a key.
pub(super) fn name(key: &[String]) -> Result<String, Refused> {
    match key {
        [name] => Ok(name.clone()),
        _ => Err(Refused::line("its key is not one text")),
    }
}

/// A number in a key.
pub(super) fn number<N: FromStr>(key: &[String], at: usize) -> Result<N, Refused> {
    let found = key.get(at).filter(|_| key.len() <= 2).and_then(|text| text.parse().ok());
    found.ok_or_else(|| Refused::line("its key has not the numbers that it should"))
}
