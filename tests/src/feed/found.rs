//! What the feed tells.

use std::collections::{BTreeMap, BTreeSet};

use alluvium::{Database, DocumentState, Error, Event, ItemState, Result};

use super::{Told, document, hash, item, pair};

/// What the feed tells of an item.
#[derive(Debug, Default, Clone)]
pub(super) struct FoundItem {
    pub(super) payload: Option<Vec<u8>>,
    pub(super) state: Option<ItemState>,
}

/// What the feed tells of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundDocument {
    pub(super) json: String,
    pub(super) deleted: bool,
    /// At once, as all that expires here.
    pub(super) has_expired: bool,
}

/// What the feed tells.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) told: Vec<Told>,
    /// Whether something before what is told is missing.
    pub(super) gap: bool,
    /// What became of each pair last: its value, and whether it had expired at once.
    pub(super) pairs: BTreeMap<String, Option<(Vec<u8>, bool)>>,
    /// What became of each item last, by queue and number.
    pub(super) items: BTreeMap<(u32, u64), FoundItem>,
    /// The numbers of collections, by name; `None` where one is gone.
    pub(super) collections: BTreeMap<String, Option<u32>>,
    /// What became of each document last, by collection and id.
    pub(super) documents: BTreeMap<(u32, String), FoundDocument>,
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
            Event::TableDropped(schema) => Told::Dropped(schema.id.0),
            Event::Rows(rows) => Told::Rows(rows.table().id.0, rows.rows()),
            Event::Sealed(rows) => Told::Rows(rows.table.id.0, rows.rows),
            Event::RowsDeleted { table, range, .. } => Told::Deleted(table.id.0, hash((range.start, range.end))),
            Event::Pair { key, value } => {
                let put = value.as_ref().map(|put| (put.value.clone(), put.expires_at.is_some_and(|at| at < u64::MAX)));
                self.pairs.insert(key.clone(), put);
                let Some(value) = value else { return };
                pair(key, &value.value)
            }
            Event::Collection { name, state } => {
                self.collections.insert(name.clone(), state.as_ref().map(|state| state.number));
                return;
            }
            Event::Document { collection, id, state } => {
                let place = (collection.number, id.clone());
                let Some(DocumentState { json, deleted_at, expires_at, .. }) = state else {
                    self.documents.remove(&place);
                    return;
                };
                let told = document((collection.number, id.as_str()), json, deleted_at.is_some());
                let found = FoundDocument {
                    json: json.clone(),
                    deleted: deleted_at.is_some(),
                    has_expired: expires_at.is_some_and(|at| at < u64::MAX),
                };
                self.documents.insert(place, found);
                told
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
}

/// Rows by table, and what followed them.
type Paragraph = (BTreeMap<u32, u64>, Option<Told>);

/// Everything but rows, each with the rows since what was before it: how these lay in records does not matter.
fn paragraphs(told: &[Told]) -> Vec<Paragraph> {
    let dropped: BTreeSet<u32> =
        told.iter().filter_map(|told| if let Told::Dropped(table) = told { Some(*table) } else { None }).collect();
    let stays = |told: &&Told| !matches!(told, Told::Deleted(table, _) if dropped.contains(table));
    let mut paragraphs = vec![Paragraph::default()];
    for told in told.iter().filter(stays) {
        let last = paragraphs.last_mut().expect("there is always one");
        match told {
            Told::Rows(table, rows) => *last.0.entry(*table).or_default() += rows,
            other => {
                last.1 = Some(*other);
                paragraphs.push(Paragraph::default());
            }
        }
    }
    paragraphs
}
