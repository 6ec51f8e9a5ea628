//! Documents over the whole database, on a disk in memory and clocks of the test's own.

mod collections;
mod life;
mod queries;
mod references;
mod schemas;
mod threads;

use serde_json::{Value, json};

use crate::testing::{begin, open, open_with, settings};
use crate::{CollectionSpec, Database, Document, Error, IfRevision, Put, PutDocument, Settings};

fn how() -> PutDocument {
    PutDocument::default()
}

fn content(document: Option<Document>) -> Option<Value> {
    document.map(|document| document.content)
}

fn with(spec: CollectionSpec) -> Database {
    let (_, _, db) = begin();
    db.collections().create(spec).unwrap();
    db
}

#[test]
fn what_was_put_is_there_after_any_end() {
    let (disk, clock, db) = begin();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    let mut devices = db.collection("devices");
    let first = devices.put("a", &json!({"n": 1, "z": [1, {"y": null}], "b": 0.1}), how()).unwrap();
    let second = devices.put("a", &json!({"n": 2}), how()).unwrap();
    assert!(second > first);
    let id = devices.insert(&json!("text")).unwrap();
    let expect = |db: &Database| {
        let a = db.collection("devices").get("a").unwrap().unwrap();
        assert_eq!((a.id.as_str(), a.revision, a.content), ("a", second, json!({"n": 2})));
        assert_eq!(content(db.collection("devices").get(&id).unwrap()), Some(json!("text")));
        assert_eq!(db.collection("devices").get("b").unwrap(), None);
    };
    expect(&db);
    let cut = open(&disk.after_power_cut(), &clock);
    expect(&cut);
    assert_eq!(cut.verify(&mut |_, _| {}).unwrap().problems, []);
    db.close().unwrap();
    expect(&open(&disk, &clock));
}

#[test]
fn new_ids_are_uuids_of_version_7_and_sort_by_time() {
    let (_, clock, db) = begin();
    db.collections().create(CollectionSpec::new("events")).unwrap();
    let mut ids = Vec::new();
    for second in 1..50 {
        clock.set_wall(1_790_000_000_000_000 + second * 1_000_000);
        ids.push(db.collection("events").insert(&json!({})).unwrap());
    }
    assert!(ids.is_sorted());
    let id = uuid::Uuid::parse_str(&ids[0]).unwrap();
    assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    assert_eq!(id.get_timestamp().unwrap().to_unix().0, 1_790_000_001);
}

#[test]
fn compare_and_set_lets_one_of_two_win() {
    let db = with(CollectionSpec::new("devices"));
    let mut devices = db.collection("devices");
    let revision = devices.put("a", &json!(1), how().only_if(IfRevision::Absent)).unwrap();
    let refused = devices.put("a", &json!(2), how().only_if(IfRevision::Absent)).unwrap_err();
    assert!(matches!(refused, Error::Stale { found: Some(found), .. } if found == revision));
    let next = devices.put("a", &json!(2), how().only_if(IfRevision::Is(revision))).unwrap();
    let refused = devices.merge("a", &json!(3), IfRevision::Is(revision)).unwrap_err();
    let text = format!("document \"a\" of collection \"devices\" is at revision {next}: read it again and decide anew");
    assert_eq!(refused.to_string(), text);
    assert!(devices.delete("a", IfRevision::Is(revision)).is_err());
    assert!(devices.delete("a", IfRevision::Is(next)).unwrap());
    assert!(!devices.delete("a", IfRevision::Any).unwrap());
}

#[test]
fn a_merge_changes_what_it_names() {
    let db = with(CollectionSpec::new("devices"));
    let mut devices = db.collection("devices");
    devices.put("a", &json!({"a": {"b": 1, "c": [1, 2]}, "d": 4}), how()).unwrap();
    devices.merge("a", &json!({"a": {"b": null, "e": {"f": 5, "g": null}}, "d": [null]}), IfRevision::Any).unwrap();
    let merged = json!({"a": {"c": [1, 2], "e": {"f": 5}}, "d": [null]});
    assert_eq!(content(devices.get("a").unwrap()), Some(merged));
    assert!(matches!(devices.merge("b", &json!({}), IfRevision::Any), Err(Error::NoSuchDocument { .. })));
}

#[test]
fn of_many_documents_the_bad_ones_are_named_and_the_others_stored() {
    let db = with(CollectionSpec::new("devices").unique("by_serial", &["serial"]).unwrap());
    db.collections().set_schema("devices", &json!({"required": ["serial"]})).unwrap();
    let mut many: Vec<_> = (0..1_000).map(|n| (Some(format!("d{n:04}")), json!({"serial": n}))).collect();
    many[10].1 = json!({});
    many[500].1 = json!({"serial": 3});
    many[700].0 = Some("a\nb".into());
    many.push((None, json!({"serial": 10})));
    let outcome = db.collection("devices").put_many(many).unwrap();
    let failed: Vec<_> = outcome.failed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["d0010", "d0500", "a\nb"]);
    assert!(matches!(outcome.failed[0].1, Error::InvalidDocument(_)));
    assert!(matches!(&outcome.failed[1].1, Error::NotUnique { other, .. } if other == "d0003"));
    assert_eq!(outcome.stored.len(), 998);
    for (id, revision) in &outcome.stored {
        assert_eq!(db.collection("devices").get(id).unwrap().unwrap().revision, *revision);
    }
    assert_eq!(db.collection("devices").count(crate::Where::all()).unwrap(), 998);
}

#[test]
fn one_transaction_changes_documents_pairs_and_all() {
    let db = with(CollectionSpec::new("devices").unique("by_serial", &["serial"]).unwrap());
    db.transaction(|tx| {
        tx.collection("devices").put("a", &json!({"serial": 1}), how())?;
        assert_eq!(tx.collection("devices").get("a")?.unwrap().revision, 0);
        // What was refused leaves nothing, and the rest goes on.
        assert!(tx.collection("devices").put("b", &json!({"serial": 1}), how()).is_err());
        assert_eq!(tx.collection("devices").get("b")?, None);
        tx.kv().put("count", b"1", Put::default())?;
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(db.collection("devices").get("a").unwrap().unwrap().revision > 0);
    let gone: Result<(), _> = db.transaction(|tx| {
        tx.collection("devices").delete("a", IfRevision::Any)?;
        tx.kv().delete("count", IfRevision::Any)?;
        Err(Error::invalid("changed my mind"))
    });
    assert!(gone.is_err());
    assert!(db.collection("devices").get("a").unwrap().is_some());
    assert!(db.kv().get("count").unwrap().is_some());
}

#[test]
fn transactions_on_the_same_values_conflict() {
    let db = with(CollectionSpec::new("devices").index("by_room", &["room"]).unwrap());
    let mut one = db.begin().unwrap();
    let query = crate::DocumentQuery::new().filter(crate::Where::equal("room", "A").unwrap());
    assert_eq!(one.collection("devices").query(&query).unwrap().documents, []);
    one.collection("devices").put("first", &json!({"room": "A"}), how()).unwrap();
    // Somebody else comes into the room meanwhile.
    db.collection("devices").put("second", &json!({"room": "A"}), how()).unwrap();
    assert!(matches!(one.commit(), Err(Error::Conflict)));

    let mut one = db.begin().unwrap();
    one.collection("devices").query(&query).unwrap();
    one.collection("devices").put("third", &json!({"room": "B"}), how()).unwrap();
    db.collection("devices").put("fourth", &json!({"room": "C"}), how()).unwrap();
    one.commit().unwrap();
}

#[test]
fn bad_input_is_refused_by_name() {
    let (disk, clock) = (crate::io::MemoryDisk::new(), Default::default());
    let db = open_with(&disk, &clock, Settings { document_bytes: 1_000, document_depth: 10, ..settings() });
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    let mut devices = db.collection("devices");
    let mut told = |id: &str, content: &Value| devices.put(id, content, how()).unwrap_err().to_string();
    let large = Value::String("x".repeat(1_000));
    assert_eq!(told("a", &large), "bytes of a document is 1002, the limit is 1000 (setting `document_bytes`)");
    let deep = (0..100_000).fold(json!(1), |inside, _| Value::Array(vec![inside]));
    let text = "levels of arrays and objects in a document is 11, the limit is 10 (setting `document_depth`)";
    assert_eq!(told("a", &deep), text);
    // Dropping it would go just as deep.
    std::mem::forget(deep);
    assert_eq!(told("", &json!(1)), "a document id has 1 to 255 bytes, not 0");
    assert_eq!(told("a\u{7}", &json!(1)), r#"document id "a\u{7}" holds the control character '\u{7}'"#);
    assert!(told(&"x".repeat(256), &json!(1)).ends_with("not 256"));
    let nowhere = db.collection("nothing").put("a", &json!(1), how()).unwrap_err();
    assert_eq!(nowhere.to_string(), "there is no collection \"nothing\": `alluvium doc collections` lists them");
    assert!(matches!(db.collection("nothing").get("a"), Err(Error::NoSuchCollection { .. })));
    assert!(matches!(db.collections().create(CollectionSpec::new("devices")), Err(Error::CollectionExists { .. })));
    assert!(db.collections().create(CollectionSpec::new("a\0b")).is_err());
}

#[test]
fn documents_as_deep_as_can_be_set_are_read_again() {
    let (disk, clock) = (crate::io::MemoryDisk::new(), Default::default());
    let db = open_with(&disk, &clock, Settings { document_depth: 10_000, ..settings() });
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    let nested = |levels: usize| (0..levels).fold(json!(1), |inside, _| json!([inside]));
    db.collection("devices").put("a", &nested(120), how()).unwrap();
    assert!(db.collection("devices").put("a", &nested(121), how()).is_err());
    assert_eq!(content(db.collection("devices").get("a").unwrap()), Some(nested(120)));
}

#[test]
fn threads_insert_each_serial_once() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("devices").unique("by_serial", &["serial"]).unwrap()).unwrap();
    let won: usize = std::thread::scope(|scope| {
        let thread = |thread: usize| {
            let db = &db;
            scope.spawn(move || {
                let put =
                    |n: &usize| db.collection("devices").put(&format!("{thread}-{n}"), &json!({"serial": n}), how()).is_ok();
                (0..200).filter(put).count()
            })
        };
        let threads: Vec<_> = (0..8).map(thread).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(won, 200);
    assert_eq!(db.collection("devices").count(crate::Where::all()).unwrap(), 200);
}
