//! Collections and indexes: made, renamed, dropped, built while others go on.

use super::*;
use crate::{BackgroundStep, DocumentQuery, IndexSpec, OnDelete, ReferenceSpec, Where};

fn fill(db: &Database, documents: u64) {
    let many = (0..documents).map(|n| (Some(format!("{n:05}")), json!({"n": n, "kind": n % 7})));
    assert_eq!(db.collection("devices").put_many(many.collect()).unwrap().failed.len(), 0);
}

fn of_kind(db: &Database, kind: u64) -> (Vec<u64>, bool) {
    let query = DocumentQuery::new().filter(Where::equal("kind", kind).unwrap()).limit(10_000);
    let plan = db.collection("devices").explain(&query).unwrap();
    let page = db.collection("devices").query(&query).unwrap();
    let numbers = page.documents.iter().map(|document| document.content["n"].as_u64().unwrap()).collect();
    (numbers, !plan.indexes.is_empty())
}

fn sweep(db: &Database) {
    while db.background_step(BackgroundStep::Expire).unwrap() {}
}

#[test]
fn an_index_is_built_over_what_is_there() {
    let db = with(CollectionSpec::new("devices"));
    fill(&db, 1_000);
    let expected: Vec<u64> = (0..1_000).filter(|n| n % 7 == 3).collect();
    assert_eq!(of_kind(&db, 3), (expected.clone(), false));
    db.create_index("devices", IndexSpec::new("by_kind", &["kind"]).unwrap()).unwrap();
    assert_eq!(of_kind(&db, 3), (expected.clone(), true));
    let refused = db.create_index("devices", IndexSpec::new("by_kind", &["n"]).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "collection \"devices\" has an index \"by_kind\" already");
    db.collections().drop_index("devices", "by_kind").unwrap();
    assert_eq!(of_kind(&db, 3), (expected, false));
    assert!(db.collections().drop_index("devices", "by_kind").is_err());
}

#[test]
fn an_index_takes_in_what_happens_while_it_is_built() {
    let db = with(CollectionSpec::new("devices"));
    fill(&db, 2_000);
    let index = db.collections().begin_index("devices", IndexSpec::new("by_kind", &["kind"]).unwrap()).unwrap();
    let mut devices = db.collection("devices");
    for round in 0..4 {
        assert!(!db.collections().build(index).unwrap());
        // In what was done, and in what is yet to be done.
        for id in [round, 1_999 - round] {
            devices.put(&format!("{id:05}"), &json!({"n": id, "kind": 3}), how()).unwrap();
            devices.delete(&format!("{:05}", 1_000 + id / 4), IfRevision::Any).unwrap();
        }
        devices.put(&format!("{round}new"), &json!({"n": 10_000 + round, "kind": 3}), how()).unwrap();
    }
    let before = of_kind(&db, 3);
    assert!(!before.1, "it serves no query before it is whole");
    while !db.collections().build(index).unwrap() {}
    assert_eq!(of_kind(&db, 3), (before.0, true));
}

#[test]
fn an_index_begun_before_a_crash_is_finished_in_the_background() {
    let (disk, clock, db) = begin();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    fill(&db, 1_000);
    let index = db.collections().begin_index("devices", IndexSpec::new("by_kind", &["kind"]).unwrap()).unwrap();
    assert!(!db.collections().build(index).unwrap());
    let db = open(&disk.after_power_cut(), &clock);
    let before = of_kind(&db, 5);
    assert!(!before.1);
    sweep(&db);
    assert_eq!(of_kind(&db, 5), (before.0, true));
    assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, []);
}

#[test]
fn a_unique_index_that_cannot_be_is_not_made() {
    let db = with(CollectionSpec::new("devices"));
    fill(&db, 600);
    let unique = IndexSpec { unique: true, ..IndexSpec::new("by_kind", &["kind"]).unwrap() };
    let refused = db.create_index("devices", unique.clone()).unwrap_err();
    assert!(matches!(refused, Error::NotUnique { id, other, .. } if (&*id, &*other) == ("00007", "00000")));
    assert_eq!(db.collections().get("devices").unwrap().indexes, []);
    db.create_index("devices", IndexSpec { unique: true, ..IndexSpec::new("by_n", &["n"]).unwrap() }).unwrap();
    let refused = db.collection("devices").put("x", &json!({"n": 5}), how()).unwrap_err();
    let text = r#"document "x" of collection "devices" has the same values as document "00005" in the unique index "by_n""#;
    assert_eq!(refused.to_string(), text);
    // Missing and null values are equal to nothing.
    for id in ["x", "y"] {
        db.collection("devices").put(id, &json!({}), how()).unwrap();
        db.collection("devices").put(&format!("{id}0"), &json!({"n": null}), how()).unwrap();
    }
    assert!(
        db.collection("devices").put("z", &json!({"n": [1]}), how()).unwrap_err().to_string().contains("array or object at /n")
    );
}

#[test]
fn a_name_belongs_to_what_was_renamed() {
    let (disk, clock, db) = begin();
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    let spec = CollectionSpec::new("devices").reference("site", "sites", OnDelete::Restrict).unwrap();
    db.collections().create(spec).unwrap();
    db.collection("sites").put("s", &json!({}), how()).unwrap();
    db.collection("devices").put("d", &json!({"site": "s"}), how()).unwrap();
    db.collections().rename("sites", "places").unwrap();
    assert!(matches!(db.collections().rename("places", "devices"), Err(Error::CollectionExists { .. })));
    assert!(matches!(db.collection("sites").get("s"), Err(Error::NoSuchCollection { .. })));
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    let db = open(&disk.after_power_cut(), &clock);
    assert_eq!(db.collection("sites").get("s").unwrap(), None);
    assert!(db.collection("places").get("s").unwrap().is_some());
    assert!(matches!(db.collection("places").delete("s", IfRevision::Any), Err(Error::Referenced { .. })));
    assert_eq!(db.collections().get("devices").unwrap().references[0].to, "places");
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let (_, _, db) = begin();
    let empty = |db: &Database| {
        db.keyspace().head().unwrap().scan(&crate::keyspace::prefix(&[]), crate::keyspace::Direction::Forward).unwrap().count()
    };
    let spec = CollectionSpec::new("devices").history(3).soft_delete(None).index("by_kind", &["kind"]).unwrap();
    db.collections().create(CollectionSpec::new("other")).unwrap();
    let before = empty(&db);
    db.collections().create(spec.clone()).unwrap();
    db.collections().set_schema("devices", &json!({"type": "object"})).unwrap();
    fill(&db, 1_000);
    fill(&db, 900);
    db.collection("devices").delete("00001", IfRevision::Any).unwrap();
    db.collection("devices").put("ttl", &json!({}), how().time_to_live(std::time::Duration::from_secs(1))).unwrap();
    db.collections().drop("devices").unwrap();
    assert!(matches!(db.collection("devices").get("00002"), Err(Error::NoSuchCollection { .. })));
    // A new one of the same name has nothing of the old one, also while that is being swept up.
    db.collections().create(spec).unwrap();
    assert_eq!(db.collection("devices").count(Where::all()).unwrap(), 0);
    db.collection("devices").put("00002", &json!({"kind": 1, "n": 2}), how()).unwrap();
    sweep(&db);
    assert_eq!(db.collection("devices").count(Where::all()).unwrap(), 1);
    assert!(of_kind(&db, 1).1);
    db.collections().drop("devices").unwrap();
    sweep(&db);
    // The note of expiry goes when its time comes.
    assert_eq!(empty(&db), before + 1);
}

#[test]
fn what_others_refer_to_is_not_dropped() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("sites").reference("parent", "sites", OnDelete::Restrict).unwrap()).unwrap();
    let spec = CollectionSpec::new("devices").reference("site", "sites", OnDelete::Restrict).unwrap();
    db.collections().create(spec).unwrap();
    let refused = db.collections().drop("sites").unwrap_err();
    assert_eq!(refused.to_string(), "collection \"devices\" refers to collection \"sites\": drop it first");
    db.collections().drop("devices").unwrap();
    db.collections().drop("sites").unwrap();
    assert_eq!(db.collections().list().unwrap(), []);
}

#[test]
fn a_reference_that_does_not_hold_is_not_made() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    db.collection("devices").put("d", &json!({"site": "s"}), how()).unwrap();
    let path = crate::Path::parse("site").unwrap();
    let reference = ReferenceSpec { path, to: "sites".into(), on_delete: OnDelete::Cascade };
    let refused = db.create_reference("devices", reference.clone()).unwrap_err();
    let text = r#"document "d" of collection "devices" refers at /site to collection "sites": there is no document "s""#;
    assert_eq!(refused.to_string(), text);
    assert_eq!(db.collections().get("devices").unwrap().references, []);
    db.collections().drop("sites").unwrap();
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    db.collection("sites").put("s", &json!({}), how()).unwrap();
    db.create_reference("devices", reference).unwrap();
    assert!(db.collection("sites").delete("s", IfRevision::Any).unwrap());
    assert_eq!(db.collection("devices").get("d").unwrap(), None);
    db.collections().drop_reference("devices", "site").unwrap();
    db.collection("devices").put("d", &json!({"site": "nowhere"}), how()).unwrap();
}

#[test]
fn the_bytes_of_a_definition_are_frozen() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("s")).unwrap();
    let spec = CollectionSpec::new("d")
        .soft_delete(Some(std::time::Duration::from_micros(300)))
        .history(2)
        .compatibility(crate::Compatibility::Full)
        .unique("u", &["/a/b", "c"])
        .unwrap()
        .reference("s", "s", OnDelete::SetNull)
        .unwrap();
    db.collections().create(spec.clone()).unwrap();
    let (_, cell) = db.keyspace().head().unwrap().get(b"\x30d").unwrap().unwrap();
    let expected = b"\x02\x01\x01\xac\x02\x02\x03\x00\
        \x02\x00\x01u\x02\x04/a/b\x02/c\x01\x01\x01\x0creference /s\x01\x02/s\x00\x01\x02\
        \x01\x02/s\x01\x02\x01\x00";
    assert_eq!(&*cell, expected);
    assert_eq!(db.collections().get("d").unwrap(), spec);
}

#[test]
fn a_collection_has_so_many_indexes_and_no_more() {
    let mut spec = CollectionSpec::new("devices");
    for number in 0..64 {
        spec = spec.index(&format!("index {number}"), &["n"]).unwrap();
    }
    let db = with(spec.clone());
    let refused = db.create_index("devices", IndexSpec::new("one more", &["n"]).unwrap()).unwrap_err();
    assert!(matches!(refused, Error::Limit { found: 65, limit: 64, .. }), "{refused}");
    let reference =
        ReferenceSpec { path: crate::Path::parse("n").unwrap(), to: "devices".to_owned(), on_delete: OnDelete::Cascade };
    assert!(matches!(db.create_reference("devices", reference), Err(Error::Limit { .. })));
    let spec = spec.index("one more", &["n"]).unwrap();
    assert!(matches!(db.collections().create(CollectionSpec { name: "other".to_owned(), ..spec }), Err(Error::Limit { .. })));
    assert_eq!(db.collections().get("devices").unwrap().indexes.len(), 64);
}
