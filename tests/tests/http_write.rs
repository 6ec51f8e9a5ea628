//! Rows written over HTTP as JSON: the real binary, what it answers, and what is there afterwards.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use alluvium_tests::binary::succeed;
use alluvium_tests::gateway::Gateway;
use alluvium_tests::http::{Response, ask};
use alluvium_tests::served::Served;
use alluvium_tests::wire::Wire;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

/// Posts something to a path.
fn post(gateway: &Gateway, token: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    ask(gateway.http, "POST", path, &headers, body)
}

fn write(gateway: &Gateway, token: &str, body: &Value) -> (u16, Value) {
    let answer = post(gateway, token, "/api/v1/write", &[JSON], body.to_string().as_bytes());
    (answer.status, answer.json())
}

/// The rows of a table, once nobody serves it.
fn rows(data: &Path, table: &str) -> Vec<Value> {
    let lines = succeed(data, ["query", "--table", table, "--format", "json"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn air(gateway: &Gateway) {
    let columns =
        json!({ "tags": ["device"], "fields": [{ "name": "co2", "type": "float64" }, { "name": "n", "type": "int64" }] });
    gateway.done(201, "PUT", "/tables/air", columns);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn rows_of_one_table_and_of_several() {
    let gateway = Gateway::new();
    air(&gateway);
    let one = json!({ "table": "air", "rows": [
        { "time": "2026-01-01T00:00:00Z", "device": "a", "co2": 412.5 },
        { "time": 1_767_225_601_000_000_u64, "n": 9_007_199_254_740_993_u64, "device": null },
    ] });
    assert_eq!(write(&gateway, &gateway.admin, &one), (200, json!({ "rows": 2 })));
    let several = json!([
        { "table": "air", "time_unit": "s", "rows": [{ "time": 1_767_225_602, "co2": "NaN" }] },
        { "table": "power", "create": true, "tags": ["site"], "rows": [{ "time": 5, "kw": 2, "site": "N", "on": true, "note": "ü" }] },
        { "rows": [], "table": "empty", "create": true },
    ]);
    assert_eq!(write(&gateway, &gateway.admin, &several), (200, json!({ "rows": 2 })));
    let dir = gateway.end();
    let expected = [
        json!({ "time": "2026-01-01T00:00:01Z", "device": null, "co2": null, "n": 9_007_199_254_740_993_u64 }),
        json!({ "time": "2026-01-01T00:00:02Z", "device": null, "co2": "NaN", "n": null }),
        json!({ "time": "2026-01-01T00:00:00Z", "device": "a", "co2": 412.5, "n": null }),
    ];
    assert_eq!(rows(dir.path(), "air"), expected);
    assert_eq!(
        rows(dir.path(), "power"),
        [json!({ "time": "1970-01-01T00:00:00.000005Z", "site": "N", "kw": 2.0, "on": true, "note": "ü" })]
    );
    assert_eq!(rows(dir.path(), "empty"), [Value::Null; 0]);
}

#[test]
fn lines_of_json_each_a_row_or_a_table() {
    let gateway = Gateway::new();
    air(&gateway);
    let send = |path: &str, body: &str| post(&gateway, &gateway.admin, path, &[LINES], body.as_bytes());
    let answer = send("/api/v1/write?table=air&time_unit=ms", "{\"time\":1,\"co2\":1}\r\n\n{\"time\":2,\"co2\":2}");
    assert_eq!((answer.status, answer.json()), (200, json!({ "rows": 2 })));
    let answer =
        send("/api/v1/write?table=new&create=true&tags=site,room", "{\"time\":1,\"site\":\"N\",\"room\":\"A\",\"t\":1.5}");
    assert_eq!((answer.status, answer.json()), (200, json!({ "rows": 1 })));
    let tables = "{\"table\":\"air\",\"rows\":[{\"time\":3,\"n\":3}]}\n{\"table\":\"b\",\"create\":true,\"rows\":[{\"time\":1,\"v\":1}]}\n";
    assert_eq!(send("/api/v1/write", tables).json(), json!({ "rows": 2 }));
    // The second of three lines is no row.
    let answer = send("/api/v1/write?table=air", "{\"time\":7,\"co2\":1}\n{\"time\":8,\"co2\":{}}\n{\"time\":9,\"co2\":1}");
    assert_eq!((answer.status, &answer.json()["rows"][0]["row"]), (422, &json!(1)));
    let dir = gateway.end();
    assert_eq!(rows(dir.path(), "air").len(), 3);
    assert_eq!(rows(dir.path(), "new"), [json!({ "time": "1970-01-01T00:00:00.000001Z", "site": "N", "room": "A", "t": 1.5 })]);
    assert_eq!(rows(dir.path(), "b").len(), 1);
}

#[test]
fn all_or_nothing_and_what_is_wrong_is_named() {
    let gateway = Gateway::new();
    air(&gateway);
    let sound = json!({ "time": 1, "co2": 1 });
    let body = json!([
        { "table": "other", "create": true, "rows": [{ "time": 1, "v": 1 }] },
        { "table": "air", "rows": [sound, { "time": 2, "co2": "much" }, { "co2": 3 }, { "time": 4, "kw": 5 }] },
    ]);
    let (status, problem) = write(&gateway, &gateway.admin, &body);
    assert_eq!((status, &problem["code"], &problem["table"]), (422, &json!("BadRows"), &json!("air")));
    let first = json!({ "row": 1, "column": "co2", "reason": "\"much\" is not a float64" });
    assert_eq!(problem["rows"][0], first);
    assert_eq!((&problem["rows"][1]["row"], &problem["rows"][1]["column"]), (&json!(2), &json!("time")));
    assert_eq!((&problem["rows"][2]["row"], &problem["rows"][2]["column"]), (&json!(3), &json!("kw")));
    assert!(problem["detail"].as_str().unwrap().contains("row 1, column \"co2\""), "{problem}");
    gateway.done(404, "GET", "/tables/other", Value::Null);
    for (status, wrong) in [
        (404, json!({ "table": "none", "rows": [sound] })),
        (400, json!([{ "table": "air", "rows": [sound] }, { "table": "air", "rows": [sound] }])),
        (400, json!({ "table": "air", "rows": {} })),
        (400, json!({ "table": "air", "row": [] })),
        (400, json!({ "table": "air", "rows": [sound], "more": 1 })),
        (400, json!({ "table": "air", "rows": [sound], "time_unit": "h" })),
        (400, json!({ "table": "", "create": true, "rows": [sound] })),
        (400, json!("air")),
    ] {
        let (found, problem) = write(&gateway, &gateway.admin, &wrong);
        assert_eq!(found, status, "{wrong}: {problem}");
    }
    for (status, headers, body) in [
        (415, ("content-type", "text/csv"), &b"{}"[..]),
        (400, JSON, b"{\"table\":\"air\",\"rows\":[{\"time\":1,\"co2\":1}]"),
        (400, JSON, b"{\"table\":\"a\xff\",\"rows\":[]}"),
        (400, JSON, b""),
    ] {
        assert_eq!(post(&gateway, &gateway.admin, "/api/v1/write", &[headers], body).status, status);
    }
    assert_eq!(post(&gateway, &gateway.admin, "/api/v1/write?table=air", &[JSON], b"[]").status, 400);
    let dir = gateway.end();
    assert_eq!(rows(dir.path(), "air"), [Value::Null; 0], "nothing of all that was written");
}

#[test]
fn only_what_is_granted_is_written() {
    let gateway = Gateway::new();
    air(&gateway);
    let row = |device: &str| json!({ "time": 1, "device": device, "co2": 1 });
    let air = |rows: Value| json!({ "table": "air", "rows": rows });
    assert_eq!(write(&gateway, &gateway.device, &air(json!([row("pump-7")]))).0, 200);
    for (token, refused) in [
        (&gateway.device, air(json!([row("pump-7"), row("pump-8")]))),
        (&gateway.device, air(json!([row("pump-7"), { "time": 2, "co2": 1 }]))),
        (&gateway.device, json!({ "table": "new", "create": true, "tags": ["device"], "rows": [row("pump-7")] })),
        (&gateway.device, json!({ "table": "air", "create": true, "rows": [{ "time": 2, "device": "pump-7", "kw": 1 }] })),
        (&gateway.reader, air(json!([row("bob")]))),
    ] {
        let (status, problem) = write(&gateway, token, &refused);
        assert_eq!((status, &problem["code"]), (403, &json!("Refused")), "{refused}: {problem}");
    }
    let maker = gateway.token("maker", &["write,define table:m_*"]);
    let make = |table: &str| json!({ "table": table, "create": true, "rows": [{ "time": 1, "v": 1 }] });
    assert_eq!(write(&gateway, &maker, &make("m_1")).0, 200);
    assert_eq!(write(&gateway, &maker, &make("n_1")).0, 403);
    assert_eq!(post(&gateway, "nonsense", "/api/v1/write", &[JSON], b"{}").status, 401);
    let dir = gateway.end();
    assert_eq!(rows(dir.path(), "air").len(), 1);
    let refused = succeed(dir.path(), ["audit", "list", "--outcome", "refused", "--json"]);
    for told in ["\"object\":\"table:new\"", "\"what\":\"define\"", "\"who\":\"bob\""] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
}

#[test]
fn a_numbered_request_counts_once() {
    let gateway = Gateway::new();
    air(&gateway);
    let send = |key: &str, token: &str, body: &Value| {
        let headers = [JSON, ("idempotency-key", key)];
        let answer = post(&gateway, token, "/api/v1/write", &headers, body.to_string().as_bytes());
        (answer.status, answer.json())
    };
    let body = |time: u64| json!([{ "table": "air", "rows": [{ "time": time, "n": 1 }] }, { "table": "b", "create": true, "rows": [{ "time": time, "n": 1 }] }]);
    let (status, first) = send("home/1", &gateway.admin, &body(1));
    assert_eq!((status, &first["rows"], &first["number"], &first["again"]), (200, &json!(2), &json!(1), &json!(false)));
    // Sent again, even with other rows, it does nothing and says so.
    let (status, again) = send("home/1", &gateway.admin, &body(100));
    assert_eq!((status, &again["rows"], &again["again"]), (200, &json!(0), &json!(true)));
    let (status, gap) = send("home/3", &gateway.admin, &body(3));
    assert_eq!((status, &gap["code"]), (409, &json!("WriterGap")));
    let (status, expired) = send("never-began/2", &gateway.admin, &body(3));
    assert_eq!((status, &expired["code"]), (409, &json!("WriterExpired")));
    // What was refused keeps its number.
    assert_eq!(send("home/2", &gateway.admin, &json!({ "table": "air", "rows": [{ "n": 1 }] })).0, 422);
    assert_eq!(send("home/2", &gateway.admin, &body(2)).1["again"], json!(false));
    // By its number it is known, and to nobody else.
    let id = first["writer"].as_str().unwrap();
    assert_eq!(send(&format!("{id}/3"), &gateway.admin, &body(3)).1["again"], json!(false));
    let other = gateway.token("other", &["write table:air"]);
    assert_eq!(send("home/4", &other, &body(4)).0, 403, "b is not granted");
    assert_eq!(send("home/4", &other, &json!({ "table": "air", "rows": [] })).0, 409);
    for wrong in ["home", "home/0", "/1", "home/x"] {
        assert_eq!(send(wrong, &gateway.admin, &body(9)).0, 400, "{wrong}");
    }
    let dir = gateway.end();
    let times: Vec<_> = rows(dir.path(), "air").iter().map(|row| row["time"].as_str().unwrap().to_owned()).collect();
    assert_eq!(times, ["1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000002Z", "1970-01-01T00:00:00.000003Z"]);
    assert_eq!(rows(dir.path(), "b").len(), 3);
}

#[test]
fn what_was_answered_survives_a_kill() {
    let gateway = Gateway::new();
    let body = json!([
        { "table": "a", "create": true, "rows": [{ "time": 1, "v": 1 }] },
        { "table": "b", "create": true, "rows": [{ "time": 1, "v": 1 }] },
    ]);
    let headers = [JSON, ("idempotency-key", "w/1")];
    let answer = post(&gateway, &gateway.admin, "/api/v1/write", &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200);
    let Gateway { dir, served, admin, .. } = gateway;
    served.kill();
    let served = Served::start(dir.path(), &["--gateway", "gateway-1"]);
    let bearer = format!("Bearer {admin}");
    let headers = [("authorization", bearer.as_str()), JSON, ("idempotency-key", "w/1")];
    let again = ask(served.http.unwrap(), "POST", "/api/v1/write", &headers, body.to_string().as_bytes());
    assert_eq!(again.json()["again"], json!(true));
    assert!(served.end().success());
    assert_eq!((rows(dir.path(), "a").len(), rows(dir.path(), "b").len()), (1, 1));
}

#[test]
fn bodies_are_bounded_and_whole() {
    let gateway = Gateway::new();
    air(&gateway);
    let gzip = ("content-encoding", "gzip");
    let send = |headers: &[(&str, &str)], body: &[u8]| post(&gateway, &gateway.admin, "/api/v1/write", headers, body).status;
    let body = json!({ "table": "air", "rows": [{ "time": 1, "n": 1 }] }).to_string().into_bytes();
    assert_eq!(send(&[JSON, gzip], &packed(&body)), 200);
    // Too large as it is, and as what becomes of it: 1 GiB of blanks is less than a MiB packed.
    assert_eq!(send(&[JSON], &vec![b' '; (4 << 20) + 1]), 413);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    (0..1_024).for_each(|_| bomb.write_all(&[b' '; 1 << 20]).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 2 << 20);
    assert_eq!(send(&[JSON, gzip], &bomb), 413);
    let half = packed(&body);
    assert_eq!(send(&[JSON, gzip], &half[..half.len() - 6]), 400);
    assert_eq!(send(&[JSON, gzip], &body), 400);
    assert_eq!(send(&[JSON, ("content-encoding", "br")], &body), 415);
    // Half a body, and then nothing more: what came of it is not written.
    let rows = json!({ "table": "air", "rows": [{ "time": 2, "n": 1 }] }).to_string();
    let mut stream = TcpStream::connect(gateway.http).unwrap();
    let length = rows.len() + 1;
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        gateway.admin
    );
    stream.write_all(format!("{head}{rows}").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    // In chunks.
    let chunks = format!("{:x}\r\n{rows}\r\n0\r\n\r\n", rows.len()).replace("\"time\":2", "\"time\":3");
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        gateway.admin
    );
    assert_eq!(alluvium_tests::http::raw(gateway.http, format!("{head}{chunks}").as_bytes()).status, 200);
    let dir = gateway.end();
    let times: Vec<_> = rows_times(dir.path());
    assert_eq!(times, ["1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000003Z"]);
}

fn rows_times(data: &Path) -> Vec<String> {
    rows(data, "air").iter().map(|row| row["time"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn over_quic_as_a_call() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--dev"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (wire, _greeting, _) = Wire::connect(served.at, None).await.unwrap();
        let body = json!({ "table": "air", "create": true, "rows": [{ "time": 1, "n": 1 }] });
        assert_eq!(wire.call("POST", "/write", &body).await, (200, json!({ "rows": 1 })));
        assert_eq!(wire.call("POST", "/write", &json!({ "table": "none", "rows": [] })).await.0, 404);
    });
    assert!(served.end().success());
    assert_eq!(rows(dir.path(), "air").len(), 1);
}

#[test]
fn what_was_written_is_queried_within_what_is_granted() {
    let gateway = Gateway::new();
    let written = json!({
        "table": "power", "create": true, "tags": ["device"],
        "rows": [
            { "time": "2026-01-01T00:00:00Z", "device": "pump-7", "kw": 1.5 },
            { "time": "2026-01-01T00:00:10Z", "device": "pump-7", "kw": 2.5 },
            { "time": "2026-01-01T00:00:00Z", "device": "pump-8", "kw": 9.0 },
        ],
    });
    assert_eq!(write(&gateway, &gateway.admin, &written).0, 200);
    let ask = |token: &str, body: Value| {
        let headers = [("content-type", "application/json")];
        post(&gateway, token, "/api/v1/query", &headers, body.to_string().as_bytes())
    };
    let lines = |token: &str, body: Value| -> Vec<Value> {
        let answer = ask(token, body);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        let text = String::from_utf8(answer.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let row = |device: &str, time: &str, kw: f64| json!({ "time": time, "device": device, "kw": kw });
    let (first, second) = (row("pump-7", "2026-01-01T00:00:00Z", 1.5), row("pump-7", "2026-01-01T00:00:10Z", 2.5));
    let other = row("pump-8", "2026-01-01T00:00:00Z", 9.0);
    assert_eq!(lines(&gateway.admin, json!({ "table": "power" })), [first.clone(), second.clone(), other]);
    assert_eq!(lines(&gateway.device, json!({ "table": "power" })), [first, second.clone()], "a device sees its own rows");
    let late = json!({ "table": "power", "from": "2026-01-01T00:00:05Z", "order": "desc", "limit": 5, "where": ["kw>2"] });
    assert_eq!(lines(&gateway.admin, late), [second]);
    let sums = json!({ "table": "power", "functions": ["sum", "count"], "by": ["device"], "where": ["device=pump-7"] });
    assert_eq!(lines(&gateway.admin, sums)[0]["sum(kw)"], 4.0);
    for (wrong, status) in [
        (json!({ "table": "none" }), 404),
        (json!({ "table": "power", "from": "soon" }), 400),
        (json!({ "table": "power", "where": ["kw"] }), 400),
        (json!({ "table": "power", "order": "up" }), 422),
        (json!({ "tables": "power" }), 422),
    ] {
        assert_eq!(ask(&gateway.admin, wrong.clone()).status, status, "{wrong}");
    }
}

/// As Telegraf's output plugins for version 1 and 2 send it.
#[test]
fn telegraf_writes_as_to_influxdb() {
    let gateway = Gateway::new();
    let token = format!("Token {}", gateway.admin);
    let basic = {
        use base64::Engine;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("eve:{}", gateway.admin)))
    };
    let send = |path: &str, authorization: &str, body: &[u8], packed: bool| {
        let mut headers = vec![("authorization", authorization), ("content-type", "text/plain; charset=utf-8")];
        if packed {
            headers.push(("content-encoding", "gzip"));
        }
        alluvium_tests::http::ask(gateway.http, "POST", path, &headers, body)
    };
    let ping = alluvium_tests::http::ask(gateway.http, "GET", "/ping", &[], b"");
    assert_eq!((ping.status, ping.header("x-influxdb-version")), (204, Some("1.8.10")));
    let made = send("/query?q=CREATE%20DATABASE%20%22telegraf%22", &basic, b"", false);
    assert_eq!((made.status, made.json()), (200, json!({ "results": [{ "statement_id": 0 }] })));
    let lines = concat!(
        "cpu,cpu=cpu-total,host=gw\\ 1 usage_idle=97.5,usage_user=1.25 1767225600000000000\n",
        "mem,host=gw\\ 1 used=123i,available_percent=50.5,note=\"a \\\"b\\\", c\" 1767225600000000000\n",
        "mqtt_consumer,topic=plant/1\\,line\\=2 up=true,errors=3u 1767225600000000000\n",
    );
    let sent = send("/write?db=telegraf&rp=&precision=ns", &basic, &packed(lines.as_bytes()), true);
    assert_eq!(sent.status, 204, "{}", sent.body.escape_ascii());
    let sent = send(
        "/api/v2/write?org=o&bucket=b&precision=s",
        &token,
        b"cpu,cpu=cpu-total,host=gw\\ 1 usage_idle=96 1767225610\n",
        false,
    );
    assert_eq!(sent.status, 204, "{}", sent.body.escape_ascii());
    // A field of another type is dropped with its line, the others stay.
    let mixed = b"mem,host=x used=\"many\" 1767225620000000000\nmem,host=x used=7i 1767225630000000000\n";
    let sent = send("/write?db=telegraf", &basic, mixed, false);
    let said = sent.json()["error"].as_str().unwrap().to_owned();
    assert!(sent.status == 400 && said.contains("partial write") && said.ends_with("dropped=1"), "{said}");
    assert_eq!(send("/write?db=telegraf&precision=d", &basic, b"a b=1\n", false).status, 400);
    assert_eq!(send("/write?db=telegraf", "Token nonsense", b"a b=1\n", false).status, 401);
    let data = gateway.dir.path().to_owned();
    assert!(gateway.served.end().success());
    let cpu = rows(&data, "cpu");
    assert_eq!((cpu.len(), &cpu[0]["host"], &cpu[0]["usage_idle"]), (2, &json!("gw 1"), &json!(97.5)));
    let mem = rows(&data, "mem");
    assert_eq!((mem.len(), &mem[0]["note"], &mem[0]["used"]), (2, &json!("a \"b\", c"), &json!(123)));
    let mqtt = rows(&data, "mqtt_consumer");
    assert_eq!((&mqtt[0]["topic"], &mqtt[0]["up"], &mqtt[0]["errors"]), (&json!("plant/1,line=2"), &json!(true), &json!(3)));
}
