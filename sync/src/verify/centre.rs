//! Compares what a target has with what the centre knows of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alluvium::Database;
use futures_util::TryStreamExt;

use crate::objects::Target;
use crate::postgres::{KnownCut, KnownSegment};
use crate::remote::{Hash, Incarnation, Key, Link, Manifest, SegmentKey};
use crate::worker::ledger::{is_wanted, manifest_of};
use crate::worker::{Centre, Failed};

/// What is asked for together.
const PAGE: u32 = 10_000;

/// Who is compared.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// The database.
    pub db: &'a Database,
    /// Its delivery to the target.
    pub delivery: &'a str,
    /// What the gateway is called there, and at the centre.
    pub gateway: &'a str,
    /// The target.
    pub target: &'a Target,
}

/// Every difference between what a database notes and its target has, and what the centre knows of it, in words; none where they agree. Of the
/// target names are believed: whether the objects are what they are called is for a proof.
///
/// # Errors
///
/// [`Failed`] where one of them does not tell.
pub async fn differences_at_centre(compared: Compared<'_>, centre: &dyn Centre) -> Result<Vec<String>, Failed> {
    let Compared { db, delivery, .. } = compared;
    let mut found = Vec::new();
    let Some(announced) = db.delivery(delivery).head()?.announced else {
        let head = centre.head().await?;
        found.extend(head.map(|head| format!("nothing was announced, and the centre has cuts up to {}", head.cut)));
        return Ok(found);
    };
    let tip = Link { incarnation: Incarnation(announced.incarnation), hash: Hash(announced.hash) };
    let chain = Chain::read(compared, tip, announced.cut, &mut found).await?;
    cuts(&chain, centre, announced.cut, &mut found).await?;
    segments(compared, &chain, centre, &mut found).await?;
    units(compared, centre, &mut found).await?;
    Ok(found)
}

/// What is kept of the manifests that a cut follows.
#[derive(Debug, Default)]
struct Chain {
    cuts: BTreeMap<u64, Link>,
    /// The last record of each incarnation that is on it.
    limits: BTreeMap<Incarnation, u64>,
    /// Where its segments may be.
    places: BTreeSet<String>,
    /// Tables that were dropped.
    dropped: BTreeSet<u32>,
}

impl Chain {
    async fn read(compared: Compared<'_>, tip: Link, cut: u64, found: &mut Vec<String>) -> Result<Self, Failed> {
        let (mut chain, mut names) = (Chain::default(), BTreeMap::<u32, BTreeSet<String>>::new());
        let (mut units, mut at) = (BTreeSet::new(), Some((tip, cut)));
        while let Some((link, number)) = at {
            let manifest = match manifest_of(compared.target, compared.gateway, link, number).await {
                Err(Failed::NotThere { .. }) => {
                    found.push(format!(
                        "the manifest of cut {number} is not there; cuts before it are not compared with the centre's"
                    ));
                    break;
                }
                manifest => manifest?.manifest,
            };
            let Manifest { previous, through, incarnation, .. } = manifest;
            chain.cuts.insert(number, link);
            chain.limits.entry(incarnation).or_insert(through);
            for table in manifest.tables {
                chain.dropped.extend(table.dropped.then_some(table.table));
                names.entry(table.table).or_default().insert(table.name);
            }
            units.extend(manifest.units.iter().map(|unit| (unit.table, unit.period)));
            at = previous.map(|link| (link, number - 1));
        }
        for (table, period) in units {
            let now = compared.db.table_of(alluvium::TableId(table)).map(|schema| schema.name.clone());
            let names = names.get(&table).into_iter().flatten().chain(&now);
            chain.places.extend(names.flat_map(|name| SegmentKey::places(name, period, compared.gateway)));
        }
        Ok(chain)
    }

    /// Whether a cut of it announces what a segment is of, and none that it is gone: of a table that was dropped nothing is missed, so that a
    /// centre that was put back is not told again of what nobody reads.
    fn announces(&self, key: &SegmentKey) -> bool {
        let is_there = !self.dropped.contains(&key.table);
        is_there && self.limits.get(&key.incarnation).is_some_and(|limit| key.records.1 <= *limit)
    }
}

async fn cuts(chain: &Chain, centre: &dyn Centre, last: u64, found: &mut Vec<String>) -> Result<(), Failed> {
    let (mut from, mut lacking) = (1, Vec::new());
    let mut next = 1;
    loop {
        let page = centre.cuts(from, PAGE).await?;
        for known in &page {
            lacking.extend(next..known.cut.min(last + 1));
            next = known.cut + 1;
            found.extend(differs(chain, known, last));
        }
        match page.last() {
            Some(known) if page.len() == PAGE as usize => from = known.cut + 1,
            _ => break,
        }
    }
    lacking.extend(next..=last);
    found.extend(ranges(&lacking).into_iter().map(|(first, last)| match first == last {
        true => format!("the centre lacks cut {first}"),
        false => format!("the centre lacks cuts {first} to {last}"),
    }));
    Ok(())
}

fn differs(chain: &Chain, known: &KnownCut, last: u64) -> Option<String> {
    let KnownCut { cut, incarnation, hash, .. } = known;
    if *cut > last {
        return Some(format!("the centre has cut {cut} of {incarnation}, and the last that was announced is {last}"));
    }
    // What the chain does not reach is said where it ends.
    let link = chain.cuts.get(cut)?;
    if (link.incarnation, link.hash) != (*incarnation, *hash) {
        return Some(format!(
            "cut {cut} has the hash {} and is of {}, and at the centre {hash}, of {incarnation}",
            link.hash, link.incarnation
        ));
    }
    (!known.metadata).then(|| format!("the centre lacks the metadata of cut {cut}"))
}

/// Numbers that rise, as ranges without gaps.
fn ranges(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

async fn segments(compared: Compared<'_>, chain: &Chain, centre: &dyn Centre, found: &mut Vec<String>) -> Result<(), Failed> {
    let known = known(compared.delivery, centre).await?;
    let mut places = chain.places.clone();
    places.extend(known.keys().filter_map(|key| Some(format!("{}/", key.rsplit_once('/')?.0))));
    let (mut there, mut untold) = (HashMap::new(), Vec::new());
    for place in places {
        let mut listed = std::pin::pin!(compared.target.list(&place));
        while let Some(object) = listed.try_next().await? {
            let Ok(Key::Segment(key)) = object.key.parse() else { continue };
            if !known.contains_key(&object.key) && chain.announces(&key) {
                untold.push(key);
            }
            there.insert(object.key, object.bytes);
        }
    }
    for (key, bytes) in &known {
        match there.get(key) {
            None => found.push(format!("the centre has {key:?}, which is not there")),
            Some(here) if here != bytes => found.push(format!("{key:?} has {here} bytes, and {bytes} at the centre")),
            Some(_) => {}
        }
    }
    // What is within another one is of no use to anybody: a copy of what was folded together with others before it counted as sent.
    let mut by_table = HashMap::<_, Vec<SegmentKey>>::new();
    for key in known.keys().filter_map(|key| key.parse().ok()) {
        if let Key::Segment(key) = key {
            by_table.entry((key.incarnation, key.table)).or_default().push(key);
        }
    }
    let is_within = |key: &SegmentKey| {
        let others = by_table.get(&(key.incarnation, key.table)).into_iter().flatten();
        others
            .into_iter()
            .any(|other| other.period.holds(key.period) && other.records.0 <= key.records.0 && key.records.1 <= other.records.1)
    };
    untold.retain(|key| !is_within(key));
    found.extend(untold.iter().map(|key| format!("{:?} is there, and the centre was not told of it", key.to_string())));
    Ok(())
}

/// The segments that the centre knows to be in a target, and their bytes.
async fn known(delivery: &str, centre: &dyn Centre) -> Result<BTreeMap<String, u64>, Failed> {
    let (mut known, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = centre.segments(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(known) };
        after = last.id;
        let of_this = page.into_iter().filter(|segment| segment.target == delivery);
        known.extend(of_this.map(|KnownSegment { key, bytes, .. }| (key, bytes)));
    }
}

/// Units that nobody has, and that are not to be sent either.
async fn units(compared: Compared<'_>, centre: &dyn Centre, found: &mut Vec<String>) -> Result<(), Failed> {
    let mut from = 1;
    loop {
        let page = centre.missing(from, PAGE).await?;
        for unit in &page {
            if unit.cut >= from && !is_wanted(compared.db, compared.delivery, unit)? {
                let ((first, last), table, period) = (unit.records, unit.table, unit.period);
                found.push(format!(
                    "the centre has no segment with records {first} to {last} of table {table}, {period}, of cut {}",
                    unit.cut
                ));
            }
        }
        let Some(last) = page.last().filter(|_| page.len() == PAGE as usize) else { return Ok(()) };
        from = last.cut + 1;
    }
}
