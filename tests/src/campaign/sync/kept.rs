//! What a gateway should hold, and what should come out of the bucket: they part when it lets go of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use alluvium::Eviction;
use alluvium_sync::remote::{Gap, Hash, Incarnation, Key, Manifest, Period, PeriodKind};

use super::bucket::Bucket;
use super::{Violation, ensure};
use crate::model::{self, Effect, Model, Row, Span};

/// Where a row is: its tags, and its time.
type Place = (model::Key, i64);

/// What was written to a place, each by a record, oldest first.
type Versions = Vec<(u64, Row)>;

/// Both, and what it takes to tell them apart.
#[derive(Default)]
pub struct Kept {
    /// All that was written and not deleted.
    pub written: Model,
    /// What is still here.
    pub held: Model,
    /// Of each table, by its number, what was written since it was deleted last.
    places: BTreeMap<u32, BTreeMap<Place, Versions>>,
    went: Vec<Went>,
    /// How often a partition had to stay, although its time had come.
    waited: usize,
    /// Incarnations that it went by, so far.
    incarnations: BTreeSet<Incarnation>,
}

/// Rows of a table that were let go of.
struct Went {
    table: u32,
    /// Each with the record that wrote it last.
    rows: BTreeMap<Place, u64>,
    /// The incarnations up to then.
    incarnations: BTreeSet<Incarnation>,
}

/// What came of letting go of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Rows that went.
    pub rows: usize,
    /// How often a partition had to stay, although its time had come: not all of it was seen to be in the bucket.
    pub waited: usize,
    /// Rows that went and that the gateway's branch of the bucket does not have any more.
    pub lost: usize,
}

impl Evicted {
    /// The same of another life besides.
    pub fn add(&mut self, other: Evicted) {
        self.rows += other.rows;
        self.waited += other.waited;
        self.lost += other.lost;
    }
}

impl fmt::Display for Evicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evicted { rows, waited, lost } = self;
        write!(f, "{rows} rows went, {lost} of which the bucket forgot; {waited} times a partition had to stay")
    }
}

/// Takes a row away, of a table with one tag.
fn without(table: &str, (key, time): &Place) -> Effect {
    Effect::Delete(Span { table: table.to_owned(), first_tag: key[0].clone(), start: *time, end: time + 1 })
}

impl Kept {
    /// Something was written, rows of it by a record.
    pub fn wrote(&mut self, effects: &[Effect], record: u64) {
        for effect in effects {
            self.written.apply(effect);
            self.held.apply(effect);
            match effect {
                Effect::Put(table, rows) => rows.iter().for_each(|row| {
                    self.places_of(table).entry((row.key.clone(), row.time)).or_default().push((record, row.clone()));
                }),
                Effect::Delete(span) => self.places_of(&span.table).retain(|(key, time), _| !span.holds(key, *time)),
                _ => {}
            }
        }
    }

    fn places_of(&mut self, table: &str) -> &mut BTreeMap<Place, Versions> {
        let number = self.written.tables.get(table).map(|table| table.number);
        self.places.entry(number.unwrap_or(u32::MAX)).or_default()
    }

    /// Partitions have to stay, of those whose time has come.
    pub fn stay(&mut self, evictions: &[Eviction]) {
        self.waited += evictions.iter().filter(|eviction| !eviction.waits_for.is_empty()).count();
    }

    /// It goes by these incarnations.
    pub fn goes_by(&mut self, incarnations: impl Iterator<Item = Incarnation>) {
        self.incarnations.extend(incarnations);
    }

    /// Partitions were let go of. What went has to be in the bucket. Rows of records behind one lie in no segment, and stay.
    pub fn let_go(&mut self, evictions: &[Eviction], sealed: u64, bucket: &Bucket) -> Result<(), Violation> {
        for eviction in evictions {
            ensure(!eviction.is_loss, || format!("nobody holds what was let go of: {eviction:?}"))?;
            let (name, range) = (&eviction.table, eviction.partition.range);
            let table = self.held.tables.get(name).ok_or_else(|| Violation(format!("there is no table {name}")))?;
            let (number, known) = (table.number, self.places.get(&table.number));
            let gone = table.all().filter(|row| (range.start..range.end).contains(&row.time)).map(|row| (row.key, row.time));
            let rows = gone.filter_map(|place| known?.get(&place)?.last().map(|(record, _)| (place, *record)));
            let rows: BTreeMap<_, _> = rows.filter(|(_, record)| *record <= sealed).collect();
            let segments = segments(bucket, number);
            let lacking = rows.iter().find(|((_, time), record)| !segments.iter().any(|of| of.holds(*time, **record)));
            ensure(lacking.is_none(), || format!("{lacking:?} of {name} was let go of and is in no segment there"))?;
            rows.keys().for_each(|place| self.held.apply(&without(name, place)));
            self.went.push(Went { table: number, rows, incarnations: self.incarnations.clone() });
        }
        Ok(())
    }

    /// The last record of rows.
    pub fn rows_through(&self) -> u64 {
        let versions = self.places.values().flat_map(BTreeMap::values).flatten();
        versions.map(|(record, _)| *record).max().unwrap_or_default()
    }

    /// What has to come out of a branch, and what came of letting go of rows. Rows that were let go of when its bucket had them in cuts that it
    /// has no more are lost, unless they were written again, and one of its later cuts has to state so. What they were before is there again.
    pub fn expected(&self, branch: &[Manifest]) -> Result<(Model, Evicted), Violation> {
        let (mut model, mut lost) = (self.written.clone(), 0);
        let gone = self.went.iter().map(|went| went.rows.len()).sum();
        for went in &self.went {
            let name = self.written.tables.iter().find(|(_, of)| of.number == went.table).map(|(name, _)| name);
            let (Some(name), Some(places)) = (name, self.places.get(&went.table)) else { continue };
            // Up to here it has what it had then.
            let known = branch.iter().rposition(|manifest| went.incarnations.contains(&manifest.incarnation));
            let (through, behind) = known.map_or((0, 0), |at| (branch[at].through, at + 1));
            for (place, record) in went.rows.iter().filter(|(_, record)| **record > through) {
                let versions = places.get(place).map_or(&[][..], Vec::as_slice);
                if versions.last().is_none_or(|(last, _)| last != record) {
                    continue;
                }
                let mut gaps = branch[behind..].iter().flat_map(|manifest| &manifest.gaps);
                let is_stated = gaps.any(|gap| states(gap, went.table, *record, place.1));
                ensure(is_stated, || format!("{place:?} of {name}, of record {record}, is lost, and no cut states it"))?;
                model.apply(&without(name, place));
                let before = versions.iter().rev().find(|(record, _)| *record <= through);
                before.iter().for_each(|(_, row)| model.apply(&Effect::Put(name.clone(), vec![row.clone()])));
                lost += 1;
            }
        }
        Ok((model, Evicted { rows: gone, waited: self.waited, lost }))
    }
}

/// Whether a gap is of a row that was let go of.
fn states(gap: &Gap, table: u32, record: u64, time: i64) -> bool {
    let within = |(first, last): (u64, u64)| first <= record && record <= last;
    let during = |(first, last): (i64, i64)| first <= time && time <= last;
    gap.kind == "evicted" && gap.table == Some(table) && gap.sequences.is_some_and(within) && gap.times.is_some_and(during)
}

/// What a segment says of itself.
struct Of {
    period: Period,
    records: (u64, u64),
}

impl Of {
    /// Whether a row at a time, in microseconds, of a record would be in it.
    fn holds(&self, time: i64, record: u64) -> bool {
        let hour = Period { start: time.div_euclid(3_600_000_000) * 3_600, kind: PeriodKind::Hour };
        self.period.holds(hour) && self.records.0 <= record && record <= self.records.1
    }
}

/// The segments of a table that are what they are called.
fn segments(bucket: &Bucket, table: u32) -> Vec<Of> {
    let whole = bucket.objects().filter_map(|(path, object)| match path.parse() {
        Ok(Key::Segment(key)) if Hash::of(&object.bytes) == key.hash => Some(key),
        _ => None,
    });
    whole.filter(|key| key.table == table).map(|key| Of { period: key.period, records: key.records }).collect()
}
