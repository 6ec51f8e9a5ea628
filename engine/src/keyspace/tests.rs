//! Views and transactions against ordered maps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use fastrand::Rng;

use super::*;
use crate::catalog::{Catalog, Change, KeyRange, Stored};
use crate::io::{Components, MemoryDisk};
use crate::record::{Key, Moment};
use crate::testing;

type Model = BTreeMap<Vec<u8>, (Sequence, Vec<u8>)>;

fn catalog() -> Arc<Catalog> {
    let components = Components { disk: Arc::new(MemoryDisk::new()), ..Components::os() };
    Arc::new(Catalog::create(&components, &PathBuf::from("db/catalog"), 1 << 20).unwrap())
}

fn keyspace(catalog: &Arc<Catalog>) -> Keyspace {
    Keyspace::new(catalog.cells().unwrap(), 0)
}

fn effect(key: &[u8], value: Option<&[u8]>) -> Effect {
    Effect { key: key.into(), value: value.map(Arc::from) }
}

fn bounds(start: &[u8], end: &[u8]) -> KeyRange {
    (Bound::Included(start.into()), Bound::Excluded(end.into()))
}

fn all(view: &View, range: &KeyRange, direction: Direction) -> Vec<(Key, Stored)> {
    view.scan(range, direction).unwrap().map(Result::unwrap).collect()
}

fn expected(model: &Model, start: &[u8], end: &[u8]) -> Vec<(Key, Stored)> {
    let row = |(key, (sequence, value)): (&Vec<u8>, &(Sequence, Vec<u8>))| {
        (Key::from(&key[..]), (*sequence, Arc::<[u8]>::from(&value[..])))
    };
    model.range(start.to_vec()..end.to_vec()).map(row).collect()
}

fn key(random: &mut Rng) -> Vec<u8> {
    (0..random.usize(1..4)).map(|_| random.u8(60..64)).collect()
}

/// Publishes, tells the catalog at any time, and compares every view with the model of its moment, whatever came after it.
#[test]
fn views_are_what_they_were() {
    let mut random = testing::random(5);
    let catalog = catalog();
    let space = keyspace(&catalog);
    let mut model = Model::new();
    let mut kept: Vec<(View, Model)> = Vec::new();
    for sequence in 1..600 {
        let mut effects = BTreeMap::new();
        for _ in 0..random.u64(..6) {
            let value = (random.u64(..3) > 0).then(|| vec![random.u8(..); random.usize(..20)]);
            effects.insert(key(&mut random), value);
        }
        for (key, value) in &effects {
            match value {
                Some(value) => model.insert(key.clone(), (sequence, value.clone())),
                None => model.remove(key),
            };
        }
        let effects: Vec<_> = effects.iter().map(|(key, value)| effect(key, value.as_deref())).collect();
        space.publish([(sequence, &effects[..])].into_iter());
        if random.u64(..10) == 0 {
            kept.push((space.head().unwrap(), model.clone()));
        }
        if random.u64(..20) == 0 {
            let (through, cells) = space.unapplied().unwrap();
            // What comes in between stays.
            let extra = [effect(&[70], Some(&[1]))];
            space.publish([(sequence, &extra[..])].into_iter());
            model.insert(vec![70], (sequence, vec![1]));
            catalog.apply(through, &[Change::PutCells(cells)]).unwrap();
            space.rebase(catalog.cells().unwrap(), through - 1);
        }
        kept.push((space.head().unwrap(), model.clone()));
        if kept.len() > 12 {
            kept.remove(random.usize(..11));
        }
        for (view, model) in &kept {
            let (a, b) = (key(&mut random), key(&mut random));
            let (start, end) = if a <= b { (a, b) } else { (b, a) };
            let range = bounds(&start, &end);
            let mut rows = expected(model, &start, &end);
            assert_eq!(all(view, &range, Direction::Forward), rows, "step {sequence}");
            rows.reverse();
            assert_eq!(all(view, &range, Direction::Backward), rows, "step {sequence}");
            let found = view.get(&start).unwrap();
            let value = model.get(&start).map(|(sequence, value)| (*sequence, Arc::<[u8]>::from(&value[..])));
            assert_eq!(found, value, "step {sequence}");
        }
    }
    assert!(space.unapplied_bytes() > 0);
}

#[test]
fn what_the_catalog_was_told_takes_no_memory() {
    let catalog = catalog();
    let space = keyspace(&catalog);
    space.publish([(1, &[effect(b"a", Some(&[7; 1_000]))][..]), (2, &[effect(b"b", None)][..])].into_iter());
    assert!(space.unapplied_bytes() > 1_000);
    let (through, cells) = space.unapplied().unwrap();
    assert_eq!((through, cells.len()), (2, 2));
    catalog.apply(through, &[Change::PutCells(cells)]).unwrap();
    space.rebase(catalog.cells().unwrap(), through);
    assert_eq!(space.unapplied_bytes(), 0);
    assert_eq!(space.head().unwrap().get(b"a").unwrap().unwrap().0, 1);
    space.close();
    assert!(matches!(space.head(), Err(Error::Closed)));
}

#[test]
fn a_prefix_is_all_that_begins_with_it() {
    let within = |bytes: &[u8], key: &[u8]| {
        let mut reads = ReadSet::default();
        reads.add_range(prefix(bytes));
        reads.contains(key)
    };
    assert!(within(b"ab", b"ab") && within(b"ab", b"ab\xff\xff") && !within(b"ab", b"ac") && !within(b"ab", b"aa\xff"));
    assert!(within(b"a\xff", b"a\xff\xff") && !within(b"a\xff", b"b"));
    assert!(within(b"\xff\xff", b"\xff\xff\x01") && !within(b"\xff\xff", b"\xff"));
    assert!(within(b"", b"anything"));
}

fn optimistic(space: &Keyspace) -> Transaction {
    Transaction::optimistic(space.head().unwrap(), Moment::default())
}

/// What a transaction reads first, what another then changes, and whether that is a conflict.
fn conflicts(read: impl FnOnce(&Transaction), changed: &[u8]) -> bool {
    let space = keyspace(&catalog());
    let mut recent = Recent::default();
    let put = |sequence, key: &[u8], recent: &mut Recent| {
        let effects = [effect(key, Some(b"v"))];
        space.publish([(sequence, &effects[..])].into_iter());
        recent.add(sequence, &effects);
    };
    for (sequence, key) in [(1, b"b"), (2, b"d"), (3, b"f")] {
        put(sequence, key, &mut recent);
    }
    let transaction = optimistic(&space);
    read(&transaction);
    put(4, changed, &mut recent);
    let (reads, since) = transaction.finish().reads.unwrap();
    recent.conflicts(&reads, since)
}

#[test]
fn only_what_was_read_conflicts() {
    let get = |key: &'static [u8]| move |transaction: &Transaction| drop(transaction.get(key).unwrap());
    assert!(conflicts(get(b"b"), b"b"));
    assert!(conflicts(get(b"c"), b"c"), "also that it was not there");
    assert!(!conflicts(get(b"b"), b"c"));
    assert!(!conflicts(|_| {}, b"b"));
    let scan = |count: usize, direction| {
        move |transaction: &Transaction| {
            let rows = transaction.scan(bounds(b"a", b"z"), direction).unwrap();
            assert_eq!(rows.take(count).map(Result::unwrap).count(), count.min(3));
        }
    };
    // One row forward has read a to b; all of it, a to z.
    assert!(conflicts(scan(1, Direction::Forward), b"a"));
    assert!(conflicts(scan(1, Direction::Forward), b"b"));
    assert!(!conflicts(scan(1, Direction::Forward), b"c"));
    assert!(conflicts(scan(4, Direction::Forward), b"y"));
    assert!(!conflicts(scan(4, Direction::Forward), b"z"));
    assert!(conflicts(scan(2, Direction::Backward), b"e"));
    assert!(!conflicts(scan(2, Direction::Backward), b"c"));
    assert!(!conflicts(scan(0, Direction::Forward), b"b"));
}

#[test]
fn a_transaction_older_than_what_is_remembered_conflicts() {
    let mut recent = Recent::default();
    let mut reads = ReadSet::default();
    reads.add_key(b"a");
    assert!(!recent.conflicts(&reads, 0));
    for sequence in 6..6 + 70_000 {
        recent.add(sequence, &[effect(b"b", None)]);
    }
    assert!(recent.conflicts(&reads, 100));
    assert!(!recent.conflicts(&reads, 60_000));
}

#[test]
fn a_transaction_reads_its_own_writes() {
    let space = keyspace(&catalog());
    space.publish([(1, &[effect(b"a", Some(b"old")), effect(b"b", Some(b"old"))][..])].into_iter());
    let mut transaction = optimistic(&space);
    transaction.put(b"a"[..].into(), b"new"[..].into());
    transaction.remove(b"b"[..].into());
    transaction.put(b"c"[..].into(), b"new"[..].into());
    let names: Vec<_> = transaction.scan(bounds(b"a", b"z"), Direction::Forward).unwrap().map(|row| row.unwrap().0).collect();
    assert_eq!(names, [Key::from(&b"a"[..]), Key::from(&b"c"[..])]);
    assert_eq!(&*transaction.get(b"a").unwrap().unwrap().1, b"new");
    assert_eq!(&*space.head().unwrap().get(b"a").unwrap().unwrap().1, b"old", "nobody else does");
    assert_eq!(transaction.finish().effects.len(), 3);
}

/// Writes, scans from both ends and things undone, against a map; the state below lies in the catalog and in the overlay.
#[test]
fn a_transaction_scans_what_it_wrote_over_what_was_there() {
    let mut random = testing::random(6);
    let catalog = catalog();
    let told = Cell { sequence: 1, effect: effect(&[60], Some(b"told")) };
    catalog.apply(1, &[Change::PutCells(vec![told, Cell { sequence: 1, effect: effect(&[62, 61], Some(b"told")) }])]).unwrap();
    let space = keyspace(&catalog);
    space.publish([(2, &[effect(&[61], Some(b"new")), effect(&[62, 61], None), effect(&[63], Some(b"new"))][..])].into_iter());
    for _ in 0..60 {
        let there: [(u8, Sequence, &[u8]); 3] = [(60, 1, b"told"), (61, 2, b"new"), (63, 2, b"new")];
        let mut model: Model = there.into_iter().map(|(key, at, value)| (vec![key], (at, value.to_vec()))).collect();
        let mut transaction = optimistic(&space);
        for _ in 0..20 {
            let (before, fails) = (model.clone(), random.u64(..4) == 0);
            let mut write = |transaction: &mut Transaction| {
                for _ in 0..random.u64(..4) {
                    let (key, value) = (key(&mut random), [random.u8(..)]);
                    if random.bool() {
                        transaction.put(key[..].into(), value[..].into());
                        model.insert(key, (Sequence::MAX, value.to_vec()));
                    } else {
                        transaction.remove(key[..].into());
                        model.remove(&key);
                    }
                }
                if fails { Err(Error::Conflict) } else { Ok(()) }
            };
            if transaction.whole(&mut write).is_err() {
                model = before;
            }
            let (a, b) = (key(&mut random), key(&mut random));
            let scan = |start: &[u8], end: &[u8], direction| -> Vec<_> {
                transaction.scan(bounds(start, end), direction).unwrap().map(Result::unwrap).collect()
            };
            let (start, end) = if a <= b { (&a, &b) } else { (&b, &a) };
            let mut rows = expected(&model, start, end);
            assert_eq!(scan(start, end, Direction::Forward), rows);
            rows.reverse();
            assert_eq!(scan(start, end, Direction::Backward), rows);
            if start < end {
                assert_eq!(scan(end, start, Direction::Forward), []);
            }
            let found = transaction.get(&a).unwrap();
            assert_eq!(found.map(|(at, value)| (at, value.to_vec())), model.get(&a).cloned());
        }
    }
}
