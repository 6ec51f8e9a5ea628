//! Everything to object stores: the real binary, folders, a server, kills.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alluvium_tests::binary::{self, command, fail, succeed};
use alluvium_tests::http::ask;
use alluvium_tests::served::Served;
use serde_json::{Value, json};

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

/// Rows of some days, of two rooms.
fn csv(days: std::ops::Range<u32>) -> String {
    let mut text = "time,room,co2\n".to_owned();
    for day in days {
        for minute in 0..60 {
            for room in ["a", "b"] {
                text += &format!("2025-03-{:02}T10:{minute:02}:00Z,{room},{}.5\n", day + 1, 400 + minute);
            }
        }
    }
    text
}

fn import(dir: &Path, data: &Path, days: std::ops::Range<u32>) {
    let file = dir.join("rows.csv");
    std::fs::write(&file, csv(days)).unwrap();
    succeed(data, ["import", file.to_str().unwrap(), "--table", "air", "--tag", "room"]);
}

/// What a bucket proves of the one gateway in it.
fn proof(bucket: &Path) -> Value {
    let told: Value = serde_json::from_str(&succeed(bucket, ["sync", "prove", "--json", bucket.to_str().unwrap()])).unwrap();
    assert_eq!(told["holds"], json!(true));
    assert_eq!(told["gateways"].as_array().unwrap().len(), 1, "{told}");
    told["gateways"][0].clone()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.to_string_lossy().ends_with(ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn everything_goes_to_a_folder_without_any_settings() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("data-bucket"));
    import(dir.path(), &data, 0..3);
    assert!(succeed(&data, ["sync", "status"]).contains("nothing is carried anywhere"));
    let told = succeed(&data, ["sync", "run", "--once", "--gateway", "pump-house"]);
    assert!(told.contains("everything is there: 1 cut announced") && told.contains("data-bucket"), "{told}");
    assert_eq!(proof(&bucket)["branches"][0]["delivered_through"]["cut"], json!(1));
    assert_eq!(proof(&bucket)["gateway"], json!("pump-house"));
    let status: Value = serde_json::from_str(&succeed(&data, ["sync", "status", "--json"])).unwrap();
    assert_eq!((&status["name"], &status["cuts_left"], &status["delivered"]["cut"]), (&json!("default"), &json!(0), &json!(1)));
    assert_eq!(status["gateway"], json!("pump-house"));
    succeed(&data, ["sync", "verify", "--gateway", "pump-house"]);
    // The same bytes as here, and rows that anybody can import.
    let [segment] = &files(&bucket, ".parquet")[..] else { panic!("{:?}", files(&bucket, "")) };
    let [own] = &files(&data.join("segments"), ".parquet")[..] else { panic!() };
    assert_eq!(std::fs::read(segment).unwrap(), std::fs::read(own).unwrap());
    let other = dir.path().join("other");
    succeed(&other, ["import", segment.to_str().unwrap(), "--table", "air", "--tag", "room"]);
    let rows = |data: &Path| succeed(data, ["query", "--table", "air", "--format", "csv"]);
    assert_eq!(rows(&other), rows(&data));
    // Under another name it would be another gateway.
    let said = fail(1, &data, ["sync", "run", "--once", "--gateway", "other"]);
    assert!(said.contains("\"pump-house\"") && said.contains("\"other\""), "{said}");
    succeed(&data, ["verify"]);
}

#[test]
fn what_was_changed_or_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("bucket"));
    import(dir.path(), &data, 0..3);
    let to = ["--to", bucket.to_str().unwrap(), "--gateway", "g"];
    succeed(&data, ["sync", "run", "--once"].into_iter().chain(to));
    let prove = |names: &[&str]| {
        let arguments = ["sync", "prove", "--json", bucket.to_str().unwrap()];
        let output = command(&data, arguments).args(names).output().unwrap();
        (output.status.success(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let [segment] = &files(&bucket, ".parquet")[..] else { panic!() };
    let whole = std::fs::read(segment).unwrap();
    let mut altered = whole.clone();
    altered[100] ^= 1;
    std::fs::write(segment, &altered).unwrap();
    assert!(prove(&["--names"]).0, "names alone are as they were");
    let (holds, told) = prove(&[]);
    assert!(!holds && told["gateways"][0]["problems"][0].as_str().unwrap().contains("its hash is another"), "{told}");
    let said = fail(1, &data, ["sync", "verify"].into_iter().chain(to));
    assert!(said.contains("2 differences"), "{said}");
    std::fs::remove_file(segment).unwrap();
    let (holds, told) = prove(&["--names"]);
    assert!(!holds && told["gateways"][0]["branches"][0]["missing"][0]["cut"] == json!(1), "{told}");
    let said = fail(1, &data, ["sync", "prove", bucket.to_str().unwrap()]);
    assert!(said.contains("not everything that was announced is there"), "{said}");
    // The target lost its manifests as well: everything is sent again.
    std::fs::remove_dir_all(bucket.join("gateways")).unwrap();
    succeed(&data, ["sync", "run", "--once"].into_iter().chain(to));
    assert_eq!(proof(&bucket)["branches"][0]["missing"], json!([]));
    succeed(&data, ["sync", "verify"].into_iter().chain(to));
}

#[test]
fn wrong_requests_are_refused_and_name_the_culprit() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    import(dir.path(), &data, 0..1);
    let nowhere = dir.path().join("nowhere");
    let said = fail(1, &data, ["sync", "prove", nowhere.to_str().unwrap()]);
    assert!(said.contains("there is no folder") && !nowhere.exists(), "{said}");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(fail(1, &data, ["sync", "prove", empty.to_str().unwrap()]).contains("any gateway"));
    for url in ["gopher://bucket", "s3://", "http://bucket"] {
        let said = fail(2, &data, ["sync", "run", "--once", "--to", url]);
        assert!(said.contains(url) || said.contains("url"), "{said}");
    }
    let said = fail(1, &data, ["sync", "pause", "elsewhere"]);
    assert!(said.contains("\"elsewhere\"") && said.contains("alluvium sync status"), "{said}");
    assert!(fail(1, &data, ["sync", "forget", "elsewhere"]).contains("\"elsewhere\""));
    let settings = dir.path().join("alluvium.toml");
    std::fs::write(&settings, "[sync.targets.cloud]\nurl = 's3://bucket'\nsecret = 'x'\n").unwrap();
    let said = fail(2, &data, ["sync", "run", "--once", "--config", settings.to_str().unwrap()]);
    assert!(said.contains("line 3") && said.contains("secret"), "{said}");
    std::fs::write(&settings, "[sync]\nparallel = 0\n").unwrap();
    assert!(fail(2, &data, ["config", "check", "--config", settings.to_str().unwrap()]).contains("sync.parallel"));
    let said = fail(1, &data, ["central", "status", "--to", "postgresql://owner@127.0.0.1:1/alluvium?sslmode=disable"]);
    assert!(said.contains("127.0.0.1") || said.contains("refused"), "{said}");
}

#[test]
fn who_is_paused_stays_so_and_who_is_forgotten_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("data-bucket"));
    import(dir.path(), &data, 0..1);
    succeed(&data, ["sync", "run", "--once"]);
    succeed(&data, ["sync", "pause"]);
    import(dir.path(), &data, 1..2);
    assert!(fail(1, &data, ["sync", "run", "--once"]).contains("is paused"));
    assert_eq!(proof(&bucket)["branches"][0]["cuts"], json!(1));
    succeed(&data, ["sync", "resume"]);
    succeed(&data, ["sync", "run", "--once"]);
    assert_eq!(proof(&bucket)["branches"][0]["cuts"], json!(2));
    succeed(&data, ["sync", "forget", "default"]);
    assert!(succeed(&data, ["sync", "status"]).contains("nothing is carried anywhere"));
    succeed(&data, ["sync", "run", "--once"]);
    let branches = proof(&bucket)["branches"].as_array().unwrap().len();
    assert_eq!(branches, 2, "it is another beginning, and overwrites nothing");
}

/// However often it is killed, in the end everything is there once.
#[test]
fn who_is_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("bucket"));
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("ALLUVIUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let arguments = ["sync", "run", "--once", "--gateway", "g", "--to", bucket.to_str().unwrap()];
    for round in 0..8 {
        import(dir.path(), &data, round..round + 1);
        for _ in 0..3 {
            let mut child = command(&data, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(5..120)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    succeed(&data, arguments);
    let proof = proof(&bucket);
    let branches = proof["branches"].as_array().unwrap();
    assert_eq!(branches.len(), 1, "it never took itself for another: {proof}");
    assert_eq!(branches[0]["missing"], json!([]));
    succeed(&data, ["sync", "verify", "--gateway", "g", "--to", bucket.to_str().unwrap()]);
    // Nothing of what was given up is left in the folder.
    let is_ours = |file: &&PathBuf| {
        let name = file.to_string_lossy();
        [".parquet", ".manifest.json", ".metadata.jsonl.zst"].iter().any(|ending| name.ends_with(ending))
    };
    let left: Vec<_> = files(&bucket, "").into_iter().filter(|file| !is_ours(&file)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn a_server_carries_what_it_is_sent_and_obeys() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("bucket"));
    let settings = dir.path().join("alluvium.toml");
    let text = format!(
        "data = {:?}\ngateway = 'pump-house'\n[listen]\nquic = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n\
         [sync]\ncut_every = '100ms'\nmax_delay = '100ms'\n[sync.targets.cloud]\nurl = {:?}\n",
        data.to_str().unwrap(),
        bucket.to_str().unwrap()
    );
    std::fs::write(&settings, text).unwrap();
    let shown = succeed(dir.path(), ["config", "show", "--config", settings.to_str().unwrap()]);
    assert!(shown.contains("[sync.targets.cloud]") && shown.contains("max_delay = \"100ms\""), "{shown}");
    let start = || {
        let mut command = Command::new(binary::path());
        command.args(["serve", "--json", "--dev", "--config", settings.to_str().unwrap()]).env_remove("ALLUVIUM_DATA");
        Served::spawn(command)
    };
    let status = |data: &Path| -> Value { serde_json::from_str(&succeed(data, ["sync", "status", "--json"])).unwrap() };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < SOON, "{what} did not come to be");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let served = start();
    import(dir.path(), &data, 0..2);
    until("delivery", &|| status(&data)["delivered"]["cut"].as_u64() >= Some(1) && status(&data)["units_left"] == json!(0));
    let told = status(&data);
    assert_eq!((&told["name"], &told["gateway"], &told["circuit"]), (&json!("cloud"), &json!("pump-house"), &Value::Null));
    assert!(told["totals"]["bytes_sent"].as_u64() > Some(0), "{told}");
    let http = served.http.unwrap();
    // Cuts may still be coming.
    until("what metrics tell", &|| {
        let metrics = String::from_utf8(ask(http, "GET", "/metrics", &[], b"").body).unwrap();
        metrics.contains("alluvium_sync_units_left{target=\"cloud\"} 0\n")
            && metrics.contains("alluvium_sync_segments_sent_total{target=\"cloud\"} ")
    });
    // It obeys, and remembers.
    succeed(&data, ["sync", "pause", "cloud"]);
    assert_eq!(status(&data)["paused"], json!(true));
    assert!(served.end().success());
    // What was on its way went on until then.
    let delivered = status(&data)["delivered"]["cut"].clone();
    let served = start();
    import(dir.path(), &data, 2..4);
    until("another cut", &|| status(&data)["cuts"].as_u64() > delivered.as_u64());
    assert_eq!((&status(&data)["delivered"]["cut"], &status(&data)["paused"]), (&delivered, &json!(true)));
    succeed(&data, ["sync", "resume", "cloud"]);
    until("delivery", &|| {
        status(&data)["delivered"]["cut"].as_u64() > delivered.as_u64() && status(&data)["units_left"] == json!(0)
    });
    succeed(&data, ["sync", "retry", "cloud"]);
    assert!(fail(1, &data, ["sync", "retry", "nobody"]).contains("\"nobody\""));
    let audit = succeed(&data, ["audit", "list", "--json"]);
    assert!(audit.contains("sync.pause") && audit.contains("sync:cloud"), "{audit}");
    assert!(served.end().success());
    // What was announced and not sent when it ended.
    succeed(&data, ["sync", "run", "--once", "--config", settings.to_str().unwrap()]);
    assert_eq!(proof(&bucket)["branches"].as_array().unwrap().len(), 1);
    succeed(&data, ["verify"]);
}

#[test]
fn a_target_that_is_not_there_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("bucket"));
    import(dir.path(), &data, 0..1);
    std::fs::create_dir(&bucket).unwrap();
    std::fs::write(bucket.join("gateways"), "of somebody").unwrap();
    let arguments = ["sync", "run", "--once", "--to", bucket.to_str().unwrap()];
    let said = fail(1, &data, arguments);
    assert!(said.contains("not everything is there") && said.contains("gateways"), "{said}");
    std::fs::remove_file(bucket.join("gateways")).unwrap();
    succeed(&data, arguments);
    assert_eq!(proof(&bucket)["branches"][0]["missing"], json!([]));
}

/// A server goes on without its bucket, and says so.
#[test]
fn a_server_tells_of_a_target_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("bucket"));
    std::fs::create_dir(&bucket).unwrap();
    std::fs::write(bucket.join("gateways"), "of somebody").unwrap();
    let settings = dir.path().join("alluvium.toml");
    let text = format!(
        "data = {:?}\ngateway = 'g'\n[listen]\nquic = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n\
         [sync]\ncut_every = '100ms'\nmax_delay = '100ms'\n[sync.targets.cloud]\nurl = {:?}\n",
        data.to_str().unwrap(),
        bucket.to_str().unwrap()
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new(binary::path());
    command.args(["serve", "--json", "--dev", "--config", settings.to_str().unwrap()]).env_remove("ALLUVIUM_DATA");
    let served = Served::spawn(command);
    let http = served.http.unwrap();
    let health = || -> (u16, Value) {
        let answer = ask(http, "GET", "/health", &[], b"");
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < SOON, "{what} did not come to be");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    import(dir.path(), &data, 0..1);
    let events = || {
        let audit = succeed(&data, ["audit", "list", "--json"]);
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        audit.lines().map(of).filter(|entry| entry["who"] == "server" && entry["object"] == "sync:cloud").collect::<Vec<_>>()
    };
    until("an event", &|| !events().is_empty());
    let [event] = &events()[..] else { panic!("{:?}", events()) };
    assert_eq!((&event["what"], &event["outcome"]), (&json!("sync.waits"), &json!("failed")));
    assert!(event["detail"].as_str().unwrap().contains("gateways"), "{event}");
    // In the change feed, and where one looks.
    let changes = succeed(&data, ["changes", "--json"]);
    assert!(changes.lines().any(|line| line.contains("sync.waits")), "{changes}");
    let (code, told) = health();
    assert_eq!((code, &told["status"], &told["sync"]), (200, &json!("ready"), &json!("degraded")), "{told}");
    let status = succeed(&data, ["status"]);
    assert!(status.contains("cloud is waited for") && status.contains("ready          yes"), "{status}");
    // It does its part again.
    std::fs::remove_file(bucket.join("gateways")).unwrap();
    succeed(&data, ["sync", "retry", "cloud"]);
    until("health", &|| health().1["sync"] == json!("ok"));
    assert_eq!(events().len(), 1, "the next one comes later");
    assert!(served.end().success());
}

/// What is in a bucket are plain files to others: DuckDB reads them as the README says.
#[test]
fn others_read_the_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket) = (dir.path().join("data"), dir.path().join("data-bucket"));
    import(dir.path(), &data, 0..3);
    succeed(&data, ["sync", "run", "--once", "--gateway", "Küche 1"]);
    import(dir.path(), &data, 3..4);
    succeed(&data, ["sync", "run", "--once", "--gateway", "Küche 1"]);
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("python-tool");
    let python = Command::new(tool).args(["duckdb", "2.0.1", "python"]).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let python = String::from_utf8(python.stdout).unwrap();
    let query = "import duckdb, sys; print(duckdb.sql(f\"SELECT gw, count(*), sum(co2), min(time) FROM read_parquet('{sys.argv[1]}/table=air/**/*.parquet', \
                 hive_partitioning = true, union_by_name = true) GROUP BY gw\").fetchall())";
    let answer = Command::new(python.trim()).args(["-c", query, bucket.to_str().unwrap()]).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    // 4 days of 60 minutes and 2 rooms: 480 rows of 400.5 to 459.5, 430 on average.
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.starts_with("[('Küche 1', 480, 206400.0, ") && answer.contains("2025, 3, 1"), "{answer}");
}

/// The machine is lost; what is in the bucket becomes a gateway again, which goes on there.
#[test]
fn a_lost_gateway_is_restored_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, bucket, again) = (dir.path().join("data"), dir.path().join("bucket"), dir.path().join("again"));
    let to = ["--to", bucket.to_str().unwrap(), "--gateway", "g"];
    let run = |data: &Path| succeed(data, ["sync", "run", "--once"].into_iter().chain(to));
    import(dir.path(), &data, 0..3);
    succeed(&data, ["doc", "create", "devices"]);
    succeed(&data, ["doc", "put", "devices", "pump-7", r#"{"floor":2}"#]);
    succeed(&data, ["user", "add", "pump-7", "--role", "device"]);
    run(&data);
    succeed(&data, ["delete", "--table", "air", "--where", "room=b", "--from", "2025-03-02", "--to", "2025-03-03"]);
    import(dir.path(), &data, 3..4);
    run(&data);
    let rows = |data: &Path| succeed(data, ["query", "--table", "air", "--format", "csv"]);
    let documents = |data: &Path| succeed(data, ["doc", "get", "devices", "pump-7"]);
    let (before, document) = (rows(&data), documents(&data));
    assert!(document.contains("floor"), "{document}");
    assert_eq!(before.lines().count(), 1 + 4 * 120 - 60);
    std::fs::remove_dir_all(&data).unwrap();
    let from = ["restore", "--from", bucket.to_str().unwrap()];
    let told = succeed(&again, from);
    assert!(told.contains("as of cut 2") && told.contains("1 table"), "{told}");
    assert_eq!((rows(&again), documents(&again)), (before, document));
    assert!(succeed(&again, ["user", "list"]).contains("pump-7"));
    succeed(&again, ["verify"]);
    // Not over what is there.
    let said = fail(1, &again, from);
    assert!(said.contains("again"), "{said}");
    import(dir.path(), &again, 4..5);
    run(&again);
    let proof = proof(&bucket);
    let branches = proof["branches"].as_array().unwrap();
    assert_eq!((branches.len(), &branches[0]["cuts"], &branches[0]["missing"]), (1, &json!(3), &json!([])), "{proof}");
    succeed(&again, ["sync", "verify"].into_iter().chain(to));
    // Nothing was sent twice.
    assert_eq!(files(&bucket, ".parquet").len(), 3);
    let nothing = dir.path().join("nothing");
    assert!(fail(1, &dir.path().join("third"), ["restore", "--from", nothing.to_str().unwrap()]).contains("no folder"));
    let said = fail(1, &dir.path().join("third"), ["restore", "--from", bucket.to_str().unwrap(), "--gateway", "h"]);
    assert!(said.contains("\"h\"") && said.contains("g"), "{said}");
}
