//! What a bucket proves: that its manifests hang together, and which of the units they announce are held.
//!
//! The prover is told of every object and of what manifests contain, in any order, and then concludes. Nothing is taken on trust: a
//! name says what an object claims to be, its hash what it is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::remote::{
    AuditHead, Delta, Erasure, Gap, Hash, Incarnation, Key, Link, MOST_BYTES, Manifest, Period, SegmentKey, Table, Unit,
};

/// First and last records.
type Ranges = Vec<(u64, u64)>;

/// Collects what there is of one gateway.
#[derive(Debug)]
pub struct Prover {
    gateway: String,
    cuts: BTreeMap<(Incarnation, u64), Cut>,
    /// Records that segments of an incarnation's table and period are of.
    held: BTreeMap<(Incarnation, u32), BTreeMap<Period, Ranges>>,
    metadata: BTreeSet<(Incarnation, u64, Hash)>,
    problems: Vec<Problem>,
}

/// What is kept of a manifest.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) hash: Hash,
    previous: Option<Link>,
    pub(crate) records: (u64, u64),
    pub(crate) sealed_at: Timestamp,
    pub(crate) audit: Option<AuditHead>,
    pub(crate) units: Vec<Unit>,
    pub(crate) metadata: Option<Delta>,
    pub(crate) erasures: Vec<Erasure>,
    pub(crate) gaps: Vec<Gap>,
    /// The tables that it speaks of.
    pub(crate) tables: Vec<Table>,
    pub(crate) losses: Vec<Loss>,
}

/// A cut by its incarnation and number.
pub(crate) type CutId = (Incarnation, u64);

/// Rows that a cut states to be gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// Of one table or of all.
    table: Option<u32>,
    /// Of these records.
    records: (u64, u64),
    /// Of these times or of all.
    times: Option<(i64, i64)>,
}

/// What is known of an object's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: its name is believed. Of a manifest, that it is larger than any.
    Unread,
    /// Its hash.
    Hash(Hash),
    /// All of it.
    Bytes(Vec<u8>),
}

impl Content {
    fn hash(&self) -> Option<Hash> {
        match self {
            Content::Unread => None,
            Content::Hash(hash) => Some(*hash),
            Content::Bytes(bytes) => Some(Hash::of(bytes)),
        }
    }
}

/// What is wrong with a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// The object is not what it is called by.
    Altered {
        /// Its name.
        key: String,
        /// In words.
        why: String,
    },
    /// Two manifests claim to be the same cut.
    Conflict {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
    },
    /// A cut that another one follows is not there.
    NoManifest {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
    },
    /// A cut does not follow the one before it: its hash is another, or records between them are in neither.
    Broken {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
        /// In words.
        why: &'static str,
    },
    /// Some metadata were sent neither with a cut nor with those before it.
    MetadataBetween {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
    },
    /// The metadata that a cut names are not there.
    NoMetadata {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
    },
    /// A segment of records that no manifest of its incarnation speaks of.
    Unannounced {
        /// Its incarnation.
        incarnation: Incarnation,
        /// The last of its records.
        record: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Altered { key, why } => write!(f, "{key:?}: {why}"),
            Problem::Conflict { incarnation, cut } => write!(f, "there are two manifests of cut {cut} of {incarnation}"),
            Problem::NoManifest { incarnation, cut } => write!(f, "there is no manifest of cut {cut} of {incarnation}"),
            Problem::Broken { incarnation, cut, why } => write!(f, "cut {cut} of {incarnation}: {why}"),
            Problem::MetadataBetween { incarnation, cut } => {
                write!(f, "metadata before those of cut {cut} of {incarnation} were never sent")
            }
            Problem::NoMetadata { incarnation, cut } => write!(f, "the metadata of cut {cut} of {incarnation} are not there"),
            Problem::Unannounced { incarnation, record } => {
                write!(f, "there are rows up to record {record} of {incarnation}, and no manifest that announces them")
            }
        }
    }
}

/// A unit that no segment holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// Its cut.
    pub cut: u64,
    /// The number of its table.
    pub table: u32,
    /// Its period.
    pub period: Period,
    /// Its records.
    pub records: (u64, u64),
    /// Whether a later cut, or its own, states that it is lost.
    pub stated: bool,
}

/// What is proved of a cut that no other follows, and of all that it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The incarnation of the last cut.
    pub incarnation: Incarnation,
    /// The last cut.
    pub last: u64,
    /// The last cut up to which, from the first of all, everything is held or stated to be lost; none where that is none.
    pub delivered_through: Option<Delivered>,
    /// How many cuts there are.
    pub cuts: u64,
    /// Units of these.
    pub units: u64,
    /// Those that no segment holds.
    pub missing: Vec<Missing>,
}

/// How far everything was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The cut.
    pub cut: u64,
    /// Its last record.
    pub record: u64,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

/// What a bucket proves of one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// One, unless the gateway was copied.
    pub branches: Vec<Branch>,
    /// What is wrong, each once.
    pub problems: Vec<Problem>,
}

impl Proof {
    /// Whether everything announced is there or stated to be lost, and nothing is wrong.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.branches.iter().all(|branch| branch.missing.iter().all(|unit| unit.stated))
    }
}

impl Prover {
    /// Knows nothing yet.
    pub fn new(gateway: &str) -> Self {
        let (cuts, held, metadata) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Prover { gateway: gateway.to_owned(), cuts, held, metadata, problems: Vec::new() }
    }

    /// There is an object. One of another gateway is none of its business.
    pub fn see(&mut self, key: &Key, content: &Content) {
        if key.gateway() != self.gateway {
            return;
        }
        match (key, content) {
            (Key::Manifest { incarnation, cut, hash, .. }, Content::Bytes(bytes)) => {
                self.manifest(*incarnation, *cut, *hash, bytes);
            }
            (Key::Manifest { .. }, _) => self.altered(key, format_args!("it was not read: it is more than {MOST_BYTES} bytes")),
            (Key::Metadata { incarnation, cut, hash, .. }, content) => {
                self.metadata(*incarnation, *cut, *hash, content.hash());
            }
            (Key::Segment(segment), content) => self.segment(segment, content.hash()),
        }
    }

    fn segment(&mut self, key: &SegmentKey, read: Option<Hash>) {
        if read.is_some_and(|read| read != key.hash) {
            return self.altered(key, "its hash is another");
        }
        let periods = self.held.entry((key.incarnation, key.table)).or_default();
        periods.entry(key.period).or_default().push(key.records);
    }

    fn metadata(&mut self, incarnation: Incarnation, cut: u64, hash: Hash, read: Option<Hash>) {
        if read.is_some_and(|read| read != hash) {
            let key = Key::Metadata { gateway: self.gateway.clone(), incarnation, cut, hash };
            return self.altered(&key, "its hash is another");
        }
        self.metadata.insert((incarnation, cut, hash));
    }

    fn manifest(&mut self, incarnation: Incarnation, cut: u64, named: Option<Hash>, bytes: &[u8]) {
        let key = Key::Manifest { gateway: self.gateway.clone(), incarnation, cut, hash: named };
        let hash = Hash::of(bytes);
        if named.is_some_and(|named| named != hash) {
            return self.altered(&key, "its hash is another");
        }
        let manifest = match Manifest::decode(bytes) {
            Ok(manifest) => manifest,
            Err(malformed) => return self.altered(&key, malformed),
        };
        if (&manifest.gateway, manifest.incarnation, manifest.cut) != (&self.gateway, incarnation, cut) {
            return self.altered(&key, "it says it is of another gateway, incarnation or cut");
        }
        match self.cuts.get(&(incarnation, cut)) {
            Some(known) if known.hash != hash => self.problems.push(Problem::Conflict { incarnation, cut }),
            Some(_) => {}
            None => drop(self.cuts.insert((incarnation, cut), Cut::of(manifest, hash))),
        }
    }

    fn altered(&mut self, key: &impl fmt::Display, why: impl fmt::Display) {
        self.problems.push(Problem::Altered { key: key.to_string(), why: why.to_string() });
    }

    /// What all of it proves.
    pub fn conclude(mut self) -> Proof {
        self.look()
    }

    /// The same, for who has more to ask: the cuts are kept.
    pub(crate) fn look(&mut self) -> Proof {
        self.held.values_mut().flat_map(BTreeMap::values_mut).for_each(reach);
        let mut found = self.links();
        found.extend(self.unannounced());
        let branches = self.tips().into_iter().map(|tip| self.branch(tip)).collect();
        self.problems.append(&mut found);
        self.problems.sort_unstable();
        self.problems.dedup();
        Proof { branches, problems: std::mem::take(&mut self.problems) }
    }

    /// A cut and those before it, the last first, as far as each follows the one before; and what is wrong where they end too soon.
    pub(crate) fn chain(&self, tip: CutId) -> (Vec<(CutId, &Cut)>, Option<Problem>) {
        let (mut at, mut chain) = (tip, Vec::new());
        while let Some(cut) = self.cuts.get(&at) {
            chain.push((at, cut));
            match (self.follows(at.0, at.1, cut), cut.previous) {
                (Ok(Some(_)), Some(link)) => at = (link.incarnation, at.1 - 1),
                (Ok(_), _) => return (chain, None),
                (Err(problem), _) => return (chain, Some(problem)),
            }
        }
        (chain, None)
    }

    /// What is wrong between each cut and the one before, and its metadata.
    fn links(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (&(incarnation, number), cut) in &self.cuts {
            found.extend(self.follows(incarnation, number, cut).err());
            let there = self.has_metadata(incarnation, number, cut);
            found.extend((!there).then_some(Problem::NoMetadata { incarnation, cut: number }));
            let follow = cut.metadata.is_none_or(|delta| self.metadata_follow(incarnation, number, cut, delta));
            found.extend((!follow).then_some(Problem::MetadataBetween { incarnation, cut: number }));
        }
        found
    }

    fn has_metadata(&self, incarnation: Incarnation, number: u64, cut: &Cut) -> bool {
        cut.metadata.is_none_or(|delta| self.metadata.contains(&(incarnation, number, delta.hash)))
    }

    /// Whether metadata begin where those of the last cut before that has any end, as far as the chain is known.
    fn metadata_follow<'a>(&'a self, incarnation: Incarnation, number: u64, cut: &'a Cut, delta: Delta) -> bool {
        let (mut at, mut cut) = ((incarnation, number), cut);
        // Where they are all there are, they follow nothing.
        if delta.after == 0 {
            return true;
        }
        loop {
            let Some(link) = cut.previous else { return false };
            let Ok(Some(before)) = self.follows(at.0, at.1, cut) else { return true };
            if let Some(sent) = before.metadata {
                return sent.through == delta.after;
            }
            (at, cut) = ((link.incarnation, at.1 - 1), before);
        }
    }

    /// The cut before one, if that is what it follows.
    fn follows(&self, incarnation: Incarnation, number: u64, cut: &Cut) -> Result<Option<&Cut>, Problem> {
        let Some(link) = cut.previous else { return Ok(None) };
        let before = (link.incarnation, number - 1);
        let none = || Problem::NoManifest { incarnation: before.0, cut: before.1 };
        let previous = self.cuts.get(&before).ok_or_else(none)?;
        let broken = |why| Problem::Broken { incarnation, cut: number, why };
        if previous.hash != link.hash {
            return Err(broken("the manifest before it is not the one that it follows"));
        }
        if previous.records.1 != cut.records.0 {
            return Err(broken("it does not begin at the record at which the cut before it ends"));
        }
        Ok(Some(previous))
    }

    /// Segments that end at no record of their incarnation's cuts.
    fn unannounced(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for ((incarnation, _), periods) in &self.held {
            let own: Vec<_> = self.cuts.range((*incarnation, 0)..=(*incarnation, u64::MAX)).map(|(_, cut)| cut.records).collect();
            let announced = |record: u64| {
                let at = own.partition_point(|(_, through)| *through < record);
                own.get(at).is_some_and(|(after, _)| *after < record)
            };
            let unknown = periods.values().flatten().map(|(_, last)| *last).filter(|last| !announced(*last));
            found.extend(unknown.map(|record| Problem::Unannounced { incarnation: *incarnation, record }));
        }
        found
    }

    /// The last cuts of all incarnations that no other cut follows.
    fn tips(&self) -> Vec<(Incarnation, u64)> {
        let followed: HashSet<_> = self.cuts.iter().filter_map(|((_, cut), known)| Some((*cut - 1, known.previous?))).collect();
        let lasts: BTreeMap<_, _> =
            self.cuts.iter().map(|((incarnation, cut), known)| (*incarnation, (*cut, known.hash))).collect();
        let tips = lasts.into_iter().filter(|&(incarnation, (cut, hash))| !followed.contains(&(cut, Link { incarnation, hash })));
        tips.map(|(incarnation, (cut, _))| (incarnation, cut)).collect()
    }

    /// What is proved of a cut and all before it. They are walked from the last to the first, so that what is stated to be lost is
    /// known where it is missed.
    fn branch(&self, tip: (Incarnation, u64)) -> Branch {
        let mut branch =
            Branch { incarnation: tip.0, last: tip.1, delivered_through: None, cuts: 0, units: 0, missing: Vec::new() };
        let (mut at, mut stated, mut delivered) = (tip, Vec::new(), None);
        while let Some(cut) = self.cuts.get(&at) {
            stated.extend(&cut.losses);
            let missing = self.missing(at, cut, &stated);
            let metadata = self.has_metadata(at.0, at.1, cut);
            // Behind a place where something is missing nothing counts.
            let whole = metadata && missing.iter().all(|unit| unit.stated);
            let here = Delivered { cut: at.1, record: cut.records.1, sealed_at: cut.sealed_at };
            delivered = whole.then(|| delivered.unwrap_or(here));
            branch.cuts += 1;
            branch.units += cut.units.len() as u64;
            branch.missing.extend(missing);
            match (self.follows(at.0, at.1, cut), cut.previous) {
                (Ok(Some(_)), Some(link)) => at = (link.incarnation, at.1 - 1),
                (Ok(_), _) => {
                    branch.delivered_through = delivered;
                    break;
                }
                (Err(_), _) => break,
            }
        }
        branch.missing.sort_unstable();
        branch
    }

    /// The units of a cut that no segment holds.
    fn missing(&self, (incarnation, number): (Incarnation, u64), cut: &Cut, stated: &[Loss]) -> Vec<Missing> {
        let held = |unit: &Unit| {
            let periods = self.held.get(&(incarnation, unit.table));
            periods.is_some_and(|periods| holders(periods, unit.period).any(|ranges| reaches(ranges, unit.records)))
        };
        let missing = cut.units.iter().filter(|unit| !held(unit)).map(|unit| {
            let stated = stated.iter().any(|loss| loss.covers(unit));
            Missing { cut: number, table: unit.table, period: unit.period, records: unit.records, stated }
        });
        missing.collect()
    }
}

/// The records that segments of a period, and of longer ones that hold it, are of.
fn holders(periods: &BTreeMap<Period, Ranges>, period: Period) -> impl Iterator<Item = &Ranges> {
    // Of each length one alone can hold it: the last that does not begin behind it.
    let candidates = period.not_behind().filter_map(|range| periods.range(range).next_back());
    candidates.filter(move |(longer, _)| longer.holds(period)).map(|(_, ranges)| ranges)
}

/// Leaves out ranges within others, so that those left rise at both ends.
fn reach(ranges: &mut Ranges) {
    ranges.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
    let mut reached = 0;
    ranges.retain(|&(_, last)| {
        let farther = last > reached;
        reached = reached.max(last);
        farther
    });
}

/// Whether one range holds another.
fn reaches(ranges: &Ranges, (first, last): (u64, u64)) -> bool {
    // Of those that do not begin behind it the last one reaches farthest.
    let behind = ranges.partition_point(|(begin, _)| *begin <= first);
    behind > 0 && ranges[behind - 1].1 >= last
}

impl Cut {
    fn of(manifest: Manifest, hash: Hash) -> Cut {
        let gone = |gap: &Gap| Some(Loss { table: gap.table, records: gap.sequences?, times: gap.times });
        let dropped = manifest.tables.iter().filter(|table| table.dropped);
        let dropped = dropped.map(|table| Loss { table: Some(table.table), records: (0, manifest.through), times: None });
        let losses = manifest.gaps.iter().filter_map(gone).chain(dropped).collect();
        Cut {
            hash,
            previous: manifest.previous,
            records: (manifest.after, manifest.through),
            sealed_at: manifest.sealed_at,
            units: manifest.units,
            metadata: manifest.metadata,
            audit: manifest.audit,
            erasures: manifest.erasures,
            gaps: manifest.gaps,
            tables: manifest.tables,
            losses,
        }
    }
}

impl Loss {
    /// Whether all of a unit is gone.
    pub(crate) fn covers(&self, unit: &Unit) -> bool {
        self.table.is_none_or(|of| of == unit.table)
            && self.records.0 <= unit.records.0
            && unit.records.1 <= self.records.1
            && self.times.is_none_or(|(first, last)| first <= unit.first && unit.last <= last)
    }
}

#[cfg(test)]
mod tests;
