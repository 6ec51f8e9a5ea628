//! What is restored, one thing at a time.

use std::time::Duration;

use alluvium::{
    AuditEntry, AuditOutcome, CollectionSpec, Compatibility, CutWhat, FieldType, Filter, NewItem, OnDelete, Partitioning,
    Principal, Put, PutDocument, QueueSpec, RowBuilder, TableSpec, TimeRange,
};
use serde_json::json;

use super::*;
use crate::remote::Key;

pub(super) fn append(db: &Database, hour: i64, values: std::ops::Range<i64>) {
    let mut rows = RowBuilder::new(db.table("air").unwrap());
    for value in values {
        rows.row(hour * HOUR + value % 50).tag("room", ["a", "b"][value as usize % 2]).unwrap().value("v", value).unwrap();
    }
    db.append("air", &rows.finish().unwrap()).unwrap();
}

pub(super) fn begin(world: &World, name: &str) -> Arc<Database> {
    let db = world.open(name);
    let spec = TableSpec::new("air").tag("room").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
    db.create_table(spec).unwrap();
    db
}

fn fill(db: &Database) {
    db.create_table(TableSpec::new("gone").field("v", FieldType::Bool)).unwrap();
    db.drop_table("gone").unwrap();
    db.create_table(TableSpec::new("empty").tag("a").field("v", FieldType::Decimal { scale: 2 })).unwrap();
    db.add_columns("air", &["floor".to_owned()], &[("t".to_owned(), FieldType::Utf8)]).unwrap();
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    let devices = CollectionSpec::new("devices").soft_delete(None).history(3).compatibility(Compatibility::Full);
    let devices = devices.unique("by_serial", &["serial"]).unwrap().index("by_kind", &["kind", "serial"]).unwrap();
    db.collections().create(devices.reference("site", "sites", OnDelete::Restrict).unwrap()).unwrap();
    db.collections().set_schema("devices", &json!({"type": "object", "required": ["serial"]})).unwrap();
    db.collection("sites").put("d0", &json!({"town": "Ulm"}), PutDocument::default()).unwrap();
    for number in 0..4 {
        let body = json!({"serial": number, "kind": "pump", "site": "d0"});
        db.collection("devices").put(&format!("d{number}"), &body, PutDocument::default()).unwrap();
    }
    db.collection("devices").delete("d3", Default::default()).unwrap();
    let hour = PutDocument::default().time_to_live(Duration::from_secs(3_600));
    db.collection("sites").put("d1", &json!({"town": "Bonn"}), hour).unwrap();
    db.principals().put_role("watchers", &["read table:*".parse().unwrap()]).unwrap();
    let principal = Principal::new("pump-7").role("watchers").grant("write table:air".parse().unwrap());
    db.principals().put(&Principal { disabled: true, ..principal }).unwrap();
    db.kv().put("door", b"\xff\x00", Put::default()).unwrap();
    db.create_queue(&QueueSpec::new("work").tries(9).lease(Duration::from_secs(7)).dead_letters(false)).unwrap();
    for (text, priority) in [("a", 0), ("b", 9), ("c", 0)] {
        db.queue("work").push(NewItem::new(text).priority(priority)).unwrap();
    }
    db.trail().append(AuditEntry::new("pump-7", "read", AuditOutcome::Refused)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_and_goes_on() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    fill(&db);
    append(&db, 0, 5..20);
    append(&db, 1, 0..20);
    db.delete("air", &[Filter::equal("room", "a")], TimeRange::new(0, 8)).unwrap();
    append(&db, 0, 4..5);
    world.send(&db).await;
    let (expected, head) = (State::of(&db), db.trail().head().unwrap());
    let before = world.objects("");
    let mut told = Vec::new();
    let restored = restore(&world.target(), &world.path("new"), &all(), &mut |step| told.push(step)).await.unwrap();
    assert!(told.len() > 5, "{told:?}");
    assert_eq!((restored.cut, restored.missing.len(), restored.newer_through), (2, 0, None));
    assert_eq!(restored.audit.map(|audit| (audit.number, audit.hash.0)), Some((head.number, head.hash)));
    let new = world.open("new");
    State::of(&new).expect(&expected, "restored");
    assert!(new.verify(&mut |_, _| {}).unwrap().problems.is_empty());
    let entries = new.trail().read(1, 10).unwrap();
    assert_eq!((entries.len(), entries[0].entry.what.as_str()), (1, "restore"));
    let hash = crate::remote::Hash(head.hash).to_string();
    assert!(entries[0].entry.detail.contains(&hash), "{entries:?}");
    // What is there is not sent again, and what is new is, under the new incarnation.
    append(&new, 2, 0..5);
    world.send(&new).await;
    let (after, proof) = (world.objects(""), world.proof().await);
    assert!(proof.holds(), "{proof:?}");
    assert_eq!((proof.branches.len(), proof.branches[0].cuts), (1, 3));
    assert_eq!(Some(proof.branches[0].incarnation), restored.goes_on_as);
    assert_ne!(restored.goes_on_as, Some(restored.incarnation));
    let new_segments = after.iter().filter(|path| path.to_string_lossy().ends_with(".parquet")).count();
    assert_eq!(new_segments, before.iter().filter(|path| path.to_string_lossy().ends_with(".parquet")).count() + 1);
    // A restored one is restored.
    let expected = State::of(&new);
    world.restore("again", &all()).await.unwrap();
    State::of(&world.open("again")).expect(&expected, "restored again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_stays() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    let expected = State::of(&db);
    // While it is open, and closed.
    assert!(matches!(world.restore("data", &all()).await, Err(NotRestored::Occupied { .. })));
    close(db);
    assert!(matches!(world.restore("data", &all()).await, Err(NotRestored::Occupied { .. })));
    State::of(&world.open("data")).expect(&expected, "untouched");
    std::fs::create_dir(world.path("other")).unwrap();
    std::fs::write(world.path("other/file"), "of somebody").unwrap();
    assert!(matches!(world.restore("other", &all()).await, Err(NotRestored::Occupied { .. })));
    assert!(matches!(world.restore("other/file", &all()).await, Err(NotRestored::Occupied { .. })));
    assert_eq!(std::fs::read_dir(world.path("other")).unwrap().count(), 1);
    // Into one that is empty.
    std::fs::create_dir(world.path("empty")).unwrap();
    world.restore("empty", &all()).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(world.path("empty")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "restore"), "{names:?}");
    assert!(matches!(world.restore("empty", &all()).await, Err(NotRestored::Occupied { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn which_one_has_to_be_said() {
    let world = World::new();
    assert!(matches!(world.restore("new", &all()).await, Err(NotRestored::NoGateway { .. })));
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    let early = "2000-01-01T00:00:00Z".parse().unwrap();
    assert!(matches!(world.restore("new", &until(early)).await, Err(NotRestored::TooEarly { .. })));
    let named = |name: &str| Options { gateway: Some(name.to_owned()), ..all() };
    assert!(
        matches!(world.restore("new", &named("none")).await, Err(NotRestored::NoGateway { there, .. }) if there == [GATEWAY])
    );
    // The restored one and the old one both go on.
    let restored = world.restore("new", &all()).await.unwrap();
    let new = world.open("new");
    append(&new, 1, 0..9);
    append(&db, 1, 10..30);
    world.send(&new).await;
    world.send(&db).await;
    let Err(NotRestored::ManyBranches { branches }) = world.restore("third", &all()).await else { panic!() };
    assert_eq!(branches.len(), 2);
    for (incarnation, db) in [(restored.incarnation, &db), (restored.goes_on_as.unwrap(), &new)] {
        let options = Options { incarnation: Some(incarnation), ..all() };
        let name = incarnation.to_string();
        world.restore(&name, &options).await.unwrap();
        assert_eq!(rows(&world.open(&name)), rows(db));
    }
    let none = Options { incarnation: Some(Incarnation([1; 16])), ..all() };
    assert!(matches!(world.restore("third", &none).await, Err(NotRestored::NoBranch { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_folded_with_newer_ones_are_not_had_by_accident() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    let first = (Timestamp::now(), State::of(&db));
    // Two cuts of one hour, folded together before they are sent.
    append(&db, 1, 0..9);
    db.delivery(DELIVERY).cut(CutWhat::All).unwrap();
    let second = Timestamp::now();
    append(&db, 1, 5..15);
    db.delivery(DELIVERY).cut(CutWhat::All).unwrap();
    let third = (Timestamp::now(), State::of(&db));
    db.compact().unwrap();
    world.send(&db).await;
    let refused = world.restore("new", &until(second)).await.unwrap_err();
    let NotRestored::Newer { cut, before, behind, .. } = &refused else { panic!("{refused}") };
    assert_eq!((*cut, before.map(|exact| exact.cut), behind.map(|exact| exact.cut)), (2, Some(1), Some(3)));
    let allowed = Options { allow_newer: true, ..until(second) };
    let restored = world.restore("new", &allowed).await.unwrap();
    assert!(restored.newer_through.is_some_and(|record| record > restored.record));
    let new = world.open("new");
    assert_eq!(rows(&new), third.1.rows);
    // What is newer than the cut that it goes on behind is announced again.
    world.send(&new).await;
    let proof = world.proof().await;
    assert!(proof.holds(), "{proof:?}");
    for (at, state) in [first, third] {
        let name = at.to_string();
        world.restore(&name, &Options { incarnation: Some(restored.incarnation), ..until(at) }).await.unwrap();
        assert_eq!(rows(&world.open(&name)), state.rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_has_a_receipt_and_stays_proved() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    append(&db, 1, 0..9);
    world.send(&db).await;
    let gone = world.objects(".parquet").into_iter().find(|path| path.to_string_lossy().contains("hour3600")).unwrap();
    std::fs::remove_file(gone).unwrap();
    let refused = world.restore("new", &all()).await.unwrap_err();
    assert!(matches!(&refused, NotRestored::Missing { units } if units.len() == 1), "{refused}");
    let allowed = Options { allow_missing: true, ..all() };
    let restored = world.restore("new", &allowed).await.unwrap();
    assert_eq!(restored.missing.len(), 1);
    let new = world.open("new");
    assert_eq!(rows(&new).len(), 9);
    let receipts = new.inspect().unwrap().receipts;
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].receipt.times, Some((HOUR, HOUR + 8)));
    assert!(!world.proof().await.holds());
    world.send(&new).await;
    let proof = world.proof().await;
    assert!(proof.holds(), "the gap is stated: {proof:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_deleted_later_are_not_missed_by_accident() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    let early = (Timestamp::now(), State::of(&db));
    append(&db, 1, 0..9);
    append(&db, 2, 0..9);
    db.delivery(DELIVERY).cut(CutWhat::All).unwrap();
    let late = Timestamp::now();
    // Before they are sent. What was sent already is as it was.
    db.delete("air", &[Filter::equal("room", "a")], TimeRange::new(0, 2 * HOUR)).unwrap();
    db.compact().unwrap();
    world.send(&db).await;
    let refused = world.restore("new", &until(late)).await.unwrap_err();
    assert!(matches!(&refused, NotRestored::Erased { cut: 2, rows: 4, cut_rows: 9, .. }), "{refused}");
    assert!(!world.path("new/alluvium.id").exists());
    let restored = world.restore("new", &Options { allow_newer: true, ..until(late) }).await.unwrap();
    assert_eq!(restored.erased_later.len(), 1);
    assert_eq!(rows(&world.open("new")).len(), 9 + 4 + 9);
    world.restore("early", &until(early.0)).await.unwrap();
    State::of(&world.open("early")).expect(&early.1, "before it was deleted");
    world.restore("last", &all()).await.unwrap();
    State::of(&world.open("last")).expect(&State::of(&db), "behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_is_restored_too() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    let target = Target::in_memory(crate::objects::Throttle::new(None, None));
    for gateway in ["one", "two"] {
        let scratch = world.path("scratch");
        let worker = Worker::new(db.clone(), gateway, gateway, target.clone(), Policy::default(), &scratch).unwrap();
        assert!(matches!(worker.run_once().await, Once::Done(_)));
    }
    let refused = restore(&target, &world.path("new"), &Options::default(), &mut |_| {}).await;
    assert!(matches!(refused, Err(NotRestored::ManyGateways { there }) if there == ["one", "two"]));
    let two = Options { gateway: Some("two".to_owned()), ..Options::default() };
    let restored = restore(&target, &world.path("new"), &two, &mut |_| {}).await.unwrap();
    assert_eq!((restored.gateway.as_str(), restored.goes_on_as), ("two", None));
    let new = world.open("new");
    assert_eq!(rows(&new), rows(&db));
    assert!(new.deliveries().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_were_not_restored_do_not_come_back_later() {
    let world = World::new();
    let db = begin(&world, "data");
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    db.collection("devices").put("d1", &json!({}), PutDocument::default()).unwrap();
    append(&db, 0, 0..9);
    world.send(&db).await;
    let (documents, schemas) = (metadata(&db), schemas(&db));
    append(&db, 1, 0..9);
    db.delivery(DELIVERY).cut(CutWhat::All).unwrap();
    let late = Timestamp::now();
    // Later than the cut that they travel with.
    db.collection("devices").put("d2", &json!({}), PutDocument::default()).unwrap();
    db.rename_table("air", "wind").unwrap();
    world.send(&db).await;
    let restored = world.restore("new", &until(late)).await.unwrap();
    assert_eq!(restored.cut, 2);
    assert!(restored.metadata_at.is_some_and(|at| at < late));
    let new = world.open("new");
    assert_eq!((rows(&new).len(), metadata(&new)), (18, documents.clone()));
    assert_eq!(super::schemas(&new), schemas);
    // It knows where its segments are, for a centre that is to be told of them again.
    let notes = new.delivery(DELIVERY).notes(b"sent_as/").unwrap();
    let sent_as: Vec<_> = notes.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect();
    assert_eq!(sent_as, ["sent_as/0/air", "sent_as/0/wind"]);
    world.send(&new).await;
    world.restore("again", &Options { incarnation: restored.goes_on_as, ..all() }).await.unwrap();
    assert_eq!(metadata(&world.open("again")), documents);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_branch_are_none_of_this_one() {
    let world = World::new();
    let db = begin(&world, "data");
    append(&db, 0, 0..9);
    world.send(&db).await;
    let restored = world.restore("new", &all()).await.unwrap();
    let new = world.open("new");
    append(&new, 2, 0..9);
    world.send(&new).await;
    append(&db, 0, 10..40);
    world.send(&db).await;
    // As if what both share was folded together with what the old one wrote later, before it was sent.
    let [shared, own] = [0, 1].map(|at| {
        world
            .objects(".parquet")
            .into_iter()
            .filter(|path| path.to_string_lossy().contains(&format!("hour0_{}", restored.incarnation)))
            .nth(at)
            .unwrap()
    });
    let name = |path: &Path| path.strip_prefix(world.path("bucket")).unwrap().to_string_lossy().parse().unwrap();
    let (Key::Segment(shared_key), Key::Segment(mut key)) = (name(&shared), name(&own)) else { panic!() };
    key.records.0 = shared_key.records.0;
    std::fs::rename(&own, world.path("bucket").join(key.to_string())).unwrap();
    std::fs::remove_file(&shared).unwrap();
    let options = Options { incarnation: restored.goes_on_as, ..all() };
    let refused = world.restore("third", &options).await.unwrap_err();
    assert!(matches!(&refused, NotRestored::Missing { units } if units.len() == 1), "{refused}");
}
