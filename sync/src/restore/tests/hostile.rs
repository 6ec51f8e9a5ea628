//! Buckets that are not what they should be: nothing that opens comes of them, unless it is right.

use std::io::Write;

use alluvium::{CollectionSpec, PutDocument};
use serde_json::{Value as Json, json};

use super::simple::{append, begin};
use super::*;
use crate::remote::{Hash, Key, Manifest};

async fn world() -> (World, State) {
    let world = World::new();
    let db = begin(&world, "data");
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    for hour in 0..2 {
        append(&db, hour, 0..9);
        db.collection("devices").put(&format!("d{hour}"), &json!({ "hour": hour }), PutDocument::default()).unwrap();
        world.send(&db).await;
    }
    let state = State::of(&db);
    (world, state)
}

/// It is refused and no database, or all that it should be.
async fn is_refused(world: &World, expected: &State, why: &str) -> bool {
    let path = world.path("tried");
    let outcome = world.restore("tried", &all()).await;
    match &outcome {
        Ok(_) => State::of(&world.open("tried")).expect(expected, why),
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            assert!(!path.join("alluvium.id").exists(), "{why}: {refused}");
        }
    }
    std::fs::remove_dir_all(path).ok();
    outcome.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_object_is_damaged_or_gone_is_noticed() {
    let (world, expected) = world().await;
    let mut random = fastrand::Rng::with_seed(7);
    assert!(!is_refused(&world, &expected, "untouched").await);
    for object in world.objects("") {
        let whole = std::fs::read(&object).unwrap();
        let name = object.display().to_string();
        for _ in 0..3 {
            let (mut damaged, at) = (whole.clone(), random.usize(..whole.len()));
            damaged[at] ^= 1 << random.u8(..8);
            std::fs::write(&object, damaged).unwrap();
            let refused = is_refused(&world, &expected, &name).await;
            // The last manifest of all is the only one that no other vouches for.
            let is_last = name.ends_with("000000000002.manifest.json");
            assert!(refused || is_last, "{name} at byte {at}");
        }
        std::fs::write(&object, &whole[..whole.len() / 2]).unwrap();
        assert!(is_refused(&world, &expected, &name).await, "{name} cut short");
        std::fs::write(&object, b"").unwrap();
        assert!(is_refused(&world, &expected, &name).await, "{name} empty");
        std::fs::remove_file(&object).unwrap();
        assert!(is_refused(&world, &expected, &name).await, "{name} gone");
        std::fs::write(&object, &whole).unwrap();
    }
    assert!(!is_refused(&world, &expected, "mended").await);
}

/// Puts other metadata into the place of those of the last cut, with a manifest that says so.
fn forge(world: &World, compressed: &[u8], keys: u64) {
    let object = world.objects("000000000002.manifest.json").remove(0);
    let mut manifest = Manifest::decode(&std::fs::read(&object).unwrap()).unwrap();
    let mut delta = manifest.metadata.unwrap();
    (delta.hash, delta.bytes, delta.keys) = (Hash::of(compressed), compressed.len() as u64, keys);
    manifest.metadata = Some(delta);
    let (gateway, incarnation) = (GATEWAY.to_owned(), manifest.incarnation);
    let key = Key::Metadata { gateway, incarnation, cut: 2, hash: delta.hash };
    std::fs::write(world.path("bucket").join(key.to_string()), compressed).unwrap();
    std::fs::write(&object, manifest.encode().unwrap()).unwrap();
}

fn packed(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn line(kind: &str, key: Json, value: Json) -> Vec<u8> {
    let mut line = json!({ "sequence": 9, "kind": kind, "key": key, "value": value }).to_string().into_bytes();
    line.push(b'\n');
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_say_what_cannot_be_are_refused() {
    let (world, _) = world().await;
    let table = |name: &str, kind: &str, tag_ids: Json| {
        json!({
            "name": name, "version": 9, "unit": "us", "partitions": "hour", "tags": ["room"], "tag_ids": tag_ids,
            "fields": [{ "name": "v", "id": 3, "type": kind }], "dropped": false,
        })
    };
    let number = |number: u32| {
        json!({
            "number": number, "soft_delete": false, "keep_deleted_ms": null, "history": 0, "compatibility": "none",
            "references": [{ "path": "a", "to": "nowhere", "on_delete": "restrict" }], "indexes": [],
        })
    };
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("no JSON", packed(b"{\"sequence\": \n")),
        ("deep", packed([vec![b'['; 100_000], b"\n".to_vec()].concat().as_slice())),
        ("no zstd", b"of somebody".to_vec()),
        ("cut short", packed(&line("series", json!(["0", "7"]), json!(["z"])))[..20].to_vec()),
        ("huge table", packed(&line("table", json!(["4000000000"]), table("x", "int64", json!([2]))))),
        ("huge series", packed(&line("series", json!(["0", "4294967295"]), json!(["z"])))),
        ("same series", packed(&line("series", json!(["0", "7"]), json!(["a"])))),
        ("other series", packed(&line("series", json!(["0", "0"]), json!(["z"])))),
        ("no key", packed(&line("series", json!([]), json!(["z"])))),
        ("no value", packed(&line("table", json!(["0"]), Json::Null))),
        ("other columns", packed(&line("table", json!(["0"]), table("air", "utf8", json!([2]))))),
        ("other ids", packed(&line("table", json!(["0"]), table("air", "int64", json!([9]))))),
        ("no ids", packed(&line("table", json!(["0"]), table("air", "int64", json!([]))))),
        ("no type", packed(&line("table", json!(["0"]), table("air", "decimal(99)", json!([2]))))),
        ("no name", packed(&line("table", json!(["0"]), table("", "int64", json!([2]))))),
        ("nowhere", packed(&line("collection", json!(["new"]), number(7)))),
        ("grants", packed(&line("role", json!(["new"]), json!({ "grants": ["fly everywhere"] })))),
        (
            "document",
            packed(&line(
                "document",
                json!(["1", ""]),
                json!({ "collection": "devices", "body": {}, "expires_at": null, "deleted_at": null }),
            )),
        ),
        ("pair", packed(&line("pair", json!(["a"]), json!({ "value": { "base64": "?" }, "expires_at": null })))),
        (
            "schema",
            packed(&line(
                "schema",
                json!(["1", "1"]),
                json!({ "collection": "devices", "schema": { "type": 7 }, "set_at": "2025-01-01T00:00:00Z" }),
            )),
        ),
    ];
    for (why, compressed) in wrong {
        forge(&world, &compressed, 1);
        let refused = world.restore("tried", &all()).await;
        assert!(refused.is_err(), "{why}");
        assert!(!world.path("tried/alluvium.id").exists(), "{why}");
        std::fs::remove_dir_all(world.path("tried")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_never_end_are_given_up() {
    let (world, _) = world().await;
    // 200 MiB in a few kilobytes: one line, and many.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    (0..200).for_each(|_| encoder.write_all(&vec![b' '; 1 << 20]).unwrap());
    let one = encoder.finish().unwrap();
    let many = zstd::encode_all(line("nothing", json!([]), Json::Null).repeat(100_000).as_slice(), 3).unwrap();
    for (compressed, keys, why) in [(one, 1, "bytes"), (many.clone(), 5, "more lines"), (many, u64::MAX, "ends there")] {
        forge(&world, &compressed, keys);
        let refused = world.restore("tried", &all()).await.unwrap_err();
        assert!(matches!(&refused, NotRestored::Line { .. }) && refused.to_string().contains(why), "{refused}");
        std::fs::remove_dir_all(world.path("tried")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_huge_numbers_are_refused() {
    let (world, _) = world().await;
    let object = world.objects("000000000002.manifest.json").remove(0);
    let whole = std::fs::read(&object).unwrap();
    type Change = fn(&mut Manifest);
    let changes: [Change; 5] = [
        |manifest| manifest.through = u64::MAX,
        |manifest| manifest.units[0].records.0 = 1,
        |manifest| manifest.metadata.iter_mut().for_each(|delta| delta.through = u64::MAX),
        |manifest| manifest.units[0].table = 9,
        |manifest| manifest.tables[0].table = u32::MAX,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut manifest = Manifest::decode(&whole).unwrap();
        change(&mut manifest);
        std::fs::write(&object, serde_json::to_vec(&manifest).unwrap()).unwrap();
        let refused = world.restore("tried", &all()).await;
        assert!(refused.is_err(), "{at}: {refused:?}");
        assert!(!world.path("tried/alluvium.id").exists());
        std::fs::remove_dir_all(world.path("tried")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_may_be_where_that_is_allowed() {
    let (world, _) = world().await;
    let mut random = fastrand::Rng::with_seed(9);
    let allowed = Options { allow_missing: true, ..all() };
    for object in world.objects("") {
        let whole = std::fs::read(&object).unwrap();
        let mut damaged = whole.clone();
        let at = random.usize(..damaged.len());
        damaged[at] ^= 0x80;
        std::fs::write(&object, &damaged).unwrap();
        let restored = world.restore("tried", &allowed).await.unwrap_or_else(|refused| panic!("{object:?}: {refused}"));
        let db = world.open("tried");
        // One for each thing that is wrong, and for the first cuts where nothing is known of them.
        let (receipts, wrong) = (db.inspect().unwrap().receipts.len(), restored.missing.len() + restored.problems.len());
        assert!(wrong > 0 && (receipts == wrong || receipts == wrong + 1), "{object:?}: {restored:?}");
        assert!(rows(&db).len() >= 9, "what is not touched is there");
        drop(db);
        std::fs::write(&object, &whole).unwrap();
        std::fs::remove_dir_all(world.path("tried")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_are_what_they_are_called_by_and_no_segments_are_errors() {
    let (world, _) = world().await;
    let object = world.objects(".parquet").remove(0);
    let whole = std::fs::read(&object).unwrap();
    let name = object.strip_prefix(world.path("bucket")).unwrap().to_string_lossy().into_owned();
    let Ok(Key::Segment(key)) = name.parse() else { panic!() };
    std::fs::remove_file(&object).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let mut refused = 0;
    for _ in 0..300 {
        let mut forged = whole.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..forged.len());
            forged[at] = random.u8(..);
        }
        if random.u8(..10) == 0 {
            forged.truncate(random.usize(..forged.len()));
        }
        let key = crate::remote::SegmentKey { hash: Hash::of(&forged), ..key.clone() };
        let path = world.path("bucket").join(key.to_string());
        std::fs::write(&path, &forged).unwrap();
        match world.restore("tried", &all()).await {
            Ok(_) => {}
            Err(NotRestored::Task(panicked)) => panic!("{panicked}"),
            Err(_) => {
                refused += 1;
                assert!(!world.path("tried/alluvium.id").exists());
            }
        }
        std::fs::remove_dir_all(world.path("tried")).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    assert!(refused > 50, "{refused} of 300");
}
