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
            // So that sequences have two digits everywhere.
            (0..12).for_each(|_| drop(succeed(&data, ["kv", "put", "warm", "x"])));
            succeed(&data, ["user", "add", "eve", "--role", "admin"]);
            succeed(&data, ["user", "add", "bob", "--role", "reader"]);
            // Otherwise a server adds it at its first start.
            succeed(&data, ["user", "add", "local", "--role", "admin"]);
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

    /// The same but for numbers of several digits, such as revisions: other things happened before.
    #[track_caller]
    fn alike(&self, lines: &[&str]) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let here = told(&run(&self.here(), &words));
            let there = self.ask("eve", &words);
            let bare = |(code, out, said): &(Option<i32>, String, String)| (*code, without_numbers(out), without_numbers(said));
            assert_eq!(bare(&here), bare(&there), "{words:?}");
        }
    }

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
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out += if digits.len() > 1 { "##" } else { &digits };
        digits.clear();
        out.push(c);
    }
    out
}

#[test]
fn pairs_are_the_same() {
    let both = Both::new();
    both.alike(&[
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
        both.alike(&[&format!("kv put {key} x")]);
    }
    both.alike(&["kv list many/ --limit 5000"]);
    both.end();
}

#[test]
fn tables_and_rows_are_the_same() {
    let both = Both::new();
    both.all_same(&[
        "tables",
        "tables --json",
        "tables rename air water",
        "tables rename air water",
        "tables rename water air --json",
    ]);
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
    both.alike(&[
        "delete --table air",
        "delete --table air --all --from -1h",
        "delete --table none --all",
        "delete --table air --where co2>1",
        "delete --table air --where room=A --to 2024-01-01T00:00:01Z",
        "delete --table air --where room=B --json",
    ]);
    both.same(&["query", "--table", "air"]);
    both.all_same(&["tables drop air", "tables drop air", "tables", "tables --json", "cursors", "cursors drop none"]);
    both.end();
}

#[test]
fn rows_are_imported_alike() {
    let both = Both::new();
    let file = |name: &str, content: &str| {
        let path = both.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let rows: String = (0..20_000)
        .map(|row| format!("{{\"time\":{row},\"pump\":\"p{}\",\"kw\":{row}.5,\"note\":\"n{row}\"}}\n", row % 7))
        .collect();
    let pumps = file("pumps.jsonl", &rows);
    let more = file("more.csv", "time,pump,kw,price,raw\n20001,p1,2.5,1.25,eA==\n20002,,,0.5,\n");
    let wrong = file("wrong.csv", "time,pump,kw\n30001,p1,1.5\n30002,p1,much\n");
    let imported = |words: &[&str]| {
        let here = told(&run(&both.here(), words));
        let there = both.ask("eve", words);
        assert_eq!((here.0, &here.2), (there.0, &there.2), "{words:?}");
        let rows = |out: &str| out.split(" in ").next().unwrap().to_owned();
        assert_eq!(rows(&here.1), rows(&there.1), "{words:?}");
        here.0
    };
    // Rows of several kinds, in more pieces than one; with columns that are new; and with some that are wrong.
    assert_eq!(imported(&["import", &pumps, "--table", "pumps", "--tag", "pump", "--batch-rows", "15000"]), Some(0));
    assert_eq!(imported(&["import", &more, "--table", "pumps", "--decimal", "price=2", "--type", "raw=binary"]), Some(0));
    assert_eq!(imported(&["import", &wrong, "--table", "pumps"]), Some(1));
    assert_eq!(imported(&["import", &wrong, "--table", "pumps", "--on-error", "skip"]), Some(0));
    both.all_same(&["tables", "query --table pumps --format csv", "query --table pumps --format csv --agg count,max --by pump"]);
    let said = both.fails(1, "bob", &["import", &pumps, "--table", "pumps"]);
    assert!(said.contains("bob may not write table:pumps"), "{said}");
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

#[test]
fn whoever_may_what_is_the_same() {
    let both = Both::new();
    both.all_same(&[
        "user add eve",
        "user add gone",
        "user list",
        "user list --json",
        "user give bob operator",
        "user take bob operator --json",
        "user take bob operator",
        "user give none operator",
        "user disable bob",
        "user enable bob --json",
        "user show bob",
        "user show bob --json",
        "user show none",
        "role put mine",
        "role list",
        "role list --json",
        "role remove mine",
        "role remove mine",
        "grant check bob read table:air",
        "grant check bob write table:air",
        "grant check bob read table:air room=A --json",
        "grant check bob read queue:x room=A",
        "grant check none read database",
        "token revoke none",
        "cert revoke none",
        "user remove gone",
        "user remove gone",
    ]);
    both.same(&["user", "add", "pump-7", "--role", "device", "--grant", "read table:air where room=${principal}"]);
    both.same(&["grant", "add", "pump-7", "write key:*"]);
    both.same(&["grant", "remove", "pump-7", "write key:*", "--json"]);
    both.same(&["grant", "remove", "pump-7", "write key:*"]);
    both.same(&["user", "show", "pump-7", "--json"]);
    let (_, token, said) = both.ask("eve", &["token", "issue", "pump-7", "--label", "test"]);
    assert!(said.contains("it is not shown again"), "{said}");
    let listed: Vec<Value> =
        both.ask("eve", &["token", "list", "--json"]).1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let issued = listed.iter().find(|token| token["label"] == "test").unwrap();
    assert!(issued["principal"] == "pump-7" && !token.trim().is_empty());
    assert_eq!(both.ask("eve", &["token", "revoke", issued["id"].as_str().unwrap()]).0, Some(0));
    let there = both.there();
    for words in
        [&["cert", "list"][..], &["cert", "list", "--json"], &["audit", "export", "-"], &["audit", "list"], &["audit", "head"]]
    {
        let (code, out, said) = both.ask("eve", words);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{words:?}");
        assert_eq!(out, succeed(&there, words), "{words:?}");
    }
    certificates_are_issued(&both);
    let done = both.ask("eve", &["audit", "list", "--who", "eve", "--json"]).1;
    for what in
        ["role.give", "role.take", "principal.disable", "grant.add", "token.revoke", "principal.remove", "certificate.renew"]
    {
        assert!(done.contains(&format!("\"what\":\"{what}\"")), "{what}: {done}");
    }
    assert!(both.ask("eve", &["cert", "revoke", "bob"]).1.contains(" of bob is revoked"));
    both.fails(1, "bob", &["kv", "list"]);
    both.end();
}

/// A server certifies keys that it never sees.
fn certificates_are_issued(both: &Both) {
    let out = both.dir.path().join("out");
    let words = |how, name| ["cert", how, name, "--out", out.to_str().unwrap()];
    assert!(both.fails(1, "eve", &words("issue", "pump-7")).contains("make it, or name another with --out"));
    std::fs::create_dir(&out).unwrap();
    assert!(both.fails(1, "eve", &words("issue", "none")).contains("none"));
    assert!(both.fails(2, "eve", &words("renew", "pump-7")).contains("has no certificate yet"));
    let (code, said, _) = both.ask("eve", &words("issue", "pump-7"));
    assert!(code == Some(0) && said.contains("its key, for the device alone, is"), "{said}");
    assert!(both.fails(1, "eve", &words("issue", "pump-7")).contains("is not overwritten"));
    for ending in ["pem", "key"] {
        std::fs::rename(out.join(format!("pump-7.{ending}")), both.dir.path().join(format!("pump-7.{ending}"))).unwrap();
    }
    assert!(both.fails(2, "eve", &words("issue", "pump-7")).contains("has a certificate that holds until"));
    assert_eq!(both.ask("pump-7", &["kv", "put", "pump-7/a", "1"]).0, Some(0));
    // Of a key that the device made, with a server that holds the directory.
    let request = both.dir.path().join("pump-7.csr");
    let openssl = |words: &[&str]| assert!(Command::new("openssl").args(words).output().unwrap().status.success());
    let key = out.join("own.key");
    openssl(&["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key.to_str().unwrap()]);
    let subject = ["-subj", "/CN=x", "-out", request.to_str().unwrap()];
    openssl(&[&["req", "-new", "-key", key.to_str().unwrap()][..], &subject].concat());
    let renew = ["cert", "renew", "pump-7", "--csr", request.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"];
    let renewed: Value = serde_json::from_str(&both.ask("eve", &renew).1).unwrap();
    assert!(renewed["private_key"].is_null() && renewed["principal"] == "pump-7", "{renewed}");
    std::fs::rename(out.join("pump-7.pem"), both.dir.path().join("pump-7.pem")).unwrap();
    std::fs::rename(key, both.dir.path().join("pump-7.key")).unwrap();
    assert_eq!(both.ask("pump-7", &["kv", "get", "pump-7/a"]).1, "1\n");
}

#[test]
fn queues_are_the_same() {
    let both = Both::new();
    both.alike(&[
        "queue create jobs --tries 2 --lease 1h --back-off 0s",
        "queue create jobs",
        "queue alter jobs --dead-letters true --json",
        "queue alter none",
        "queue list",
        "queue list --json",
        "queue push jobs one --priority 3",
        "queue push jobs two --key k",
        "queue push jobs two --key k --json",
        "queue push none x",
        "queue peek jobs",
        "queue dead jobs",
        "queue pop none",
        "queue pop jobs --limit 0",
        "queue ack jobs nonsense",
        "queue requeue jobs --all",
        "queue requeue jobs 77",
        "queue purge jobs --dead",
    ]);
    for number in 0..2 {
        let pop = |output: Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
        let words = ["queue", "pop", "jobs", "--json"];
        let (here, there) = (pop(run(&both.here(), words)), pop(both.command("eve", &words).output().unwrap()));
        assert_eq!((&here["payload"], &here["tries"]), (&there["payload"], &there["tries"]), "{number}");
        let lease = |popped: &Value| popped["lease"].as_str().unwrap().to_owned();
        let how: &[&str] = if number == 0 { &["nack"] } else { &["ack"] };
        let give =
            |lease: &str| [&["queue"], how, &["jobs", lease]].concat().iter().map(|word| word.to_string()).collect::<Vec<_>>();
        let (here, there) = (give(&lease(&here)), give(&lease(&there)));
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        let (here, there) = (told(&run(&both.here(), &here)), both.ask("eve", &there));
        assert_eq!((here.0, here.2, without_numbers(&here.1)), (there.0, there.2, without_numbers(&there.1)), "{number}");
    }
    both.alike(&["queue purge jobs", "queue drop jobs", "queue drop jobs", "queue list --json"]);
    both.end();
}

#[test]
fn documents_are_the_same() {
    let both = Both::new();
    for data in ["here", "there"] {
        let words = ["doc", "put", "rooms", "a", "{\"n\":1}"];
        let said = if data == "here" { told(&run(&both.here(), words)) } else { both.ask("eve", &words) };
        assert!(said.0 == Some(1) && said.2.contains("rooms"), "{said:?}");
    }
    both.alike(&[
        "doc create rooms --soft-delete --keep-deleted 1h --history 5 --index by_n=n",
        "doc create rooms",
        "doc create sites --unique by_name=name --compatibility backward",
        "doc create odd --index odd",
        "doc create odd --reference site=none:cascade",
        "doc schema rooms {\"type\":\"object\"}",
        "doc schema rooms {\"type\":7}",
        "doc schema sites {\"type\":\"object\"}",
        "doc schema sites {\"type\":\"array\"}",
        "doc schema sites {\"type\":\"array\"} --compatibility none",
        "doc schema sites",
        "doc schema sites --json",
        "doc schema sites --remove",
        "doc schema none",
        "doc index rooms by_b b --unique",
        "doc index rooms by_b b",
        "doc drop-index rooms by_b",
        "doc drop-index rooms by_b --json",
        "doc reference rooms site=sites:set-null",
        "doc reference rooms site=none",
        "doc put rooms x {\"site\":\"none\"}",
        "doc rename sites places",
        "doc rename sites places",
    ]);
    let lines = both.dir.path().join("rooms.jsonl");
    let many: String = (0..600).map(|n| format!("{{\"id\":\"many-{n}\",\"n\":{n}}}\n")).collect();
    std::fs::write(&lines, many + "\nno json\n{\"id\":[]}\n").unwrap();
    for words in [&["doc", "load", "rooms", lines.to_str().unwrap()][..], &["doc", "load", "none", lines.to_str().unwrap()]] {
        both.same(words);
        both.same(&[words, &["--json"]].concat());
    }
    both.alike(&["doc query rooms --count", "doc query rooms --where n>=590 --limit 2000"]);
    for n in 0..600 {
        if n % 100 == 0 {
            both.alike(&[&format!("doc delete rooms many-{n} --purge")]);
        }
    }
    both.alike(&[
        "doc collections",
        "doc collections --json",
        "doc put rooms a {\"n\":1,\"b\":[true]}",
        "doc put rooms b {\"n\":2} --json",
        "doc put rooms a {} --if-absent",
        "doc put rooms a [1]",
        "doc merge rooms a {\"n\":3}",
        "doc merge rooms none {\"n\":3}",
        "doc get rooms a",
        "doc get rooms a --json",
        "doc get rooms none",
        "doc get none a",
        "doc history rooms a",
        "doc history rooms a --json",
        "doc query rooms",
        "doc query rooms --where n>=3 --json",
        "doc query rooms --limit 1 --order n:desc --json",
        "doc query rooms --count",
        "doc query rooms --count --json",
        "doc query rooms --explain",
        "doc query rooms --explain --json",
        "doc delete rooms a",
        "doc delete rooms a",
        "doc restore rooms a",
        "doc delete rooms a --purge --json",
        "doc restore rooms a",
        "doc drop rooms",
        "doc drop rooms",
        "doc collections",
    ]);
    both.end();
}

#[test]
fn changes_are_the_same() {
    let both = Both::new();
    let there = both.there();
    for words in ["kv put a 1", "kv put b 2 --ttl 1h", "kv delete a", "queue create jobs", "queue push jobs x", "queue pop jobs"]
    {
        assert_eq!(both.ask("eve", &words.split(' ').collect::<Vec<_>>()).0, Some(0), "{words}");
    }
    let read = |words: &[&str]| both.ask("eve", &[&["changes"], words].concat());
    assert_eq!(
        read(&["--table", "none"]),
        (Some(1), String::new(), "alluvium: there is no table \"none\": `alluvium tables` lists them\n".to_owned())
    );
    let limited = read(&["--limit", "3", "--follow"]);
    assert_eq!(
        (
            limited.0,
            limited.1.lines().map(|line| line.split(' ').next().unwrap()).collect::<std::collections::BTreeSet<_>>().len()
        ),
        (Some(0), 3)
    );
    let first = read(&["--cursor", "mine", "--limit", "2", "--json"]).1;
    let second = read(&["--cursor", "mine", "--limit", "2", "--json"]).1;
    let four = read(&["--limit", "4", "--json"]).1;
    assert_eq!(format!("{first}{second}"), four, "a cursor goes on where it was");
    let asked: Vec<&[&str]> =
        vec![&[], &["--json"], &["--prefix", "a"], &["--kind", "audit", "--json"], &["--queue", "jobs"], &["--from", "9"]];
    let before: Vec<_> = asked.iter().map(|words| read(words)).collect();
    let Both { dir, served } = both;
    assert!(served.end().success());
    for (words, (code, out, said)) in asked.iter().zip(before) {
        assert_eq!((code, said.as_str()), (Some(0), ""), "{words:?}");
        let now = succeed(&there, [&["changes"], *words].concat());
        assert!(now.starts_with(&out) && !out.is_empty(), "{words:?}:\n{out}\n{now}");
    }
    drop(dir);
}
