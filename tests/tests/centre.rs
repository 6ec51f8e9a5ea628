//! Gateways that report to PostgreSQL: the real binary, a real server, kills.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use alluvium_tests::binary::{self, command, fail, succeed};
use alluvium_tests::http::ask;
use alluvium_tests::served::Served;
use serde_json::{Value, json};

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(120);
const PASSWORD: &str = "wash hands";

/// A PostgreSQL that ends with this, and a gateway that it knows.
struct World {
    dir: tempfile::TempDir,
    socket: String,
    port: u16,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _script: Child,
}

impl World {
    fn new() -> World {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("postgres");
        let mut child = Command::new(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, mut answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let [socket, port, _] = words[..] else { panic!("{} told {line:?}", script.display()) };
        let dir = tempfile::tempdir().unwrap();
        let world = World { socket: socket.to_owned(), port: port.parse().unwrap(), dir, orders, answers, _script: child };
        std::fs::write(world.path("password"), format!("{PASSWORD}\n")).unwrap();
        world.central(&["migrate", "--login-password-file", world.path("password").to_str().unwrap()]);
        world.provision("provision");
        world.settings("");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A command of the owner's.
    fn central(&self, arguments: &[&str]) -> String {
        let owner = format!("host={} port={} user=postgres dbname=postgres", self.socket, self.port);
        succeed(&self.data(), ["central"].iter().chain(arguments).copied().chain(["--to", &owner]))
    }

    /// Gives the gateway a secret: `provision` or `rotate`.
    fn provision(&self, how: &str) {
        std::fs::write(self.path("secret"), self.central(&[how, "pump-house"])).unwrap();
    }

    /// Settings, with more of a section for the centre.
    fn settings(&self, more: &str) {
        let text = format!(
            "data = {:?}\ngateway = 'pump-house'\n[listen]\nquic = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n\
             [sync]\ncut_every = '100ms'\nmax_delay = '100ms'\n[sync.targets.cloud]\nurl = {:?}\n\
             [sync.postgres]\nurl = 'postgresql://alluvium_gateway@127.0.0.1:{}/postgres?sslmode=disable'\n\
             password_file = {:?}\nsecret_file = {:?}\n{more}",
            self.data(),
            self.path("bucket"),
            self.port,
            self.path("password"),
            self.path("secret")
        );
        std::fs::write(self.path("alluvium.toml"), text).unwrap();
    }

    fn import(&self, days: std::ops::Range<u32>) {
        let mut text = "time,room,co2\n".to_owned();
        for day in days {
            for minute in 0..60 {
                text += &format!("2025-03-{:02}T10:{minute:02}:00Z,a,{}.5\n", day + 1, 400 + minute);
            }
        }
        let file = self.path("rows.csv");
        std::fs::write(&file, text).unwrap();
        succeed(&self.data(), ["import", file.to_str().unwrap(), "--table", "air", "--tag", "room"]);
    }

    fn sync<'a>(&'a self, arguments: &[&'a str]) -> Vec<String> {
        let config = self.path("alluvium.toml").display().to_string();
        ["sync"].iter().chain(arguments).map(|word| (*word).to_owned()).chain(["--config".to_owned(), config]).collect()
    }

    /// How the gateway is, as the centre sees it.
    fn at_centre(&self) -> Value {
        let status: Value = serde_json::from_str(&self.central(&["status", "pump-house", "--json"])).unwrap();
        status["gateways"][0].clone()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&succeed(&self.data(), ["sync", "status", "--json"])).unwrap()
    }

    fn serve(&self) -> Served {
        let mut command = Command::new(binary::path());
        command.args(["serve", "--json", "--dev", "--config"]).arg(self.path("alluvium.toml")).env_remove("ALLUVIUM_DATA");
        Served::spawn(command)
    }

    fn order(&mut self, order: &str, answer: &str) {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), answer);
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_carried_is_registered_and_differences_are_named() {
    let world = World::new();
    world.import(0..3);
    succeed(&world.data(), ["doc", "create", "devices"]);
    succeed(&world.data(), ["doc", "put", "devices", "pump-7", r#"{"floor":2}"#]);
    succeed(&world.data(), world.sync(&["run", "--once"]));
    let centre = world.at_centre();
    assert_eq!(
        (&centre["delivered_through"], &centre["missing"], &centre["missing_metadata"]),
        (&json!(1), &json!(0), &json!(0))
    );
    let ledger = world.status()["ledger"].clone();
    assert_eq!((&ledger["cut"], &ledger["segments_left"], &ledger["circuit"]), (&json!(1), &json!(0), &Value::Null));
    assert!(succeed(&world.data(), ["sync", "status"]).contains("the centre was told through cut 1"));
    succeed(&world.data(), world.sync(&["verify"]));
    // Elsewhere is another chain: it is not told to the centre.
    let other = world.path("other");
    succeed(&world.data(), world.sync(&["run", "--once", "--to", other.to_str().unwrap()]));
    assert_eq!(world.at_centre()["incarnations"], json!(1));
    // Something goes away in the bucket.
    std::fs::remove_dir_all(world.path("bucket").join("table=air")).unwrap();
    let output = command(&world.data(), world.sync(&["verify"])).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("cloud: the centre has") && said.contains("which is not there"), "{said}");
}

#[test]
fn what_is_wrong_says_what_to_do_and_holds_up_nothing() {
    let world = World::new();
    world.import(0..1);
    let run = world.sync(&["run", "--once"]);
    // Another secret.
    std::fs::write(world.path("secret"), "0".repeat(64)).unwrap();
    let said = fail(1, &world.data(), &run);
    assert!(said.contains("alluvium central rotate") && !said.contains(&"0".repeat(64)), "{said}");
    assert_eq!(world.status()["units_left"], json!(0), "the bucket has all of it");
    std::fs::write(world.path("secret"), "hunter2").unwrap();
    let said = fail(1, &world.data(), &run);
    assert!(said.contains("64 lower-case hexadecimal digits") && !said.contains("hunter2"), "{said}");
    std::fs::remove_file(world.path("secret")).unwrap();
    assert!(fail(1, &world.data(), &run).contains(world.path("secret").to_str().unwrap()));
    // A gateway that was retired.
    world.provision("rotate");
    world.central(&["retire", "pump-house"]);
    let said = fail(1, &world.data(), &run);
    assert!(said.contains("retired") && said.contains("alluvium central rotate"), "{said}");
    // Another password.
    world.provision("rotate");
    std::fs::write(world.path("password"), "another").unwrap();
    let said = fail(1, &world.data(), &run);
    assert!(said.contains("password") && !said.contains("another\""), "{said}");
    std::fs::write(world.path("password"), PASSWORD).unwrap();
    succeed(&world.data(), &run);
    assert_eq!(world.at_centre()["delivered_through"], json!(1));
    // Nobody there.
    let text = std::fs::read_to_string(world.path("alluvium.toml")).unwrap();
    std::fs::write(world.path("alluvium.toml"), text.replace(&format!(":{}/", world.port), ":1/")).unwrap();
    world.import(1..2);
    let said = fail(1, &world.data(), &run);
    assert!(said.contains("the centre cannot be reached") && said.contains("check the link"), "{said}");
    assert!(succeed(&world.data(), ["sync", "status"]).contains("to be told: 1 cut"));
    world.settings("");
    succeed(&world.data(), &run);
    assert_eq!(world.at_centre()["delivered_through"], json!(2));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alluvium.toml");
    let url = "url = 'postgresql://alluvium_gateway@localhost/a?sslmode=disable'\n";
    for (targets, centre, told) in [
        ("a", "url = 'postgresql://a:hunter2@localhost/a?sslmode=disable'\n", "password_file"),
        ("a", "url = 'postgresql://a@centre.example/a?sslmode=disable'\n", "leaves this machine"),
        ("a", "url = 'postgresql://a@centre.example/a'\n", "sync.postgres.root_certificates"),
        ("a", &format!("{url}target = 'b'\n"), "there is no such target, but \"a\""),
        ("a b", url, "say of which: \"a\", \"b\""),
        ("a", &format!("{url}answer_seconds = 0\n"), "sync.postgres.answer_seconds"),
        ("a", &format!("{url}secret = 'x'\n"), "unknown field `secret`"),
    ] {
        let targets: String = targets.split(' ').map(|name| format!("[sync.targets.{name}]\nurl = '/{name}'\n")).collect();
        std::fs::write(&file, format!("{targets}[sync.postgres]\n{centre}")).unwrap();
        let said = fail(2, dir.path(), ["config", "check", "--config", file.to_str().unwrap()]);
        assert!(said.contains(told) && !said.contains("hunter2"), "{centre}: {said}");
    }
    std::fs::write(&file, format!("[sync.targets.a]\nurl = '/a'\n[sync.postgres]\n{url}")).unwrap();
    let shown = succeed(dir.path(), ["config", "show", "--config", file.to_str().unwrap()]);
    assert!(shown.contains("[sync.postgres]") && shown.contains("answer_seconds = 30"), "{shown}");
}

/// However often it is killed, in the end everything is there and registered once.
#[test]
fn who_is_killed_goes_on() {
    let world = World::new();
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("ALLUVIUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let run = world.sync(&["run", "--once"]);
    for round in 0..6 {
        world.import(round..round + 1);
        for _ in 0..3 {
            let mut child = command(&world.data(), &run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(5..250)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    succeed(&world.data(), &run);
    let (centre, status) = (world.at_centre(), world.status());
    assert_eq!((&centre["delivered_through"], &centre["incarnations"]), (&status["cuts"], &json!(1)), "{centre} {status}");
    assert_eq!((&centre["missing"], &centre["missing_metadata"]), (&json!(0), &json!(0)));
    succeed(&world.data(), world.sync(&["verify"]));
}

#[test]
fn a_server_goes_on_by_itself_when_the_centre_comes_back() {
    let mut world = World::new();
    let served = world.serve();
    let http = served.http.unwrap();
    let metrics = || String::from_utf8(ask(http, "GET", "/metrics", &[], b"").body).unwrap();
    world.import(0..1);
    let is_told = |world: &World| {
        let (centre, status) = (world.at_centre(), world.status());
        centre["delivered_through"].as_u64() >= Some(1) && centre["delivered_through"] == status["cuts"]
    };
    until("delivery", || is_told(&world));
    until("metrics of it", || metrics().contains("alluvium_sync_ledger_circuit_open{target=\"cloud\"} 0\n"));
    world.order("stop", "stopped");
    let before = world.status()["delivered"]["cut"].as_u64();
    world.import(1..3);
    until("delivery to the bucket", || {
        let status = world.status();
        status["delivered"]["cut"].as_u64() > before && status["units_left"] == json!(0)
    });
    until("a circuit that is open", || metrics().contains("alluvium_sync_ledger_circuit_open{target=\"cloud\"} 1\n"));
    let ledger = world.status()["ledger"].clone();
    assert!(ledger["circuit"]["why"].as_str().unwrap().contains("cannot be reached"), "{ledger}");
    assert!(ledger["segments_left"].as_u64() > Some(0), "{ledger}");
    assert_eq!(world.status()["circuit"], Value::Null);
    world.order("start", "started");
    until("delivery by itself", || is_told(&world) && world.status()["ledger"]["circuit"] == Value::Null);
    succeed(&world.data(), ["sync", "retry", "cloud"]);
    assert!(served.end().success());
    succeed(&world.data(), world.sync(&["run", "--once"]));
    succeed(&world.data(), world.sync(&["verify"]));
}
