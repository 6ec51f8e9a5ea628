//! The same commands on a directory and on a server: the real binary, over QUIC and through the server that holds a directory.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use alluvium_tests::binary::{path, run, succeed};
use alluvium_tests::served::Served;
use serde_json::Value;
use tempfile::TempDir;

const AIR: &str = "time,room,co2,note\n\
    2024-01-01T00:00:00Z,A,612.5,\"fine, thanks\"\n\
    2024-01-01T00:00:01Z,A,-0.25,\n\
    2024-01-01T00:01:00Z,B,,x\n";

/// A directory, and a server of another that began the same, with an admin `eve` and a reader `bob`.
struct Both {
    dir: TempDir,
    served: Served,
}

impl Both {
    fn new() -> Both {
        let dir = tempfile::tempdir().unwrap();
        let air = dir.path().join("air.csv");
        std::fs::write(&air, AIR).unwrap();
        for data in ["here", "there"].map(|name| dir.path().join(name)) {
            succeed(&data, ["user", "add", "eve", "--role", "admin"]);
            succeed(&data, ["user", "add", "bob", "--role", "reader"]);
            succeed(&data, ["import", air.to_str().unwrap(), "--table", "air", "--tag", "room"]);
        }
        let there = dir.path().join("there");
        for name in ["eve", "bob"] {
            succeed(&there, ["cert", "issue", name, "--out", dir.path().to_str().unwrap()]);
        }
        let served = Served::start(&there, &["--gateway", "gateway-1"]);
        std::fs::write(dir.path().join("ca.pem"), succeed(&there, ["cert", "ca", "export"])).unwrap();
        Both { dir, served }
    }

    fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    fn there(&self) -> PathBuf {
        self.dir.path().join("there")
    }

    /// A command for the server, as somebody.
    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(path());
        command.args(words).args(["--server", &format!("gateway-1@{}", self.served.at)]);
        let file = |name: String| self.dir.path().join(name);
        command.arg("--ca").arg(file("ca.pem".to_owned())).arg("--cert").arg(file(format!("{name}.pem")));
        command.arg("--cert-key").arg(file(format!("{name}.key"))).env_remove("ALLUVIUM_DATA").env_remove("ALLUVIUM_SERVER");
        command
    }

    /// Its end: exit code, output, and complaint.
    fn ask(&self, name: &str, words: &[&str]) -> (Option<i32>, String, String) {
        told(&self.command(name, words).output().unwrap())
    }

    /// The same command does the same at both.
    #[track_caller]
    fn same(&self, words: &[&str]) -> String {
        let here = told(&run(&self.here(), words));
        let there = self.ask("eve", words);
        assert_eq!(here, there, "{words:?}");
        here.1
    }

    /// The same for people and for programs.
    #[track_caller]
    fn all_same(&self, lines: &[&str]) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            self.same(&words);
        }
    }

    /// A complaint of the server's, or about it.
    #[track_caller]
    fn fails(&self, code: i32, name: &str, words: &[&str]) -> String {
        let (found, _, said) = self.ask(name, words);
        assert_eq!(found, Some(code), "{said}");
        assert!(!said.contains("panicked") && said.lines().count() == 1, "{said}");
        said
    }

    fn end(self) {
        assert!(self.served.end().success());
        succeed(&self.dir.path().join("there"), ["verify"]);
    }
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn pairs_are_the_same() {
    let both = Both::new();
    both.all_same(&[
        "kv list",
        "kv put a 1",
        "kv put a/b?c=%25 2 --json",
        "kv put a 3 --if-absent",
        "kv put a 3 --if-revision 7",
        "kv get a",
        "kv get a/b?c=%25 --json",
        "kv get none",
        "kv increment n 5",
        "kv increment n -7 --json",
        "kv increment a",
        "kv list",
        "kv list --json",
        "kv list a --backward --limit 1",
        "kv list --after a --json",
        "kv delete a --if-revision 9",
        "kv delete a",
        "kv delete a",
        "kv delete n --json",
    ]);
    let many: Vec<String> = (0..1_100).map(|n| format!("many/{n:04}")).collect();
    for key in many.iter().step_by(100) {
        both.same(&["kv", "put", key, "x"]);
    }
    both.same(&["kv", "list", "many/", "--limit", "5000"]);
    both.end();
}

#[test]
fn tables_and_rows_are_the_same() {
    let both = Both::new();
    both.all_same(&["tables", "tables --json", "tables rename air water", "tables rename air water", "tables rename water air --json"]);
    both.all_same(&[
        "query --table air",
        "query --table air --json",
        "query --table air --format csv --order desc --limit 2",
        "query --table air --format arrow --where room=A --field co2",
        "query --table air --format csv --every 1m --agg max,count --by room",
        "query --table air --format csv --agg mean",
        "query --table air --format csv --last",
        "query --table air --format csv --from 2024-01-01T00:00:01Z --to 2024-01-01T00:01:00Z",
        "query --table air --format csv --every 1d --tz Europe/Berlin --field co2",
        "query --table air --where none=1",
        "query --table none",
        "query --table air --agg median",
    ]);
    let file = |name: &str| both.dir.path().join(name);
    let (one, two) = (file("one.parquet"), file("two.parquet"));
    succeed(&both.here(), ["query", "--table", "air", "--output", one.to_str().unwrap()]);
    assert_eq!(both.ask("eve", &["query", "--table", "air", "--output", two.to_str().unwrap()]).0, Some(0));
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    both.all_same(&["tables drop air", "tables drop air", "tables", "tables --json", "cursors", "cursors drop none"]);
    both.end();
}

#[test]
fn a_locked_directory_is_asked_through_its_server() {
    let both = Both::new();
    let there = both.there();
    succeed(&there, ["kv", "put", "a", "1"]);
    assert_eq!(both.ask("eve", &["kv", "get", "a"]).1, "1\n");
    for words in [&["query", "--table", "air", "--format", "arrow"][..], &["tables"], &["kv", "list", "--json"]] {
        assert_eq!(told(&run(&there, words)), both.ask("eve", words), "{words:?}");
    }
    let status: Value = serde_json::from_str(&both.ask("bob", &["status", "--json"]).1).unwrap();
    assert_eq!(status["server"]["gateway"], "gateway-1");
    both.end();
}

/// HTTP anywhere but on loopback is HTTPS, with the gateway's own certificate.
#[test]
fn a_locked_directory_is_asked_over_https() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), ["kv", "put", "a", "1"]);
    let serve = ["serve", "--json", "--listen", "127.0.0.1:0", "--http", "0.0.0.0:0", "--gateway", "gateway-1"];
    let served = Served::spawn(alluvium_tests::binary::command(dir.path(), serve));
    assert_eq!(succeed(dir.path(), ["kv", "get", "a"]), "1\n");
    // An authority that is another is not believed.
    let other = tempfile::tempdir().unwrap();
    succeed(other.path(), ["user", "add", "eve"]);
    succeed(other.path(), ["cert", "issue", "eve", "--out", other.path().to_str().unwrap()]);
    let ca = |data: &std::path::Path| data.join("certificates/ca.pem");
    std::fs::copy(ca(other.path()), ca(dir.path())).unwrap();
    let said = alluvium_tests::binary::fail(1, dir.path(), ["kv", "get", "a"]);
    assert!(said.contains("cannot be reached") && said.contains("certificate"), "{said}");
    assert!(served.end().success());
}

#[test]
fn rights_are_those_of_the_certificate() {
    let both = Both::new();
    assert_eq!(both.ask("bob", &["kv", "list"]).0, Some(0));
    let said = both.fails(1, "bob", &["kv", "put", "a", "1"]);
    assert!(said.contains("bob may not write key:a"), "{said}");
    assert!(both.fails(1, "bob", &["tables", "drop", "air"]).contains("bob may not define table:air"));
    both.end();
}

#[test]
fn whoever_is_not_let_in_is_told_why_and_soon() {
    let both = Both::new();
    let began = Instant::now();
    let server = format!("gateway-1@{}", both.served.at);
    let bare = |server: &str| told(&Command::new(path()).args(["kv", "list", "--server", server]).output().unwrap());
    let (code, _, said) = bare(&server);
    assert!(code == Some(1) && said.contains("--ca and --cert and --cert-key"), "{said}");
    let ask = |server: &str, cert: &str| {
        let file = |name: &str| both.dir.path().join(name);
        let mut command = Command::new(path());
        command.args(["kv", "list", "--server", server]).arg("--ca").arg(file("ca.pem"));
        command.arg("--cert").arg(file(&format!("{cert}.pem"))).arg("--cert-key").arg(file(&format!("{cert}.key")));
        let (code, _, said) = told(&command.output().unwrap());
        assert_eq!(code, Some(1), "{said}");
        said
    };
    let said = ask(&format!("gateway-2@{}", both.served.at), "eve");
    assert!(said.contains("TLS with server \"gateway-2\"") && said.contains("check the server's name"), "{said}");
    let other = tempfile::tempdir().unwrap();
    succeed(other.path(), ["user", "add", "eve"]);
    succeed(other.path(), ["cert", "issue", "eve", "--out", other.path().to_str().unwrap()]);
    for ending in ["pem", "key"] {
        let from = other.path().join(format!("eve.{ending}"));
        std::fs::copy(from, both.dir.path().join(format!("mallory.{ending}"))).unwrap();
    }
    assert!(ask(&server, "mallory").contains("TLS with server"));
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let said = ask(&format!("gateway-1@{}", nobody.local_addr().unwrap()), "eve");
    assert!(said.contains("cannot be reached") && !said.contains("tried again"), "{said}");
    assert!(ask("gateway-1@127.0.0.1:1", "nobody").contains("nobody.pem"));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    for needs in [&["verify"][..], &["inspect"], &["compact"], &["cert", "ca", "export"], &["audit", "check"]] {
        let said = both.fails(2, "eve", needs);
        assert!(said.contains("with --data"), "{said}");
    }
    both.end();
}
