//! What stands before the API over HTTP, end to end: the real binary with settings of `[http]`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use alluvium_tests::binary;
use alluvium_tests::http::{Response, ask, raw};
use alluvium_tests::served::Served;
use flate2::read::GzDecoder;
use tempfile::TempDir;

/// A server of everybody on this machine, with settings.
fn serve(settings: &str) -> (TempDir, Served, SocketAddr) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alluvium.toml");
    std::fs::write(&file, settings).unwrap();
    let data = dir.path().join("data");
    let served = Served::start(&data, &["--dev", "--gateway", "gw-7", "--config", file.to_str().unwrap()]);
    let http = served.http.unwrap();
    (dir, served, http)
}

fn get(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    ask(at, "GET", path, headers, b"")
}

/// Asks with these lines in the head, and none besides.
fn get_with(at: SocketAddr, target: &str, lines: &str) -> Response {
    raw(at, format!("GET {target} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n").as_bytes())
}

#[test]
fn only_networks_that_are_named_are_answered() {
    let (_dir, served, http) = serve("[http]\nallow_from = ['10.0.0.0/8', '192.168.1.5']\n");
    for path in ["/api/v1/kv", "/health/live", "/metrics", "/nothing", "/write"] {
        let refused = get(http, path, &[]);
        assert_eq!((refused.status, refused.header("content-type")), (403, Some("application/problem+json")), "{path}");
        assert_eq!(refused.json()["code"], "Refused");
        assert!(refused.json()["detail"].as_str().unwrap().contains("http.allow_from"));
    }
    assert_eq!(ask(http, "OPTIONS", "/api/v1/kv", &[("origin", "https://a.example")], b"").status, 403);
    assert!(served.end().success());
    let (_dir, served, http) = serve("[http]\nallow_from = ['10.0.0.0/8', '127.0.0.0/8']\n");
    assert_eq!(get(http, "/api/v1/kv", &[]).status, 200);
    assert!(served.end().success());
    let (_dir, _served, http) = serve("");
    assert_eq!(get(http, "/api/v1/kv", &[]).status, 200, "everybody, unless somebody says otherwise");
}

#[test]
fn a_name_that_points_here_is_not_enough() {
    let (_dir, _served, http) = serve("");
    let port = http.port();
    let of = |host: &str| get_with(http, "/api/v1/kv", &format!("host: {host}\r\n"));
    for known in ["localhost", "LOCALHOST:1", "127.0.0.1", &format!("127.0.0.1:{port}"), "[::1]:80", "gw-7", "GW-7.:8080"] {
        assert_eq!(of(known).status, 200, "{known}");
    }
    let foreign = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "evil.example:127", "192.168.1.5", ""];
    for foreign in foreign {
        let refused = of(foreign);
        assert_eq!(refused.status, 403, "{foreign}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("http.allow_hosts"));
    }
    // However else it may be said, or left out.
    assert_eq!(get_with(http, "/api/v1/kv", "").status, 403);
    assert_eq!(get_with(http, "/api/v1/kv", "host: localhost\r\nhost: evil.example\r\n").status, 403);
    assert_eq!(get_with(http, "http://evil.example/api/v1/kv", "host: localhost\r\n").status, 403);
    assert_eq!(get_with(http, "http://localhost/api/v1/kv", "host: localhost\r\n").status, 200);
}

#[test]
fn names_are_what_the_settings_say() {
    let of = |http, host: &str| get_with(http, "/health/live", &format!("host: {host}\r\n")).status;
    let (_dir, _served, http) = serve("[http]\nallow_hosts = ['Panel.example', '::1']\n");
    let found = ["panel.example", "panel.example:443", "[::1]:7424", "localhost", "gw-7"].map(|host| of(http, host));
    assert_eq!(found, [200, 200, 200, 403, 403]);
    let (_dir, _served, http) = serve("[http]\nallow_hosts = ['*']\n");
    assert_eq!(of(http, "anything.example"), 200);
    assert_eq!(get_with(http, "/health/live", "").status, 200);
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", "https://panel.example"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-headers", "authorization,content-type"),
];

#[test]
fn pages_of_named_sites_may_ask() {
    let (_dir, _served, http) = serve("[http]\ncors_origins = ['https://panel.example', 'http://localhost:3000']\n");
    let preflight = ask(http, "OPTIONS", "/api/v1/kv/a", &PREFLIGHT, b"");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, Some("https://panel.example")));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("PUT"));
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("idempotency-key"), "{allowed}");
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
    let asked = |origin| get(http, "/api/v1/kv", &[("origin", origin)]);
    assert_eq!(asked("http://localhost:3000").header("access-control-allow-origin"), Some("http://localhost:3000"));
    // What went wrong can be read by the page too.
    let missing = get(http, "/api/v1/kv/none", &[("origin", "https://panel.example")]);
    assert_eq!((missing.status, missing.header("access-control-allow-origin")), (404, Some("https://panel.example")));
    for foreign in ["https://evil.example", "http://panel.example", "null"] {
        assert_eq!(asked(foreign).header("access-control-allow-origin"), None, "{foreign}");
    }
    let (_dir, _served, http) = serve("[http]\ncors_origins = ['*']\n");
    assert_eq!(get(http, "/api/v1/kv", &[("origin", "https://a.example")]).header("access-control-allow-origin"), Some("*"));
}

#[test]
fn no_page_of_another_site_may_ask_unless_somebody_says_so() {
    let (_dir, _served, http) = serve("");
    let preflight = ask(http, "OPTIONS", "/api/v1/kv/a", &PREFLIGHT, b"");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (405, None));
    assert_eq!(get(http, "/api/v1/kv", &[("origin", "https://panel.example")]).header("access-control-allow-origin"), None);
}

/// Browsers send what is simple without asking first, and never without saying from where.
#[test]
fn pages_of_other_sites_change_nothing() {
    let line = b"air,device=a t=1 1000";
    let write = |http, headers: &[(&str, &str)]| ask(http, "POST", "/write?precision=us", headers, line);
    let (_dir, _served, http) = serve("[http]\ncors_origins = ['https://panel.example']\n");
    let cross = [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site"), ("origin", "http://localhost")],
    ];
    for headers in cross {
        let refused = write(http, &headers);
        assert_eq!((refused.status, refused.header("content-type")), (403, Some("application/problem+json")), "{headers:?}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("http.cors_origins"));
    }
    assert_eq!(get(http, "/api/v1/tables", &[]).json()["tables"].as_array().unwrap().len(), 0, "nothing was written");
    for headers in [vec![], vec![("origin", "https://panel.example")], vec![("sec-fetch-site", "same-origin")]] {
        assert_eq!(write(http, &headers).status, 204, "{headers:?}");
    }
    let (_dir, _served, http) = serve("[http]\ncors_origins = ['*']\n");
    assert_eq!(write(http, &[("origin", "https://evil.example")]).status, 204, "whoever, if somebody says so");
}

#[test]
fn answers_are_packed_for_those_who_ask_for_it() {
    let (_dir, _served, http) = serve("");
    let plain = get(http, "/api/v1/openapi.json", &[]);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = get(http, "/api/v1/openapi.json", &[("accept-encoding", "br, gzip")]);
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), (Some("gzip"), Some("accept-encoding")));
    assert!(packed.body.len() < plain.body.len() / 4);
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let rows = br#"{"table": "air", "create": true, "rows": [{"time": 1, "kw": 1.5}, {"time": 2, "kw": 2.5}]}"#;
    let json = [("content-type", "application/json"), ("accept-encoding", "gzip")];
    assert_eq!(ask(http, "POST", "/api/v1/write", &json, rows).status, 200);
    let answer = ask(http, "POST", "/api/v1/query", &json, br#"{"table": "air"}"#);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let feed = get(http, "/api/v1/changes", &[("accept-encoding", "gzip")]);
    assert_eq!(feed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&feed.body[..]).read_to_string(&mut text).unwrap();
    assert!(text.lines().all(|line| line.contains("\"sequence\"")) && !text.is_empty(), "{text}");
}

/// What is pushed comes as it happens, and not once a packer is full.
#[test]
fn feeds_that_follow_are_never_packed() {
    let (_dir, _served, http) = serve("");
    let json = [("content-type", "application/json")];
    assert_eq!(ask(http, "PUT", "/api/v1/kv/a", &json, br#"{"value": "1"}"#).status, 200);
    for (path, accept) in [("/api/v1/changes?follow=true", "*/*"), ("/api/v1/changes", "text/event-stream")] {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {http}\r\naccept: {accept}\r\naccept-encoding: gzip\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines();
        let head: Vec<String> = lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        assert!(head[0].contains("200") && !head.iter().any(|line| line.starts_with("content-encoding")), "{head:?}");
        assert!(lines.map(Result::unwrap).any(|line| line.contains("\"sequence\"")), "{accept}");
    }
}

#[test]
fn settings_are_shown_and_those_that_cannot_be_meant_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shown = |text: &str| {
        let file = dir.path().join("alluvium.toml");
        std::fs::write(&file, text).unwrap();
        let output =
            binary::command(Path::new("unused"), ["config", "show", "--config", file.to_str().unwrap()]).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (is_well, text) = shown("[http]\nallow_hosts = ['panel.example']\n");
    assert!(is_well && text.contains("[http]") && text.contains("0.0.0.0/0") && text.contains("panel.example"), "{text}");
    for (wrong, said) in [
        ("allow_from = ['lan']", "192.168.1.0/24"),
        ("allow_from = []", "http.allow_from"),
        ("allow_hosts = ['http://a']", "http.allow_hosts"),
        ("cors_origins = ['panel.example']", "https://panel.example"),
        ("allow_form = []", "allow_form"),
    ] {
        let (is_well, text) = shown(&format!("[http]\n{wrong}\n"));
        assert!(!is_well && text.contains(said), "{wrong}: {text}");
    }
}
