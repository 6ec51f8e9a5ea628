//! A table as ordered maps: slow, obvious, and independent of the engine.

use std::collections::BTreeMap;

/// Tag values; missing sorts before present.
pub type Key = Vec<Option<String>>;

/// A field value that compares bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// The bits of a double.
    Float(u64),
    /// A signed integer.
    Integer(i64),
    /// Text.
    Text(String),
    /// A boolean.
    Flag(bool),
    /// An unscaled decimal.
    Decimal(i64),
}

/// One row as written: missing fields are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Tag values.
    pub key: Key,
    /// Time in the table's unit.
    pub time: i64,
    /// Field values, in the order of the table.
    pub cells: Vec<Option<Cell>>,
}

/// All rows of one table.
#[derive(Debug, Clone, Default)]
pub struct Model {
    rows: BTreeMap<(Key, i64), Vec<Option<Cell>>>,
}

impl Model {
    /// Writes a row: of the same key and time, later values win, field by field.
    pub fn put(&mut self, row: &Row) {
        let cells = self.rows.entry((row.key.clone(), row.time)).or_insert_with(|| vec![None; row.cells.len()]);
        for (old, new) in cells.iter_mut().zip(&row.cells) {
            if new.is_some() {
                old.clone_from(new);
            }
        }
    }

    /// Deletes rows by key and time, the end excluded.
    pub fn delete(&mut self, selects: impl Fn(&Key) -> bool, start: i64, end: i64) {
        self.rows.retain(|(key, time), _| !(selects(key) && (start..end).contains(time)));
    }

    /// The rows that pass, by key, then time.
    pub fn rows(&self, passes: impl Fn(&Row) -> bool) -> Vec<Row> {
        let all = self.rows.iter().map(|((key, time), cells)| Row { key: key.clone(), time: *time, cells: cells.clone() });
        all.filter(|row| passes(row)).collect()
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
