//! The binary end to end: import, query, kill -9, bad input.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

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
    assert!(after.contains("pump/8") && after.contains("3600 s") && !after.contains("pump/7"), "{after}");

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
