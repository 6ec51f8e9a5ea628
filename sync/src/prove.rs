//! What a bucket proves: that its manifests hang together, and which of the units they announce are held.
//!
//! The prover is told of every object and of what manifests contain, in any order, and then concludes. Nothing is taken on trust: a
//! name says what an object claims to be, its hash what it is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use jiff::Timestamp;

use crate::remote::{Gap, Hash, Incarnation, Key, Link, MOST_BYTES, Manifest, Period, SegmentKey};

/// First and last cuts.
type Ranges = Vec<(u64, u64)>;

/// Collects what there is of one gateway.
#[derive(Debug)]
pub struct Prover {
    gateway: String,
    cuts: BTreeMap<(Incarnation, u64), Cut>,
    /// Cuts that segments of an incarnation's table and period cover.
    held: BTreeMap<(Incarnation, u32), BTreeMap<Period, Ranges>>,
    metadata: BTreeSet<(Incarnation, u64, Hash)>,
    problems: Vec<Problem>,
}

/// What is kept of a manifest.
#[derive(Debug)]
struct Cut {
    hash: Hash,
    previous: Option<Link>,
    records: (u64, u64),
    sealed_at: Timestamp,
    units: Vec<(u32, Period)>,
    metadata: Option<Hash>,
    gaps: Vec<Loss>,
}

/// Records that a cut states to be lost, of one table or of all.
#[derive(Debug, Clone, Copy)]
struct Loss {
    table: Option<u32>,
    records: (u64, u64),
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
    /// The metadata that a cut names are not there.
    NoMetadata {
        /// The incarnation.
        incarnation: Incarnation,
        /// The cut.
        cut: u64,
    },
    /// A segment of cuts that no manifest announces.
    Unannounced {
        /// Its incarnation.
        incarnation: Incarnation,
        /// The first of its cuts that is not announced.
        cut: u64,
    },
}

/// A unit that no segment holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Its cut.
    pub cut: u64,
    /// The number of its table.
    pub table: u32,
    /// Its period.
    pub period: Period,
    /// Whether a later cut states that it is lost.
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
        if key.cuts.0 > key.cuts.1 {
            return self.altered(key, "its cuts are none");
        }
        if read.is_some_and(|read| read != key.hash) {
            return self.altered(key, "its hash is another");
        }
        let periods = self.held.entry((key.incarnation, key.table)).or_default();
        periods.entry(key.period).or_default().push(key.cuts);
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
        let mut found = self.links();
        found.extend(self.unannounced());
        let branches = self.tips().into_iter().map(|tip| self.branch(tip)).collect();
        self.problems.append(&mut found);
        self.problems.sort_unstable();
        self.problems.dedup();
        Proof { branches, problems: self.problems }
    }

    /// What is wrong between each cut and the one before, and its metadata.
    fn links(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (&(incarnation, number), cut) in &self.cuts {
            found.extend(self.follows(incarnation, number, cut).err());
            let there = cut.metadata.is_none_or(|hash| self.metadata.contains(&(incarnation, number, hash)));
            found.extend((!there).then_some(Problem::NoMetadata { incarnation, cut: number }));
        }
        found
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

    fn unannounced(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for ((incarnation, _), periods) in &self.held {
            let unknown = periods.values().flatten().find_map(|&(first, last)| self.first_unknown(*incarnation, first, last));
            found.extend(unknown.map(|cut| Problem::Unannounced { incarnation: *incarnation, cut }));
        }
        found
    }

    /// The first cut of a range, as wide as a name claims, that no manifest is of.
    fn first_unknown(&self, incarnation: Incarnation, first: u64, last: u64) -> Option<u64> {
        let known = self.cuts.range((incarnation, first)..=(incarnation, last)).map(|((_, cut), _)| *cut);
        let in_a_row = known.zip(first..).take_while(|(known, wanted)| known == wanted).count() as u64;
        (in_a_row <= last - first).then(|| first + in_a_row)
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
            stated.extend(&cut.gaps);
            let missing = self.missing(at, cut, &stated);
            let metadata = cut.metadata.is_none_or(|hash| self.metadata.contains(&(at.0, at.1, hash)));
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
        let covers = |&(first, last): &(u64, u64)| first <= number && number <= last;
        let held = |&(table, period): &(u32, Period)| {
            let periods = self.held.get(&(incarnation, table));
            periods.is_some_and(|periods| holders(periods, period).any(|cuts| cuts.iter().any(covers)))
        };
        let lost = cut.units.iter().filter(|unit| !held(unit));
        let missing = lost.map(|&(table, period)| {
            let stated = stated.iter().any(|loss| loss.covers(table, cut.records));
            Missing { cut: number, table, period, stated }
        });
        missing.collect()
    }
}

/// What the segments of a period, and of longer ones that hold it, cover.
fn holders(periods: &BTreeMap<Period, Ranges>, period: Period) -> impl Iterator<Item = &Ranges> {
    // Of each length one alone can hold it: the last that does not begin behind it.
    let candidates = period.not_behind().into_iter().filter_map(|range| periods.range(range).next_back());
    candidates.filter(move |(longer, _)| longer.holds(period)).map(|(_, cuts)| cuts)
}

impl Cut {
    fn of(manifest: Manifest, hash: Hash) -> Cut {
        let loss = |gap: &Gap| Some(Loss { table: gap.table, records: gap.sequences? });
        Cut {
            hash,
            previous: manifest.previous,
            records: (manifest.after, manifest.through),
            sealed_at: manifest.sealed_at,
            units: manifest.units.iter().map(|unit| (unit.table, unit.period)).collect(),
            metadata: manifest.metadata.map(|delta| delta.hash),
            gaps: manifest.gaps.iter().filter_map(loss).collect(),
        }
    }
}

impl Loss {
    /// Whether all of a table's records between two, the first of them not included, are lost.
    fn covers(&self, table: u32, (after, through): (u64, u64)) -> bool {
        self.table.is_none_or(|of| of == table) && self.records.0 <= after + 1 && through <= self.records.1
    }
}

#[cfg(test)]
mod tests;
