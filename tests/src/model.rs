//! Tables as ordered maps: slow, obvious, and independent of the engine.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};

use alluvium::{FieldType, TableSpec, TimeUnit};
use foldhash::fast::{FixedState, FoldHasher};

use crate::documents::{CollectionView, DocumentChange, Documents};
use crate::feed::{self, Told};
use crate::queues::{Queue, QueueChange, QueueView};

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
    /// Its number, which no other table has.
    pub number: u32,
    /// Its columns.
    pub columns: Columns,
    /// In what it counts time.
    pub time_unit: TimeUnit,
    rows: BTreeMap<(Key, i64), Vec<Option<Cell>>>,
}

/// Rows of a table within a span of time, its end excluded; where named, only those with a value of its first tag.
#[derive(Debug, Clone)]
pub struct Span {
    /// The table.
    pub table: String,
    /// The value.
    pub first_tag: Option<String>,
    /// The first time.
    pub start: i64,
    /// The end.
    pub end: i64,
}

impl Span {
    /// Whether a row of the table is in it.
    pub fn holds(&self, key: &Key, time: i64) -> bool {
        let selects = self.first_tag.as_ref().is_none_or(|value| key[0].as_ref() == Some(value));
        selects && (self.start..self.end).contains(&time)
    }
}

/// What one record does.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Makes a table.
    Create(TableSpec),
    /// Adds columns to a table.
    Extend(String, Columns),
    /// Gives a table another name.
    Rename(String, String),
    /// Drops a table.
    DropTable(String),
    /// Writes rows.
    Put(String, Vec<Row>),
    /// Deletes rows.
    Delete(Span),
    /// Lets go of the rows of a partition.
    Evict(Span),
    /// A transaction: puts and removes pairs, writes rows, and then deletes some.
    Transact(Vec<(String, Option<Value>)>, Vec<(String, Vec<Row>)>, Vec<Span>),
    /// Adds to a counter.
    Count(String, i64),
    /// Changes queues, in a transaction with pairs where there is more than one change.
    Queues(Vec<(String, QueueChange)>, Vec<(String, Option<Value>)>),
    /// Changes documents, in a transaction with pairs where there is more than one change.
    Documents(Vec<(String, DocumentChange)>, Vec<(String, Option<Value>)>),
}

/// The value of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How long it lasts.
    pub lasts: Lasts,
}

/// How long a pair, a lease or a back-off lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lasts {
    /// Until it is removed.
    Forever,
    /// Longer than any simulation.
    Long,
    /// Not at all: it has expired at once.
    NotAtAll,
}

/// All tables, pairs and queues.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By name.
    pub tables: BTreeMap<String, Table>,
    /// How many tables were made, dropped ones included.
    tables_made: u32,
    /// By key.
    pub pairs: BTreeMap<String, Vec<u8>>,
    /// By name.
    pub queues: BTreeMap<String, Queue>,
    /// How many queues were made, dropped ones included.
    queues_made: u32,
    /// Collections.
    pub documents: Documents,
    /// What the change feed tells of all that was done.
    pub told: Vec<Told>,
}

impl Model {
    /// Does what a record does.
    pub fn apply(&mut self, effect: &Effect) {
        let told = feed::told(effect, self);
        self.told.extend(told);
        match effect {
            Effect::Create(spec) => {
                let columns = Columns { tags: spec.tags.clone(), fields: spec.fields.clone() };
                let table = Table { number: self.tables_made, columns, time_unit: spec.time_unit, rows: BTreeMap::new() };
                self.tables.insert(spec.name.clone(), table);
                self.tables_made += 1;
            }
            Effect::Rename(table, name) => {
                let renamed = self.tables.remove(table).unwrap_or_else(|| panic!("the model has no table {table}"));
                self.tables.insert(name.clone(), renamed);
            }
            Effect::DropTable(table) => drop(self.tables.remove(table)),
            Effect::Extend(table, more) => self.table(table).extend(more),
            Effect::Put(table, rows) => rows.iter().for_each(|row| self.table(table).put(row)),
            Effect::Delete(span) | Effect::Evict(span) => self.delete(span),
            Effect::Transact(pairs, rows, deletions) => {
                pairs.iter().for_each(|(key, value)| self.put_pair(key, value.as_ref()));
                rows.iter().for_each(|(table, rows)| rows.iter().for_each(|row| self.table(table).put(row)));
                deletions.iter().for_each(|span| self.delete(span));
            }
            Effect::Count(key, by) => {
                let count = self.pairs.get(key).map_or(0, |bytes| String::from_utf8_lossy(bytes).parse().expect("a counter"));
                let sum: i64 = count + by;
                self.pairs.insert(key.clone(), sum.to_string().into_bytes());
            }
            Effect::Queues(changes, pairs) => {
                changes.iter().for_each(|(name, change)| self.change_queue(name, change));
                pairs.iter().for_each(|(key, value)| self.put_pair(key, value.as_ref()));
            }
            Effect::Documents(changes, pairs) => {
                changes.iter().for_each(|(name, change)| self.documents.apply(name, change));
                pairs.iter().for_each(|(key, value)| self.put_pair(key, value.as_ref()));
            }
        }
    }

    /// A number that all that can be read besides rows determines.
    pub fn metadata_digest(&self) -> u64 {
        let mut digest = Digest::default();
        self.add_metadata(&mut digest);
        digest.finish()
    }

    fn add_metadata(&self, digest: &mut Digest) {
        self.pairs.iter().for_each(|(key, value)| digest.pair(key, value));
        self.queues.iter().for_each(|(name, queue)| digest.queue(name, &queue.view()));
        self.documents.all().for_each(|(name, collection)| digest.collection(name, &collection.view()));
    }

    fn delete(&mut self, span: &Span) {
        self.table(&span.table).rows.retain(|(key, time), _| !span.holds(key, *time));
    }

    fn change_queue(&mut self, name: &str, change: &QueueChange) {
        match change {
            QueueChange::Create => {
                self.queues_made += 1;
                self.queues.insert(name.to_owned(), Queue::new(name, self.queues_made));
            }
            QueueChange::Drop => drop(self.queues.remove(name)),
            change => self.queues.get_mut(name).unwrap_or_else(|| panic!("the model has no queue {name}")).apply(change),
        }
    }

    fn put_pair(&mut self, key: &str, value: Option<&Value>) {
        match value.filter(|value| value.lasts != Lasts::NotAtAll) {
            Some(value) => self.pairs.insert(key.to_owned(), value.bytes.clone()),
            None => self.pairs.remove(key),
        };
    }

    fn table(&mut self, name: &str) -> &mut Table {
        self.tables.get_mut(name).unwrap_or_else(|| panic!("the model has no table {name}"))
    }

    /// A number that all that can be read determines.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        for (name, table) in &self.tables {
            digest.table(name, &table.columns);
            table.rows.iter().for_each(|(place, cells)| digest.row(place, cells));
        }
        self.add_metadata(&mut digest);
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

/// A value where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellRef<'a> {
    /// One that fits a word: its type, and its bits.
    Word(u8, u64),
    /// One that does not: its type, and its bytes.
    Bytes(u8, &'a [u8]),
    /// A sum.
    Wide(i128),
}

impl Cell {
    /// The same value, borrowed.
    pub fn borrowed(&self) -> CellRef<'_> {
        match self {
            Cell::Float(bits) => CellRef::Word(0, *bits),
            Cell::Single(bits) => CellRef::Word(1, u64::from(*bits)),
            Cell::Integer(value) => CellRef::Word(2, value.cast_unsigned()),
            Cell::Unsigned(value) => CellRef::Word(3, *value),
            Cell::Flag(value) => CellRef::Word(4, u64::from(*value)),
            Cell::Decimal(value) => CellRef::Word(5, value.cast_unsigned()),
            Cell::Text(text) => CellRef::Bytes(6, text.as_bytes()),
            Cell::Bytes(bytes) => CellRef::Bytes(7, bytes),
            Cell::Wide(value) => CellRef::Wide(*value),
        }
    }
}

impl CellRef<'_> {
    /// The same value, owned.
    pub fn owned(self) -> Cell {
        match self {
            CellRef::Word(0, bits) => Cell::Float(bits),
            CellRef::Word(1, bits) => Cell::Single(bits as u32),
            CellRef::Word(2, bits) => Cell::Integer(bits.cast_signed()),
            CellRef::Word(3, bits) => Cell::Unsigned(bits),
            CellRef::Word(4, bits) => Cell::Flag(bits == 1),
            CellRef::Word(_, bits) => Cell::Decimal(bits.cast_signed()),
            CellRef::Bytes(6, bytes) => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
            CellRef::Bytes(_, bytes) => Cell::Bytes(bytes.to_vec()),
            CellRef::Wide(value) => Cell::Wide(value),
        }
    }
}

/// Folds contents into a number, the same for a model and for a database that hold the same.
pub struct Digest(FoldHasher<'static>);

impl Default for Digest {
    fn default() -> Self {
        Digest(FixedState::with_seed(0).build_hasher())
    }
}

impl Digest {
    /// Begins a table.
    pub fn table(&mut self, name: &str, columns: &Columns) {
        ("table", name, columns).hash(&mut self.0);
    }

    /// Begins a row of the table begun last.
    pub fn time(&mut self, time: i64) {
        self.0.write_i64(time);
    }

    /// Adds a tag value to the row.
    pub fn tag(&mut self, value: Option<&str>) {
        value.hash(&mut self.0);
    }

    /// Adds a field value to the row.
    pub fn cell(&mut self, value: Option<CellRef<'_>>) {
        value.hash(&mut self.0);
    }

    /// Adds a key-value pair.
    pub fn pair(&mut self, key: &str, value: &[u8]) {
        ("pair", key, value).hash(&mut self.0);
    }

    /// Adds a queue.
    pub fn queue(&mut self, name: &str, view: &QueueView) {
        ("queue", name, view).hash(&mut self.0);
    }

    /// Adds a collection.
    pub fn collection(&mut self, name: &str, view: &CollectionView) {
        ("collection", name, view).hash(&mut self.0);
    }

    /// Adds a row of the table begun last.
    fn row(&mut self, (key, time): &(Key, i64), cells: &[Option<Cell>]) {
        self.time(*time);
        key.iter().for_each(|tag| self.tag(tag.as_deref()));
        cells.iter().for_each(|cell| self.cell(cell.as_ref().map(Cell::borrowed)));
    }

    /// The number.
    pub fn finish(self) -> u64 {
        self.0.finish()
    }
}
