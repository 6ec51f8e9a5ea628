//! Stores that run beside the tests, each once for all of them, as long as the tests do.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The only one that s3s-fs knows.
pub(crate) const ACCESS_KEY: (&str, &str) = ("AKIAPUMPHOUSE", "correct-horse-battery-staple");

/// A running store.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    /// Where it keeps its objects.
    pub(crate) folder: PathBuf,
    /// It ends when this is closed, by whatever ends the tests.
    _alive: ChildStdin,
    _child: Child,
}

pub(crate) fn moto() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| started("moto", |port, _| vec!["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port]))
}

pub(crate) fn s3s() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        started("s3s-fs", |port, folder| {
            let (id, secret) = ACCESS_KEY;
            let words = ["--host", "127.0.0.1", "--access-key", id, "--secret-key", secret, "--port", &port, folder];
            words.map(str::to_owned).to_vec()
        })
    })
}

pub(crate) fn azurite() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        started("azurite", |port, folder| {
            let words = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobPort", &port, "--location", folder];
            words.map(str::to_owned).to_vec()
        })
    })
}

/// The words that start a store, which is installed first where it is not there.
fn installed(name: &str) -> Vec<String> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/object-store");
    let output = Command::new(tool).arg(name).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{name} was not installed");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn started(name: &str, arguments: impl Fn(String, &str) -> Vec<String>) -> Server {
    let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap().keep();
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The store ends when nobody holds the other end of the shell's input any more, and what it kept with it.
    let script = r#"folder=$1; shift; "$@" </dev/null & child=$!; cat >/dev/null; kill $child; wait $child; rm -rf "$folder""#;
    let mut child = Command::new("bash")
        .args(["-c", script, name])
        .arg(&folder)
        .args(installed(name))
        .args(arguments(at.port().to_string(), folder.to_str().unwrap()))
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let alive = child.stdin.take().unwrap();
    let mut complaints = child.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = complaints.read_to_end(&mut said);
        said
    });
    let begun = Instant::now();
    while TcpStream::connect(at).is_err() {
        if begun.elapsed() > Duration::from_secs(60) || child.try_wait().unwrap().is_some() {
            drop(alive);
            panic!("{name} does not answer: {}", String::from_utf8_lossy(&said.join().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Server { at, folder, _alive: alive, _child: child }
}
