//! HTTP end to end: the real binary, tokens, and every path of the API.

use alluvium_tests::binary::succeed;
use alluvium_tests::gateway::Gateway;
use alluvium_tests::http::{ask, ask_json, raw};
use serde_json::{Value, json};

#[test]
fn only_who_has_a_token_is_answered() {
    let gateway = Gateway::new();
    let get = |headers: &[(&str, &str)]| ask(gateway.http, "GET", "/api/v1/kv", headers, b"");
    let without = get(&[]);
    assert_eq!((without.status, without.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(without.header("content-type"), Some("application/problem+json"));
    assert!(without.json()["detail"].as_str().unwrap().contains("alluvium token issue"));
    assert_eq!(get(&[("authorization", "Bearer nonsense")]).status, 401);
    assert_eq!(get(&[("authorization", &format!("Basic {}", gateway.admin))]).status, 401);
    assert_eq!(get(&[("authorization", &format!("Token {}", gateway.admin))]).status, 200, "as Influx clients say it");
    // A token that is revoked holds no more, nor one of a principal that is disabled.
    let tokens = gateway.done(200, "GET", "/tokens", Value::Null);
    let of = |name: &str| tokens["tokens"].as_array().unwrap().iter().find(|one| one["principal"] == name).unwrap()["id"].clone();
    gateway.done(204, "DELETE", &format!("/tokens/{}", of("bob").as_str().unwrap()), Value::Null);
    assert_eq!(ask_json(gateway.http, &gateway.reader, "GET", "/kv", &Value::Null).0, 401);
    gateway.done(404, "DELETE", "/tokens/none", Value::Null);
    gateway.done(200, "PUT", "/principals/pump-7", json!({ "roles": ["device"], "disabled": true }));
    assert_eq!(ask_json(gateway.http, &gateway.device, "GET", "/kv", &Value::Null).0, 401);
    // Nobody is told what there is without being allowed to.
    let answer = gateway.done(201, "POST", "/tokens", json!({ "principal": "bob", "label": "new" }));
    let reader = answer["token"].as_str().unwrap();
    let (status, problem) = ask_json(gateway.http, reader, "PUT", "/kv/a", &json!({ "value": "1" }));
    assert_eq!((status, problem["code"].as_str()), (403, Some("Refused")));
    assert_eq!(ask_json(gateway.http, reader, "GET", "/principals", &Value::Null).0, 403);
    assert_eq!(ask_json(gateway.http, reader, "GET", "/principals/bob", &Value::Null).0, 200);
    let dir = gateway.end();
    let trail = succeed(dir.path(), ["audit", "list", "--json"]);
    for told in ["\"what\":\"token.revoke\"", "\"what\":\"principal.put\"", "\"object\":\"key:a\",\"outcome\":\"refused\""] {
        assert!(trail.contains(told), "{told}: {trail}");
    }
}

#[test]
fn pairs() {
    let gateway = Gateway::new();
    let put = gateway.done(200, "PUT", "/kv/pump%2Fstate", json!({ "value": "on", "expires_in_seconds": 3600 }));
    let revision = put["revision"].as_u64().unwrap();
    let pair = gateway.done(200, "GET", "/kv/pump%2Fstate", Value::Null);
    assert_eq!((&pair["key"], &pair["value"], pair["revision"].as_u64()), (&json!("pump/state"), &json!("on"), Some(revision)));
    assert!(pair["expires_in_seconds"].as_f64().unwrap() > 3_500.0);
    gateway.done(409, "PUT", "/kv/pump%2Fstate", json!({ "value": "off", "if_absent": true }));
    gateway.done(409, "PUT", "/kv/pump%2Fstate", json!({ "value": "off", "if_revision": revision + 1 }));
    gateway.done(200, "PUT", "/kv/pump%2Fstate", json!({ "base64": "/wA=", "if_revision": revision }));
    assert_eq!(gateway.done(200, "GET", "/kv/pump%2Fstate", Value::Null)["base64"], "/wA=");
    assert_eq!(gateway.done(200, "POST", "/kv/n/increment", json!({ "by": 3 }))["value"], 3);
    assert_eq!(gateway.done(200, "POST", "/kv/n/increment", json!({ "by": -5 }))["value"], -2);
    for wrong in
        [json!({}), json!({ "value": "a", "base64": "/wA=" }), json!({ "base64": "!" }), json!({ "value": "a", "ttl": 5 })]
    {
        let (status, problem) = gateway.ask("PUT", "/kv/x", wrong);
        assert!(status == 400 || status == 422, "{status} {problem}");
    }
    gateway.done(200, "PUT", "/kv/m", json!({ "value": "" }));
    let page = gateway.done(200, "GET", "/kv?limit=2", Value::Null);
    assert_eq!((page["pairs"].as_array().unwrap().len(), &page["next"]), (2, &json!("n")));
    let page = gateway.done(200, "GET", "/kv?after=n", Value::Null);
    assert_eq!((&page["pairs"][0]["key"], &page["next"]), (&json!("pump/state"), &Value::Null));
    assert_eq!(gateway.done(200, "GET", "/kv?beginning=pump&backward=true", Value::Null)["pairs"].as_array().unwrap().len(), 1);
    gateway.done(200, "DELETE", "/kv/n", Value::Null);
    gateway.done(404, "DELETE", "/kv/n", Value::Null);
    gateway.done(404, "GET", "/kv/n", Value::Null);
    gateway.end();
}

#[test]
fn queues() {
    let gateway = Gateway::new();
    gateway.done(404, "POST", "/queues/q/push", json!({ "items": [] }));
    gateway.done(
        201,
        "PUT",
        "/queues/q",
        json!({ "lease_seconds": 60, "tries": 2, "back_off_seconds": 0, "back_off_limit_seconds": 0 }),
    );
    gateway.done(204, "PUT", "/queues/q", json!({ "tries": 1, "back_off_seconds": 0 }));
    let items = json!({ "items": [{ "payload": "late" }, { "payload": "first", "priority": 9, "key": "k" }, { "payload": "x", "key": "k" }] });
    let pushed = gateway.done(201, "POST", "/queues/q/push", items);
    assert_eq!(pushed["items"][2]["duplicate"], true);
    assert_eq!(gateway.done(200, "GET", "/queues/q/items", Value::Null)["items"].as_array().unwrap().len(), 2);
    let popped = gateway.done(200, "POST", "/queues/q/pop", json!({ "at_most": 5 }));
    let leases: Vec<&str> = popped["items"].as_array().unwrap().iter().map(|item| item["lease"].as_str().unwrap()).collect();
    assert_eq!((popped["items"][0]["payload"].as_str(), leases.len()), (Some("first"), 2));
    gateway.done(204, "POST", "/queues/q/extend", json!({ "leases": leases, "seconds": 90 }));
    gateway.done(204, "POST", "/queues/q/ack", json!({ "leases": [leases[0]] }));
    gateway.done(409, "POST", "/queues/q/ack", json!({ "leases": [leases[0]] }));
    let nacked = gateway.done(200, "POST", "/queues/q/nack", json!({ "leases": [leases[1]] }));
    assert_eq!(nacked["items"][0]["outcome"], "dead");
    let dead = gateway.done(200, "GET", "/queues/q/dead", Value::Null);
    let requeued = gateway.done(200, "POST", "/queues/q/requeue", json!({ "items": [dead["items"][0]["id"]] }));
    assert_eq!(requeued, json!({ "items": 1 }));
    assert_eq!(gateway.done(200, "GET", "/queues/q", Value::Null)["ready"], 1);
    assert_eq!(gateway.done(200, "POST", "/queues/q/pop", Value::Null)["items"][0]["payload"], "late");
    assert_eq!(gateway.done(200, "POST", "/queues/q/pop", Value::Null)["items"], json!([]));
    assert_eq!(gateway.done(200, "GET", "/queues", Value::Null)["queues"][0]["queue"], "q");
    gateway.done(204, "DELETE", "/queues/q", Value::Null);
    gateway.done(404, "GET", "/queues/q", Value::Null);
    gateway.end();
}

#[test]
fn documents_and_their_collections() {
    let gateway = Gateway::new();
    let index = json!({ "soft_delete": true, "history": 3, "indexes": [{ "name": "by_room", "paths": ["room"] }] });
    gateway.done(201, "PUT", "/collections/devices", index);
    gateway.done(409, "PUT", "/collections/devices", Value::Null);
    let schema = json!({ "type": "object", "properties": { "kw": { "type": "number" } } });
    assert_eq!(gateway.done(200, "PUT", "/collections/devices/schema", schema)["version"], 1);
    let first = gateway.done(200, "PUT", "/collections/devices/documents/a?if_absent=true", json!({ "room": "A", "kw": 1 }));
    gateway.done(409, "PUT", "/collections/devices/documents/a?if_absent=true", json!({ "room": "A" }));
    let (_, problem) = gateway.ask("PUT", "/collections/devices/documents/b", json!({ "kw": "much" }));
    assert!(problem["detail"].as_str().unwrap().contains("/kw"), "{problem}");
    let many = json!({ "documents": [{ "id": "b", "document": { "room": "B" } }, { "id": "c", "document": { "kw": "x" } }, { "document": {} }] });
    let stored = gateway.done(200, "POST", "/collections/devices/documents", many);
    assert_eq!((&stored["stored"], &stored["failed"], &stored["errors"][0]["id"]), (&json!(2), &json!(1), &json!("c")));
    let revision = first["revision"].as_u64().unwrap();
    gateway.done(409, "PATCH", &format!("/collections/devices/documents/a?if_revision={}", revision + 1), json!({ "kw": 2 }));
    gateway.done(200, "PATCH", &format!("/collections/devices/documents/a?if_revision={revision}"), json!({ "kw": 2 }));
    let read = gateway.done(200, "GET", "/collections/devices/documents/a", Value::Null);
    assert_eq!(read["document"], json!({ "room": "A", "kw": 2 }));
    assert_eq!(
        gateway.done(200, "GET", "/collections/devices/documents/a/history", Value::Null)["documents"].as_array().unwrap().len(),
        1
    );
    let found = gateway.done(
        200,
        "POST",
        "/collections/devices/query",
        json!({ "where": ["room in [\"A\",\"B\"]"], "order": ["room:desc"], "limit": 1 }),
    );
    assert_eq!(found["documents"][0]["id"], "b");
    let rest = gateway.done(
        200,
        "POST",
        "/collections/devices/query",
        json!({ "where": ["room in [\"A\",\"B\"]"], "order": ["room:desc"], "after": found["next"] }),
    );
    assert_eq!(rest["documents"][0]["id"], "a");
    assert_eq!(gateway.done(200, "POST", "/collections/devices/query", json!({ "count": true }))["count"], 3);
    gateway.done(400, "POST", "/collections/devices/query", json!({ "where": ["room"] }));
    gateway.done(204, "DELETE", "/collections/devices/documents/a", Value::Null);
    gateway.done(404, "GET", "/collections/devices/documents/a", Value::Null);
    gateway.done(200, "POST", "/collections/devices/documents/a/restore", Value::Null);
    gateway.done(200, "GET", "/collections/devices/documents/a", Value::Null);
    assert_eq!(gateway.done(200, "GET", "/collections", Value::Null)["collections"][0]["documents"], 3);
    gateway.done(204, "DELETE", "/collections/devices", Value::Null);
    gateway.done(404, "GET", "/collections/devices", Value::Null);
    gateway.end();
}

#[test]
fn tables_roles_and_principals() {
    let gateway = Gateway::new();
    let columns = json!({ "tags": ["room"], "fields": [{ "name": "kw", "type": "float64" }], "time_unit": "ms" });
    gateway.done(201, "PUT", "/tables/air", columns.clone());
    gateway.done(409, "PUT", "/tables/air", columns);
    gateway.done(400, "PUT", "/tables/odd", json!({ "fields": [{ "name": "kw", "type": "large" }] }));
    let changed =
        gateway.done(200, "PATCH", "/tables/air", json!({ "name": "rooms", "fields": [{ "name": "note", "type": "utf8" }] }));
    assert_eq!(
        (&changed["name"], changed["fields"].as_array().unwrap().len(), &changed["time_unit"]),
        (&json!("rooms"), 2, &json!("ms"))
    );
    gateway.done(404, "GET", "/tables/air", Value::Null);
    assert_eq!(gateway.done(200, "GET", "/tables", Value::Null)["tables"][0]["name"], "rooms");
    gateway.done(200, "PUT", "/roles/tech", json!({ "grants": ["read table:rooms"] }));
    gateway.done(400, "PUT", "/roles/tech", json!({ "grants": ["fly table:rooms"] }));
    gateway.done(200, "PUT", "/principals/tim", json!({ "roles": ["tech"], "grants": ["write key:tim/*"] }));
    assert_eq!(gateway.done(200, "GET", "/principals/tim", Value::Null)["roles"], json!(["tech"]));
    assert!(
        gateway.done(200, "GET", "/roles", Value::Null)["roles"].as_array().unwrap().iter().any(|role| role["name"] == "tech")
    );
    gateway.done(204, "DELETE", "/principals/tim", Value::Null);
    gateway.done(404, "GET", "/principals/tim", Value::Null);
    gateway.done(204, "DELETE", "/roles/tech", Value::Null);
    gateway.done(204, "DELETE", "/tables/rooms", Value::Null);
    let page = gateway.done(200, "GET", "/audit?limit=3", Value::Null);
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next"]), (3, &json!("3")));
    let rest = gateway.done(200, "GET", "/audit?after=3&limit=1", Value::Null);
    assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["entries"][0]["number"]), (1, &json!(4)));
    assert_eq!(gateway.done(200, "GET", "/certificates", Value::Null)["certificates"], json!([]));
    gateway.end();
}

/// All entries of a list, page by page, each as its name.
fn pages(gateway: &Gateway, path: &str, list: &str, name: &str, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = gateway.done(200, "GET", &format!("{path}?limit={limit}{after}"), Value::Null);
        let entries = page[list].as_array().unwrap();
        assert!(entries.len() <= limit);
        all.extend(entries.iter().map(|entry| entry[name].as_str().map_or_else(|| entry[name].to_string(), str::to_owned)));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

#[test]
fn lists_are_read_page_by_page() {
    let gateway = Gateway::new();
    let names: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
    for name in names.iter().rev() {
        gateway.done(201, "PUT", &format!("/tables/{name}"), json!({}));
        gateway.done(201, "PUT", &format!("/queues/{name}"), json!({ "tries": 1, "back_off_seconds": 0 }));
        gateway.done(201, "PUT", &format!("/collections/{name}"), json!({ "history": 9 }));
        gateway.done(200, "PUT", &format!("/roles/{name}"), json!({ "grants": [] }));
        gateway.done(200, "PUT", &format!("/principals/{name}"), json!({}));
        gateway.done(200, "PUT", &format!("/kv/{name}"), json!({ "value": "" }));
    }
    for name in &names {
        gateway.done(200, "PUT", "/collections/n0/documents/a", json!({ "n": name }));
    }
    let lists = [("tables", "name"), ("queues", "queue"), ("collections", "collection")];
    for limit in [1, 3, 7, 1_000] {
        for (list, name) in lists {
            assert_eq!(pages(&gateway, &format!("/{list}"), list, name, limit), names, "{list} by {limit}");
        }
        assert_eq!(pages(&gateway, "/kv", "pairs", "key", limit), names);
        for (path, list) in [("/principals", "principals"), ("/roles", "roles")] {
            let found = pages(&gateway, path, list, "name", limit);
            assert!(found.is_sorted() && names.iter().all(|name| found.contains(name)), "{found:?}");
        }
        let versions = pages(&gateway, "/collections/n0/documents/a/history", "documents", "revision", limit);
        let newest_first = versions.windows(2).all(|pair| pair[0].parse::<u64>().unwrap() > pair[1].parse().unwrap());
        assert!(versions.len() == 6 && newest_first, "{versions:?}");
        assert_eq!(pages(&gateway, "/tokens", "tokens", "id", limit).len(), 4, "of this test's three, and the command line's");
    }
    let items: Vec<_> = (0..5).map(|n| json!({ "payload": n.to_string() })).collect();
    gateway.done(201, "POST", "/queues/n1/push", json!({ "items": items }));
    let popped = gateway.done(200, "POST", "/queues/n1/pop", json!({ "at_most": 5 }));
    let leases: Vec<_> = popped["items"].as_array().unwrap().iter().map(|item| item["lease"].clone()).collect();
    gateway.done(200, "POST", "/queues/n1/nack", json!({ "leases": leases }));
    assert_eq!(pages(&gateway, "/queues/n1/dead", "items", "payload", 2), ["0", "1", "2", "3", "4"]);
    for wrong in ["/kv?limit=0", "/tables?limit=1001", "/audit?after=x", "/queues?from=1", "/queues/n1/items?limit=-1"] {
        gateway.done(400, "GET", wrong, Value::Null);
    }
    gateway.end();
}

/// What the document says of paths and methods is what the server does.
#[test]
fn the_document_of_the_api_names_every_method() {
    let gateway = Gateway::new();
    let document = gateway.done(200, "GET", "/openapi.json", Value::Null);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30);
    for (path, described) in paths {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let bearer = format!("Bearer {}", gateway.reader);
            let headers = [("authorization", bearer.as_str())];
            let status = ask(gateway.http, method, &path.replace(['{', '}'], ""), &headers, b"").status;
            assert_eq!(status != 405, described.get(method.to_lowercase()).is_some(), "{method} {path}: {status}");
        }
    }
    assert_eq!(ask(gateway.http, "GET", "/api/v1/openapi.json", &[], b"").status, 401);
    gateway.end();
}

#[test]
fn health_requests_and_what_is_none() {
    let gateway = Gateway::new();
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(ask(gateway.http, "GET", path, &[], b"").status, 200, "{path}");
    }
    let named = ask(gateway.http, "GET", "/health/live", &[("x-request-id", "mine-1")], b"");
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    let (one, other) = (ask(gateway.http, "GET", "/health/live", &[], b""), ask(gateway.http, "GET", "/health/live", &[], b""));
    assert!(one.header("x-request-id").is_some() && one.header("x-request-id") != other.header("x-request-id"));
    gateway.done(404, "GET", "/nothing", Value::Null);
    gateway.done(405, "POST", "/kv/a", Value::Null);
    let bearer = format!("Bearer {}", gateway.admin);
    let json = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let put = |body: &[u8]| ask(gateway.http, "PUT", "/api/v1/kv/a", &json, body);
    for garbage in [&b"{"[..], b"\xff\xff", b"[]", b"null", b"{\"value\": 1}"] {
        let answer = put(garbage);
        assert!((400..500).contains(&answer.status), "{garbage:?}: {}", answer.status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(put(&vec![b' '; 5 << 20]).status, 413);
    assert_eq!(ask(gateway.http, "PUT", "/api/v1/kv/a", &json[..1], b"{}").status, 415);
    assert_eq!(ask(gateway.http, "GET", "/api/v1/kv/%ff", &json, b"").status, 400);
    assert_eq!(raw(gateway.http, b"nonsense\r\n\r\n").status, 400);
    assert_eq!(gateway.done(200, "GET", "/kv", Value::Null)["pairs"], json!([]), "nothing of all that was done");
    gateway.end();
}
