//! The binary end to end: import, query, kill -9, bad input.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use alluvium_tests::binary::{command, fail, run, succeed};
use alluvium_tests::imports::Import;
use alluvium_tests::{cases, seed};
use serde_json::{Value, json};
use tempfile::TempDir;

const AIR: &str = "time,room,co2,note,ok,count\n\
    2024-01-01T00:00:00Z,A,612.5,\"fine, thanks\",true,1\n\
    2024-01-01T00:00:00.25Z,A,-0.0,\"\",false,2\n\
    2024-01-01T00:01:00Z,B,NaN,,true,\n\
    2024-01-01T00:02:00Z,B,1e300,\"a \"\"quote\"\"\",,-9223372036854775808\n\
    2024-01-01T00:03:00Z,,0.1,x,true,4\n";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn file(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("writes");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn csv_out_is_csv_in() {
    let dir = directory();
    let air = file(dir.path(), "air.csv", AIR);
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    succeed(&one, ["import", &air, "--table", "air", "--tag", "room"]);
    let first = succeed(&one, ["query", "--table", "air", "--format", "csv"]);
    let expected = "time,room,co2,note,ok,count\n\
        2024-01-01T00:03:00Z,,0.1,x,true,4\n\
        2024-01-01T00:00:00Z,A,612.5,\"fine, thanks\",true,1\n\
        2024-01-01T00:00:00.25Z,A,-0.0,\"\",false,2\n\
        2024-01-01T00:01:00Z,B,NaN,,true,\n\
        2024-01-01T00:02:00Z,B,1e300,\"a \"\"quote\"\"\",,-9223372036854775808\n";
    assert_eq!(first, expected);
    let again = file(dir.path(), "again.csv", &first);
    succeed(&two, ["import", &again, "--table", "air", "--tag", "room"]);
    assert_eq!(succeed(&two, ["query", "--table", "air", "--format", "csv"]), first);
}

#[test]
fn aggregates_last_values_and_order() {
    let dir = directory();
    let data = dir.path().join("data");
    let air = file(dir.path(), "air.csv", AIR);
    succeed(&data, ["import", &air, "--table", "air", "--tag", "room"]);
    let query = |more: &[&str]| succeed(&data, [&["query", "--table", "air", "--format", "csv"], more].concat());
    assert_eq!(
        query(&["--every", "1m", "--agg", "count,max", "--field", "count"]),
        "time,count(count),max(count)\n2024-01-01T00:00:00Z,2,2\n2024-01-01T00:01:00Z,0,\n2024-01-01T00:02:00Z,1,-9223372036854775808\n2024-01-01T00:03:00Z,1,4\n"
    );
    assert_eq!(
        query(&["--last", "--field", "count"]),
        "time,room,count\n2024-01-01T00:03:00Z,,4\n2024-01-01T00:00:00.25Z,A,2\n2024-01-01T00:02:00Z,B,-9223372036854775808\n"
    );
    assert_eq!(query(&["--order", "desc", "--limit", "1", "--field", "ok"]), "time,room,ok\n2024-01-01T00:03:00Z,,true\n");
    assert_eq!(
        query(&["--where", "room in (A,B)", "--where", "count>=2", "--field", "count", "--from", "2024-01-01"]),
        "time,room,count\n2024-01-01T00:00:00.25Z,A,2\n"
    );
}

/// Rows acknowledged before a kill are there afterwards, whole, and nothing else is; whether killed after some
/// acknowledgements or after some time.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut rng = fastrand::Rng::with_seed(seed(9));
    let dir = directory();
    let import = Import::new(dir.path(), 20_000);
    for case in 0..cases(8) {
        let import = import.beside(&format!("data{case}"));
        let mut child = import.command().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let mut printed = BufReader::new(child.stdout.take().expect("piped"));
        let mut stdout = String::new();
        if case % 2 == 0 {
            for _ in 0..rng.u64(1..200) {
                printed.read_line(&mut stdout).expect("reads");
            }
        } else {
            // Any moment will do, the first ones too, when there is no database yet.
            std::thread::sleep(Duration::from_micros(rng.u64(0..250_000)));
        }
        child.kill().expect("kill -9");
        child.wait().expect("ends");
        printed.read_to_string(&mut stdout).expect("reads");
        import.check(&stdout);
    }
}

#[test]
fn inspect_and_verify_speak_json() {
    let dir = directory();
    let data = dir.path().join("data");
    let air = file(dir.path(), "air.csv", AIR);
    let report: Value =
        serde_json::from_str(&succeed(&data, ["import", &air, "--table", "air", "--tag", "room", "--json"])).expect("JSON");
    assert_eq!((&report["rows"], &report["points"], &report["rejected"]), (&5.into(), &17.into(), &0.into()));
    let inspection: Value = serde_json::from_str(&succeed(&data, ["inspect", "--json"])).expect("JSON");
    let table = &inspection["tables"][0];
    assert_eq!((&table["name"], &table["rows"], &table["points"]), (&"air".into(), &5.into(), &17.into()));
    assert_eq!((&table["series"], &table["segments"], &table["unsealed_rows"]), (&3.into(), &1.into(), &0.into()));
    assert!(inspection["bytes_written"].as_u64().expect("a number") > table["bytes_on_disk"].as_u64().expect("a number"));
    succeed(&data, ["verify", "--json"]);
}

#[test]
fn damage_is_found_and_named() {
    let dir = directory();
    let data = dir.path().join("data");
    let air = file(dir.path(), "air.csv", AIR);
    succeed(&data, ["import", &air, "--table", "air", "--tag", "room"]);
    let segment = fs::read_dir(data.join("segments")).expect("segments").next().expect("one").expect("reads").path();
    let mut bytes = fs::read(&segment).expect("reads");
    bytes[100] ^= 4;
    fs::write(&segment, bytes).expect("writes");
    let name = segment.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let output = run(&data, ["verify"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&name), "{told}");
}

#[test]
fn bad_input_is_refused_by_name() {
    let dir = directory();
    let data = dir.path().join("data");
    let missing = dir.path().join("none");
    assert!(fail(1, &missing, ["query", "--table", "t"]).contains("none"));
    assert!(!missing.exists(), "reading makes no database");
    let bad = file(dir.path(), "bad.csv", "time,v\n2024-01-01T00:00:00Z,1\nyesterday,2\n");
    assert!(fail(1, &data, ["import", &bad, "--table", "t"]).contains("line 3"));
    let skipped: Value =
        serde_json::from_str(&succeed(&data, ["import", &bad, "--table", "u", "--on-error", "skip", "--json"])).expect("JSON");
    assert_eq!((&skipped["rows"], &skipped["rejected"]), (&1.into(), &1.into()));
    let twice = file(dir.path(), "twice.csv", "time,v,v\n2024-01-01,1,2\n");
    assert!(fail(1, &data, ["import", &twice, "--table", "w"]).contains('v'));
    let empty = file(dir.path(), "empty.csv", "");
    fail(1, &data, ["import", &empty, "--table", "w"]);
    let latin = file(dir.path(), "latin.csv", b"time,v\n2024-01-01T00:00:00Z,\xff\n");
    assert!(fail(1, &data, ["import", &latin, "--table", "w"]).contains("line 2"));
    assert!(fail(1, &data, ["query", "--table", "nosuch"]).contains("nosuch"));
    assert!(fail(1, &data, ["query", "--table", "u", "--field", "zzz"]).contains("zzz"));
    fail(2, &data, ["query", "--table", "u", "--where", "???"]);
    let strange = dir.path().join("strange");
    fs::create_dir(&strange).expect("makes");
    fs::write(strange.join("photo.jpg"), b"x").expect("writes");
    assert!(fail(1, &strange, ["import", &bad, "--table", "t"]).contains("photo.jpg"));
}

#[test]
fn who_may_do_what_is_kept_and_who_changed_it_is_told() {
    let dir = directory();
    let data = dir.path().join("data");
    let rows = |answer: &str| -> Vec<Value> { answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    succeed(&data, ["user", "add", "pump-7", "--role", "device", "--grant", "read collection:recipes"]);
    assert!(fail(2, &data, ["user", "add", "pump-7"]).contains("exists already"));
    assert!(fail(2, &data, ["user", "add", "two words"]).contains("holds ' '"));
    assert!(fail(1, &data, ["user", "add", "ops", "--role", "operatr"]).contains("there is no role \"operatr\""));
    assert!(fail(2, &data, ["grant", "add", "pump-7", "consume table:air"]).contains("consume cannot be done to table:air"));
    assert!(fail(1, &data, ["grant", "add", "pump-8", "read table:air"]).contains("there is no principal \"pump-8\""));
    assert!(fail(2, &data, ["grant", "remove", "pump-7", "read table:air"]).contains("has no grant of its own"));
    succeed(&data, ["grant", "add", "pump-7", "write,read table:air where site=a|b"]);

    let may = ["grant", "check", "pump-7", "write", "table:air", "device=pump-7"];
    assert_eq!(succeed(&data, may), "pump-7 may write table:air\n");
    succeed(&data, ["grant", "check", "pump-7", "read", "table:air", "site=b"]);
    assert!(fail(1, &data, ["grant", "check", "pump-7", "write", "table:air"]).contains("may not write"));
    assert!(fail(1, &data, ["grant", "check", "pump-7", "write", "table:air", "device=pump-8"]).contains("may not write"));
    assert!(fail(1, &data, ["grant", "check", "pump-8", "read", "database"]).contains("no principal"));
    assert!(fail(2, &data, ["grant", "check", "pump-7", "read", "tables:air"]).contains("nothing to ask for"));
    succeed(&data, ["user", "disable", "pump-7"]);
    fail(1, &data, may);
    succeed(&data, ["user", "enable", "pump-7"]);
    succeed(&data, may);

    succeed(&data, ["role", "put", "painter", "write key:colour*"]);
    succeed(&data, ["user", "give", "pump-7", "painter"]);
    succeed(&data, ["grant", "check", "pump-7", "write", "key:colours"]);
    assert!(fail(2, &data, ["role", "remove", "painter"]).contains("take it away first"));
    assert!(fail(2, &data, ["role", "put", "admin", "read everything"]).contains("the same in every database"));
    succeed(&data, ["user", "take", "pump-7", "painter"]);
    succeed(&data, ["role", "remove", "painter"]);
    let shown = rows(&succeed(&data, ["user", "show", "pump-7", "--json"]));
    assert_eq!(shown[0]["grants"], json!(["read collection:recipes", "read,write table:air where site=a|b"]));
    assert_eq!(shown[0]["roles"]["device"].as_array().map(Vec::len), Some(4));

    let issued = rows(&succeed(&data, ["token", "issue", "pump-7", "--label", "laptop", "--lasts", "1h", "--json"]));
    let (secret, id) = (issued[0]["token"].as_str().unwrap(), issued[0]["id"].as_str().unwrap());
    let listed = succeed(&data, ["token", "list", "--json"]);
    assert!(listed.contains(id) && !listed.contains(secret), "{listed}");
    let changes = succeed(&data, ["changes", "--json"]);
    assert!(!changes.contains(secret) && !changes.contains("\"other\""), "{changes}");
    assert!(fail(2, &data, ["token", "revoke", "0"]).contains("there is no token"));
    succeed(&data, ["token", "revoke", id]);
    assert_eq!(succeed(&data, ["token", "list", "--json"]), "");
    succeed(&data, ["user", "remove", "pump-7"]);
    assert_eq!(succeed(&data, ["user", "list", "--json"]), "");

    // What was refused above changed nothing, and so left nothing.
    let entries = rows(&succeed(&data, ["audit", "list", "--json"]));
    let what: Vec<_> = entries.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    let expected = [
        "principal.add",
        "grant.add",
        "principal.disable",
        "principal.enable",
        "role.put",
        "role.give",
        "role.take",
        "role.remove",
        "token.issue",
        "token.revoke",
        "principal.remove",
    ];
    assert_eq!(what, expected);
    assert_eq!(entries[1]["detail"], "read,write table:air where site=a|b");
    assert_eq!(succeed(&data, ["audit", "check"]), "11 entries are as they were written\n");
    assert_eq!(succeed(&data, ["audit", "head"]), format!("11 {}\n", entries[10]["hash"].as_str().unwrap()));
    let file = dir.path().join("trail.jsonl");
    succeed(&data, ["audit", "export", &file.display().to_string()]);
    let exported = rows(&fs::read_to_string(&file).unwrap());
    assert_eq!((&exported[1..], &exported[0]["dropped"]), (&entries[..], &json!(0)));
    assert!(fail(1, &data, ["audit", "export", &file.display().to_string()]).contains("trail.jsonl"));
    assert_eq!(rows(&succeed(&data, ["audit", "list", "--outcome", "refused", "--json"])).len(), 0);
    assert_eq!(rows(&succeed(&data, ["audit", "list", "--limit", "2", "--json"])), entries[9..]);
    succeed(&data, ["verify"]);
}

#[test]
fn documents_are_put_queried_and_brought_back() {
    let dir = directory();
    let data = dir.path().join("data");
    let rows = |answer: &str| -> Vec<Value> { answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    succeed(&data, ["doc", "create", "sites"]);
    let create = ["doc", "create", "devices", "--soft-delete", "--history", "3", "--unique", "by_serial=serial"];
    succeed(&data, create.iter().chain(&["--reference", "site=sites:cascade", "--compatibility", "backward"]));
    let schema = r#"{"type": "object", "required": ["serial"], "properties": {"kw": {"type": "number"}}}"#;
    assert_eq!(succeed(&data, ["doc", "schema", "devices", schema]), "devices has version 1 of its schema\n");
    let complaint = fail(2, &data, ["doc", "schema", "devices", r#"{"type": "object", "required": ["serial", "kw"]}"#]);
    assert!(complaint.contains("not backward compatible with version 1"), "{complaint}");

    succeed(&data, ["doc", "put", "sites", "north", "{}"]);
    let put = rows(&succeed(&data, ["doc", "put", "devices", "-", r#"{"serial": 1, "site": "north"}"#, "--json"]));
    let id = put[0]["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "7"));
    let complaint = fail(2, &data, ["doc", "put", "devices", "x", r#"{"serial": 2, "kw": "much"}"#]);
    assert!(complaint.contains(r#"at "/kw""#) && complaint.contains("/properties/kw/type"), "{complaint}");
    assert!(fail(2, &data, ["doc", "put", "devices", "x", r#"{"serial": 1}"#]).contains("unique index \"by_serial\""));
    assert!(
        fail(2, &data, ["doc", "put", "devices", "x", r#"{"serial": 2, "site": "south"}"#]).contains("no document \"south\"")
    );
    assert!(fail(2, &data, ["doc", "put", "devices", "x", "{"]).contains("this is no JSON"));
    assert!(fail(1, &data, ["doc", "put", "nothing", "x", "{}"]).contains("there is no collection \"nothing\""));

    let lines: String =
        (0..600).map(|n| format!("{{\"id\": \"d{n:03}\", \"serial\": {}, \"kw\": {}}}\n", n % 599, n / 100)).collect();
    let file = dir.path().join("devices.jsonl");
    fs::write(&file, lines + "not JSON\n").expect("writes");
    let complaint = fail(1, &data, ["doc", "load", "devices", &file.display().to_string()]);
    assert!(complaint.contains("d001: ") && complaint.contains("d599: ") && complaint.contains("line 601"), "{complaint}");
    assert!(complaint.contains("3 documents were refused"), "{complaint}");

    let count = |condition: &str| succeed(&data, ["doc", "query", "devices", "--count", "--where", condition]);
    assert_eq!((count("kw=5").as_str(), count("kw>=4 || serial=1").as_str()), ("99\n", "200\n"));
    let query = ["doc", "query", "devices", "--where", "kw<1", "--order", "serial:desc", "--limit", "2", "--json"];
    let page = rows(&succeed(&data, query));
    let serials: Vec<_> = page.iter().map(|line| line["document"]["serial"].clone()).collect();
    assert_eq!(serials, [json!(99), json!(98), Value::Null]);
    let next = rows(&succeed(&data, query.iter().chain(&["--after", page[2]["cursor"].as_str().unwrap()])));
    assert_eq!(next[0]["document"]["serial"], 97);
    let explained = succeed(&data, ["doc", "query", "devices", "--where", "serial=7", "--explain"]);
    assert_eq!(explained, "index \"by_serial\" (1 of 1 values given), in order: 1 documents examined, 1 returned\n");
    succeed(&data, ["doc", "index", "devices", "by_kw", "kw", "serial"]);
    let explained = succeed(&data, ["doc", "query", "devices", "--where", "kw=2", "--order", "serial", "--explain"]);
    assert!(explained.starts_with("index \"by_kw\""), "{explained}");

    succeed(&data, ["doc", "merge", "devices", "d007", r#"{"kw": 9.5}"#]);
    let past = rows(&succeed(&data, ["doc", "history", "devices", "d007", "--json"]));
    assert_eq!((past.len(), &past[0]["document"]["kw"]), (1, &json!(0)));
    succeed(&data, ["doc", "delete", "sites", "north"]);
    assert!(fail(1, &data, ["doc", "get", "devices", id]).contains("has no document"));
    assert!(succeed(&data, ["doc", "get", "devices", id, "--deleted"]).contains("\"serial\": 1"));
    assert!(fail(2, &data, ["doc", "restore", "devices", id]).contains("refers at /site"));
    succeed(&data, ["doc", "put", "sites", "north", "{}"]);
    succeed(&data, ["doc", "restore", "devices", id]);
    assert!(succeed(&data, ["doc", "get", "devices", id]).contains("\"site\": \"north\""));

    succeed(&data, ["doc", "rename", "devices", "machines"]);
    let listed = rows(&succeed(&data, ["doc", "collections", "--json"]));
    assert_eq!((&listed[0]["collection"], &listed[0]["documents"]), (&json!("machines"), &json!(599)));
    assert!(fail(2, &data, ["doc", "drop", "sites"]).contains("drop it first"));
    succeed(&data, ["doc", "drop", "machines"]);
    assert!(succeed(&data, ["doc", "collections"]).contains("sites"));
    succeed(&data, ["verify"]);
}

#[test]
fn a_pair_expires_between_processes() {
    let dir = directory();
    let data = dir.path().join("data");
    succeed(&data, ["kv", "put", "k", "v", "--ttl", "1s"]);
    let put = Instant::now();
    while run(&data, ["kv", "get", "k"]).status.success() {
        assert!(put.elapsed() < Duration::from_secs(60), "it is still there");
    }
    succeed(&data, ["kv", "put", "k", "v", "--if-absent"]);
}

#[test]
fn pairs_are_put_read_counted_and_listed() {
    let dir = directory();
    let data = dir.path().join("data");
    let revision = |answer: &str| -> u64 { serde_json::from_str::<Value>(answer).unwrap()["revision"].as_u64().unwrap() };
    let first = revision(&succeed(&data, ["kv", "put", "pump/7", "on", "--json"]));
    assert_eq!(succeed(&data, ["kv", "get", "pump/7"]), "on\n");
    let complaint = fail(1, &data, ["kv", "put", "pump/7", "off", "--if-absent"]);
    assert!(complaint.contains(&format!("key \"pump/7\" is at revision {first}")), "{complaint}");
    let second = revision(&succeed(&data, ["kv", "put", "pump/7", "-5", "--if-revision", &first.to_string(), "--json"]));
    assert!(second > first);
    assert_eq!(succeed(&data, ["kv", "increment", "starts"]), "1\n");
    assert_eq!(succeed(&data, ["kv", "increment", "starts", "-4"]), "-3\n");

    succeed(&data, ["kv", "put", "pump/8", "soon gone", "--ttl", "1h"]);
    let listed = succeed(&data, ["kv", "list", "pump/", "--json"]);
    let pairs: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((pairs.len(), &pairs[0]["key"], &pairs[0]["value"]), (2, &json!("pump/7"), &json!("-5")));
    let left = pairs[1]["expires_in_seconds"].as_f64().unwrap();
    assert!((3_500.0..=3_600.0).contains(&left), "{left}");
    let last = succeed(&data, ["kv", "list", "--backward", "--limit", "1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["key"], "starts");
    let after = succeed(&data, ["kv", "list", "--after", "pump/7"]);
    assert!(after.contains("pump/8") && !after.contains("pump/7"), "{after}");

    assert_eq!(succeed(&data, ["kv", "delete", "pump/7"]), "pump/7 is gone\n");
    let complaint = fail(1, &data, ["kv", "get", "pump/7"]);
    assert!(complaint.contains("there is no key \"pump/7\""), "{complaint}");
    fail(1, &data, ["kv", "delete", "pump/7"]);
    assert!(fail(2, &data, ["kv", "put", "a\nb", "x"]).contains("control character"));
    assert!(fail(2, &data, ["kv", "increment", "pump/8"]).contains("no whole number"));
    assert!(fail(2, &data, ["kv", "put", "k", "x", "--ttl", "never"]).contains("never"));
    succeed(&data, ["verify"]);
}

#[test]
fn changes_of_documents_and_queues_are_told_and_inspected() {
    let dir = directory();
    let data = dir.path().join("data");
    succeed(&data, ["doc", "create", "devices"]);
    succeed(&data, ["doc", "put", "devices", "pump-7", r#"{"room": "cellar"}"#]);
    succeed(&data, ["queue", "create", "commands"]);
    succeed(&data, ["queue", "push", "commands", "open"]);
    succeed(&data, ["kv", "put", "a", "b"]);
    succeed(&data, ["user", "add", "ann", "--role", "reader"]);

    let told = succeed(&data, ["changes", "--collection", "devices"]);
    let devices = "1 collection devices made or changed\n2 document pump-7 of collection devices = {\"room\":\"cellar\"}\n";
    assert_eq!(told, devices);
    let told = succeed(&data, ["changes", "--kind", "items", "--json"]);
    let change: Value = serde_json::from_str(&told).expect("one change");
    let pushed = json!({"event": "item_pushed", "payload": "open", "queue": "commands", "queue_number": 1, "item": 1});
    assert_eq!(change["events"][0], pushed);
    assert_eq!((&change["events"][1]["event"], &change["events"][1]["place"]), (&json!("item_state"), &json!("ready")));
    assert!(fail(1, &data, ["changes", "--queue", "nothing"]).contains("there is no queue \"nothing\""));

    let inspected: Value = serde_json::from_str(&succeed(&data, ["inspect", "--json"])).expect("JSON");
    let metadata = &inspected["metadata"];
    assert_eq!((&metadata["pairs"]["count"], &metadata["collections"]["devices"]["count"]), (&json!(1), &json!(1)));
    assert_eq!(metadata["queues"], json!({"commands": 1}));
    assert_eq!((&metadata["principals"]["count"], &metadata["audit"]["count"]), (&json!(1), &json!(1)));
    assert!(succeed(&data, ["inspect"]).contains("commands"));
}

#[test]
fn changes_and_cursors() {
    let dir = directory();
    let data = dir.path().join("data");
    let air = file(dir.path(), "air.csv", AIR);
    succeed(&data, ["kv", "put", "pump/7", "on"]);
    succeed(&data, ["import", &air, "--table", "air", "--tag", "room"]);
    succeed(&data, ["kv", "put", "pump/8", "-5"]);
    succeed(&data, ["kv", "delete", "pump/7"]);

    let changes = |more: &[&str]| succeed(&data, [&["changes"], more].concat());
    assert_eq!(changes(&["--limit", "1"]), "1 pair pump/7 = on\n");
    let all = changes(&["--json"]);
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(all.windows(2).all(|pair| pair[0]["sequence"].as_u64() < pair[1]["sequence"].as_u64()));
    assert_eq!(all[0]["events"], json!([{ "event": "pair_put", "value": "on", "key": "pump/7" }]));
    assert!(all[0]["at"].is_string());
    let rows = changes(&["--kind", "rows", "--table", "air", "--json"]);
    let rows: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((&rows["events"][0]["event"], &rows["events"][0]["table"]), (&json!("rows"), &json!("air")));
    let last = all.last().unwrap()["sequence"].as_u64().unwrap();
    assert_eq!(changes(&["--from", &last.to_string()]), format!("{last} pair pump/7 removed\n"));
    assert!(fail(2, &data, ["changes", "--from", "1000"]).contains("there is no change 1000 yet"));
    assert!(fail(1, &data, ["changes", "--table", "water"]).contains("water"));
    fail(2, &data, ["changes", "--kind", "fish"]);

    let read = |more: &[&str]| changes(&[&["--cursor", "mirror", "--prefix", "pump/"], more].concat());
    assert_eq!(read(&["--limit", "1"]), "1 pair pump/7 = on\n");
    assert_eq!(read(&[]).lines().count(), 2);
    assert_eq!(read(&[]), "");
    succeed(&data, ["kv", "put", "pump/9", "x"]);
    assert_eq!(read(&[]).lines().count(), 1);
    let listed: Value = serde_json::from_str(&succeed(&data, ["cursors", "--json"])).unwrap();
    assert_eq!(listed["name"], "mirror");
    assert!(listed["acknowledged"].as_u64().unwrap() > last);
    assert!(succeed(&data, ["cursors", "list"]).contains("mirror"));
    assert_eq!(succeed(&data, ["cursors", "drop", "mirror"]), "mirror is gone\n");
    assert!(fail(1, &data, ["cursors", "drop", "mirror"]).contains("there is no cursor"));
    assert_eq!(succeed(&data, ["cursors", "--json"]), "");
    succeed(&data, ["verify"]);

    let mut follower =
        command(&data, ["changes", "--follow", "--from", &last.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(follower.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("{last} pair pump/7 removed\n"));
    assert!(follower.try_wait().unwrap().is_none(), "it waits for more");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let dir = directory();
    let data = dir.path().join("data");
    let bytes: Vec<u8> = (0..=255).collect();
    let mut put = command(&data, ["kv", "put", "raw", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(put.wait().unwrap().success());
    assert_eq!(run(&data, ["kv", "get", "raw"]).stdout, bytes);
    let described: Value = serde_json::from_str(&succeed(&data, ["kv", "get", "raw", "--json"])).unwrap();
    assert!(described["base64"].as_str().unwrap().starts_with("AAECAwQF"));
}

#[test]
fn queues_are_pushed_popped_and_looked_after() {
    let dir = directory();
    let data = dir.path().join("data");
    let json = |answer: &str| -> Vec<Value> { answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let queue = |arguments: &[&str]| succeed(&data, [&["queue"], arguments].concat());
    let refused = |code, arguments: &[&str]| fail(code, &data, [&["queue"], arguments].concat());
    assert_eq!(queue(&["create", "jobs", "--tries", "2", "--lease", "1h", "--back-off", "0s"]), "jobs is there\n");
    assert!(refused(1, &["create", "jobs"]).contains("queue \"jobs\" exists already"));
    assert!(refused(1, &["push", "none", "x"]).contains("there is no queue \"none\": `alluvium queue list`"));
    assert!(refused(2, &["create", "a\nb"]).contains("control character"));

    assert_eq!(queue(&["push", "jobs", "first", "--key", "k"]), "pushed 1\n");
    assert_eq!(queue(&["push", "jobs", "again", "--key", "k"]), "1 was pushed before\n");
    let mut push = command(&data, ["queue", "push", "jobs", "--lines", "--json"]);
    let mut push = push.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = "{\"payload\":\"urgent\",\"priority\":9}\n\n{\"base64\":\"/w==\",\"due\":\"now+1d\"}\n";
    push.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(push.wait().unwrap().success());

    let peeked = json(&queue(&["peek", "jobs", "--json"]));
    assert_eq!((peeked.len(), &peeked[0]["payload"], &peeked[1]["key"]), (2, &json!("urgent"), &json!("k")));
    let popped = json(&queue(&["pop", "jobs", "--limit", "5", "--json"]));
    assert_eq!((popped.len(), &popped[0]["tries"], &popped[0]["lasts_seconds"]), (2, &json!(1), &json!(3600.0)));
    assert_eq!(queue(&["pop", "jobs", "--wait", "10ms", "--json"]), "", "someone has them all");
    let lease = |popped: &Value| popped["lease"].as_str().unwrap().to_owned();
    let (urgent, first) = (lease(&popped[0]), lease(&popped[1]));
    queue(&["extend", "jobs", &first, "--by", "2h"]);
    queue(&["ack", "jobs", &urgent]);
    assert!(refused(1, &["ack", "jobs", &urgent, &first]).contains("is lost: the item is gone"));
    assert!(refused(2, &["ack", "jobs", "7"]).contains("\"7\" is no lease"));
    assert!(queue(&["nack", "jobs", &first]).contains("1 may be popped again in 0 s"));
    let again = lease(&json(&queue(&["pop", "jobs", "--json"]))[0]);
    assert!(refused(1, &["nack", "jobs", &first]).contains("given to someone else"));
    assert_eq!(json(&queue(&["nack", "jobs", &again, "--json"]))[0]["became"], "dead");

    let dead = json(&queue(&["dead", "jobs", "--json"]));
    assert_eq!((dead.len(), &dead[0]["payload"]), (1, &json!("first")));
    assert!(refused(1, &["requeue", "jobs", "99"]).contains("no dead letter 99"));
    assert_eq!(queue(&["requeue", "jobs", "--all"]), "requeued 1 items\n");
    let listed = json(&queue(&["list", "--json"]));
    assert_eq!(
        (listed[0]["ready"].as_u64(), listed[0]["scheduled"].as_u64(), &listed[0]["tries"]),
        (Some(1), Some(1), &json!(2))
    );
    queue(&["alter", "jobs", "--tries", "7"]);
    assert_eq!(json(&queue(&["list", "--json"]))[0]["lease_seconds"], json!(3600.0), "what is not named stays");
    assert_eq!(json(&queue(&["purge", "jobs", "--json"]))[0]["purged"], json!(2));
    succeed(&data, ["verify"]);
    assert_eq!(queue(&["drop", "jobs"]), "jobs is gone\n");
    refused(1, &["pop", "jobs"]);
}

#[test]
fn one_process_at_a_time() {
    let dir = directory();
    let data = dir.path().join("data");
    let db = alluvium::Database::open(&data).expect("opens");
    let told = fail(1, &data, ["inspect"]);
    assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    db.close().expect("closes");
    succeed(&data, ["inspect"]);
}

#[test]
fn another_version_is_refused() {
    let dir = directory();
    let data = dir.path().join("data");
    alluvium::Database::open(&data).expect("opens").close().expect("closes");
    let path = data.join("alluvium.id");
    let mut bytes = fs::read(&path).expect("reads");
    // Byte 8 begins the version; the CRC over the first 36 bytes follows them, in both copies.
    for at in [0, 4_096] {
        bytes[at + 8] = 99;
        let crc = crc32(&bytes[at..at + 36]);
        bytes[at + 36..at + 40].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(&path, bytes).expect("writes");
    let told = fail(1, &data, ["inspect"]);
    assert!(told.contains("version 99"), "{told}");
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
