//! What has to hold of the centre at the end: it knows all that the bucket has, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use alluvium::Database;
use alluvium_sync::objects::Target;
use alluvium_sync::postgres::Line;
use alluvium_sync::remote::{Delta, Hash, Key, Manifest, SegmentKey, Unit};
use alluvium_sync::verify::{Compared, differences_at_centre};
use alluvium_sync::worker::MemoryCentre;

use super::chain::{chain, object};
use super::gateway::{DELIVERY, NAME};
use super::store::Store;
use super::{Violation, ensure};

/// The newest lines of metadata.
type Newest = BTreeMap<(String, Vec<String>), Line>;

fn failed(what: &'static str) -> impl Fn(String) -> Violation {
    move |error| Violation(format!("cannot {what}: {error}"))
}

/// All of it.
pub async fn everything(db: &Database, centre: MemoryCentre, store: &Store, target: &Target) -> Result<(), Violation> {
    let state = db.delivery(DELIVERY).state().map_err(|error| failed("read how far the delivery is")(error.to_string()))?;
    let announced = state.head.announced.ok_or_else(|| Violation("nothing was announced".to_owned()))?;
    let head = centre.head().map(|head| (head.incarnation.0, head.cut, head.hash.0));
    let own = (announced.incarnation, announced.cut, announced.hash);
    ensure(head == Some(own), || format!("its head is {head:?}, and {announced:?} was announced last"))?;
    let missing = centre.missing(1, u32::MAX);
    ensure(missing.is_empty(), || format!("it misses {missing:?}"))?;
    let (here, there) = (state.delivered.map(|delivered| delivered.cut), centre.delivered_through());
    ensure(here == there, || format!("the gateway says it is delivered through {here:?}, and the centre through {there:?}"))?;
    let chain = chain(store, Hash(announced.hash))?;
    every_unit_is_there_once(&centre, &chain)?;
    the_metadata_are_those_of_the_bucket(&centre, &chain, store)?;
    let compared = Compared { db, delivery: DELIVERY, gateway: NAME, target };
    let found = differences_at_centre(compared, &Mutex::new(centre)).await;
    let found = found.map_err(|error| failed("compare it")(error.to_string()))?;
    ensure(found.is_empty(), || format!("it differs: {found:?}"))
}

/// Each unit is held by one segment that the centre knows, those left out that are within another; or a manifest states that it is gone.
fn every_unit_is_there_once(centre: &MemoryCentre, chain: &[Manifest]) -> Result<(), Violation> {
    let known = centre.segments(0, u32::MAX);
    let keys: Vec<_> = known.iter().filter_map(|segment| segment.key.parse().ok()).collect();
    let keys: Vec<_> = keys.iter().filter_map(|key| if let Key::Segment(key) = key { Some(key) } else { None }).collect();
    ensure(keys.len() == known.len(), || format!("it knows segments that are none: {known:?}"))?;
    let names: BTreeSet<_> = known.iter().map(|segment| &segment.key).collect();
    ensure(names.len() == known.len(), || format!("it knows a segment twice: {known:?}"))?;
    let read: Vec<_> = keys.iter().filter(|key| !keys.iter().any(|other| is_within(key, other))).collect();
    for (at, manifest) in chain.iter().enumerate() {
        for unit in &manifest.units {
            let holding: Vec<_> = read.iter().filter(|key| holds(key, manifest, unit)).map(ToString::to_string).collect();
            let is_stated = || chain[at..].iter().any(|later| states(later, unit));
            ensure(holding.len() == 1 || (holding.is_empty() && is_stated()), || format!("{unit:?} is held by {holding:?}"))?;
        }
    }
    Ok(())
}

/// Whether a segment is of no use beside another one.
fn is_within(key: &SegmentKey, other: &SegmentKey) -> bool {
    key != other
        && (key.incarnation, key.table) == (other.incarnation, other.table)
        && other.period.holds(key.period)
        && other.records.0 <= key.records.0
        && key.records.1 <= other.records.1
}

fn holds(key: &SegmentKey, manifest: &Manifest, unit: &Unit) -> bool {
    (key.incarnation, key.table) == (manifest.incarnation, unit.table)
        && key.period.holds(unit.period)
        && key.records.0 <= unit.records.0
        && unit.records.1 <= key.records.1
}

/// Whether a manifest states that a unit is gone.
fn states(manifest: &Manifest, unit: &Unit) -> bool {
    let is_dropped = manifest.table(unit.table).is_some_and(|table| table.dropped);
    let mut gaps = manifest.gaps.iter().filter(|gap| gap.table.is_none_or(|table| table == unit.table));
    is_dropped || gaps.any(|gap| gap.sequences.is_some_and(|(first, last)| first <= unit.records.0 && unit.records.1 <= last))
}

/// The lines that hold are the newest of each key that the bucket has.
fn the_metadata_are_those_of_the_bucket(centre: &MemoryCentre, chain: &[Manifest], store: &Store) -> Result<(), Violation> {
    let whole = chain.iter().rposition(|manifest| manifest.metadata.is_some_and(|delta| delta.after == 0)).unwrap_or(0);
    let mut newest = Newest::new();
    for delta in chain[whole..].iter().filter_map(|manifest| manifest.metadata) {
        for line in lines(store, &delta)? {
            newest.insert((line.kind.clone(), line.key.clone()), line);
        }
    }
    let there: Vec<_> = newest.into_values().filter(|line| !line.value.is_null()).collect();
    let known = centre.lines();
    let lacking = there.iter().find(|line| !known.contains(line));
    let more = known.iter().find(|line| !there.contains(line));
    ensure(known == there, || format!("of metadata it lacks {lacking:?}, and has {more:?} which the bucket has not"))
}

fn lines(store: &Store, delta: &Delta) -> Result<Vec<Line>, Violation> {
    let bytes = object(store, delta.hash, ".metadata.jsonl.zst");
    let bytes = bytes.ok_or_else(|| Violation(format!("no metadata have the hash {}", delta.hash)))?;
    let text = zstd::decode_all(&bytes[..]).map_err(|error| failed("decompress metadata")(error.to_string()))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice(line).map_err(|error| failed("read a line")(error.to_string())));
    lines.collect()
}
