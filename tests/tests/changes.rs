//! The change feed of a served database, pushed over QUIC and as server-sent events, and pops that wait: the real binary.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use alluvium_protocol::frame::BODY;
use alluvium_protocol::message::{AnswerHead, Call};
use alluvium_tests::binary::succeed;
use alluvium_tests::http::{ask, ask_json};
use alluvium_tests::served::Served;
use alluvium_tests::wire::{Talk, Wire};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

async fn calling(wire: &Wire, path: &str) -> Talk {
    let call = Call { method: "GET".to_owned(), path: path.to_owned(), body: Vec::new() };
    let mut talk = wire.begin(&call).await;
    assert_eq!(talk.hear_a::<AnswerHead>().await.status, 200);
    talk
}

/// The lines of the next piece of an answer.
async fn lines(talk: &mut Talk) -> Vec<Value> {
    let frame = talk.hear().await.unwrap();
    assert_eq!(frame.kind, BODY);
    let text = String::from_utf8(frame.payload).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn changes_are_pushed_as_they_happen_and_taken_up_where_they_broke_off() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--dev"]);
    run(async {
        let (wire, _greeting, _) = Wire::connect(served.at, None).await.unwrap();
        let mut talk = calling(&wire, "/changes?follow=true&prefix=pump/").await;
        assert_eq!(wire.call("PUT", "/kv/other", &json!({ "value": "no" })).await.0, 200);
        assert_eq!(wire.call("PUT", "/kv/pump%2F7", &json!({ "value": "on" })).await.0, 200);
        let first = lines(&mut talk).await.remove(0);
        assert_eq!((&first["events"][0]["key"], &first["events"][0]["value"]), (&json!("pump/7"), &json!("on")));
        drop(talk);
        assert_eq!(wire.call("PUT", "/kv/pump%2F8", &json!({ "value": "off" })).await.0, 200);
        let from = first["sequence"].as_u64().unwrap() + 1;
        let mut rest = calling(&wire, &format!("/changes?prefix=pump/&from={from}")).await;
        let found = lines(&mut rest).await;
        assert_eq!((found.len(), &found[0]["events"][0]["key"]), (1, &json!("pump/8")));
        assert_ne!(rest.hear().await.unwrap().kind, BODY, "without follow it ends with what there is");

        // A cursor remembers how far somebody came.
        let through = found[0]["sequence"].as_u64().unwrap();
        assert_eq!(wire.call("PUT", "/cursors/mirror", &json!({ "through": from })).await.0, 200);
        let moved = wire.call("PUT", "/cursors/mirror", &json!({ "through": through })).await;
        assert_eq!(moved, (200, json!({ "name": "mirror", "through": through })));
        let back = wire.call("PUT", "/cursors/mirror", &json!({ "through": 1 })).await;
        assert_eq!(back, (200, json!({ "name": "mirror", "through": through })), "it never goes back");
        assert_eq!(wire.call("PUT", "/kv/pump%2F9", &json!({ "value": "on" })).await.0, 200);
        let found = lines(&mut calling(&wire, "/changes?cursor=mirror&kind=pairs").await).await;
        assert_eq!((found.len(), &found[0]["events"][0]["key"]), (1, &json!("pump/9")));
        assert_eq!(wire.call("DELETE", "/cursors/mirror", &Value::Null).await.0, 204);
        assert_eq!(wire.call("DELETE", "/cursors/mirror", &Value::Null).await.0, 404);
        for wrong in ["/changes?from=999999", "/changes?kind=nonsense", "/changes?cursor=none", "/changes?what=x"] {
            assert!(wire.call("GET", wrong, &Value::Null).await.0 >= 400, "{wrong}");
        }
        // Who follows when the server ends is told so, and does not hold it up.
        let mut last = calling(&wire, "/changes?follow=true&prefix=none/").await;
        served.signal("TERM");
        let said = lines(&mut last).await;
        assert_eq!(said[0]["failed"]["code"], "Closing", "{said:?}");
    });
    assert!(served.end().success());
}

/// Reads events from a connection of its own until one has this name; what it says.
fn event(stream: &mut impl BufRead, name: &str) -> (u64, Value) {
    let (mut found, mut id) = (false, 0);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream ended");
        match line.trim_end().split_once(": ") {
            Some(("event", said)) => found = said == name,
            Some(("id", said)) => id = said.parse().unwrap(),
            Some(("data", said)) if found => return (id, serde_json::from_str(said).unwrap()),
            _ => {}
        }
    }
}

fn events(http: SocketAddr, token: &str, path: &str, more: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = format!(
        "GET /api/v1{path} HTTP/1.1\r\nhost: {http}\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    BufReader::new(stream)
}

#[test]
fn what_somebody_may_not_see_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let token = |name: &str, role: &str| {
        succeed(dir.path(), ["user", "add", name, "--role", role]);
        succeed(dir.path(), ["token", "issue", name]).trim().to_owned()
    };
    let (admin, device) = (token("eve", "admin"), token("pump-7", "device"));
    let csv = dir.path().join("rows.csv");
    std::fs::write(&csv, "time,device,kw\n2026-01-01T00:00:00Z,pump-7,1.5\n2026-01-01T00:00:01Z,pump-8,2.5\n").unwrap();
    succeed(dir.path(), ["import", csv.to_str().unwrap(), "--table", "air", "--tag", "device"]);
    let served = Served::start(dir.path(), &["--gateway", "gateway-1"]);
    let http = served.http.unwrap();
    let ask = |token: &str, method: &str, path: &str, body: Value| ask_json(http, token, method, path, &body);
    assert_eq!(ask(&admin, "PUT", "/kv/pump-8%2Fstate", json!({ "value": "secret" })).0, 200);
    assert_eq!(ask(&admin, "PUT", "/kv/pump-7%2Fstate", json!({ "value": "on" })).0, 200);
    assert_eq!(ask(&admin, "PUT", "/queues/pump-8", Value::Null).0, 201);
    let changes = |token: &str, path: &str| -> Vec<Value> {
        let bearer = format!("Bearer {token}");
        let answer = alluvium_tests::http::ask(http, "GET", &format!("/api/v1{path}"), &[("authorization", &bearer)], b"");
        assert_eq!(answer.status, 200, "{}", answer.body.escape_ascii());
        let lines = String::from_utf8(answer.body).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    let all = changes(&admin, "/changes?rows=true");
    let text = serde_json::to_string(&all).unwrap();
    for told in ["secret", "pump-8", "\"kw\":2.5", "\"principal\"", "\"audited\""] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let own = changes(&device, "/changes?rows=true");
    let text = serde_json::to_string(&own).unwrap();
    assert!(!text.contains("pump-8") && !text.contains("secret") && !text.contains("principal"), "{text}");
    let rows: Vec<&Value> = own.iter().flat_map(|change| change["events"].as_array().unwrap()).collect();
    let rows: Vec<&&Value> = rows.iter().filter(|event| event["event"] == "rows").collect();
    assert_eq!((rows.len(), &rows[0]["rows"]), (1, &json!(1)));
    assert_eq!(rows[0]["times"], json!(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]));
    assert_eq!(rows[0]["values"], json!([{ "time": "2026-01-01T00:00:00Z", "device": "pump-7", "kw": 1.5 }]));
    assert!(text.contains("pump-7/state"), "{text}");
    assert_eq!(ask(&device, "GET", "/changes?queue=pump-8", Value::Null).0, 403, "what is named has to be theirs");
    assert_eq!(ask(&device, "GET", "/cursors", Value::Null).0, 403);

    // As events, taken up behind the last that was seen; and what cannot be told apart any more is a gap.
    let mut stream = events(http, &device, "/changes?prefix=pump-7/&table=air", "");
    let (id, first) = event(&mut stream, "change");
    assert_eq!(first["sequence"], id);
    assert_eq!(ask(&admin, "DELETE", "/tables/air", Value::Null).0, 204);
    let (gone, gap) = event(&mut events(http, &device, "/changes?kind=rows", ""), "gap");
    assert_eq!(gap["gap"]["to"], gone);
    let mut again = events(http, &device, "/changes?prefix=pump-7/", "last-event-id: 1\r\n");
    let (at, pair) = event(&mut again, "change");
    assert_eq!(pair["events"][0]["key"], "pump-7/state");
    assert_eq!(ask(&admin, "PUT", "/kv/pump-7%2Fstate", json!({ "value": "off" })).0, 200);
    let (next, pair) = event(&mut again, "change");
    assert!(next > at && pair["events"][0]["value"] == "off", "{pair}");
    // Who was cut off goes on behind what was heard, not behind the cursor that was named at first.
    assert_eq!(ask(&admin, "PUT", "/cursors/panel", json!({ "through": 0 })).0, 200);
    let mut again_by_cursor = events(http, &admin, "/changes?cursor=panel&prefix=pump-7/", &format!("last-event-id: {at}\r\n"));
    assert_eq!(event(&mut again_by_cursor, "change").0, next);
    drop(again_by_cursor);
    // Whoever may do nothing any more sees nothing more.
    assert_eq!(ask(&admin, "PUT", "/principals/pump-7", json!({ "disabled": true })).0, 200);
    assert_eq!(ask(&admin, "PUT", "/kv/pump-7%2Fstate", json!({ "value": "on" })).0, 200);
    let (_, failed) = event(&mut again, "failed");
    assert_eq!(failed["code"], "Unauthenticated");
    assert!(served.end().success());
}

#[test]
fn a_pop_waits_for_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--dev"]);
    let http = served.http.unwrap();
    let post = |path: &str, body: Value| ask_json(http, "", "POST", path, &body);
    assert_eq!(ask(http, "PUT", "/api/v1/queues/work", &[], b"").status, 201);
    let none = post("/queues/work/pop", json!({ "wait_seconds": 0.05 }));
    assert_eq!(none, (200, json!({ "items": [] })));
    assert_eq!(post("/queues/work/pop", json!({ "wait_seconds": 51 })).0, 400);
    assert_eq!(post("/queues/none/pop", json!({ "wait_seconds": 5 })).0, 404);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| post("/queues/work/pop", json!({ "wait_seconds": 50, "lease_seconds": 60 }))))
            .collect();
        // One is pushed for now, one for soon; the third waiter is left when the server ends, and answered.
        assert_eq!(post("/queues/work/push", json!({ "items": [{ "payload": "now" }] })).0, 201);
        let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64 + 300_000;
        assert_eq!(post("/queues/work/push", json!({ "items": [{ "payload": "soon", "due": soon }] })).0, 201);
        let begun = Instant::now();
        while waiting.iter().filter(|one| one.is_finished()).count() < 2 {
            assert!(begun.elapsed() < SOON, "nobody was woken");
            std::thread::yield_now();
        }
        served.signal("TERM");
        let mut popped: Vec<String> = waiting
            .into_iter()
            .map(|one| {
                let (status, answer) = one.join().unwrap();
                assert_eq!(status, 200, "{answer}");
                answer["items"][0]["payload"].as_str().unwrap_or("nothing").to_owned()
            })
            .collect();
        popped.sort();
        assert_eq!(popped, ["nothing", "now", "soon"]);
    });
    assert!(served.end().success());
}
