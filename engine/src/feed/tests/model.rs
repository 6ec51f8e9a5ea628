//! A random life of a database, and an obvious list of what it did.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;

use super::{append, make_table};
use crate::io::MemoryDisk;
use crate::testing::{Hands, open_with};
use crate::{BackgroundStep, Change, Database, Error, Event, IfRevision, Owner, Put, RowBuilder, Settings};

/// Keys with the record that changed them last and their value.
pub(super) type Summary = BTreeMap<String, (u64, Option<Vec<u8>>)>;

/// An event in words.
pub(super) fn told(event: &Event) -> String {
    match event {
        Event::TableCreated(schema) | Event::TableChanged(schema) => format!("table {} {}", schema.name, schema.version),
        Event::TableDropped(schema) => format!("table {} dropped", schema.name),
        Event::SeriesAdded { table, series } => format!("series {} {}", table.name, series.len()),
        Event::Rows(rows) => format!("rows {} {} {:?}", rows.table().name, rows.rows(), rows.times()),
        Event::Sealed(rows) => format!("sealed {} {} {:?}", rows.table.name, rows.rows, rows.times),
        Event::RowsDeleted { table, series, range } => {
            format!("deleted {} {series:?} {}..{}", table.name, range.start, range.end)
        }
        Event::Seal { through, segments } => format!("seal {through} {}", segments.len()),
        Event::Compacted { removed, added } => format!("compacted {} {}", removed.len(), added.len()),
        Event::Evicted { table, removed, total } => format!("evicted {} {} {}", table.name, removed.len(), total.rows),
        Event::Receipt(receipt) => format!("receipt {}", receipt.detail),
        Event::Pair { key, value: None } => format!("pair {key} gone"),
        Event::Pair { key, value: Some(put) } => format!("pair {key} {:?} {:?}", put.value, put.expires_at),
        Event::Collection { name, state } => format!("collection {name} {:?}", state.as_ref().map(|state| state.number)),
        Event::Schema { collection, version, schema } => {
            format!("schema {} {version} {:?}", owner(collection), schema.as_ref().map(|version| version.schema.to_string()))
        }
        Event::Document { collection, id, state } => {
            let state = state.as_ref().map(|state| (state.json.as_str(), state.expires_at, state.deleted_at));
            format!("document {} {id} {state:?}", owner(collection))
        }
        Event::Queue { name, state } => format!("queue {name} {:?}", state.as_ref().map(|state| state.number)),
        Event::Item { queue, item, content } => {
            let content = content.as_ref().map(|content| (content.payload.as_slice(), content.due, &content.deduplication));
            format!("item {} {item} {content:?}", owner(queue))
        }
        Event::ItemState { queue, item, state } => {
            format!("state {} {item} {} {} {:?}", owner(queue), state.priority, state.tries, state.place)
        }
        Event::Audited { number, entry } => format!("audited {number} {:?}", entry.as_ref().map(|found| found.hash)),
        Event::Principal { name, principal } => format!("principal {name} {principal:?}"),
        Event::Role { name, grants } => format!("role {name} {grants:?}"),
        Event::Other { key, .. } => format!("other {key:?}"),
    }
}

fn owner(owner: &Owner) -> String {
    format!("{}={:?}", owner.number, owner.name)
}

/// What the feed tells: everything but rows by its words, rows by how many there were of each table up to then.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Story {
    /// With the record, and the rows of each table before it.
    told: Vec<(u64, String, BTreeMap<String, u64>)>,
    rows: BTreeMap<String, u64>,
}

impl Story {
    fn rows(&mut self, table: &str, rows: u64) {
        *self.rows.entry(table.to_owned()).or_default() += rows;
    }

    fn tell(&mut self, sequence: u64, what: String) {
        self.told.push((sequence, what, self.rows.clone()));
    }

    fn add(&mut self, change: &Change) {
        for event in &change.events {
            match event {
                Event::Rows(rows) => {
                    assert_eq!(rows.batch().unwrap().num_rows() as u64, rows.rows());
                    self.rows(&rows.table().name, rows.rows());
                }
                Event::Sealed(rows) => {
                    assert!(rows.times.is_some(), "{rows:?}");
                    assert!(rows.sequences.1 == change.sequence && rows.sequences.0 <= rows.sequences.1, "{rows:?}");
                    self.rows(&rows.table.name, rows.rows);
                }
                // Other steps of the same life.
                Event::Seal { .. } | Event::Compacted { .. } | Event::Evicted { .. } | Event::SeriesAdded { .. } => {}
                other => self.tell(change.sequence, told(other)),
            }
        }
    }

    /// What is told from a record on, with no more than the order of rows.
    fn after(&self, sequence: u64) -> Vec<(u64, &str)> {
        self.told.iter().filter(|(n, ..)| *n >= sequence).map(|(n, what, _)| (*n, what.as_str())).collect()
    }
}

/// A database and what was done to it.
pub(super) struct Life {
    seed: u64,
    rng: Rng,
    disk: MemoryDisk,
    clock: Arc<Hands>,
    settings: Settings,
    db: Option<Database>,
    story: Story,
    time: i64,
    pub(super) trims: u64,
}

impl Life {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
        let db = open_with(&disk, &clock, settings.clone());
        let (story, rng) = (Story::default(), Rng::with_seed(seed));
        let mut life = Life { seed, rng, disk, clock, settings, db: Some(db), story, time: 0, trims: 0 };
        for table in ["air", "water"] {
            make_table(life.db(), table);
            let last = life.last();
            life.story.tell(last, format!("table {table} 1"));
        }
        life
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    /// The last record.
    fn last(&self) -> u64 {
        self.db().inner_feed().visible.level().unwrap()
    }

    pub(super) fn step(&mut self) {
        match self.rng.u64(..100) {
            0..35 => self.put(),
            35..45 => self.remove(),
            45..70 => self.rows(),
            70..80 => self.transact(),
            80..84 => self.delete_rows(),
            84..94 => {
                let before = self.db().inner_feed().log.first();
                self.db().seal().unwrap();
                self.trims += u64::from(self.db().inner_feed().log.first() > before);
            }
            94..96 => drop(self.db().compact().unwrap()),
            96..98 => while self.db().background_step(BackgroundStep::Consolidate).unwrap() {},
            98 => {
                self.db.take().unwrap().close().unwrap();
                self.db = Some(open_with(&self.disk, &self.clock, self.settings.clone()));
            }
            _ => {
                self.disk = self.disk.after_power_cut();
                self.db = Some(open_with(&self.disk, &self.clock, self.settings.clone()));
            }
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = if self.rng.u64(..10) == 0 { 20_000 } else { 200 };
        (0..self.rng.u64(..len)).map(|n| n as u8).collect()
    }

    fn put(&mut self) {
        let (key, value) = (format!("k{}", self.rng.u64(..20)), self.value());
        let sequence = self.db().kv().put(&key, &value, Put::default()).unwrap();
        self.story.tell(sequence, format!("pair {key} {value:?} None"));
    }

    fn remove(&mut self) {
        let key = format!("k{}", self.rng.u64(..20));
        if self.db().kv().delete(&key, IfRevision::Any).unwrap() {
            let last = self.last();
            self.story.tell(last, format!("pair {key} gone"));
        }
    }

    fn rows(&mut self) {
        let table = ["air", "water"][self.rng.usize(..2)];
        let count = 1 + self.rng.i64(0..60);
        append(self.db(), table, self.time..self.time + count);
        self.time += count;
        self.story.rows(table, count as u64);
    }

    fn transact(&mut self) {
        let pairs: BTreeMap<String, Vec<u8>> =
            (0..1 + self.rng.u64(..4)).map(|_| (format!("t{}", self.rng.u64(..9)), vec![self.rng.u8(..)])).collect();
        let (rows, time) = (self.rng.i64(0..5), self.time);
        self.time += rows;
        self.db()
            .transaction(|tx| {
                pairs.iter().try_for_each(|(key, value)| tx.kv().put(key, value, Put::default()).map(drop))?;
                let mut builder = RowBuilder::new(self.db().table("water")?);
                (time..time + rows).try_for_each(|time| builder.row(time).value("v", 0.5).map(drop))?;
                tx.append("water", &builder.finish()?)
            })
            .unwrap();
        let last = self.last();
        pairs.iter().for_each(|(key, value)| self.story.tell(last, format!("pair {key} {value:?} None")));
        if rows > 0 {
            self.story.rows("water", rows as u64);
        }
    }

    fn delete_rows(&mut self) {
        let start = self.rng.u64(..self.time as u64 + 1) as i64;
        let sequence = self.db().delete("air", &[], crate::TimeRange::new(start, start + 10)).unwrap().sequence;
        self.story.tell(sequence, format!("deleted air None {start}..{}", start + 10));
    }

    fn read(&self, from: u64) -> Story {
        let mut story = Story::default();
        let mut last = 0;
        for change in self.db().changes().from(from).read().unwrap() {
            let change = change.unwrap_or_else(|error| panic!("seed {} from {from}: {error}", self.seed));
            assert!(change.sequence > last && change.sequence >= from, "seed {} from {from}: {change:?} after {last}", self.seed);
            last = change.sequence;
            // Torn tails of power cuts are stated too.
            if !change.events.iter().all(|event| matches!(event, Event::Receipt(_))) {
                story.add(&change);
            }
        }
        story
    }

    /// From the start all of it; from other points the same from there on, also where a run of rows was under way.
    pub(super) fn check_from_every_point(&mut self) {
        assert_eq!(self.read(1), self.story, "seed {}", self.seed);
        let last = self.last();
        for from in (1..=last).filter(|n| n % 7 == self.seed % 7) {
            assert_eq!(self.read(from).after(0), self.story.after(from), "seed {} from {from}", self.seed);
        }
        let none = self.db().changes().from(last + 2).read();
        assert!(matches!(none, Err(Error::FutureSequence { .. })));
        assert_eq!(self.db().verify(&mut |_, _| {}).unwrap().problems, [], "seed {}", self.seed);
    }
}
