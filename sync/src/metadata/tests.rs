use std::io::BufRead;

use alluvium::{
    AuditEntry, AuditOutcome, Certificate, CollectionSpec, FieldType, IndexSpec, KeyHash, NewItem, Path, Principal, Put,
    PutDocument, QueueSpec, RowBuilder, TableSpec, WriterId, WriterPast,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::remote::Hash;

const ALL: Wanted = Wanted { pairs: true, queues: true };

struct World {
    _dir: tempfile::TempDir,
    scratch: std::path::PathBuf,
    db: alluvium::Database,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = alluvium::Database::open(dir.path().join("data")).unwrap();
        let scratch = dir.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        World { scratch, db, _dir: dir }
    }

    fn delta(&self, after: u64, told: &Told, wanted: Wanted) -> Option<Delta> {
        let looked = || Looked::default();
        let delta = Delta::write(&self.db, after, told, wanted, &mut looked(), &self.scratch).unwrap();
        assert_eq!(Delta::is_any(&self.db, after, told, wanted, &mut looked()).unwrap(), delta.is_some());
        delta
    }
}

/// Kinds and keys with their values.
fn lines(delta: &Delta) -> Vec<(String, Vec<String>, Json)> {
    let bytes = std::fs::read(delta.path()).unwrap();
    assert_eq!((Hash::of(&bytes), bytes.len() as u64), (delta.about.hash, delta.about.bytes));
    let text = zstd::decode_all(&bytes[..]).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(lines.len() as u64, delta.about.keys);
    assert!(lines.iter().all(|line| delta.about.after < line.sequence && line.sequence <= delta.about.through));
    let value = |line: &Line| line.value.as_ref().map_or(Json::Null, |value| serde_json::from_str(value.get()).unwrap());
    lines.iter().map(|line| (line.kind.clone(), line.key.clone(), value(line))).collect()
}

fn of<'l>(lines: &'l [(String, Vec<String>, Json)], kind: &str, key: &[&str]) -> &'l Json {
    let found: Vec<_> = lines.iter().filter(|(of, texts, _)| of == kind && texts == key).collect();
    let [(_, _, value)] = &found[..] else { panic!("{kind} {key:?}: {found:?}") };
    value
}

#[test]
fn what_changed_is_told_and_only_that() {
    let world = World::new();
    let db = &world.db;
    let table = db.create_table(TableSpec::new("air").tag("room").field("co2", FieldType::Decimal { scale: 1 })).unwrap();
    let mut rows = RowBuilder::new(table);
    rows.row(1).tag("room", "a").unwrap();
    rows.row(1);
    db.append("air", &rows.finish().unwrap()).unwrap();
    let index = IndexSpec { name: "floor".to_owned(), paths: vec![Path::parse("floor").unwrap()], unique: false };
    db.collections().create(CollectionSpec { indexes: vec![index], ..CollectionSpec::new("devices") }).unwrap();
    db.collections().set_schema("devices", &json!({ "type": "object" })).unwrap();
    db.collection("devices").put("pump-7", &json!({ "floor": 2 }), PutDocument::default()).unwrap();
    db.principals().put(&Principal::new("pump-7").role("device")).unwrap();
    db.trail().append(AuditEntry::new("pump-7", "read", AuditOutcome::Refused)).unwrap();
    let first = world.delta(0, &Told::default(), Wanted::default()).unwrap();
    assert_eq!(first.about.after, 0);
    let told = lines(&first);
    let air = json!({
        "name": "air", "version": 1, "unit": "us", "partitions": "auto", "tags": ["room"], "tag_ids": [2],
        "fields": [{ "name": "co2", "id": 3, "type": "decimal(1)" }], "dropped": false,
    });
    assert_eq!(*of(&told, "table", &["0"]), air);
    let mut series = [of(&told, "series", &["0", "0"]), of(&told, "series", &["0", "1"])];
    series.sort_by_key(|tags| tags.to_string());
    assert_eq!(series, [&json!(["a"]), &json!([null])]);
    let devices = of(&told, "collection", &["devices"]);
    let number = devices["number"].to_string();
    assert_eq!(devices["indexes"], json!([{ "name": "floor", "paths": ["/floor"], "unique": false }]));
    assert_eq!(of(&told, "schema", &[&number, "1"])["schema"], json!({ "type": "object" }));
    let document = json!({ "collection": "devices", "body": { "floor": 2 }, "expires_at": null, "deleted_at": null });
    assert_eq!(*of(&told, "document", &[&number, "pump-7"]), document);
    assert_eq!(of(&told, "principal", &["pump-7"])["roles"], json!(["device"]));
    let head = db.trail().head().unwrap();
    assert_eq!(of(&told, "audit", &["1"])["hash"], json!(Hash(head.hash).to_string()));

    // Nothing since.
    assert!(world.delta(first.about.through, &first.told, Wanted::default()).is_none());
    db.collection("devices").delete("pump-7", Default::default()).unwrap();
    db.add_columns("air", &[], &[("t".to_owned(), FieldType::Bool)]).unwrap();
    db.drop_table("air").unwrap();
    let second = world.delta(first.about.through, &first.told, Wanted::default()).unwrap();
    let told = lines(&second);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(*of(&told, "document", &[&number, "pump-7"]), Json::Null);
    assert_eq!(of(&told, "table", &["0"])["dropped"], json!(true));
    // From the beginning it is all there is, whatever was told.
    let all = world.delta(0, &second.told, Wanted::default()).unwrap();
    assert!(lines(&all).len() > 5);
}

#[test]
fn pairs_and_queues_are_told_where_that_is_asked_for() {
    let world = World::new();
    let db = &world.db;
    db.kv().put("state", b"\xff", Put::default()).unwrap();
    db.kv().put("door", b"open", Put::default()).unwrap();
    db.create_queue(&QueueSpec::new("work")).unwrap();
    db.queue("work").push(NewItem::new(b"do")).unwrap();
    assert!(world.delta(0, &Told::default(), Wanted::default()).is_none());
    let told = lines(&world.delta(0, &Told::default(), ALL).unwrap());
    assert_eq!(of(&told, "pair", &["state"])["value"], json!({ "base64": "/w==" }));
    assert_eq!(of(&told, "pair", &["door"])["value"], json!({ "text": "open" }));
    let work = of(&told, "queue", &["work"]);
    let number = work["number"].to_string();
    let settings = json!({
        "number": work["number"], "lease_ms": 30_000, "tries": 5, "back_off_ms": 1_000, "back_off_limit_ms": 3_600_000,
        "dead_letters": true, "deduplication_ms": 300_000,
    });
    assert_eq!(*work, settings);
    assert_eq!(of(&told, "item", &[&number, "1"])["payload"], json!({ "text": "do" }));
    assert_eq!(of(&told, "item_state", &[&number, "1"])["place"], json!("ready"));
}

#[test]
fn no_secret_and_nothing_of_the_gateways_own_is_told() {
    let world = World::new();
    let db = &world.db;
    db.principals().put(&Principal::new("pump-7")).unwrap();
    let before = lines(&world.delta(0, &Told::default(), ALL).unwrap()).len();
    db.principals().issue_token("pump-7", "label", None).unwrap();
    let (key, principal) = (KeyHash([1; 32]), "pump-7".to_owned());
    db.principals().put_certificate(&Certificate { key, principal, not_before: 0, not_after: 1, revoked_at: None }).unwrap();
    db.writers().open("pump-7", WriterId([1; 16]), WriterPast::New).unwrap();
    db.cursor("reader").unwrap().begin(0).unwrap();
    db.delivery("copy").begin().unwrap();
    let told = lines(&world.delta(0, &Told::default(), ALL).unwrap());
    assert_eq!(told.len(), before, "{told:?}");
}

#[test]
fn bytes_are_text_where_they_can_be() {
    for bytes in [&b"open"[..], b"", b"\xff\x00"] {
        assert_eq!(Bytes::of(bytes).decode().unwrap(), bytes);
    }
    assert_eq!(Bytes::Base64("?".to_owned()).decode(), None);
}

#[test]
fn what_nobody_wants_is_looked_at_once() {
    let world = World::new();
    let db = &world.db;
    let put = |key: &str| db.kv().put(key, b"1", Put::default()).unwrap();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    let first = world.delta(0, &Told::default(), Wanted::default()).unwrap();
    let (after, told) = (first.about.through, &first.told);
    let mut looked = Looked::default();
    let write = |looked: &mut Looked, wanted| Delta::write(db, after, told, wanted, looked, &world.scratch).unwrap();
    assert_eq!(looked.from(after), after);
    put("a");
    assert!(write(&mut looked, Wanted::default()).is_none());
    let end = looked.from(after);
    assert!(end > after, "{end}");
    // Whether there is anything tells the same.
    let last = put("b");
    assert!(!Delta::is_any(db, after, told, Wanted::default(), &mut looked).unwrap());
    assert!(looked.from(after) >= last && last > end, "{looked:?}");
    // Of another beginning it says nothing.
    assert_eq!(looked.from(after - 1), after - 1);
    // What is wanted is not missed behind it, and the delta is of all since the one before.
    db.collection("devices").put("x", &json!({}), PutDocument::default()).unwrap();
    assert!(Delta::is_any(db, after, told, Wanted::default(), &mut looked).unwrap());
    let delta = write(&mut looked, Wanted::default()).unwrap();
    assert_eq!((delta.about.after, delta.about.keys), (after, 1));
    assert_eq!(lines(&delta)[0].1[1], "x");
    // Who wants more begins anew.
    assert_eq!(write(&mut Looked::default(), ALL).unwrap().about.keys, 3);
}
