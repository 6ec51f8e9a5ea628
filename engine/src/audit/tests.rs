use super::*;
use crate::io::MemoryDisk;
use crate::keyspace::space;
use crate::record::Key;
use crate::testing::{self, Hands, begin, open, open_with};
use crate::{ChangeKind, Database, Error, Event, Put, Settings};

fn entry(number: u64) -> AuditEntry {
    AuditEntry::new("ops", "kv.put", AuditOutcome::Done).object(format!("key:{number}"))
}

fn filled(entries: u64) -> (MemoryDisk, std::sync::Arc<Hands>, Database) {
    let (disk, clock, db) = begin();
    (1..=entries).for_each(|number| assert_eq!(db.trail().append(entry(number)).unwrap(), number));
    (disk, clock, db)
}

/// Changes a cell behind the trail's back.
fn tamper(db: &Database, key: Key, change: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>> + Send + 'static) {
    let mut access = db;
    let tampered = access.write(move |transaction| {
        let before = transaction.get(&key)?.map(|(_, cell)| cell.to_vec());
        match change(before) {
            Some(cell) => transaction.put(key, cell.into()),
            None => transaction.remove(key),
        }
        Ok(())
    });
    tampered.unwrap();
}

#[test]
fn the_bytes_of_an_entry_are_frozen() {
    let said = AuditEntry { times: 3, ..AuditEntry::new("a", "b", AuditOutcome::Refused).object("c").detail("dé") };
    let bytes = entry::encode(-2, &said);
    assert_eq!(bytes, b"\xff\xff\xff\xff\xff\xff\xff\xfe\x01\0\0\0\x03\0\x01a\0\x01b\0\x01c\0\x03d\xc3\xa9");
    let hash = entry::hash(7, &[9; 32], &bytes);
    // b3sum of `alluvium audit 1`, 7 as eight bytes, 32 bytes of 9, and the bytes above.
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "af87bf2927ef22244efd5d252f11a12d222221dd2cae60cc84c5d3df6ee14be2");
    let key = entry::key(7);
    assert_eq!(&*key, b"\x40\0\0\0\0\0\0\0\x07");
    let read = entry::read(&key, &entry::cell(&hash, &bytes)).unwrap();
    assert_eq!(read, Audited { number: 7, at: -2, entry: said, hash });
}

#[test]
fn what_is_no_entry_is_refused() {
    let good = entry::cell(&[0; 32], &entry::encode(0, &entry(1)));
    for length in 0..good.len() {
        assert!(entry::read(&entry::key(1), &good[..length]).is_err(), "{length} bytes");
    }
    let long = [&good[..], &[0]].concat();
    let odd: Vec<u8> = good.iter().enumerate().map(|(at, byte)| if at == 40 { 9 } else { *byte }).collect();
    assert!(entry::read(&entry::key(1), &long).is_err() && entry::read(&entry::key(1), &odd).is_err());
    assert!(entry::read(b"\x40\0", &good).is_err());
}

#[test]
fn entries_come_back_in_order_and_outlast_a_power_cut() {
    let (disk, clock, db) = filled(5);
    clock.set_wall(17);
    db.trail().append(entry(6)).unwrap();
    let db = open(&disk.after_power_cut(), &clock);
    let entries = db.trail().read(5, 100).unwrap();
    assert_eq!(entries.iter().map(|found| (found.number, found.at)).collect::<Vec<_>>(), [(5, 0), (6, 17)]);
    assert_eq!(entries[1].entry, entry(6));
    assert_eq!(db.trail().read(2, 3).unwrap().len(), 3);
    let head = db.trail().head().unwrap();
    assert_eq!((head.number, head.hash, head.dropped), (6, entries[1].hash, 0));
    assert_eq!(db.trail().check().unwrap(), None);
    assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, []);
}

#[test]
fn an_entry_is_there_if_and_only_if_what_it_speaks_of_was_done() {
    let (_, _, db) = filled(0);
    let refused = db.transaction(|tx| {
        tx.kv().put("a", b"1", Put::default())?;
        tx.trail().append(entry(1))?;
        Err::<(), _>(Error::Invalid("on second thoughts".to_owned()))
    });
    assert!(refused.is_err());
    assert_eq!(db.trail().read(1, 10).unwrap(), []);
    let done = db.transaction(|tx| {
        tx.kv().put("a", b"1", Put::default())?;
        tx.trail().append(entry(1))
    });
    assert_eq!(done.unwrap(), 1);
    assert_eq!(db.trail().read(1, 10).unwrap().len(), 1);
}

#[test]
fn whatever_is_changed_is_found() {
    let byte = |at: usize| {
        move |cell: Option<Vec<u8>>| {
            let mut cell = cell.unwrap();
            cell[at] ^= 1;
            Some(cell)
        }
    };
    let found = |change: &dyn Fn(&Database)| {
        let (_, _, db) = filled(5);
        assert_eq!(db.trail().check().unwrap(), None);
        change(&db);
        let problems = db.verify(&mut |_, _| {}).unwrap().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        db.trail().check().unwrap().unwrap()
    };
    // The hash of an entry, what it says, and those of the last.
    assert!(found(&|db| tamper(db, entry::key(3), byte(0))).contains("entry 3"));
    assert!(found(&|db| tamper(db, entry::key(3), byte(50))).contains("entry 3"));
    assert!(found(&|db| tamper(db, entry::key(5), byte(50))).contains("entry 5"));
    // One that is gone: in the middle, the first, the last.
    assert!(found(&|db| tamper(db, entry::key(3), |_| None)).contains("entry 2 is followed by 4"));
    assert!(found(&|db| tamper(db, entry::key(1), |_| None)).contains("entry 0 is followed by 2"));
    assert!(found(&|db| tamper(db, entry::key(5), |_| None)).contains("ends with entry 4"));
    // One too many, even one that joins on.
    assert!(
        found(&|db| {
            let head = db.trail().head().unwrap();
            let said = entry::encode(0, &entry(6));
            let cell = entry::cell(&entry::hash(6, &head.hash, &said), &said);
            tamper(db, entry::key(6), move |_| Some(cell.to_vec()));
        })
        .contains("ends with entry 6")
    );
    // The end itself.
    assert!(found(&|db| tamper(db, Key::from([space::AUDIT_HEAD]), byte(9))).contains("ends with entry 5"));
    assert!(found(&|db| tamper(db, Key::from([space::AUDIT_HEAD]), |_| None)).contains("ends with entry 5"));
}

#[test]
fn the_oldest_go_and_the_rest_still_joins_on() {
    let (disk, clock, db) = begin();
    db.close().unwrap();
    let few = |audit_entries| open_with(&disk, &clock, Settings { audit_entries, ..testing::settings() });
    let db = few(10);
    (1..=25).for_each(|number| assert!(db.trail().append(entry(number)).is_ok()));
    let sixteenth = db.trail().read(1, 1).unwrap().remove(0);
    assert_eq!((sixteenth.number, db.trail().head().unwrap().dropped), (16, 15));
    assert_eq!(db.trail().check().unwrap(), None);
    db.close().unwrap();
    // Fewer from now on, though never none.
    let db = few(0);
    db.trail().append(entry(26)).unwrap();
    assert_eq!(db.trail().read(1, 100).unwrap().iter().map(|found| found.number).collect::<Vec<_>>(), [26]);
    assert_eq!(db.trail().check().unwrap(), None);
    tamper(&db, Key::from([space::AUDIT_HEAD]), |cell| {
        let mut cell = cell.unwrap();
        cell[60] ^= 1;
        Some(cell)
    });
    assert!(db.trail().check().unwrap().is_some(), "it has to join on to what went");
}

#[test]
fn a_stranger_may_send_anything() {
    let (_, _, db) = filled(0);
    let hostile = AuditEntry::new("a\nb\u{1b}[31m", "x".repeat(70_000), AuditOutcome::Refused).object("é".repeat(400));
    db.trail().append(hostile).unwrap();
    let found = db.trail().read(1, 1).unwrap().remove(0).entry;
    assert_eq!(found.who, "a\u{fffd}b\u{fffd}[31m");
    assert_eq!((found.what.len(), found.object.len()), (512, 512));
    assert_eq!(db.trail().check().unwrap(), None);
}

#[test]
fn the_feed_tells_of_entries_and_not_of_their_end() {
    let (_, _, db) = filled(2);
    let changes = db.changes().kind(ChangeKind::Audit).read().unwrap();
    let events: Vec<_> = changes.flat_map(|change| change.unwrap().events).collect();
    let numbers: Vec<_> =
        events.iter().map(|event| if let Event::Audited { number, entry: Some(_) } = event { *number } else { 0 }).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(db.changes().kind(ChangeKind::Other).read().unwrap().count(), 0);
}

#[test]
fn writers_at_once_make_one_chain() {
    let (_, _, db) = filled(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|number| assert!(db.trail().append(entry(number)).is_ok())));
        }
    });
    assert_eq!(db.trail().head().unwrap().number, 200);
    assert_eq!(db.trail().check().unwrap(), None);
}
