//! Rows that are let go of once they are held elsewhere: the real binary, a folder, a server at its budget.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use alluvium_tests::binary::{self, fail, succeed};
use alluvium_tests::http::ask;
use alluvium_tests::served::Served;
use serde_json::{Value, json};

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

struct Plant {
    dir: tempfile::TempDir,
}

impl Plant {
    fn new() -> Self {
        Plant { dir: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn bucket(&self) -> PathBuf {
        self.dir.path().join("bucket")
    }

    /// A file of settings with a target that is required, and `more`.
    fn settings(&self, more: &str) -> String {
        let path = self.dir.path().join("alluvium.toml");
        let (data, bucket) = (self.data(), self.bucket());
        let text = format!(
            "data = {:?}\ngateway = 'pump-house'\n[listen]\nquic = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n\
             [sync]\ncut_every = '100ms'\nmax_delay = '100ms'\n[sync.targets.cloud]\nurl = {:?}\nrequired = true\n{more}",
            data.to_str().unwrap(),
            bucket.to_str().unwrap()
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Imports rows of some days of March 2025.
    fn import(&self, days: std::ops::Range<u32>) {
        let mut text = "time,room,co2\n".to_owned();
        for day in days {
            for minute in 0..60 {
                text += &format!("2025-03-{:02}T10:{minute:02}:00Z,a,{}.5\n", day + 1, 400 + minute);
            }
        }
        let file = self.dir.path().join("rows.csv");
        std::fs::write(&file, text).unwrap();
        succeed(&self.data(), ["import", file.to_str().unwrap(), "--table", "air", "--tag", "room"]);
    }

    fn rows(&self, data: &Path) -> usize {
        succeed(data, ["query", "--table", "air", "--format", "csv"]).lines().count() - 1
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_target_holds_goes_and_comes_back_with_a_restore() {
    let plant = Plant::new();
    let data = plant.data();
    plant.import(0..3);
    let settings = plant.settings("[retention]\nkeep = '1d'\n");
    let dry = || lines(&succeed(&data, ["evict", "--dry-run", "--json", "--config", &settings]));
    assert_eq!(dry().len(), 1, "all three days lie in one partition");
    assert!(dry().iter().all(|found| found["waits_for"] == json!(["cloud to hold it"]) && found["reason"] == json!("age")));
    assert!(succeed(&data, ["evict", "--config", &settings]).contains("waits for cloud to hold it"));
    assert_eq!(plant.rows(&data), 180);
    succeed(&data, ["sync", "run", "--once", "--config", &settings]);
    assert!(dry().iter().all(|found| found["waits_for"] == json!([]) && found["is_loss"] == json!(false)));
    let went = lines(&succeed(&data, ["evict", "--json", "--config", &settings]));
    assert_eq!(went.iter().map(|gone| gone["rows"].as_u64().unwrap()).sum::<u64>(), 180);
    assert_eq!((went[0]["from"].as_str(), plant.rows(&data)), (Some("2025-03-01T10:00:00Z"), 0));
    assert!(succeed(&data, ["evict", "--config", &settings]).contains("nothing has to go"));
    let inspected: Value = serde_json::from_str(&succeed(&data, ["inspect", "--json"])).unwrap();
    assert_eq!((&inspected["tables"][0]["evicted"]["rows"], &inspected["receipts"]), (&json!(180), &json!([])));
    succeed(&data, ["verify"]);
    succeed(&data, ["sync", "verify", "--config", &settings]);
    // Deleted after it went: the bucket is told, and a restore has what is left.
    succeed(&data, ["delete", "--table", "air", "--from", "2025-03-01T10:00:00Z", "--to", "2025-03-01T10:10:00Z"]);
    succeed(&data, ["sync", "run", "--once", "--config", &settings]);
    let again = plant.dir.path().join("again");
    succeed(&again, ["restore", "--from", plant.bucket().to_str().unwrap()]);
    assert_eq!(plant.rows(&again), 170);
    // Without a target that is required such settings are refused.
    std::fs::write(&settings, "[retention]\nkeep = '1d'\n").unwrap();
    let said = fail(2, &data, ["evict", "--config", &settings]);
    assert!(said.contains("required = true") && said.contains("unheld"), "{said}");
}

#[test]
fn a_server_at_its_budget_refuses_rows_until_the_target_holds_what_there_is() {
    let plant = Plant::new();
    let data = plant.data();
    let settings = plant.settings(
        "[retention]\ndisk_bytes = 6000000\n[engine]\nseal_log_bytes = 500000\nmemtable_bytes = 1000000\nlog_file_bytes = 200000\n\
         ballast_bytes = 300000\nhistory_bytes = 0\n",
    );
    let mut command = Command::new(binary::path());
    command.args(["serve", "--json", "--dev", "--config", &settings]).env_remove("ALLUVIUM_DATA");
    let served = Served::spawn(command);
    let http = served.http.unwrap();
    // The delivery has to be begun before it can be paused.
    until("the target", &mut || !lines(&succeed(&data, ["sync", "status", "--json"])).is_empty());
    succeed(&data, ["sync", "pause", "cloud"]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut hour = 0;
    let mut write = || {
        hour += 1;
        let row = |second: i64| {
            format!("air,room=a v={}i {}\n", random.i64(..), (1_700_000_000 + hour * 3_600 + second) * 1_000_000_000)
        };
        let body: String = (0..1_000).map(row).collect();
        ask(http, "POST", "/write", &[], body.as_bytes())
    };
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < SOON, "it takes rows for ever");
        let answer = write();
        match answer.status {
            204 | 200 => {}
            _ => break answer,
        }
    };
    let said = String::from_utf8(refused.body).unwrap();
    assert!(
        refused.status == 507 && said.contains("retention.disk_bytes") && said.contains("alluvium evict --dry-run"),
        "{said}"
    );
    let metrics = String::from_utf8(ask(http, "GET", "/metrics", &[], b"").body).unwrap();
    assert!(metrics.contains("alluvium_allowed_bytes 6000000\n"), "{metrics}");
    // Rows are also refused for what the log is about to let go of, and then taken again.
    let waits = |found: &Value| found["waits_for"] == json!(["cloud to hold it"]) && found["reason"] == json!("disk budget");
    while !lines(&succeed(&data, ["evict", "--dry-run", "--json"])).iter().any(waits) {
        assert!(begun.elapsed() < SOON, "nothing waits for the target");
        write();
    }
    assert!(plant.rows(&data) > 0, "it is still read");
    succeed(&data, ["sync", "resume", "cloud"]);
    // A seal may have made room enough by itself: what comes takes it again.
    until("an eviction", &mut || {
        write();
        lines(&succeed(&data, ["status", "--json"]))[0]["tables"][0]["evicted_rows"].as_u64() > Some(0)
    });
    until("room", &mut || matches!(ask(http, "POST", "/write", &[], b"air,room=b v=1i 1\n").status, 200 | 204));
    let audit = succeed(&data, ["evict", "--json"]);
    assert!(lines(&audit).iter().all(|gone| gone["is_loss"] == json!(false)));
    assert!(succeed(&data, ["audit", "list", "--json"]).contains("rows.evict"));
    assert!(served.end().success());
    succeed(&data, ["verify"]);
}

fn until(what: &str, is_so: &mut dyn FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}
