//! Transactions: whole or not at all, as if one after the other.

use super::*;
use crate::{Access, IfRevision, KeyValue, Put, Scan};

fn put<A: Access>(mut kv: KeyValue<A>, key: &str, value: i64) {
    kv.put(key, value.to_string().as_bytes(), Put::default()).unwrap();
}

fn number<A: Access>(kv: KeyValue<A>, key: &str) -> i64 {
    kv.get(key).unwrap().map_or(0, |pair| String::from_utf8(pair.value).unwrap().parse().unwrap())
}

#[test]
fn a_transaction_is_committed_whole_with_its_rows() {
    let (disk, db) = begin();
    put(db.kv(), "before", 1);
    let (first, second) = (batch(&db, 0), batch(&db, 1));
    let mut transaction = db.begin().unwrap();
    transaction.append("t", &first).unwrap();
    put(transaction.kv(), "state", 7);
    assert_eq!((number(transaction.kv(), "state"), number(transaction.kv(), "before")), (7, 1));
    transaction.append("t", &second).unwrap();
    assert_eq!((number(db.kv(), "state"), values(&db).unwrap().len()), (0, 0), "nobody else sees it yet");
    let sequence = transaction.commit().unwrap();
    assert!(sequence > 0);
    for db in [&db, &open(&disk.after_power_cut())] {
        assert_eq!(number(db.kv(), "state"), 7);
        assert_eq!(db.kv().get("state").unwrap().unwrap().revision, sequence);
        assert_values(db, 2);
    }
    db.seal().unwrap();
    assert_values(&open(&disk.after_power_cut()), 2);
}

#[test]
fn a_transaction_that_is_dropped_or_refused_does_nothing() {
    let (disk, db) = begin();
    let rows = batch(&db, 0);
    let refused = db.transaction(|tx| {
        put(tx.kv(), "state", 7);
        tx.append("t", &rows)?;
        tx.append("nowhere", &rows)
    });
    assert!(matches!(refused, Err(Error::NoSuchTable { .. })), "{refused:?}");
    let mut dropped = db.begin().unwrap();
    put(dropped.kv(), "state", 8);
    drop(dropped);
    assert_eq!(number(db.kv(), "state"), 0);
    assert_values(&db, 0);
    let empty = db.begin().unwrap().commit().unwrap();
    assert_eq!(empty, 0, "what does nothing makes no record");
    drop(db);
    assert_eq!(number(open(&disk).kv(), "state"), 0);
}

#[test]
fn what_was_read_and_changed_is_a_conflict() {
    let (_, db) = begin();
    put(db.kv(), "a", 1);
    let begin = || db.begin().unwrap();

    let mut transaction = begin();
    put(transaction.kv(), "b", 5);
    put(db.kv(), "a", 2);
    assert_eq!(number(transaction.kv(), "a"), 1, "a transaction sees one state");
    assert!(matches!(transaction.commit(), Err(Error::Conflict)));
    assert_eq!(number(db.kv(), "b"), 0);

    let mut transaction = begin();
    assert!(transaction.kv().scan(&Scan::of("list/")).unwrap().is_empty());
    put(transaction.kv(), "count", 0);
    put(db.kv(), "list/1", 1);
    assert!(matches!(transaction.commit(), Err(Error::Conflict)), "also what was not there");

    let mut transaction = begin();
    let seen = number(transaction.kv(), "a");
    put(transaction.kv(), "b", seen + 1);
    put(db.kv(), "elsewhere", 1);
    transaction.commit().unwrap();
    assert_eq!(number(db.kv(), "b"), 3);

    let mut transaction = begin();
    assert_eq!(number(transaction.kv(), "a"), 2);
    put(db.kv(), "a", 3);
    assert!(matches!(transaction.commit(), Err(Error::Conflict)), "even if it writes nothing");
}

#[test]
fn a_transaction_after_a_crash_conflicts_with_nothing_before_it() {
    let (disk, db) = begin();
    put(db.kv(), "a", 1);
    append(&db, 0..1);
    db.close().unwrap();
    // Rows alone, of which the catalog is told nothing.
    let before = open(&disk);
    append(&before, 1..3);
    let db = open(&disk.after_power_cut());
    let mut transaction = db.begin().unwrap();
    assert_eq!(number(transaction.kv(), "a"), 1);
    put(transaction.kv(), "a", 2);
    transaction.commit().unwrap();
    assert_eq!(number(db.kv(), "a"), 2);
}

/// Two may each be withdrawn from as long as both together stay at 0 or above: reading both and writing one is what snapshots
/// alone get wrong.
#[test]
fn no_write_skew() {
    let (disk, db) = begin();
    put(db.kv(), "x", 50);
    put(db.kv(), "y", 50);
    let taken = std::sync::atomic::AtomicI64::new(0);
    std::thread::scope(|scope| {
        for own in ["x", "y", "x", "y"] {
            let (db, taken) = (&db, &taken);
            scope.spawn(move || {
                for _ in 0..20 {
                    let took = db.transaction(|tx| {
                        let total = number(tx.kv(), "x") + number(tx.kv(), "y");
                        if total < 3 {
                            return Ok::<_, Error>(0);
                        }
                        tx.kv().increment(own, -3)?;
                        Ok(3)
                    });
                    taken.fetch_add(took.unwrap(), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let left = number(db.kv(), "x") + number(db.kv(), "y");
    assert_eq!((left, taken.into_inner()), (1, 99));
    assert_eq!(number(open(&disk.after_power_cut()).kv(), "x"), number(db.kv(), "x"));
}

#[test]
fn a_refusal_counts_only_if_what_it_was_based_on_held() {
    let (_, db) = begin();
    put(db.kv(), "a", 1);
    let mut tries = 0;
    let answer: Result<i64> = db.transaction(|tx| {
        tries += 1;
        let seen = number(tx.kv(), "a");
        if tries == 1 {
            put(db.kv(), "a", 2);
        }
        if seen == 1 { Err(Error::invalid("not enough")) } else { Ok(seen) }
    });
    assert_eq!((answer.unwrap(), tries), (2, 2));
}

#[test]
fn writes_of_one_group_see_each_other_in_order() {
    let (_, db) = begin();
    let winners = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| match db.kv().put("lock", b"mine", Put::default().only_if(IfRevision::Absent)) {
                Ok(_) => {
                    winners.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                Err(Error::Stale { .. }) => {}
                Err(other) => panic!("{other}"),
            });
        }
    });
    assert_eq!(winners.into_inner(), 1);
}

#[test]
fn after_a_failed_sync_nothing_of_a_transaction_is_seen() {
    let (disk, db) = begin();
    put(db.kv(), "a", 1);
    disk.fail_syncs(true);
    assert!(matches!(db.kv().put("a", b"2", Put::default()), Err(Error::Io { .. } | Error::Stopped { .. })));
    assert_eq!(number(db.kv(), "a"), 1);
    disk.fail_syncs(false);
    assert!(matches!(db.kv().put("a", b"3", Put::default()), Err(Error::Stopped { .. })));
    drop(db);
    assert_eq!(number(open(&disk.after_power_cut()).kv(), "a"), 1);
}

#[test]
fn a_closed_database_has_no_pairs() {
    let (_, db) = begin();
    db.inner.close().unwrap();
    assert!(matches!(db.kv().get("a"), Err(Error::Closed)));
    assert!(matches!(db.begin(), Err(Error::Closed)));
}

#[test]
fn what_cannot_be_recorded_is_not_seen_by_those_behind_it() {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use crate::ingest::Work;
    let (_, db) = begin();
    let key = |n: u8| [0x10, b'k', n][..].into();
    let huge = Work::decide(move |transaction| {
        (0..70).for_each(|n| transaction.put(key(n), vec![n; 1 << 20].into()));
        Ok(())
    });
    let seen = Arc::new(Mutex::new(None));
    let place = seen.clone();
    let look = Work::decide(move |transaction| {
        *place.lock() = Some(transaction.get(&[0x10, b'k', 0])?.is_some());
        Ok(())
    });
    let outcomes = db.inner.committer.submit_all(vec![huge, look]);
    assert!(matches!(outcomes[..], [Err(Error::Limit { .. }), Ok(0)]), "{outcomes:?}");
    assert_eq!(*seen.lock(), Some(false));
}

#[test]
fn what_was_decided_early_stands_or_is_decided_again() {
    use crate::ingest::Work;
    use crate::keyspace::Transaction;
    const COUNT: &[u8] = &[0x10, b'n'];
    let (_, db) = begin();
    let add = |transaction: &mut Transaction| {
        let before = transaction.get(COUNT)?.map_or(0, |(_, value)| value[0]);
        transaction.put(COUNT.into(), [before + 1][..].into());
        Ok(())
    };
    let early = || {
        let mut transaction = db.inner.begin_keys().unwrap();
        add(&mut transaction).unwrap();
        Work::decided_early(transaction.finish(), add)
    };
    let mut other = db.inner.begin_keys().unwrap();
    other.put([0x10, b'o'][..].into(), [7][..].into());
    let other = Work::decided_early(other.finish(), |_| panic!("decided again although nothing it read has changed"));
    // Both read the same state, and so does what is committed after them.
    let (first, second, late) = (early(), early(), early());
    assert!(db.inner.committer.submit_all(vec![first, other, second]).iter().all(Result::is_ok));
    assert!(db.inner.committer.submit_all(vec![late]).iter().all(Result::is_ok));
    assert_eq!(db.inner.begin_keys().unwrap().get(COUNT).unwrap().unwrap().1[..], [3]);
    assert_eq!(db.inner.begin_keys().unwrap().get(&[0x10, b'o']).unwrap().unwrap().1[..], [7]);
}
