use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::testing::{self, Hands, SECOND, begin, open, open_with};
use crate::{Database, ErrorKind, Principal, Settings};

const ID: WriterId = WriterId([7; 16]);
const DAY: u64 = 86_400 * SECOND;

fn receive(db: &Database, id: WriterId, number: u64) -> Result<bool> {
    db.transaction(|tx| {
        let next = tx.writers().advance("p", id, number)?;
        if next {
            tx.kv().increment("sum", number as i64)?;
        }
        Ok(next)
    })
}

fn sum(db: &Database) -> i64 {
    db.kv().increment("sum", 0).unwrap()
}

fn resume(db: &Database, acknowledged: u64) -> Result<u64> {
    db.writers().open("p", ID, WriterPast::Acknowledged(acknowledged))
}

#[test]
fn the_bytes_of_a_writer_are_frozen() {
    assert_eq!(&*key("p", ID), b"\x63p\0\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07");
    let form = Form { applied_through: 1, used_at: 2 };
    assert_eq!(&*form.encode(), b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
    assert_eq!(Form::decode(&form.encode()).unwrap(), form);
    assert!((0..24).filter(|length| *length != 16).all(|length| Form::decode(&vec![0; length]).is_err()));
}

#[test]
fn several_batches_count_all_together_or_not_at_all() {
    let (_, _, db) = begin();
    db.writers().open("p", ID, WriterPast::New).unwrap();
    let through = |numbers: RangeInclusive<u64>| db.transaction(|tx| tx.writers().advance_through("p", ID, numbers.clone()));
    assert!(through(1..=5).unwrap());
    assert!(!through(1..=5).unwrap() && !through(2..=3).unwrap(), "they were applied");
    for (numbers, first) in [(4..=9, 4), (7..=9, 7)] {
        assert!(matches!(through(numbers), Err(Error::WriterGap { expected: 6, found, .. }) if found == first));
    }
    assert!(through(6..=6).unwrap() && through(7..=9).unwrap());
    assert_eq!(resume(&db, 9).unwrap(), 9);
}

#[test]
fn a_batch_counts_once_however_often_it_comes() {
    let (disk, clock, db) = begin();
    assert_eq!(db.writers().open("p", ID, WriterPast::New).unwrap(), 0);
    // The answer may have been lost.
    assert_eq!(db.writers().open("p", ID, WriterPast::New).unwrap(), 0);
    assert_eq!(resume(&db, 0).unwrap(), 0);
    for (number, next) in [(1, true), (1, false), (2, true), (1, false), (2, false), (3, true)] {
        assert_eq!(receive(&db, ID, number).unwrap(), next, "{number}");
    }
    let db = open(&disk.after_power_cut(), &clock);
    assert_eq!((sum(&db), resume(&db, 2).unwrap()), (6, 3));
    assert!(!receive(&db, ID, 3).unwrap());
    let gap = receive(&db, ID, 5);
    assert!(matches!(gap, Err(Error::WriterGap { expected: 4, found: 5, .. })), "{gap:?}");
    assert!(matches!(receive(&db, ID, u64::MAX), Err(Error::WriterGap { .. })));
    assert_eq!((sum(&db), resume(&db, 3).unwrap()), (6, 3));
}

#[test]
fn a_number_is_not_taken_by_what_was_not_committed() {
    let (_, _, db) = begin();
    db.writers().open("p", ID, WriterPast::New).unwrap();
    let refused = db.transaction(|tx| {
        assert!(tx.writers().advance("p", ID, 1)?);
        Err::<(), _>(Error::Invalid("a bad batch".to_owned()))
    });
    assert!(refused.is_err());
    assert_eq!(resume(&db, 0).unwrap(), 0);
    // Several in one transaction, or none of them.
    let several = |numbers: &[u64]| {
        db.transaction(|tx| numbers.iter().map(|number| tx.writers().advance("p", ID, *number)).collect::<Result<Vec<_>>>())
    };
    assert!(several(&[1, 2, 4]).is_err());
    assert_eq!(resume(&db, 0).unwrap(), 0);
    assert_eq!(several(&[1, 2, 2, 3]).unwrap(), [true, true, false, true]);
    assert_eq!(resume(&db, 0).unwrap(), 3);
}

#[test]
fn what_cannot_be_told_is_an_error_and_never_silence() {
    let (_, clock, db) = begin();
    let unknown = resume(&db, 0).unwrap_err();
    assert!(matches!(unknown, Error::WriterExpired { .. }) && unknown.kind() == ErrorKind::Missing);
    assert!(matches!(receive(&db, ID, 1), Err(Error::WriterExpired { .. })));
    db.writers().open("p", ID, WriterPast::New).unwrap();
    receive(&db, ID, 1).unwrap();
    let behind = resume(&db, 2);
    assert!(matches!(behind, Err(Error::WriterBehind { applied: 1, acknowledged: 2, .. })), "{behind:?}");
    assert!(db.writers().open("p", ID, WriterPast::New).unwrap_err().to_string().contains("is not new"));
    // Of another principal it is another.
    assert!(db.writers().open("q", ID, WriterPast::Acknowledged(1)).is_err());
    // A writer is remembered for 90 days behind its last batch.
    clock.pass(89 * DAY);
    receive(&db, ID, 2).unwrap();
    clock.pass(90 * DAY - 1);
    assert_eq!(resume(&db, 2).unwrap(), 2);
    clock.pass(1);
    assert!(matches!(resume(&db, 2), Err(Error::WriterExpired { .. })));
    assert!(matches!(receive(&db, ID, 3), Err(Error::WriterExpired { .. })));
    assert_eq!(sum(&db), 3);
}

#[test]
fn a_principal_has_so_many_writers_of_which_the_idle_make_room() {
    let (disk, clock, db) = begin();
    db.close().unwrap();
    let db = open_with(&disk, &clock, Settings { writers: 3, ..testing::settings() });
    let open = |n: u8| db.writers().open("p", WriterId([n; 16]), WriterPast::New);
    (0..3).for_each(|n| assert_eq!(open(n).unwrap(), 0));
    let full = open(3).unwrap_err();
    assert!(matches!(full, Error::Limit { found: 4, limit: 3, setting: "writers", .. }), "{full:?}");
    db.writers().open("another", WriterId([3; 16]), WriterPast::New).unwrap();
    clock.pass(80 * DAY);
    receive(&db, WriterId([1; 16]), 1).unwrap();
    clock.pass(10 * DAY);
    assert_eq!(open(3).unwrap(), 0);
    let left: Vec<u8> = db.writers().list("p").unwrap().iter().map(|state| state.id.0[0]).collect();
    assert_eq!(left, [1, 3]);
    assert!(db.writers().remove("p", WriterId([1; 16])).unwrap());
    assert!(!db.writers().remove("p", WriterId([1; 16])).unwrap());
}

#[test]
fn writers_go_with_their_principal() {
    let (_, _, db) = begin();
    db.principals().put(&Principal::new("p")).unwrap();
    db.writers().open("p", ID, WriterPast::New).unwrap();
    db.writers().open("p2", ID, WriterPast::New).unwrap();
    db.principals().remove("p").unwrap();
    assert_eq!((db.writers().list("p").unwrap().len(), db.writers().list("p2").unwrap().len()), (0, 1));
    assert_eq!(
        db.changes().read().unwrap().flat_map(|change| change.unwrap().events).count(),
        2,
        "the principal alone is told of"
    );
}

/// Two connections of one writer send the same batches at once.
#[test]
fn whoever_sends_it_first_a_batch_counts_once() {
    let (_, _, db) = begin();
    db.writers().open("p", ID, WriterPast::New).unwrap();
    let applied = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 1..=50 {
                    applied.fetch_add(u64::from(receive(&db, ID, number).unwrap()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((applied.into_inner(), sum(&db)), (50, 50 * 51 / 2));
}

#[test]
fn a_clock_step_expires_nothing() {
    let (_, clock, db): (_, std::sync::Arc<Hands>, _) = begin();
    db.writers().open("p", ID, WriterPast::New).unwrap();
    clock.set_wall(i64::MAX);
    assert_eq!(resume(&db, 0).unwrap(), 0);
    clock.set_wall(i64::MIN);
    assert_eq!(resume(&db, 0).unwrap(), 0);
}
