//! A centre in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::civil::Date;
use serde_json::Value;

use super::Centre;
use crate::postgres::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Segment};
use crate::remote::{Gap, Hash, Incarnation, Manifest, SegmentKey, Unit};

/// The longest answer.
const MOST: u32 = 10_000;
/// The most that is told at once.
const MOST_SEGMENTS: usize = 10_000;
const MOST_LINES: usize = 100_000;
const MOST_TEXTS: usize = 64;

/// The centre of one gateway, in memory: it does what `schema/v1.sql` says, for tests of this project and of whoever embeds the worker.
///
/// It is a plain value, so that to copy it is to make a backup, and to put the copy in its place is to restore that. `Mutex<MemoryCentre>` is a
/// [`Centre`]. What is told is taken as it is: that names and texts are not too long and have no control characters PostgreSQL alone checks.
///
/// ```
/// use alluvium_sync::worker::MemoryCentre;
///
/// let mut centre = MemoryCentre::new("pump-house");
/// assert_eq!(centre.head(), None);
/// assert!(centre.advance(b"no manifest").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct MemoryCentre {
    gateway: String,
    cuts: BTreeMap<(Incarnation, u64), Cut>,
    /// In the order in which they came.
    incarnations: Vec<Came>,
    head: Option<(Incarnation, u64)>,
    pub(crate) segments: Vec<Segment>,
    /// Of each kind and key the newest.
    lines: BTreeMap<(String, Vec<String>), Newest>,
}

/// A cut that was registered.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) hash: Hash,
    pub(crate) manifest: Manifest,
    /// Whether its metadata are there, or it has none.
    pub(crate) metadata: bool,
}

/// An incarnation.
#[derive(Debug, Clone)]
struct Came {
    incarnation: Incarnation,
    /// It sent all metadata that there are, so that those of earlier ones hold no more.
    is_whole: bool,
}

/// What is known of a key: it is compared by the place of its incarnation, then by its sequence.
#[derive(Debug, Clone)]
struct Newest {
    version: (usize, u64),
    value: Value,
}

fn refused<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(why.into()))
}

/// PostgreSQL's numbers have a sign.
fn is_number(number: u64) -> bool {
    i64::try_from(number).is_ok()
}

fn page(most: u32) -> usize {
    most.min(MOST) as usize
}

impl MemoryCentre {
    /// One that knows nothing yet of a gateway but its name.
    pub fn new(gateway: &str) -> Self {
        MemoryCentre {
            gateway: gateway.to_owned(),
            cuts: BTreeMap::new(),
            incarnations: Vec::new(),
            head: None,
            segments: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// As [`Centre::head`].
    pub fn head(&self) -> Option<Head> {
        let (incarnation, cut) = self.head?;
        let known = self.cuts.get(&(incarnation, cut))?;
        let Manifest { through, sealed_at, audit, .. } = known.manifest;
        let order = u32::try_from(self.place_of(incarnation)? + 1).ok()?;
        Some(Head { incarnation, order, cut, hash: known.hash, through, sealed_at, audit })
    }

    /// As [`Centre::advance`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Advance, Error> {
        let manifest = match Manifest::decode(bytes) {
            Ok(manifest) if manifest.gateway != self.gateway => return refused("it is of another gateway"),
            Ok(manifest) if !is_number(manifest.cut) || !is_number(manifest.through) => {
                return refused("a number is out of range");
            }
            Ok(manifest) => manifest,
            Err(malformed) => return refused(format!("this is no manifest: {malformed}")),
        };
        let (own, number, hash) = (manifest.incarnation, manifest.cut, Hash::of(bytes));
        if !self.follows(&manifest) {
            if self.place_of(own).is_some() {
                return self.known(own, number, hash);
            }
            self.may_begin(&manifest)?;
            self.incarnations.push(Came { incarnation: own, is_whole: false });
        }
        self.head = Some((own, number));
        let metadata = manifest.metadata.is_none();
        self.cuts.insert((own, number), Cut { hash, manifest, metadata });
        Ok(Advance::Registered)
    }

    /// Whether a manifest simply goes on behind the head.
    fn follows(&self, manifest: &Manifest) -> bool {
        self.head().is_some_and(|head| {
            let link = manifest.previous.map(|link| (link.incarnation, link.hash));
            (head.incarnation, head.cut + 1, head.through) == (manifest.incarnation, manifest.cut, manifest.after)
                && link == Some((head.incarnation, head.hash))
        })
    }

    /// What is said of a cut that does not follow the head, of an incarnation that is known.
    fn known(&self, own: Incarnation, number: u64, hash: Hash) -> Result<Advance, Error> {
        let head = self.head().map(Box::new);
        let is_known = self.cuts.get(&(own, number)).is_some_and(|known| known.hash == hash);
        let is_ahead = head.as_ref().is_some_and(|head| head.incarnation == own && number > head.cut + 1);
        match (is_known, is_ahead) {
            (true, _) => Ok(Advance::Already),
            (_, true) => Err(Error::Behind { head }),
            _ => Err(Error::Conflict { head }),
        }
    }

    /// Whether a manifest of an incarnation that is not known yet may begin it.
    fn may_begin(&self, manifest: &Manifest) -> Result<(), Error> {
        let head = self.head().map(Box::new);
        match (head, manifest.previous) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Error::Behind { head: None }),
            (head @ Some(_), None) => Err(Error::Conflict { head }),
            (head @ Some(_), Some(link)) => {
                let before = self.cuts.get(&(link.incarnation, manifest.cut - 1));
                let fits = before.is_some_and(|cut| cut.hash == link.hash && cut.manifest.through == manifest.after);
                if fits { Ok(()) } else { Err(Error::UnknownPrevious { head }) }
            }
        }
    }

    fn place_of(&self, incarnation: Incarnation) -> Option<usize> {
        self.incarnations.iter().position(|came| came.incarnation == incarnation)
    }

    /// The cuts of the branch, oldest first.
    pub(crate) fn branch(&self) -> Vec<&Cut> {
        let (mut at, mut branch) = (self.head, Vec::new());
        while let Some(((_, number), cut)) = at.and_then(|at| Some((at, self.cuts.get(&at)?))) {
            branch.push(cut);
            at = cut.manifest.previous.map(|link| (link.incarnation, number - 1));
        }
        branch.reverse();
        branch
    }

    /// As [`Centre::hold`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn hold(&mut self, segments: &[Segment]) -> Result<Held, Error> {
        if segments.len() > MOST_SEGMENTS {
            return refused(format!("segments are a list of {MOST_SEGMENTS} at most"));
        }
        if segments.iter().any(|segment| !self.can_be(segment)) {
            return refused("a segment has no gateway, records, rows or times that there can be");
        }
        let mut held = Held { registered: 0, known: 0, unannounced: Vec::new() };
        for (at, segment) in segments.iter().enumerate() {
            if !self.reaches(&segment.key) {
                held.unannounced.push(at);
            } else if self.segments.iter().any(|known| is_same(known, segment)) {
                held.known += 1;
            } else {
                self.segments.push(segment.clone());
                held.registered += 1;
            }
        }
        Ok(held)
    }

    fn can_be(&self, segment: &Segment) -> bool {
        let Segment { key, rows, bytes, first, last, target } = segment;
        let (from, to) = key.records;
        let are_numbers = [*rows, *bytes, to].into_iter().all(is_number);
        key.gateway == self.gateway && 0 < from && from <= to && *bytes > 0 && first <= last && are_numbers && !target.is_empty()
    }

    /// Whether the last record of a segment is one of its incarnation's cuts.
    fn reaches(&self, key: &SegmentKey) -> bool {
        let mut own = self.cuts.range((key.incarnation, 0)..=(key.incarnation, u64::MAX)).map(|(_, cut)| &cut.manifest);
        let Some(first) = own.next() else { return false };
        let last = own.next_back().unwrap_or(first);
        first.after < key.records.1 && key.records.1 <= last.through
    }

    /// As [`Centre::metadata`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn metadata(&mut self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        if !is_number(cut) {
            return refused(format!("{cut} is no number of a cut"));
        }
        if lines.len() > MOST_LINES || !lines.iter().all(is_line) {
            return refused("a line of metadata has no sequence, kind or key that there can be, or there are too many");
        }
        let place = self.place_of(incarnation);
        let Some((place, known)) = place.zip(self.cuts.get_mut(&(incarnation, cut))) else { return Ok(Applied::UnknownCut) };
        let Some(delta) = known.manifest.metadata else { return Ok(Applied::UnknownCut) };
        known.metadata |= complete;
        if let Some(came) = self.incarnations.get_mut(place) {
            came.is_whole |= complete && delta.after == 0;
        }
        Ok(Applied::Newer(self.take_in(place, lines)))
    }

    /// Takes in lines of an incarnation, of each key the newest. Answers how many were newer than what was known.
    fn take_in(&mut self, place: usize, lines: &[Line]) -> u64 {
        let mut newest = HashMap::new();
        for line in lines {
            let known = newest.entry((&line.kind, &line.key)).or_insert(line);
            if known.sequence <= line.sequence {
                *known = line;
            }
        }
        let mut newer = 0;
        for line in newest.into_values() {
            let (name, version) = ((line.kind.clone(), line.key.clone()), (place, line.sequence));
            if self.lines.get(&name).is_none_or(|known| known.version < version) {
                self.lines.insert(name, Newest { version, value: line.value.clone() });
                newer += 1;
            }
        }
        newer
    }

    /// The lines of metadata that hold, by kind and key, as the view `current_metadata` has them: neither those of what is gone, nor what
    /// an incarnation does not have that sent all there are.
    pub fn lines(&self) -> Vec<Line> {
        let whole = self.incarnations.iter().rposition(|came| came.is_whole).unwrap_or(0);
        let holding = self.lines.iter().filter(|(_, newest)| newest.version.0 >= whole && !newest.value.is_null());
        let line = |((kind, key), newest): (&(String, Vec<String>), &Newest)| Line {
            sequence: newest.version.1,
            kind: kind.clone(),
            key: key.clone(),
            value: newest.value.clone(),
        };
        holding.map(line).collect()
    }

    /// As [`Centre::cuts`].
    pub fn cuts(&self, from: u64, most: u32) -> Vec<KnownCut> {
        let known = |cut: &&Cut| {
            let Manifest { incarnation, cut: number, after, through, .. } = cut.manifest;
            KnownCut { incarnation, cut: number, hash: cut.hash, after, through, metadata: cut.metadata }
        };
        self.branch().iter().filter(|cut| cut.manifest.cut >= from).take(page(most)).map(known).collect()
    }

    /// As [`Centre::missing`].
    pub fn missing(&self, from: u64, most: u32) -> Vec<MissingUnit> {
        let branch = self.branch();
        let mut missing = Vec::new();
        for (at, cut) in branch.iter().enumerate() {
            let Manifest { incarnation, cut, ref units, .. } = cut.manifest;
            let lacking = units.iter().filter(|unit| !self.holds(incarnation, unit) && !is_stated(&branch[at..], unit));
            missing.extend(lacking.map(|unit| {
                let (table, period, records) = (unit.table, unit.period, unit.records);
                MissingUnit { incarnation, cut, table, period, records }
            }));
        }
        missing.retain(|unit| unit.cut >= from);
        missing.truncate(page(most));
        missing
    }

    fn holds(&self, incarnation: Incarnation, unit: &Unit) -> bool {
        let mut own = self.segments.iter().map(|segment| &segment.key).filter(|key| key.incarnation == incarnation);
        own.any(|key| {
            key.table == unit.table
                && key.period.holds(unit.period)
                && key.records.0 <= unit.records.0
                && unit.records.1 <= key.records.1
        })
    }

    /// All segments, as they were told.
    pub fn told(&self) -> &[Segment] {
        &self.segments
    }

    /// As [`Centre::segments`].
    pub fn segments(&self, after: i64, most: u32) -> Vec<KnownSegment> {
        let known = |(id, segment): (i64, &Segment)| {
            let (key, target, bytes) = (segment.key.to_string(), segment.target.clone(), segment.bytes);
            KnownSegment { id, key, target, bytes }
        };
        (1..).zip(&self.segments).filter(|(id, _)| *id > after).take(page(most)).map(known).collect()
    }

    /// The last cut up to which, from the first of all, everything is held or stated to be gone, as the view of that name has it.
    pub fn delivered_through(&self) -> Option<u64> {
        let branch = self.branch();
        let lacking = branch.iter().filter(|cut| !cut.metadata).map(|cut| cut.manifest.cut);
        let open = self.missing(1, 1).into_iter().map(|unit| unit.cut).chain(lacking).min();
        open.map(|cut| cut - 1).or(self.head.map(|(_, cut)| cut)).filter(|cut| *cut > 0)
    }

    /// Forgets that metadata of a cut came.
    #[cfg(test)]
    pub(crate) fn lose_metadata(&mut self, number: u64) {
        for ((_, cut), known) in &mut self.cuts {
            known.metadata &= *cut != number;
        }
    }
}

/// Whether cuts, the first of which is its own, state a unit to be gone.
fn is_stated(from_its_own: &[&Cut], unit: &Unit) -> bool {
    from_its_own.iter().map(|cut| &cut.manifest).any(|manifest| {
        let is_dropped = manifest.table(unit.table).is_some_and(|table| table.dropped) && unit.records.1 <= manifest.through;
        is_dropped || manifest.gaps.iter().any(|gap| takes_in(gap, unit))
    })
}

fn takes_in(gap: &Gap, unit: &Unit) -> bool {
    gap.sequences.is_some_and(|(first, last)| first <= unit.records.0 && unit.records.1 <= last)
        && gap.table.is_none_or(|table| table == unit.table)
        && gap.times.is_none_or(|(first, last)| first <= unit.first && unit.last <= last)
}

/// Whether two are one, by what the centre tells them apart by.
fn is_same(one: &Segment, other: &Segment) -> bool {
    let month = |key: &SegmentKey| key.period.date().map(Date::first_of_month);
    let of = |segment: &Segment| {
        let SegmentKey { incarnation, table, records, hash, .. } = segment.key;
        (incarnation, table, records.1, hash)
    };
    of(one) == of(other) && one.target == other.target && month(&one.key) == month(&other.key)
}

fn is_line(line: &Line) -> bool {
    let is_kind = line.kind.starts_with(|first: char| first.is_ascii_lowercase())
        && line.kind.len() <= 32
        && line.kind.chars().all(|char| char.is_ascii_lowercase() || char == '_');
    let is_of_table = line.key.first().is_some_and(|text| text.parse::<u64>().is_ok_and(|number| number.to_string() == *text));
    let needs_table = matches!(line.kind.as_str(), "table" | "series");
    let is_key = (1..=MOST_TEXTS).contains(&line.key.len()) && (is_of_table || !needs_table);
    line.sequence > 0 && is_number(line.sequence) && is_kind && is_key
}

fn locked(centre: &Mutex<MemoryCentre>) -> MutexGuard<'_, MemoryCentre> {
    centre.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Centre for Mutex<MemoryCentre> {
    async fn head(&self) -> Result<Option<Head>, Error> {
        Ok(locked(self).head())
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        locked(self).advance(manifest)
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        locked(self).hold(segments)
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        locked(self).metadata(incarnation, cut, lines, complete)
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        Ok(locked(self).cuts(from, most))
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        Ok(locked(self).missing(from, most))
    }

    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        Ok(locked(self).segments(after, most))
    }
}
