//! References: restrict, cascade, set null; through chains and circles.

use super::*;
use crate::OnDelete;

/// Sites, and devices that refer to them and to each other.
fn sites(on_delete: OnDelete) -> Database {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("sites")).unwrap();
    let spec = CollectionSpec::new("devices");
    let spec = spec.reference("site", "sites", on_delete).unwrap().reference("/parts/parent", "devices", on_delete).unwrap();
    db.collections().create(spec).unwrap();
    for site in ["a", "b"] {
        db.collection("sites").put(site, &json!({}), how()).unwrap();
    }
    let mut devices = db.collection("devices");
    devices.put("1", &json!({"site": "a"}), how()).unwrap();
    devices.put("2", &json!({"site": "b", "parts": {"parent": "1"}}), how()).unwrap();
    devices.put("3", &json!({"site": null, "parts": {"parent": "2"}}), how()).unwrap();
    devices.put("4", &json!({"site": "b"}), how()).unwrap();
    db
}

fn ids(db: &Database) -> Vec<String> {
    let page = db.collection("devices").query(&crate::DocumentQuery::new()).unwrap();
    page.documents.into_iter().map(|document| document.id).collect()
}

#[test]
fn what_is_referred_to_is_there() {
    let db = sites(OnDelete::Restrict);
    let mut devices = db.collection("devices");
    let mut told = |content: Value| devices.put("x", &content, how()).unwrap_err().to_string();
    let begins = "document \"x\" of collection \"devices\" refers at /site to collection";
    assert_eq!(told(json!({"site": "c"})), format!("{begins} \"sites\": there is no document \"c\""));
    assert_eq!(told(json!({"site": 7})), format!("{begins} \"\": 7 is no id"));
    db.collection("sites").put("t", &json!({}), how().time_to_live(std::time::Duration::from_secs(9))).unwrap();
    assert_eq!(told(json!({"site": "t"})), format!("{begins} \"sites\": document \"t\" expires"));
    assert_eq!(ids(&db), ["1", "2", "3", "4"]);
    // To itself, and within one transaction in any order that holds at each step.
    db.collection("devices").put("x", &json!({"parts": {"parent": "x"}}), how()).unwrap();
    assert!(db.collection("devices").delete("x", IfRevision::Any).unwrap());
    let expiring = db.collection("sites").put("a", &json!({}), how().time_to_live(std::time::Duration::from_secs(9)));
    assert!(matches!(expiring, Err(Error::Referenced { .. })));
}

#[test]
fn restrict_keeps_what_is_referred_to() {
    let db = sites(OnDelete::Restrict);
    let refused = db.collection("sites").delete("a", IfRevision::Any).unwrap_err();
    let text = "document \"a\" of collection \"sites\" is referred to by document \"1\" of collection \"devices\"";
    assert_eq!(refused.to_string(), text);
    assert!(db.collection("sites").purge("a").is_err());
    assert!(db.collection("devices").delete("1", IfRevision::Any).is_err());
    assert_eq!(ids(&db), ["1", "2", "3", "4"]);
    assert!(db.collection("sites").get("a").unwrap().is_some());
    for device in ["3", "2", "1"] {
        assert!(db.collection("devices").delete(device, IfRevision::Any).unwrap());
    }
    assert!(db.collection("sites").delete("a", IfRevision::Any).unwrap());
}

#[test]
fn cascade_takes_all_that_refers() {
    let db = sites(OnDelete::Cascade);
    assert!(db.collection("sites").delete("a", IfRevision::Any).unwrap());
    assert_eq!(ids(&db), ["4"]);
    // A circle.
    let mut devices = db.collection("devices");
    devices.put("5", &json!({}), how()).unwrap();
    devices.put("6", &json!({"parts": {"parent": "5"}}), how()).unwrap();
    devices.put("5", &json!({"parts": {"parent": "6"}}), how()).unwrap();
    assert!(devices.delete("5", IfRevision::Any).unwrap());
    assert_eq!(ids(&db), ["4"]);
}

#[test]
fn set_null_lets_go() {
    let db = sites(OnDelete::SetNull);
    assert!(db.collection("sites").delete("b", IfRevision::Any).unwrap());
    assert!(db.collection("devices").delete("1", IfRevision::Any).unwrap());
    let get = |id: &str| content(db.collection("devices").get(id).unwrap());
    assert_eq!(get("2"), Some(json!({"site": null, "parts": {"parent": null}})));
    assert_eq!(get("3"), Some(json!({"site": null, "parts": {"parent": "2"}})));
    assert_eq!(get("4"), Some(json!({"site": null})));
    // What the schema does not allow keeps the other document.
    db.collections()
        .set_schema("devices", &json!({"properties": {"parts": {"properties": {"parent": {"type": "string"}}}}}))
        .unwrap();
    assert!(matches!(db.collection("devices").delete("2", IfRevision::Any), Err(Error::InvalidDocument(_))));
    assert!(get("2").is_some());
}

#[test]
fn a_deletion_too_large_for_one_is_refused_whole() {
    let db = sites(OnDelete::Cascade);
    let many = (0..10_000).map(|n| (Some(format!("m{n}")), json!({"site": "a"}))).collect();
    assert_eq!(db.collection("devices").put_many(many).unwrap().stored.len(), 10_000);
    let refused = db.collection("sites").delete("a", IfRevision::Any).unwrap_err();
    assert_eq!(refused.to_string(), "documents that one deletion changes is 10001, the limit is 10000");
    assert_eq!(db.collection("devices").count(crate::Where::all()).unwrap(), 10_004);
}

#[test]
fn deleted_softly_they_refer_to_nothing_until_restored() {
    let (_, _, db) = begin();
    db.collections().create(CollectionSpec::new("sites").soft_delete(None)).unwrap();
    let spec = CollectionSpec::new("devices").soft_delete(None).reference("site", "sites", OnDelete::Restrict).unwrap();
    db.collections().create(spec).unwrap();
    db.collection("sites").put("a", &json!({}), how()).unwrap();
    db.collection("devices").put("1", &json!({"site": "a"}), how()).unwrap();
    assert!(db.collection("devices").delete("1", IfRevision::Any).unwrap());
    assert!(db.collection("sites").delete("a", IfRevision::Any).unwrap());
    assert!(matches!(db.collection("devices").restore("1"), Err(Error::BrokenReference(_))));
    db.collection("sites").restore("a").unwrap();
    db.collection("devices").restore("1").unwrap();
    assert!(matches!(db.collection("sites").delete("a", IfRevision::Any), Err(Error::Referenced { .. })));
}

#[test]
fn who_has_expired_neither_keeps_nor_is_kept() {
    let expired = |on_delete| {
        let db = sites(on_delete);
        let site = json!({"site": "a", "parts": {"parent": "4"}});
        db.collection("devices").put("1", &site, how().time_to_live(std::time::Duration::ZERO)).unwrap_err();
        for device in ["3", "2", "1"] {
            db.collection("devices").purge(device).unwrap();
        }
        db.collection("devices").put("1", &site, how().time_to_live(std::time::Duration::ZERO)).unwrap();
        db
    };
    for on_delete in [OnDelete::Restrict, OnDelete::Cascade, OnDelete::SetNull] {
        let db = expired(on_delete);
        assert!(db.collection("devices").delete("4", IfRevision::Any).unwrap(), "{on_delete:?}");
        assert!(db.collection("sites").delete("a", IfRevision::Any).unwrap(), "{on_delete:?}");
        while db.background_step(crate::BackgroundStep::Expire).unwrap() {}
        assert_eq!(ids(&db), [""; 0]);
        assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, []);
    }
}
