//! The change feed against the list of effects of the model.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};

use alluvium::{Database, Error, Event, Result};
use foldhash::fast::FixedState;

use crate::model::{Effect, Model, Value};

/// What an effect must be told as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// So many rows of a table, by the hash of its name.
    Rows(u64, u64),
    /// Anything else, by its hash.
    Other(u64),
}

fn hash(what: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(what)
}

/// What the feed tells of an effect, in order. Removals of pairs are left out: whether what has expired was taken away already,
/// effects do not say.
pub fn told(effect: &Effect, model: &Model) -> Vec<Told> {
    let rows = |table: &String, rows: &[crate::model::Row]| {
        let tags = model.tables[table].columns.tags.len();
        let place = |row: &crate::model::Row| {
            let mut key = row.key.clone();
            key.resize(tags, None);
            (key, row.time)
        };
        let places: std::collections::BTreeSet<_> = rows.iter().map(place).collect();
        Told::Rows(hash(table), places.len() as u64)
    };
    match effect {
        Effect::Create(spec) => vec![Told::Other(hash(("table", &spec.name, 1_u32)))],
        Effect::Extend(table, more) => {
            let columns = &model.tables[table].columns;
            let count = columns.tags.len() + columns.fields.len() + more.tags.len() + more.fields.len();
            vec![Told::Other(hash(("columns", table, count)))]
        }
        Effect::Put(table, written) => vec![rows(table, written)],
        Effect::Delete(table, _, start, end) => vec![Told::Other(hash(("deleted", table, start, end)))],
        Effect::Transact(pairs, blocks) => {
            let last: BTreeMap<&String, &Option<Value>> = pairs.iter().map(|(key, value)| (key, value)).collect();
            let put = |(key, value): (&String, &Option<Value>)| Some(pair(key, &value.as_ref()?.bytes));
            last.into_iter().filter_map(put).chain(blocks.iter().map(|(table, written)| rows(table, written))).collect()
        }
        Effect::Count(key, by) => {
            let count: i64 = model.pairs.get(key).map_or(0, |bytes| String::from_utf8_lossy(bytes).parse().expect("a counter"));
            vec![pair(key, (count + by).to_string().as_bytes())]
        }
    }
}

fn pair(key: &str, value: &[u8]) -> Told {
    Told::Other(hash(("pair", key, value)))
}

/// What the feed tells.
#[derive(Debug, Default)]
pub struct Found {
    told: Vec<Told>,
    /// Whether something before what is told is missing.
    gap: bool,
    /// What became of each pair last: its value, and whether it had expired at once.
    pairs: BTreeMap<String, Option<(Vec<u8>, bool)>>,
    /// The first sequence read, and the last.
    pub sequences: (u64, u64),
}

impl Found {
    /// Reads the feed from a sequence on, without what is about one table.
    pub fn read(db: &Database, from: u64, without: &str) -> Result<Found> {
        let mut found = Found { gap: from > 1, sequences: (from, 0), ..Found::default() };
        for change in db.changes().from(from).read()? {
            match change {
                Ok(change) => {
                    assert!(change.sequence >= from && change.sequence > found.sequences.1, "out of order: {change:?}");
                    found.sequences.1 = change.sequence;
                    change.events.iter().filter(|event| event.table() != Some(without)).for_each(|event| found.add(event));
                }
                Err(Error::Gap { to, .. }) => {
                    found = Found { gap: true, sequences: (from, to), ..Found::default() };
                }
                Err(other) => return Err(other),
            }
        }
        Ok(found)
    }

    fn add(&mut self, event: &Event) {
        let told = match event {
            Event::TableCreated(schema) => Told::Other(hash(("table", &schema.name, schema.version))),
            Event::TableChanged(schema) => Told::Other(hash(("columns", &schema.name, schema.tags.len() + schema.fields.len()))),
            Event::Rows(rows) => Told::Rows(hash(rows.table()), rows.rows()),
            Event::Sealed(rows) => Told::Rows(hash(&rows.table), rows.rows),
            Event::RowsDeleted { table, range, .. } => Told::Other(hash(("deleted", table, range.start, range.end))),
            Event::Pair { key, value } => {
                let put = value.as_ref().map(|put| (put.value.clone(), put.expires_at.is_some_and(|at| at < u64::MAX)));
                self.pairs.insert(key.clone(), put);
                let Some(value) = value else { return };
                pair(key, &value.value)
            }
            _ => return,
        };
        self.told.push(told);
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        !self.gap
    }

    /// Whether this is what the feed must tell; where something is missing before it, the end of that.
    pub fn agrees(&self, expected: &[Told]) -> std::result::Result<(), String> {
        let (found, expected) = (paragraphs(&self.told), paragraphs(expected));
        if found.len() > expected.len() || (!self.gap && found.len() != expected.len()) {
            return Err(format!("the feed tells {} things instead of {}", found.len() - 1, expected.len() - 1));
        }
        let first = expected.len() - found.len();
        for (number, (a, b)) in found.iter().zip(&expected[first..]).enumerate() {
            // Of the rows before the first thing that is told, some may be missing.
            let rows = a.0 == b.0 || (number == 0 && self.gap);
            if !rows || a.1 != b.1 {
                return Err(format!("thing {number} of {} is {a:?} instead of {b:?}", found.len()));
            }
        }
        Ok(())
    }

    /// Whether the last that is told of each pair is what the model holds.
    pub fn leads_to(&self, model: &Model) -> std::result::Result<(), String> {
        for (key, value) in &model.pairs {
            match self.pairs.get(key) {
                Some(Some((told, false))) if told == value => {}
                None if self.gap => {}
                other => return Err(format!("{key:?} was told to be {other:?}")),
            }
        }
        let stray = self.pairs.iter().find(|(key, told)| matches!(told, Some((_, false))) && !model.pairs.contains_key(*key));
        stray.map_or(Ok(()), |(key, _)| Err(format!("nobody told that {key:?} is gone")))
    }
}

/// Rows by table, and what followed them.
type Paragraph = (BTreeMap<u64, u64>, Option<u64>);

/// Everything but rows, each with the rows since what was before it: how these lay in records does not matter.
fn paragraphs(told: &[Told]) -> Vec<Paragraph> {
    let mut paragraphs = vec![Paragraph::default()];
    for told in told {
        let last = paragraphs.last_mut().expect("there is always one");
        match told {
            Told::Rows(table, rows) => *last.0.entry(*table).or_default() += rows,
            Told::Other(what) => {
                last.1 = Some(*what);
                paragraphs.push(Paragraph::default());
            }
        }
    }
    paragraphs
}
