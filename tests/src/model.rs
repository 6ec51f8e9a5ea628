//! Tables as ordered maps: slow, obvious, and independent of the engine.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use alluvium::{FieldType, TableSpec};

/// Tag values; missing sorts before present.
pub type Key = Vec<Option<String>>;

/// A field value that compares bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// The bits of a double.
    Float(u64),
    /// The bits of a single.
    Single(u32),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A boolean.
    Flag(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An unscaled decimal.
    Decimal(i64),
    /// The sum of integers or unscaled decimals.
    Wide(i128),
}

/// One row as written: missing fields are `None`.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Row {
    /// Tag values.
    pub key: Key,
    /// Time in the table's unit.
    pub time: i64,
    /// Field values, in the order of the table.
    pub cells: Vec<Option<Cell>>,
}

/// The columns of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Columns {
    /// Names of tags.
    pub tags: Vec<String>,
    /// Names and types of fields.
    pub fields: Vec<(String, FieldType)>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Its columns.
    pub columns: Columns,
    rows: BTreeMap<(Key, i64), Vec<Option<Cell>>>,
}

/// What one record does.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Makes a table.
    Create(TableSpec),
    /// Adds columns to a table.
    Extend(String, Columns),
    /// Writes rows.
    Put(String, Vec<Row>),
    /// Deletes the rows of a table within a span of time, its end excluded; where named, only those with a value of its first tag.
    Delete(String, Option<String>, i64, i64),
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By name.
    pub tables: BTreeMap<String, Table>,
}

impl Model {
    /// Does what a record does.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Create(spec) => {
                let columns = Columns { tags: spec.tags.clone(), fields: spec.fields.clone() };
                self.tables.insert(spec.name.clone(), Table { columns, rows: BTreeMap::new() });
            }
            Effect::Extend(table, more) => self.table(table).extend(more),
            Effect::Put(table, rows) => rows.iter().for_each(|row| self.table(table).put(row)),
            Effect::Delete(table, first_tag, start, end) => {
                let selects = |key: &Key| first_tag.as_ref().is_none_or(|value| key[0].as_ref() == Some(value));
                self.table(table).rows.retain(|(key, time), _| !(selects(key) && (*start..*end).contains(time)));
            }
        }
    }

    fn table(&mut self, name: &str) -> &mut Table {
        self.tables.get_mut(name).unwrap_or_else(|| panic!("the model has no table {name}"))
    }

    /// A number that all that can be read determines.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        for (name, table) in &self.tables {
            digest.table(name, &table.columns);
            table.all().for_each(|row| digest.row(&row));
        }
        digest.finish()
    }
}

impl Table {
    fn extend(&mut self, more: &Columns) {
        self.columns.tags.extend(more.tags.iter().cloned());
        self.columns.fields.extend(more.fields.iter().cloned());
        let (tags, fields) = (self.columns.tags.len(), self.columns.fields.len());
        let widened = std::mem::take(&mut self.rows).into_iter().map(|((mut key, time), mut cells)| {
            key.resize(tags, None);
            cells.resize(fields, None);
            ((key, time), cells)
        });
        self.rows = widened.collect();
    }

    /// Of the same key and time, later values win, field by field.
    fn put(&mut self, row: &Row) {
        let mut key = row.key.clone();
        key.resize(self.columns.tags.len(), None);
        let cells = self.rows.entry((key, row.time)).or_insert_with(|| vec![None; self.columns.fields.len()]);
        for (old, new) in cells.iter_mut().zip(&row.cells) {
            if new.is_some() {
                old.clone_from(new);
            }
        }
    }

    /// All rows by key, then time.
    pub fn all(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().map(|((key, time), cells)| Row { key: key.clone(), time: *time, cells: cells.clone() })
    }

    /// The key and time of a row by number.
    pub fn place(&self, number: usize) -> Option<&(Key, i64)> {
        self.rows.keys().nth(number)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Folds contents into a number, the same for a model and for a database that hold the same.
#[derive(Default)]
pub struct Digest(DefaultHasher);

impl Digest {
    /// Begins a table.
    pub fn table(&mut self, name: &str, columns: &Columns) {
        ("table", name, columns).hash(&mut self.0);
    }

    /// Adds a row of the table begun last.
    pub fn row(&mut self, row: &Row) {
        row.hash(&mut self.0);
    }

    /// The number.
    pub fn finish(self) -> u64 {
        self.0.finish()
    }
}
