//! How a server is operated: settings, service managers, HTTPS, the log. The real binary.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_tests::binary::{self, command, fail, succeed};
use alluvium_tests::http::{ask, raw};
use alluvium_tests::served::Served;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

fn settings(dir: &Path, text: &str) -> String {
    let file = dir.join("alluvium.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn settings_come_from_a_file_the_environment_and_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = settings(
        dir.path(),
        &format!(
            "data = {:?}\ngateway = 'from-file'\n[listen]\nquic = '127.0.0.1:0'\nhttp = 'none'\n[limits]\nstreams = 9\n",
            data.to_str().unwrap()
        ),
    );
    let shown = succeed(dir.path(), ["config", "show", "--config", &file]);
    assert!(shown.contains("streams = 9\n") && shown.contains("gateway = \"from-file\"\n"), "{shown}");
    succeed(dir.path(), ["config", "check", "--config", &file]);
    let wrong = settings(dir.path(), "[limits]\nstreams = 9\nstraems = 8\n");
    let said = fail(2, dir.path(), ["config", "check", "--config", &wrong]);
    assert!(said.contains("line 3") && said.contains("straems"), "{said}");
    let said = fail(2, dir.path(), ["serve", "--config", &wrong]);
    assert!(said.contains("straems"), "{said}");

    let file = settings(
        dir.path(),
        &format!("data = {:?}\ngateway = 'from-file'\n[listen]\nquic = '127.0.0.1:0'\nhttp = 'none'\n", data.to_str().unwrap()),
    );
    let start = |gateway: Option<&str>, more: &[&str]| {
        // Without --data, which would go before the file.
        let mut command = Command::new(binary::path());
        command.args(["serve", "--json", "--config", &file]).args(more).env_remove("ALLUVIUM_DATA");
        command.envs(gateway.map(|gateway| ("ALLUVIUM_GATEWAY", gateway)));
        let served = Served::spawn(command);
        assert_eq!(served.http, None);
        assert!(served.end().success());
        let started = succeed(&data, ["audit", "list", "--json"]);
        let mut started = started.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        started.rfind(|entry| entry["what"] == "server.start").unwrap()["object"].as_str().unwrap().to_owned()
    };
    assert_eq!(start(None, &[]), "from-file");
    assert_eq!(start(Some("from-environment"), &[]), "from-environment");
    assert_eq!(start(Some("from-environment"), &["--gateway", "from-line"]), "from-line");
}

#[test]
fn what_needs_the_files_goes_to_no_server() {
    let dir = tempfile::tempdir().unwrap();
    for (words, why) in [
        ("serve --listen 127.0.0.1:0 --http none", "serve opens a database of its own"),
        ("demo", "the demo serves a database of its own"),
        ("inspect", "inspect reads the files themselves"),
        ("verify", "verify reads the files themselves"),
        ("compact", "compact rewrites the files themselves"),
        ("audit check", "audit check reads the entries themselves"),
        ("cert ca export", "the authority is in files of the gateway"),
    ] {
        let mut command = Command::new(binary::path());
        command.args(words.split(' ')).args(["--server", "gw@127.0.0.1:1", "--ca", "a", "--cert", "b", "--cert-key", "c"]);
        let output = command.env_remove("ALLUVIUM_DATA").current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(why) && said.contains("on the machine of gw@127.0.0.1:1, with --data"), "{words}: {said}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn the_service_manager_hears_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut command =
        command(&dir.path().join("data"), ["serve", "--json", "--dev", "--listen", "127.0.0.1:0", "--http", "none"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "20000").env_remove("WATCHDOG_PID");
    let served = Served::spawn(command);
    let hear = || {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    assert_eq!(hear().trim(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear().trim(), "WATCHDOG=1");
    }
    served.signal("TERM");
    let begun = Instant::now();
    while hear().trim() != "STOPPING=1" {
        assert!(begun.elapsed() < SOON, "nobody said that it ends");
    }
    assert!(served.end().success());
}

/// A connection over TLS with a server of this name.
fn secured(at: SocketAddr, authority: &Path, name: &str) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(at)?);
    stream.sock.set_read_timeout(Some(SOON))?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

#[test]
fn http_has_tls_anywhere_but_on_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    succeed(&data, ["user", "add", "eve", "--role", "admin"]);
    let token = succeed(&data, ["token", "issue", "eve"]);
    let said = fail(2, &data, ["serve", "--dev", "--http", "0.0.0.0:0", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("without TLS"), "{said}");

    let arguments = ["serve", "--json", "--listen", "127.0.0.1:0", "--http", "0.0.0.0:0", "--gateway", "gateway-1"];
    let served = Served::spawn(command(&data, arguments));
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, served.http.unwrap().port()));
    let authority = data.join("certificates/ca.pem");
    let mut stream = secured(at, &authority, "gateway-1").unwrap();
    let head = format!(
        "GET /api/v1/kv HTTP/1.1\r\nhost: gateway-1\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        token.trim()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The end of TLS may be missing where the server closed first.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    assert!(secured(at, &authority, "gateway-2").is_err(), "it is another gateway");
    let mut plain = TcpStream::connect(at).unwrap();
    plain.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "without TLS nothing is answered");
    assert!(served.end().success());
}

#[test]
fn who_dawdles_or_comes_in_crowds_is_held_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path(), "[limits]\nhttp_connections = 2\nfirst_frame = '300ms'\n");
    let served = Served::start(&dir.path().join("data"), &["--dev", "--config", &file]);
    let http = served.http.unwrap();
    let dawdler = || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: ").unwrap();
        stream
    };
    // Both places are taken, and free again when the heads did not come; who waits is answered then.
    let mut dawdlers = [dawdler(), dawdler()];
    assert_eq!(ask(http, "GET", "/health/live", &[], b"").status, 200);
    for dawdler in &mut dawdlers {
        let mut answer = Vec::new();
        let _ = dawdler.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", answer.escape_ascii());
    }
    assert_eq!(raw(http, b"nonsense\r\n\r\n").status, 400);
    assert!(served.end().success());
}

#[test]
fn the_log_is_text_or_json() {
    for (format, is_json) in [("json", true), ("text", false)] {
        let dir = tempfile::tempdir().unwrap();
        let file = settings(dir.path(), &format!("[log]\nformat = '{format}'\nlevel = 'debug'\n"));
        let stderr = dir.path().join("stderr");
        let arguments = ["serve", "--json", "--dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--config", &file];
        let mut command = command(&dir.path().join("data"), arguments);
        command.env_remove("ALLUVIUM_LOG").stderr(Stdio::from(std::fs::File::create(&stderr).unwrap()));
        let served = Served::spawn(command);
        assert_eq!(ask(served.http.unwrap(), "GET", "/api/v1/kv", &[("x-request-id", "mine")], b"").status, 200);
        assert!(served.end().success());
        let said = std::fs::read_to_string(&stderr).unwrap();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("mine")).collect();
        assert!(!lines.is_empty(), "{said}");
        for line in lines {
            assert_eq!(serde_json::from_str::<Value>(line).is_ok(), is_json, "{line}");
        }
    }
}
