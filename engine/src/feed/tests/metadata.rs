//! What the feed tells of documents and queues.

use std::time::Duration;

use serde_json::json;

use super::model::told;
use crate::testing::{begin, open};
use crate::{
    BackgroundStep, ChangesFrom, CollectionSpec, Database, IfRevision, NewItem, OnDelete, Pop, PutDocument, QueueSpec, Retry,
};

fn words(changes: ChangesFrom) -> Vec<String> {
    changes.read().unwrap().flat_map(|change| change.unwrap().events).map(|event| told(&event)).collect()
}

fn latest(db: &Database) -> Vec<String> {
    db.changed_since(0).unwrap().map(|changed| told(&changed.unwrap().event)).collect()
}

#[test]
fn documents_are_told_of_and_found_by_the_name_of_their_collection() {
    let (disk, clock, db) = begin();
    clock.set_wall(77);
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    let devices = CollectionSpec::new("devices").soft_delete(None).history(3).index("by_room", &["room"]).unwrap();
    db.collections().create(devices.reference("site", "sites", OnDelete::Restrict).unwrap()).unwrap();
    db.collections().set_schema("devices", &json!({"type": "object"})).unwrap();
    db.collection("sites").put("s", &json!({}), PutDocument::default()).unwrap();
    let mut own = db.collection("devices");
    own.put("d", &json!({"room": 1}), PutDocument::default()).unwrap();
    own.put("d", &json!({"room": 2}), PutDocument::default().time_to_live(Duration::from_micros(5))).unwrap();
    own.put("d", &json!({"room": 3}), PutDocument::default()).unwrap();
    own.delete("d", IfRevision::Any).unwrap();
    own.restore("d").unwrap();
    let of_devices = [
        "collection devices Some(2)",
        r#"collection devices Some(2)"#,
        r#"schema 2=Some("devices") 1 Some("{\"type\":\"object\"}")"#,
        r#"document 2=Some("devices") d Some(("{\"room\":1}", None, None))"#,
        r#"document 2=Some("devices") d Some(("{\"room\":2}", Some(5), None))"#,
        r#"document 2=Some("devices") d Some(("{\"room\":3}", None, None))"#,
        r#"document 2=Some("devices") d Some(("{\"room\":3}", None, Some(77)))"#,
        r#"document 2=Some("devices") d Some(("{\"room\":3}", None, None))"#,
    ];
    assert_eq!(words(db.changes().collection("devices")), of_devices);
    let of_sites =
        ["collection sites Some(1)", "collection sites Some(1)", r#"document 1=Some("sites") s Some(("{}", None, None))"#];
    assert_eq!(words(db.changes().collection("sites")), of_sites, "who is referred to changes too");
    assert_eq!(words(db.changes().collection("devices").collection("sites")).len(), 11);
    assert_eq!(words(db.changes().queue("devices")), [""; 0]);

    // It goes by its name by now, in what was told before as well.
    let through = db.changed_since(0).unwrap().through();
    db.collections().rename("devices", "things").unwrap();
    assert_eq!(words(db.changes().from(through + 1)), ["collection devices None", "collection things Some(2)"]);
    assert_eq!(words(db.changes().collection("things")).len(), 7);
    assert_eq!(words(db.changes().collection("devices")).len(), 3, "definitions under that name");

    // Of what is dropped, nobody knows the name.
    db.collections().drop("things").unwrap();
    drop(db);
    let db = open(&disk, &clock);
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    let all = words(db.changes());
    assert!(all.contains(&r#"document 2=None d Some(("{\"room\":1}", None, None))"#.to_owned()), "{all:?}");
    assert!(all.contains(&"document 2=None d None".to_owned()), "{all:?}");
    let left = [
        r#"document 1=Some("sites") s Some(("{}", None, None))"#,
        "collection devices None",
        "collection sites Some(1)",
        "collection things None",
        "document 2=None d None",
        "schema 2=None 1 None",
    ];
    assert_eq!(latest(&db), left);
}

#[test]
fn queues_are_told_of_with_what_becomes_of_their_items() {
    let (_, clock, db) = begin();
    clock.set_wall(77);
    db.create_queue(&QueueSpec::new("jobs").tries(2).back_off(Duration::from_micros(9), Duration::MAX)).unwrap();
    let mut jobs = db.queue("jobs");
    jobs.push(NewItem::new("a").priority(3).deduplicate("k")).unwrap();
    jobs.push(NewItem::new("b").due(1_000)).unwrap();
    let lease = Pop::at_most(1).lease(Duration::from_micros(50));
    let first = jobs.pop_many(lease).unwrap().remove(0);
    jobs.nack(first.lease, Retry::BackOff).unwrap();
    clock.pass(9);
    let again = jobs.pop_many(lease).unwrap().remove(0);
    jobs.nack(again.lease, Retry::BackOff).unwrap();
    jobs.requeue(&[again.item.id]).unwrap();
    let last = jobs.pop_many(lease).unwrap().remove(0);
    jobs.ack(last.lease).unwrap();
    let all = [
        "queue jobs Some(1)",
        r#"item 1=Some("jobs") 1 Some(([97], None, Some("k")))"#,
        r#"state 1=Some("jobs") 1 3 0 Ready"#,
        r#"item 1=Some("jobs") 2 Some(([98], Some(1000), None))"#,
        r#"state 1=Some("jobs") 2 0 0 Scheduled(1000)"#,
        r#"state 1=Some("jobs") 1 3 1 Leased(50)"#,
        r#"state 1=Some("jobs") 1 3 1 Delayed(9)"#,
        r#"state 1=Some("jobs") 1 3 2 Leased(59)"#,
        r#"state 1=Some("jobs") 1 3 2 Dead"#,
        r#"state 1=Some("jobs") 1 3 0 Ready"#,
        r#"state 1=Some("jobs") 1 3 1 Leased(59)"#,
        r#"item 1=Some("jobs") 1 None"#,
    ];
    assert_eq!(words(db.changes().queue("jobs")), all);
    let left = ["queue jobs Some(1)", all[3], all[4], r#"item 1=Some("jobs") 1 None"#];
    assert_eq!(latest(&db), left);
    db.drop_queue("jobs").unwrap();
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    assert_eq!(words(db.changes().queue("jobs")), ["queue jobs Some(1)", "queue jobs None"]);
    assert_eq!(words(db.changes()).last().unwrap(), "item 1=None 2 None");
}

#[test]
fn a_reader_that_goes_on_learns_what_became_of_names() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    db.create_queue(&QueueSpec::new("jobs")).unwrap();
    let put = |collection: &str, id: &str| {
        db.collection(collection).put(id, &json!(1), PutDocument::default()).unwrap();
    };
    let mut changes = db.changes().read().unwrap();
    let mut more = || changes.by_ref().flat_map(|change| change.unwrap().events).map(|event| told(&event)).collect::<Vec<_>>();
    put("devices", "a");
    db.queue("jobs").push(NewItem::new("work")).unwrap();
    let before = more();
    assert!(before.iter().any(|told| told.contains(r#"Some("devices") a "#)), "{before:?}");
    assert!(before.iter().any(|told| told.contains(r#"Some("jobs")"#)), "{before:?}");
    db.collections().rename("devices", "things").unwrap();
    put("things", "b");
    db.drop_queue("jobs").unwrap();
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    let after = more();
    assert!(after.iter().any(|told| told.contains(r#"Some("things") b "#)), "{after:?}");
    assert!(!after.iter().any(|told| told.contains(r#"Some("devices")"#) || told.contains(r#"Some("jobs")"#)), "{after:?}");
}
