//! What those who watch a server are told of it: the real binary, scraped and asked while it is used.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use alluvium_protocol::message::{Applied, BatchRefused, DescribeTable, Field, Message, OpenWriter, Opened, Query, QueryDone};
use alluvium_protocol::mutation::{Condition, Mutation, MutationBatch};
use alluvium_protocol::rows::{Layout, Value as Cell, Writer};
use alluvium_tests::binary::{command, fail, succeed};
use alluvium_tests::http::{ask, ask_json};
use alluvium_tests::metrics::Scrape;
use alluvium_tests::served::{Served, libfaketime};
use alluvium_tests::wire::{Identity, Wire};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

/// A database with an admin `eve`, who has a certificate and a token, and a reader `bob` with a token.
struct Gateway {
    dir: TempDir,
    eve: String,
    bob: String,
}

impl Gateway {
    fn new() -> Gateway {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let token = |name: &str, role: &str| {
            succeed(&data, ["user", "add", name, "--role", role]);
            succeed(&data, ["token", "issue", name]).trim().to_owned()
        };
        let (eve, bob) = (token("eve", "admin"), token("bob", "reader"));
        succeed(&data, ["cert", "issue", "eve", "--out", dir.path().to_str().unwrap()]);
        Gateway { dir, eve, bob }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn serve(&self, more: &[&str]) -> (Served, SocketAddr) {
        let served = Served::start(&self.data(), &[&["--gateway", "gateway-1"], more].concat());
        let http = served.http.unwrap();
        (served, http)
    }

    /// As the admin, over HTTP, with this status.
    fn done(&self, http: SocketAddr, status: u16, method: &str, path: &str, body: Value) -> Value {
        let (found, answer) = ask_json(http, &self.eve, method, path, &body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        answer
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

/// Two batches of three rows and of two, and one that is refused; a query, one of no table, and a call. Answers the bytes of the batches.
async fn use_quic(gateway: &Gateway, served: &Served) -> (Wire, usize) {
    assert!(Wire::connect(served.at, None).await.is_err(), "nobody comes in without a certificate");
    let identity = Identity::read(gateway.dir.path(), "eve");
    let (wire, _greeting, _) = Wire::connect(served.at, Some(&identity)).await.unwrap();
    let field = Field { name: "kw".to_owned(), kind: 0, scale: 0 };
    let (table, tags) = ("air".to_owned(), vec!["room".to_owned()]);
    let air = DescribeTable { slot: 0, table, tags, fields: vec![field], time_unit: 0, create: true };
    let mut talk = wire.begin(&OpenWriter { writer: [1; 16], acknowledged: None }).await;
    talk.hear_a::<Opened>().await;
    talk.say(&air).await;
    let (layout, mut bytes) = (Layout::of(&air).unwrap(), 0);
    for (number, count) in [(1, 3), (2, 2)] {
        let mut rows = Writer::new(&layout, number, 0);
        for row in 0..count {
            rows.row(number as i64 * 10 + row, &[Some("A")], &[Some(Cell::Float64(1.0))]).unwrap();
        }
        let frame = rows.finish();
        bytes += frame.payload.len();
        talk.say_frame(&frame).await;
        while talk.hear_a::<Applied>().await.through < number {}
    }
    let (collection, id, json) = ("none".to_owned(), "a".to_owned(), "{}".to_owned());
    let put = Mutation::PutDocument { collection, id, json, condition: Condition::Any, time_to_live: None };
    talk.say(&MutationBatch { number: 3, mutations: vec![put] }).await;
    talk.hear_a::<BatchRefused>().await;
    for (table, ends) in [("air", QueryDone::KIND), ("none", alluvium_protocol::message::Failed::KIND)] {
        let mut asked = wire.begin(&Query { table: table.to_owned(), ..Query::default() }).await;
        while asked.hear().await.expect("an end").kind != ends {}
        assert_eq!(asked.hear().await, None);
    }
    assert_eq!(wire.call("GET", "/kv/a", &Value::Null).await.0, 200);
    (wire, bytes)
}

fn use_http(gateway: &Gateway, http: SocketAddr) {
    gateway.done(http, 200, "PUT", "/kv/a", json!({ "value": "1" }));
    for (status, key) in [(200, "a"), (404, "b"), (404, "c")] {
        gateway.done(http, status, "GET", &format!("/kv/{key}"), Value::Null);
    }
    gateway.done(http, 404, "GET", "/nothing", Value::Null);
    gateway.done(http, 405, "BREW", "/kv/a", Value::Null);
    assert_eq!(ask(http, "GET", "/api/v1/kv", &[], b"").status, 401);
    assert_eq!(ask_json(http, &gateway.bob, "PUT", "/kv/a", &json!({ "value": "2" })).0, 403);
    gateway.done(http, 201, "PUT", "/queues/jobs%20%22now%22", Value::Null);
    let items: Vec<_> = (0..3).map(|n| json!({ "payload": n.to_string() })).collect();
    gateway.done(http, 201, "POST", "/queues/jobs%20%22now%22/push", json!({ "items": items }));
    gateway.done(http, 200, "POST", "/queues/jobs%20%22now%22/pop", Value::Null);
}

#[test]
fn a_scrape_says_what_was_done() {
    let gateway = Gateway::new();
    let before = (SystemTime::now(), Instant::now());
    let (served, http) = gateway.serve(&["--device-endurance", "1TB"]);
    let began = Instant::now();
    use_http(&gateway, http);
    run(async {
        let (_wire, bytes) = use_quic(&gateway, &served).await;
        let scrape = Scrape::of(http);
        check_requests(&scrape, bytes as f64);
        check_storage(&gateway, &scrape);
        check_device(&scrape, &served, before, began);
        check_document(&scrape);
    });
    assert!(served.end().success());
    // What was sealed meanwhile shows as it lies on disk.
    succeed(&gateway.data(), ["compact"]);
    let (served, http) = gateway.serve(&[]);
    let scrape = Scrape::of(http);
    let files = std::fs::read_dir(gateway.data().join("segments")).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let air = [("table", "air")];
    assert_eq!(scrape.value("alluvium_table_bytes", &air), files.sum::<u64>() as f64);
    assert_eq!((scrape.value("alluvium_table_segments", &air), scrape.value("alluvium_table_unsealed_rows", &air)), (1.0, 0.0));
    assert_eq!(scrape.value("alluvium_writer_rows_applied_total", &[]), 0.0, "counters begin anew");
    assert_eq!(scrape.find("alluvium_device_life_seconds", &[]), None, "nobody said what the device endures");
    assert!(served.end().success());
}

fn check_requests(scrape: &Scrape, bytes: f64) {
    let count = |kind: &str, method: &str, route: &str| {
        scrape.value("alluvium_request_duration_seconds_count", &[("kind", kind), ("method", method), ("route", route)])
    };
    assert_eq!(count("http", "GET", "/api/v1/kv/{key}"), 3.0);
    assert_eq!((count("http", "PUT", "/api/v1/kv/{key}"), count("http", "POST", "/api/v1/queues/{name}/push")), (2.0, 1.0));
    assert_eq!((count("http", "GET", "other"), count("http", "other", "/api/v1/kv/{key}")), (1.0, 1.0));
    assert_eq!((count("call", "GET", "/api/v1/kv/{key}"), count("query", "", "")), (1.0, 2.0));
    let kv = [("kind", "http"), ("method", "GET"), ("route", "/api/v1/kv/{key}")];
    let below = |le| scrape.value("alluvium_request_duration_seconds_bucket", &[&kv[..], &[("le", le)]].concat());
    assert!(below("+Inf") == 3.0 && below("60") == 3.0 && below("0.0005") <= below("0.1"));
    assert!(scrape.value("alluvium_request_duration_seconds_sum", &kv) > 0.0);
    let errors = |kind, code| scrape.value("alluvium_errors_total", &[("kind", kind), ("code", code)]);
    assert_eq!((errors("http", "Missing"), errors("http", "Unauthenticated"), errors("http", "Refused")), (3.0, 1.0, 1.0));
    assert_eq!((errors("query", "Missing"), errors("writer", "Missing"), errors("http", "Internal")), (1.0, 1.0, 0.0));
    assert_eq!(scrape.value("alluvium_refusals_total", &[]), 1.0);
    assert_eq!(scrape.value("alluvium_quic_connections", &[]), 1.0);
    assert_eq!(scrape.value("alluvium_quic_connections_accepted_total", &[]), 1.0);
    assert_eq!(scrape.value("alluvium_quic_handshakes_refused_total", &[("reason", "failed")]), 1.0);
    let writer = |name: &str| scrape.value(&format!("alluvium_writer_{name}"), &[]);
    assert_eq!((writer("batches_applied_total"), writer("batches_refused_total"), writer("rows_applied_total")), (2.0, 1.0, 5.0));
    assert_eq!((writer("bytes_applied_total"), writer("streams"), writer("commit_duration_seconds_count")), (bytes, 1.0, 2.0));
    assert_eq!(scrape.value("alluvium_queries_running", &[]), 0.0);
}

fn check_storage(gateway: &Gateway, scrape: &Scrape) {
    let value = |name: &str| scrape.value(&format!("alluvium_{name}"), &[]);
    let of = |name: &str| scrape.value(&format!("alluvium_table_{name}"), &[("table", "air")]);
    assert_eq!((of("rows"), of("unsealed_rows"), of("series"), of("segments")), (5.0, 5.0, 1.0, 0.0));
    assert_eq!((value("tables"), value("queues")), (1.0, 1.0));
    let items = |state| scrape.value("alluvium_queue_items", &[("queue", "jobs \"now\""), ("state", state)]);
    assert_eq!((items("ready"), items("leased"), items("dead")), (2.0, 1.0, 0.0));
    let reads = |outcome| scrape.value("alluvium_kv_reads_total", &[("outcome", outcome)]);
    assert_eq!((reads("hit"), reads("miss")), (2.0, 2.0));
    assert!(value("log_bytes") >= value("log_unsealed_bytes") && value("log_unsealed_bytes") > 0.0);
    // Nothing was sealed yet, and every opening began a file.
    let files =
        std::fs::read_dir(gateway.data().join("log")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(value("log_unsealed_files"), files.filter(|name| name.ends_with(".log")).count() as f64);
    assert!(value("memtable_bytes") > 0.0 && value("catalog_bytes") > 0.0);
    // What was done to principals and certificates, and that the server began.
    assert!(value("audit_entries") >= 5.0 && value("audit_entries") == value("audit_entries_written_total"));
    assert_eq!(scrape.value("alluvium_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

fn check_device(scrape: &Scrape, served: &Served, before: (SystemTime, Instant), began: Instant) {
    let value = |name: &str| scrape.value(&format!("alluvium_device_{name}"), &[]);
    let started = scrape.value("process_start_time_seconds", &[]);
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(started >= since(before.0) && started <= since(SystemTime::now()));
    assert!(scrape.value("alluvium_sampled_timestamp_seconds", &[]) >= started);
    // What the kernel says that the process wrote, sockets included.
    let io = std::fs::read_to_string(format!("/proc/{}/io", served.id())).unwrap();
    let wrote: f64 = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap();
    let written = value("written_bytes_total");
    assert!(written > 4_096.0 && written <= wrote, "{written} of {wrote}");
    assert!(value("lifetime_written_bytes") > written && value("syncs_total") > 3.0);
    assert!(value("free_bytes") > 0.0);
    assert_eq!(value("endurance_bytes"), 1e12);
    let left = (1e12 - value("lifetime_written_bytes")) / written;
    let (least, most) = (left * began.elapsed().as_secs_f64() / 2.0, left * before.1.elapsed().as_secs_f64());
    assert!((least..=most).contains(&value("life_seconds")), "{least} {} {most}", value("life_seconds"));
}

/// `PROTOCOL.md` lists all there is, with type and labels, and nothing else.
fn check_document(scrape: &Scrape) {
    let document = include_str!("../../server/PROTOCOL.md");
    let rows = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter(|row| row.contains("alluvium_") || row.starts_with("process_"));
    let listed: Vec<(&str, &str, Vec<String>)> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let (name, kind, labels) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
            let mut labels: Vec<String> = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
            labels.sort_unstable();
            (name.trim_end_matches('`'), kind, labels)
        })
        .collect();
    let mut names: Vec<&str> = listed.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, scrape.types.keys().collect::<Vec<_>>());
    for (name, kind, labels) in listed {
        assert_eq!((scrape.types[name].as_str(), scrape.labels(name).into_iter().collect()), (kind, labels), "{name}");
    }
}

/// The status of `/health/ready`, and what it says of one thing.
fn ready(http: SocketAddr, check: &str) -> (u16, String) {
    let answer = ask(http, "GET", "/health/ready", &[], b"");
    let said = answer.json();
    assert_eq!(said["status"], if answer.status == 200 { "ready" } else { "not ready" });
    (answer.status, said["checks"][check].as_str().unwrap().to_owned())
}

#[test]
fn a_server_is_ready_or_says_why_not() {
    let gateway = Gateway::new();
    let (served, http) = gateway.serve(&[]);
    for check in ["storage", "disk", "clock"] {
        assert_eq!(ready(http, check), (200, "ok".to_owned()));
    }
    assert_eq!(ask(http, "GET", "/health", &[], b"").status, 200);
    assert!(served.end().success());
    let (served, http) = gateway.serve(&["--min-free", "8000PB"]);
    let (status, said) = ready(http, "disk");
    assert!(status == 503 && said.contains("are free and 7105.4 PiB are needed"), "{said}");
    assert_eq!(ready(http, "clock").1, "ok");
    assert_eq!((ask(http, "GET", "/health/live", &[], b"").status, ask(http, "GET", "/health", &[], b"").status), (200, 503));
    assert!(served.end().success());
}

#[test]
fn a_clock_that_is_wrong_or_jumps_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let time = dir.path().join("time");
    let data = dir.path().join("data");
    let mut serve = command(&data, ["serve", "--json", "--dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    std::fs::write(&time, "@1970-01-02 00:00:00").unwrap();
    serve.env("LD_PRELOAD", libfaketime()).env("FAKETIME_TIMESTAMP_FILE", &time).env("FAKETIME_NO_CACHE", "1");
    serve.env("DONT_FAKE_MONOTONIC", "1");
    let served = Served::spawn(serve);
    let http = served.http.unwrap();
    let set = |text: &str| {
        std::fs::write(dir.path().join("next"), text).unwrap();
        std::fs::rename(dir.path().join("next"), &time).unwrap();
    };
    let (status, said) = ready(http, "clock");
    assert!(status == 503 && said.starts_with("it shows 1970-01-02T00:0"), "{said}");
    set("@2031-01-01 00:00:00");
    assert_eq!(ready(http, "clock"), (200, "ok".to_owned()), "it was set right");
    set("@2031-01-01 05:00:00");
    let (status, said) = ready(http, "clock");
    assert!(status == 503 && said.starts_with("it jumped by +"), "{said}");
    assert!(served.end().success());
}

#[test]
fn a_disk_that_fails_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let plain = command(dir.path(), ["serve", "--json", "--dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut traced = Command::new("strace");
    // From some sync on that is long after the start, all of them fail.
    let inject = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=60+"];
    traced.args(inject).arg(plain.get_program()).args(plain.get_args());
    let served = Served::spawn(traced);
    let http = served.http.unwrap();
    assert_eq!(ready(http, "storage"), (200, "ok".to_owned()));
    let put = |n: u32| ask_json(http, "", "PUT", &format!("/kv/{n}"), &json!({ "value": "x" })).0;
    let failed = (0..2_000).map(put).find(|status| *status != 200);
    assert_eq!(failed, Some(503));
    let (status, said) = ready(http, "storage");
    assert!(status == 503 && said.contains("stopped"), "{said}");
    assert_eq!((ready(http, "clock").1.as_str(), ask(http, "GET", "/health/live", &[], b"").status), ("ok", 200));
}

/// A command that runs and is read line by line, until it is dropped.
struct Reading {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Reading {
    fn of(mut command: Command) -> Reading {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Reading { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.out.read_line(&mut line).unwrap() > 0, "it goes on");
        line
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(data: &Path) -> Value {
    serde_json::from_str(&succeed(data, ["status", "--json"])).unwrap()
}

#[test]
fn the_command_line_finds_the_server_that_has_the_directory_open() {
    let gateway = Gateway::new();
    let data = gateway.data();
    let (served, http) = gateway.serve(&[]);
    use_http(&gateway, http);
    let file = data.join("local/token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only the owner may read it");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let found = status(&data);
    assert_eq!((&found["server"]["gateway"], &found["server"]["checks"]["storage"]), (&json!("gateway-1"), &json!("ok")));
    assert_eq!((&found["queues"][0]["ready"], &found["queues"][0]["leased"]), (&json!(2), &json!(1)));
    let head: Value = serde_json::from_str(&found["audit"]["number"].to_string()).unwrap();
    assert!(head.as_u64().unwrap() >= 5 && found["audit"]["hash"].as_str().unwrap().len() == 64);
    for (token, expected) in [(&token, 200), (&gateway.eve, 200), (&gateway.bob, 200)] {
        assert_eq!(ask_json(http, token, "GET", "/status", &Value::Null).0, expected);
    }
    gateway.done(http, 200, "PUT", "/principals/pump-7", json!({ "roles": ["device"] }));
    let device = gateway.done(http, 201, "POST", "/tokens", json!({ "principal": "pump-7" }));
    assert_eq!(ask_json(http, device["token"].as_str().unwrap(), "GET", "/status", &Value::Null).0, 403);
    assert!(succeed(&data, ["status"]).starts_with("server         gateway-1, alluvium "));
    // The file stays as it is, and one that was lost is replaced, its token revoked.
    assert!(served.end().success());
    assert_eq!(status(&data)["server"], Value::Null);
    let (served, _) = gateway.serve(&[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), token);
    std::fs::remove_file(&file).unwrap();
    served.kill();
    let (served, http) = gateway.serve(&[]);
    assert_eq!(ask_json(http, &token, "GET", "/status", &Value::Null).0, 401);
    assert_eq!(status(&data)["server"]["gateway"], "gateway-1");
    // Whoever wants none leaves an empty one.
    std::fs::write(&file, "").unwrap();
    served.kill();
    let (served, _) = gateway.serve(&[]);
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    assert!(fail(1, &data, ["status"]).contains("local/token does not hold"));
    // One that ended without a word is not asked.
    served.kill();
    assert!(data.join("local/server.json").exists());
    assert_eq!(status(&data)["server"], Value::Null);
}

#[test]
fn whoever_has_the_directory_open_and_is_no_server_is_named() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), ["kv", "put", "a", "1"]);
    let mut follow = Reading::of(command(dir.path(), ["changes", "--follow", "--json"]));
    follow.line();
    let said = fail(1, dir.path(), ["status"]);
    assert!(said.contains(&format!("process {} has", follow.child.id())) && said.contains("no server"), "{said}");
}

#[test]
fn the_status_is_told_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--dev"]);
    let mut watch = Reading::of(command(dir.path(), ["status", "--watch", "--every", "1", "--json"]));
    let mut next = || -> Value { serde_json::from_str(&watch.line()).unwrap() };
    let uptime = |document: &Value| document["server"]["uptime_seconds"].as_f64().unwrap();
    assert_eq!(next()["table_count"], 0);
    assert_eq!(ask_json(served.http.unwrap(), "", "PUT", "/tables/air", &json!({ "fields": [] })).0, 201);
    let first = std::iter::repeat_with(&mut next).find(|document| document["table_count"] == 1).unwrap();
    assert!(uptime(&next()) > uptime(&first));
    assert!(fail(2, dir.path(), ["status", "--watch"]).contains("add --json"));
    assert!(served.end().success());
}
