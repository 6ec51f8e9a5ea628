//! Rows in transactions: put, deleted and read there.

use super::*;
use crate::ingest;
use crate::{BackgroundStep, Durability, Filter, Put, TimeRange, Transaction};

fn rows(db: &Database, table: &str, rows: &[(&str, i64, i64)]) -> RecordBatch {
    let mut builder = RowBuilder::new(db.table(table).unwrap());
    for (device, time, value) in rows {
        builder.row(*time).tag("device", device).unwrap().value("v", *value).unwrap();
    }
    builder.finish().unwrap()
}

fn put(db: &Database, table: &str, put: &[(&str, i64, i64)]) {
    db.append(table, &rows(db, table, put)).unwrap();
}

fn values_in(stream: crate::QueryStream) -> Vec<i64> {
    stream.flat_map(|batch| batch.unwrap().column(2).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn within(table: &str, range: std::ops::Range<i64>) -> Query {
    Query::table(table).field("v").range(TimeRange::new(range.start, range.end))
}

fn seen(tx: &mut Transaction<'_>, table: &str) -> Vec<i64> {
    values_in(tx.query(&Query::table(table).field("v")).unwrap())
}

fn found(db: &Database, table: &str) -> Vec<i64> {
    values_in(db.query(&Query::table(table).field("v")).unwrap())
}

fn device(name: &str) -> Filter {
    Filter::equal("device", name)
}

/// Two tables with four rows each, half of them sealed.
fn two_tables() -> (MemoryDisk, Database) {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    for table in ["t", "u"] {
        db.create_table(TableSpec::new(table).tag("device").field("v", FieldType::Int64)).unwrap();
        put(&db, table, &[("a", 1, 1), ("b", 2, 2)]);
    }
    db.seal().unwrap();
    for table in ["t", "u"] {
        put(&db, table, &[("a", 3, 3), ("b", 4, 4)]);
    }
    (disk, db)
}

#[test]
fn a_transaction_reads_its_own_rows_and_deletions() {
    let (disk, db) = two_tables();
    let mut tx = db.begin().unwrap();
    tx.append("t", &rows(&db, "t", &[("a", 5, 5), ("c", 1, 6), ("a", 1, 7)])).unwrap();
    assert_eq!(seen(&mut tx, "t"), [7, 3, 5, 2, 4, 6]);
    tx.delete("t", &[device("a")], TimeRange::new(1, 4)).unwrap();
    assert_eq!(seen(&mut tx, "t"), [5, 2, 4, 6]);
    tx.append("t", &rows(&db, "t", &[("a", 3, 8)])).unwrap();
    tx.delete("t", &[], TimeRange::new(2, 3)).unwrap();
    tx.delete("u", &[], TimeRange::new(2, 4)).unwrap();
    let (t, u) = (vec![8, 5, 4, 6], vec![1, 4]);
    assert_eq!((seen(&mut tx, "t"), seen(&mut tx, "u")), (t.clone(), u.clone()));
    assert_eq!(found(&db, "t"), [1, 3, 2, 4], "nobody else sees it");
    tx.commit().unwrap();
    let check = |db: &Database, when: &str| assert_eq!((found(db, "t"), found(db, "u")), (t.clone(), u.clone()), "{when}");
    check(&db, "committed");
    check(&open(&disk.after_power_cut()), "after a power cut");
    db.seal().unwrap();
    check(&db, "sealed");
    check(&open(&disk.after_power_cut()), "sealed, after a power cut");
    db.compact().unwrap();
    check(&db, "compacted");
    db.seal().unwrap();
    drop(db);
    check(&open(&disk), "reopened");
}

#[test]
fn what_a_transaction_deletes_in_several_tables_stays_deleted_whichever_is_compacted_first() {
    for first in ["t", "u"] {
        let (disk, db) = two_tables();
        let other = if first == "t" { "u" } else { "t" };
        db.seal().unwrap();
        let mut tx = db.begin().unwrap();
        tx.delete("t", &[], TimeRange::new(0, 3)).unwrap();
        tx.delete("t", &[device("a")], TimeRange::new(3, 4)).unwrap();
        tx.delete("u", &[], TimeRange::new(3, 5)).unwrap();
        tx.commit().unwrap();
        let compact = |name| {
            let table = db.inner.publisher.registry.get(name).unwrap();
            while db.inner.compact_table(&table, crate::maintain::Effort::Full).unwrap() {}
        };
        let check = |db: &Database, when| assert_eq!((found(db, "t"), found(db, "u")), (vec![4], vec![1, 2]), "{first} {when}");
        check(&db, "before");
        compact(first);
        check(&db, "one");
        check(&open(&disk.after_power_cut()), "one, after a power cut");
        compact(other);
        check(&db, "both");
        check(&open(&disk.after_power_cut()), "both, after a power cut");
        let pending: usize =
            ["t", "u"].map(|name| db.inner.publisher.registry.get(name).unwrap().snapshot().deletions.len()).iter().sum();
        assert_eq!(pending, 0, "{first}: nothing is masked any more");
    }
}

#[test]
fn what_a_transaction_deletes_stays_deleted_as_long_as_any_of_it_masks_rows() {
    let (disk, db) = two_tables();
    db.seal().unwrap();
    let mut tx = db.begin().unwrap();
    tx.delete("t", &[], TimeRange::new(1, 3)).unwrap();
    tx.delete("t", &[], TimeRange::new(10, 20)).unwrap();
    tx.commit().unwrap();
    // There is nothing to fold, so that nothing is carried out; of the second there is nothing to carry out.
    db.background_step(BackgroundStep::Compact).unwrap();
    assert_eq!(found(&db, "t"), [3, 4]);
    assert_eq!(found(&open(&disk.after_power_cut()), "t"), [3, 4]);
    db.compact().unwrap();
    assert_eq!(found(&db, "t"), [3, 4]);
}

#[test]
fn who_looks_sees_all_that_a_transaction_did_to_a_table_or_nothing() {
    const ROWS: usize = 4;
    let (_, db) = two_tables();
    let replace = |value| {
        let mut tx = db.begin().unwrap();
        tx.delete("t", &[], TimeRange::new(0, 3)).unwrap();
        tx.delete("t", &[], TimeRange::new(3, 10)).unwrap();
        let again: Vec<_> = (0..ROWS as i64).map(|at| ("a", at, value)).collect();
        tx.append("t", &rows(&db, "t", &again)).unwrap();
        tx.commit().unwrap();
    };
    replace(0);
    let look = || {
        let seen = found(&db, "t");
        assert!(seen.len() == ROWS && seen.iter().all(|value| *value == seen[0]), "{seen:?}");
    };
    std::thread::scope(|scope| {
        let writer = Arc::new(scope.spawn(|| (1..1_000).for_each(replace)));
        for _ in 0..4 {
            let writer = writer.clone();
            scope.spawn(move || {
                while !writer.is_finished() {
                    look();
                }
            });
        }
    });
}

/// Whether a transaction that reads conflicts with what is done meanwhile.
#[track_caller]
fn conflicts(read: &Query, meanwhile: impl FnOnce(&Database)) -> bool {
    let (_, db) = two_tables();
    let mut tx = db.begin().unwrap();
    let stream = tx.query(read).unwrap();
    drop(stream);
    tx.kv().put("k", b"", Put::default()).unwrap();
    meanwhile(&db);
    // What is asked again is what it was, or cannot be.
    let again = tx.query(read).map(drop);
    let committed = tx.commit();
    assert_eq!(again.is_err(), committed.is_err(), "{again:?} {committed:?}");
    match committed {
        Ok(_) => false,
        Err(Error::Conflict) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn rows_that_were_read_and_changed_are_a_conflict_and_others_are_not() {
    let early = || within("t", 0..3);
    assert!(conflicts(&early(), |db| put(db, "t", &[("a", 1, 9)])));
    assert!(conflicts(&early(), |db| put(db, "t", &[("new", 2, 9)])), "a row that was not there");
    assert!(!conflicts(&early(), |db| put(db, "t", &[("a", 3, 9)])), "another time");
    assert!(!conflicts(&early(), |db| put(db, "u", &[("a", 1, 9)])), "another table");
    let of_a = || early().filter(device("a"));
    assert!(conflicts(&of_a(), |db| put(db, "t", &[("a", 1, 9)])));
    assert!(!conflicts(&of_a(), |db| put(db, "t", &[("b", 1, 9)])), "another series");
    assert!(conflicts(&early().filter(device("new")), |db| put(db, "t", &[("new", 2, 9)])), "a series that was not there");
    let delete = |range: std::ops::Range<i64>, of: &'static str| {
        move |db: &Database| {
            db.delete("t", &[device(of)], TimeRange::new(range.start, range.end)).unwrap();
        }
    };
    assert!(conflicts(&early(), delete(0..2, "a")));
    assert!(!conflicts(&early(), delete(3..9, "a")), "another time");
    assert!(!conflicts(&of_a(), delete(0..2, "b")), "another series");
    assert!(conflicts(&Query::table("t").last(), delete(3..4, "a")));
    let (_, db) = two_tables();
    let mut tx = db.begin().unwrap();
    assert_eq!(seen(&mut tx, "t").len(), 4);
    db.drop_table("t").unwrap();
    db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Int64)).unwrap();
    assert!(matches!(tx.commit(), Err(Error::Conflict)), "a table that is another now");
}

#[test]
fn a_change_is_a_conflict_wherever_it_lies_by_then() {
    let all = Query::table("t");
    assert!(conflicts(&all, |db| {
        put(db, "t", &[("a", 1, 9)]);
        db.seal().unwrap();
    }));
    assert!(conflicts(&all, |db| {
        db.delete("t", &[], TimeRange::ALL).unwrap();
        db.compact().unwrap();
    }));
    let (_, db) = two_tables();
    db.seal().unwrap();
    let mut tx = db.begin().unwrap();
    assert_eq!(seen(&mut tx, "t").len(), 4);
    db.compact().unwrap();
    assert_eq!(seen(&mut tx, "t").len(), 4, "compaction changes nothing");
    tx.append("t", &rows(&db, "t", &[("a", 9, 9)])).unwrap();
    tx.commit().unwrap();
}

#[test]
fn rows_are_those_of_the_beginning_or_a_conflict() {
    let (_, db) = two_tables();
    let mut tx = db.begin().unwrap();
    put(&db, "t", &[("a", 9, 9)]);
    assert_eq!(values_in(tx.query(&within("t", 0..9)).unwrap()), [1, 3, 2, 4]);
    assert!(matches!(tx.query(&within("t", 0..10)), Err(Error::Conflict)));
    assert!(matches!(tx.commit(), Err(Error::Conflict)));
    let mut tries = 0;
    let sum: i64 = db
        .transaction(|tx| {
            tries += 1;
            if tries == 1 {
                put(&db, "t", &[("a", 9, 10)]);
            }
            Ok::<_, Error>(values_in(tx.query(&Query::table("t").field("v"))?).iter().sum())
        })
        .unwrap();
    assert_eq!((sum, tries), (20, 2), "made again after a conflict");
}

#[test]
fn a_deletion_means_series_that_others_just_made_too() {
    let (_, db) = two_tables();
    let mut tx = db.begin().unwrap();
    tx.delete("t", &[device("new")], TimeRange::ALL).unwrap();
    put(&db, "t", &[("new", 2, 9)]);
    assert!(matches!(tx.commit(), Err(Error::Conflict)));
    let mut tx = db.begin().unwrap();
    tx.delete("t", &[device("new")], TimeRange::ALL).unwrap();
    put(&db, "t", &[("a", 2, 9), ("new", 3, 9)]);
    tx.commit().unwrap();
    assert_eq!(found(&db, "t"), [1, 9, 3, 2, 4], "what was there before its record is gone");
}

#[test]
fn a_deletion_in_a_transaction_is_refused_like_any_other() {
    let (_, db) = two_tables();
    let mut tx = db.begin().unwrap();
    assert!(matches!(tx.delete("nowhere", &[], TimeRange::ALL), Err(Error::NoSuchTable { .. })));
    assert!(matches!(tx.delete("t", &[Filter::equal("v", 1_i64)], TimeRange::ALL), Err(Error::Invalid(_))));
    assert!(matches!(tx.query(&Query::table("nowhere")), Err(Error::NoSuchTable { .. })));
    assert_eq!(tx.commit().unwrap(), 0);
    assert_eq!(found(&db, "t"), [1, 3, 2, 4]);
}

#[test]
fn what_others_of_the_same_group_change_is_a_conflict_too() {
    for (time, conflicts) in [(1, true), (50, false)] {
        let (_, db) = two_tables();
        let table = db.inner.publisher.registry.get("t").unwrap();
        let batch = rows(&db, "t", &[("a", time, 9)]);
        let mut works = ingest::prepare(&[(table, &batch)], 1 << 20, Durability::Durable).unwrap();
        let mut tx = db.begin().unwrap();
        assert_eq!(values_in(tx.query(&within("t", 0..10)).unwrap()).len(), 4);
        tx.kv().put("k", b"", Put::default()).unwrap();
        works.push(tx.finish().unwrap().into());
        let outcomes = db.inner.committer.submit_all(works);
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
        assert_eq!(matches!(outcomes[1], Err(Error::Conflict)), conflicts, "{outcomes:?}");
    }
}
