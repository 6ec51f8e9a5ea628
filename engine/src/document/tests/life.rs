//! How documents end: time to live, soft deletion; and what is kept of their past.

use std::time::Duration;

use super::*;
use crate::testing::SECOND;
use crate::{BackgroundStep, DocumentQuery, Where};

fn sweep(db: &Database) {
    while db.background_step(BackgroundStep::Expire).unwrap() {}
}

fn cells(db: &Database) -> usize {
    let head = db.keyspace().head().unwrap();
    head.scan(&crate::keyspace::prefix(&[]), crate::keyspace::Direction::Forward).unwrap().count()
}

#[test]
fn what_expires_is_gone_at_once_and_its_room_later() {
    let (disk, clock, db) = begin();
    let spec = CollectionSpec::new("states").history(2).unique("by_name", &["name"]).unwrap();
    db.collections().create(spec).unwrap();
    let before = cells(&db);
    let mut states = db.collection("states");
    states.put("a", &json!({"name": "n"}), how()).unwrap();
    states.put("a", &json!({"name": "m"}), how().time_to_live(Duration::from_secs(5))).unwrap();
    clock.pass(4 * SECOND);
    assert_eq!(states.get("a").unwrap().unwrap().expires_in, Some(Duration::from_secs(1)));
    // No wall clock matters, nor a crash.
    clock.set_wall(i64::MAX / 2);
    let db = {
        db.kv().put("tick", b"", Put::default()).unwrap();
        open(&disk.after_power_cut(), &clock)
    };
    let mut states = db.collection("states");
    assert!(states.get("a").unwrap().is_some());
    clock.pass(SECOND);
    assert_eq!(states.get("a").unwrap(), None);
    assert_eq!(states.get_deleted("a").unwrap(), None);
    assert!(states.restore("a").is_err());
    let query = DocumentQuery::new().filter(Where::equal("name", "m").unwrap());
    assert_eq!(states.query(&query).unwrap().documents, []);
    assert_eq!(states.query(&DocumentQuery::new()).unwrap().documents, []);
    // The name is free before the background has taken anything away.
    states.put("b", &json!({"name": "m"}), how().only_if(IfRevision::Absent)).unwrap();
    sweep(&db);
    assert_eq!(states.query(&query).unwrap().documents.len(), 1);
    assert!(states.purge("b").unwrap());
    db.kv().delete("tick", IfRevision::Any).unwrap();
    assert_eq!(cells(&db), before);
}

#[test]
fn a_write_ends_an_older_time_to_live() {
    let (_, clock, db) = begin();
    db.collections().create(CollectionSpec::new("states")).unwrap();
    let mut states = db.collection("states");
    states.put("a", &json!(1), how().time_to_live(Duration::from_secs(5))).unwrap();
    states.put("a", &json!(2), how()).unwrap();
    states.put("b", &json!({"n": 1}), how().time_to_live(Duration::from_secs(5))).unwrap();
    states.merge("b", &json!({"n": 2}), IfRevision::Any).unwrap();
    clock.pass(6 * SECOND);
    sweep(&db);
    assert_eq!(content(states.get("a").unwrap()), Some(json!(2)));
    assert_eq!(states.get("b").unwrap(), None);
}

#[test]
fn what_was_deleted_softly_comes_back() {
    let (disk, clock, db) = begin();
    let spec = CollectionSpec::new("devices").soft_delete(Some(Duration::from_secs(10))).unique("by_n", &["n"]).unwrap();
    db.collections().create(spec).unwrap();
    let mut devices = db.collection("devices");
    devices.put("a", &json!({"n": 1}), how()).unwrap();
    clock.set_wall(1_234);
    assert!(devices.delete("a", IfRevision::Any).unwrap());
    assert_eq!(devices.get("a").unwrap(), None);
    assert_eq!(devices.count(Where::equal("n", 1).unwrap()).unwrap(), 0);
    let db = open(&disk.after_power_cut(), &clock);
    let mut devices = db.collection("devices");
    let deleted = devices.get_deleted("a").unwrap().unwrap();
    assert_eq!((deleted.deleted_at, deleted.content), (Some(1_234), json!({"n": 1})));
    devices.restore("a").unwrap();
    assert_eq!(devices.count(Where::equal("n", 1).unwrap()).unwrap(), 1);
    // Its number may be another's by then.
    devices.delete("a", IfRevision::Any).unwrap();
    devices.put("b", &json!({"n": 1}), how()).unwrap();
    assert!(matches!(devices.restore("a"), Err(Error::NotUnique { .. })));
    devices.delete("b", IfRevision::Any).unwrap();
    devices.restore("a").unwrap();
    devices.delete("a", IfRevision::Any).unwrap();
    clock.pass(10 * SECOND);
    assert!(matches!(devices.restore("a"), Err(Error::NoSuchDocument { .. })));
    sweep(&db);
    assert_eq!(devices.get_deleted("a").unwrap(), None);
    assert!(!devices.purge("a").unwrap());
}

#[test]
fn the_last_revisions_are_kept() {
    let db = with(CollectionSpec::new("devices").history(2).soft_delete(None));
    let mut devices = db.collection("devices");
    let revisions: Vec<_> = (0..5).map(|n| devices.put("a", &json!(n), how()).unwrap()).collect();
    devices.put("a2", &json!("other"), how()).unwrap();
    let past = |db: &Database| {
        let history = db.collection("devices").history("a").unwrap();
        history.into_iter().map(|document| (document.revision, document.content)).collect::<Vec<_>>()
    };
    assert_eq!(past(&db), [(revisions[3], json!(3)), (revisions[2], json!(2))]);
    devices.delete("a", IfRevision::Any).unwrap();
    assert_eq!(past(&db), [(revisions[4], json!(4)), (revisions[3], json!(3))]);
    devices.restore("a").unwrap();
    assert_eq!(past(&db), [(revisions[4], json!(4)), (revisions[3], json!(3))]);
    db.collections().set_history("devices", 1).unwrap();
    devices.put("a", &json!(5), how()).unwrap();
    assert_eq!(past(&db).len(), 1);
    assert!(devices.purge("a").unwrap());
    assert_eq!(past(&db), []);
}
