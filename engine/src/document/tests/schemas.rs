//! Schemas: validation, versions, compatibility.

use super::*;
use crate::Compatibility;

#[test]
fn a_document_that_its_schema_does_not_allow_is_refused_with_path_and_rule() {
    let db = with(CollectionSpec::new("devices"));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["serial"],
        "properties": {"serial": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}, "ports": {"items": {"maximum": 65535}}},
    });
    assert_eq!(db.collections().set_schema("devices", &schema).unwrap(), 1);
    let mut devices = db.collection("devices");
    devices.put("a", &json!({"serial": "AB1", "ports": [80]}), how()).unwrap();
    let refused = devices.put("b", &json!({"serial": "AB1", "ports": [80, 70_000]}), how()).unwrap_err();
    let Error::InvalidDocument(invalid) = &refused else { panic!("{refused}") };
    let crate::error::InvalidDocument { collection, id, path, rule, .. } = &**invalid;
    let told = (collection.as_str(), id.as_str(), path.as_str(), rule.as_str());
    assert_eq!(told, ("devices", "b", "/ports/1", "/properties/ports/items/maximum"));
    assert!(refused.to_string().contains("70000 is greater than the maximum of 65535"), "{refused}");
    assert!(matches!(devices.put("b", &json!({"serial": "x"}), how()), Err(Error::InvalidDocument(_))));
    assert!(matches!(devices.merge("a", &json!({"serial": null}), IfRevision::Any), Err(Error::InvalidDocument(_))));
    assert_eq!(devices.get("b").unwrap(), None);
}

#[test]
fn what_is_no_schema_is_refused() {
    let db = with(CollectionSpec::new("devices"));
    for bad in [
        json!({"type": "thing"}),
        json!({"required": "serial"}),
        json!({"pattern": "("}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "#/$defs/nothing"}),
        json!(7),
    ] {
        let refused = db.collections().set_schema("devices", &bad).unwrap_err();
        assert!(refused.to_string().starts_with("this is no JSON Schema of draft 2020-12"), "{bad}: {refused}");
    }
    assert_eq!(db.collections().schemas("devices").unwrap(), []);
}

#[test]
fn versions_are_kept_and_the_newest_holds() {
    let (disk, clock, db) = begin();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    clock.set_wall(77);
    let (first, second) = (json!({"type": "object"}), json!({"type": "string"}));
    assert_eq!(db.collections().set_schema("devices", &first).unwrap(), 1);
    assert_eq!(db.collections().set_schema("devices", &first).unwrap(), 1, "the same is no new version");
    db.collection("devices").put("a", &json!({}), how()).unwrap();
    clock.set_wall(78);
    assert_eq!(db.collections().set_schema("devices", &second).unwrap(), 2);
    let db = open(&disk.after_power_cut(), &clock);
    let versions = db.collections().schemas("devices").unwrap();
    let versions: Vec<_> = versions.iter().map(|version| (version.version, &version.schema, version.set_at)).collect();
    assert_eq!(versions, [(1, &first, 77), (2, &second, 78)]);
    assert!(db.collection("devices").put("b", &json!({}), how()).is_err());
    db.collection("devices").put("b", &json!(""), how()).unwrap();
    assert_eq!(content(db.collection("devices").get("a").unwrap()), Some(json!({})), "what is there stays");
    db.collections().remove_schema("devices").unwrap();
    db.collection("devices").put("b", &json!(1), how()).unwrap();
}

/// Whether each change of a schema is allowed under each compatibility.
#[test]
fn versions_agree_as_the_collection_asks() {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let text = json!({"type": "string"});
    let changes = [
        // One more property is asked for: old documents lack it.
        (object(json!({"a": text}), json!(["a"])), object(json!({"a": text, "b": text}), json!(["a", "b"])), false, true),
        // One fewer is asked for.
        (object(json!({"a": text}), json!(["a"])), object(json!({"a": text}), json!([])), true, false),
        // Wider and narrower values.
        (json!({"type": "integer"}), json!({"type": "number"}), true, false),
        (json!({"maximum": 10}), json!({"maximum": 9}), false, true),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]}), true, false),
        // Said otherwise.
        (json!({"minimum": 1, "maximum": 1}), json!({"allOf": [{"minimum": 1}, {"maximum": 1}]}), true, true),
        (json!({"type": "string"}), json!({"type": "string", "title": "a name"}), true, true),
        // Something else.
        (json!({"type": "string"}), json!({"type": "integer"}), false, false),
    ];
    for (old, new, backward, forward) in changes {
        for (compatibility, allowed) in [
            (Compatibility::None, true),
            (Compatibility::Backward, backward),
            (Compatibility::Forward, forward),
            (Compatibility::Full, backward && forward),
        ] {
            let db = with(CollectionSpec::new("devices").compatibility(compatibility));
            db.collections().set_schema("devices", &old).unwrap();
            let set = db.collections().set_schema("devices", &new);
            assert_eq!(set.is_ok(), allowed, "{compatibility:?}: {old} → {new}: {set:?}");
            if let Err(error) = set {
                assert!(matches!(error, Error::Incompatible { version: 1, .. }), "{error}");
                assert_eq!(db.collections().schemas("devices").unwrap().len(), 1);
            }
        }
    }
}

#[test]
fn an_incompatible_schema_names_what_would_be_refused() {
    let db = with(CollectionSpec::new("devices").compatibility(Compatibility::Backward));
    db.collections().set_schema("devices", &json!({"type": "string"})).unwrap();
    let refused = db.collections().set_schema("devices", &json!({"type": "string", "maxLength": 50})).unwrap_err();
    let text = "the schema is not backward compatible with version 1 of collection \"devices\": documents that version 1 allows \
        would be refused: those of the schema {\"type\":\"string\",\"minLength\":51}";
    assert_eq!(refused.to_string(), text);
    db.collections().set_compatibility("devices", Compatibility::None).unwrap();
    assert_eq!(db.collections().set_schema("devices", &json!({"type": "string", "maxLength": 50})).unwrap(), 2);
}
