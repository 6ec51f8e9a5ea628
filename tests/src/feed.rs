//! The change feed against the list of effects of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash};

use alluvium::{Database, Error, Event, ItemPlace, ItemState, Result};
use foldhash::fast::FixedState;

use crate::model::{Effect, Model, Value};
use crate::queues::{Place, Queue, QueueChange, QueueItem};

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
        let places: BTreeSet<_> = rows.iter().map(place).collect();
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
            let blocks = blocks.iter().map(|(table, written)| rows(table, written));
            put_pairs(pairs).into_iter().chain(blocks).collect()
        }
        Effect::Count(key, by) => {
            let count: i64 = model.pairs.get(key).map_or(0, |bytes| String::from_utf8_lossy(bytes).parse().expect("a counter"));
            vec![pair(key, (count + by).to_string().as_bytes())]
        }
        Effect::Queues(changes, pairs) => queues(changes, pairs, model),
    }
}

fn put_pairs(pairs: &[(String, Option<Value>)]) -> Vec<Told> {
    let last: BTreeMap<&String, &Option<Value>> = pairs.iter().map(|(key, value)| (key, value)).collect();
    last.into_iter().filter_map(|(key, value)| Some(pair(key, &value.as_ref()?.bytes))).collect()
}

/// Pairs first, then definitions, then what is new in queues: all by key.
fn queues(changes: &[(String, QueueChange)], pairs: &[(String, Option<Value>)], model: &Model) -> Vec<Told> {
    let mut told = put_pairs(pairs);
    let mut pushed = BTreeMap::new();
    for name in changes.iter().map(|(name, _)| name).collect::<BTreeSet<_>>() {
        let mut queue = model.queues.get(name).cloned();
        let before = queue.as_ref().map_or(0, Queue::drawn);
        for (_, change) in changes.iter().filter(|(changed, _)| changed == name) {
            match (change, &mut queue) {
                (QueueChange::Create | QueueChange::Drop, _) => {
                    told.push(Told::Other(hash(("queue", name, *change == QueueChange::Create))));
                }
                (change, queue) => queue.as_mut().unwrap_or_else(|| panic!("the model has no queue {name}")).apply(change),
            }
        }
        let now = queue.iter().flat_map(|queue| queue.items().map(|(_, item)| ((queue.number(), item.id), item)));
        pushed.extend(now.filter(|((_, id), _)| *id > before).map(|(at, item)| (at, item.payload.clone())));
    }
    told.extend(pushed.iter().map(|(at, payload)| item(*at, payload)));
    told
}

fn item(at: (u32, u64), payload: &[u8]) -> Told {
    Told::Other(hash(("item", at, payload)))
}

fn pair(key: &str, value: &[u8]) -> Told {
    Told::Other(hash(("pair", key, value)))
}

/// What the feed tells of an item.
#[derive(Debug, Default, Clone)]
struct FoundItem {
    payload: Option<Vec<u8>>,
    state: Option<ItemState>,
}

/// What the feed tells.
#[derive(Debug, Default)]
pub struct Found {
    told: Vec<Told>,
    /// Whether something before what is told is missing.
    gap: bool,
    /// What became of each pair last: its value, and whether it had expired at once.
    pairs: BTreeMap<String, Option<(Vec<u8>, bool)>>,
    /// What became of each item last, by queue and number.
    items: BTreeMap<(u32, u64), FoundItem>,
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
            Event::Queue { name, state } => Told::Other(hash(("queue", name, state.is_some()))),
            Event::Item { queue, item: number, content: None } => {
                self.items.remove(&(queue.number, *number));
                return;
            }
            Event::Item { queue, item: number, content: Some(content) } => {
                self.items.entry((queue.number, *number)).or_default().payload = Some(content.payload.clone());
                item((queue.number, *number), &content.payload)
            }
            Event::ItemState { queue, item, state } => {
                self.items.entry((queue.number, *item)).or_default().state = Some(state.clone());
                return;
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
        stray.map_or(Ok(()), |(key, _)| Err(format!("nobody told that {key:?} is gone")))?;
        model.queues.values().try_for_each(|queue| self.leads_to_queue(queue))
    }

    /// Of dropped queues, items may be left.
    fn leads_to_queue(&self, queue: &Queue) -> std::result::Result<(), String> {
        let number = queue.number();
        let (told, most) = (self.items.range((number, 0)..=(number, u64::MAX)).count(), queue.len());
        let may_be_gone = |place: Place| place == Place::Returning || self.gap;
        let least = queue.items().filter(|(place, _)| !may_be_gone(*place)).count();
        if told > most || told < least {
            return Err(format!("{told} items of queue {number} were told of instead of {least} to {most}"));
        }
        for (place, item) in queue.items() {
            let FoundItem { payload, state } = match self.items.get(&(number, item.id)) {
                None if may_be_gone(place) => continue,
                told => told.cloned().unwrap_or_default(),
            };
            let pushed = payload.as_ref() == Some(&item.payload) || (payload.is_none() && self.gap);
            let stands = state.as_ref().map_or(self.gap, |state| is_at(state, place, item));
            if !pushed || !stands {
                return Err(format!("{place:?} {item:?} of queue {number} was told to be {payload:?} {state:?}"));
            }
        }
        Ok(())
    }
}

/// Who waits may have come back without a word.
fn is_at(state: &ItemState, place: Place, item: &QueueItem) -> bool {
    let same = match place {
        Place::Waiting => !matches!(state.place, ItemPlace::Scheduled(_) | ItemPlace::Dead),
        Place::Returning => !matches!(state.place, ItemPlace::Scheduled(_)),
        Place::Leased => matches!(state.place, ItemPlace::Leased(_)),
        Place::Scheduled => matches!(state.place, ItemPlace::Scheduled(_)),
        Place::Delayed => matches!(state.place, ItemPlace::Delayed(_)),
        Place::Dead => state.place == ItemPlace::Dead,
    };
    same && state.tries == item.tries && state.priority == item.priority
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
