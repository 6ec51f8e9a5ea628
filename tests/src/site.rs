//! A served database with certificates for devices, killed and served again at will, and what came of what was written to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use alluvium_client::rows::{FieldKind, Value};
use alluvium_client::{Client, Error, Pem, Query, Receipt, Settings, Table, TableSpec, Writer};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::binary::{self, succeed};
use crate::http::ask;
use crate::served::Served;
use crate::wire::Identity;

/// The gateway's id.
pub const GATEWAY: &str = "gateway-1";
/// The table: tag `device`, field `n`. Row `n` of a device has time `n`.
pub const TABLE: &str = "air";

/// Numbers of rows by device.
pub type Numbers = BTreeMap<String, Vec<i64>>;

/// The database, a reader `eve`, and devices `pump-0` and so on.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// Where it is served, each time again.
    pub at: SocketAddr,
    served: Option<Served>,
    core: Option<usize>,
}

impl Site {
    /// Serves one with so many devices.
    pub fn new(devices: usize) -> Site {
        Site::with(devices, "", None)
    }

    /// The same with settings, and on one core only.
    pub fn with(devices: usize, settings: &str, core: Option<usize>) -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("alluvium.toml"), settings).expect("room for settings");
        let mut site = Site { dir, at: "127.0.0.1:0".parse().expect("an address"), served: None, core };
        let devices = (0..devices).map(|number| (format!("pump-{number}"), "device"));
        for (name, role) in devices.chain([("eve".to_owned(), "reader")]) {
            succeed(&site.data(), ["user", "add", &name, "--role", role]);
            let out = site.dir.path().to_str().expect("UTF-8");
            succeed(&site.data(), ["cert", "issue", &name, "--out", out]);
        }
        site.start();
        let table = json!({ "tags": ["device"], "fields": [{ "name": "n", "type": "int64" }] });
        let made = site.ask("PUT", &format!("/tables/{TABLE}"), &table);
        assert!(made.0 < 300, "{made:?}");
        site
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file of the test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Serves it, where it was served before.
    pub fn start(&mut self) {
        let mut command = match self.core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(binary::path()).env_remove("ALLUVIUM_DATA");
                command
            }
            None => Command::new(binary::path()),
        };
        let (at, config) = (self.at.to_string(), self.file("alluvium.toml"));
        command.arg("--data").arg(self.data()).args(["serve", "--json", "--gateway", GATEWAY, "--http", "127.0.0.1:0"]);
        command.args(["--listen", &at, "--config"]).arg(config).env_remove("ALLUVIUM_DATA");
        let served = Served::spawn(command);
        self.at = served.at;
        self.served = Some(served);
    }

    /// Kills the server as SIGKILL does.
    pub fn kill(&mut self) {
        if let Some(served) = self.served.take() {
            served.kill();
        }
    }

    /// Ends it well; what it leaves is sound.
    pub fn end(mut self) {
        assert!(self.served.take().expect("it runs").end().success());
        succeed(&self.data(), ["verify"]);
    }

    /// The server that runs.
    pub fn served(&self) -> &Served {
        self.served.as_ref().expect("it runs")
    }

    /// How somebody connects, to the server or to a proxy before it.
    pub fn settings(&self, name: &str, at: SocketAddr) -> Settings {
        settings(self.dir.path(), &self.authority(), name, at)
    }

    /// Where certificates, keys and other files of the test are.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> PathBuf {
        self.data().join("certificates").join("ca.pem")
    }

    /// Somebody's certificate and key.
    pub fn identity(&self, name: &str) -> Identity {
        Identity::read(self.dir.path(), name)
    }

    /// A client as somebody.
    pub async fn client(&self, name: &str, at: SocketAddr) -> Client {
        Client::connect(self.settings(name, at)).await.expect("settings that can be")
    }

    fn body(&self, method: &str, path: &str, body: &Json) -> (u16, Vec<u8>) {
        let token = std::fs::read_to_string(self.data().join("local").join("token")).expect("a token");
        let bearer = format!("Bearer {}", token.trim());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = ask(self.served().http.expect("HTTP"), method, &format!("/api/v1{path}"), &headers, &body);
        (answer.status, answer.body)
    }

    /// Asks for something as an admin does, over HTTP.
    pub fn ask(&self, method: &str, path: &str, body: &Json) -> (u16, Json) {
        let (status, body) = self.body(method, path, body);
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Every row that was ever committed, in the order in which that happened: one that was written twice is there twice.
    pub fn committed(&self) -> Numbers {
        let (status, body) = self.body("GET", &format!("/changes?table={TABLE}&kind=rows&rows=true"), &Json::Null);
        assert_eq!(status, 200);
        let (text, mut numbers) = (String::from_utf8(body).expect("UTF-8"), Numbers::new());
        for line in text.lines() {
            let change: Json = serde_json::from_str(line).expect("JSON");
            assert!(change["gap"].is_null() && change["failed"].is_null(), "{change}");
            let events = change["events"].as_array().expect("events");
            for row in events.iter().flat_map(|event| event["values"].as_array().expect("rows")) {
                let device = row["device"].as_str().expect("a device").to_owned();
                numbers.entry(device).or_default().push(row["n"].as_i64().expect("a number"));
            }
        }
        numbers
    }

    /// Server memory that is not that of files, in KiB.
    pub fn memory(&self) -> u64 {
        memory(self.served().id())
    }
}

/// How somebody whose certificate is in a directory connects. The times are short.
pub fn settings(directory: &Path, authority: &Path, name: &str, at: SocketAddr) -> Settings {
    let pem = |ending: &str| Pem::File(directory.join(format!("{name}.{ending}")));
    let mut settings = Settings::new(GATEWAY, at.to_string(), Pem::File(authority.to_owned()), pem("pem"), pem("key"));
    let limits = &mut settings.limits;
    limits.handshake = Duration::from_secs(10);
    limits.idle = Duration::from_millis(1_500);
    limits.first_retry = Duration::from_millis(50);
    limits.longest_retry = Duration::from_millis(500);
    settings
}

/// Memory of a process that is not that of files, in KiB.
pub fn memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// The table, as a device describes it.
pub fn table(writer: &Writer) -> Table {
    let spec = TableSpec::new(TABLE).tag("device").field("n", FieldKind::Int64);
    writer.table(spec).expect("a table")
}

/// A batch of rows of these numbers.
pub fn batch(table: &Table, device: &str, numbers: std::ops::Range<i64>) -> alluvium_client::frame::Frame {
    let mut rows = table.rows();
    for number in numbers {
        rows.row(number, &[Some(device)], &[Some(Value::Int64(number))]).expect("a row");
    }
    rows.finish()
}

/// Appends rows of these numbers.
pub async fn append(writer: &Writer, table: &Table, device: &str, numbers: std::ops::Range<i64>) -> Result<Receipt, Error> {
    writer.append(table, &batch(table, device, numbers)).await
}

/// What a query for everything answers, by series and then time.
pub async fn everything(client: &Client) -> Result<Numbers, Error> {
    let mut rows = client.query(&Query { table: TABLE.to_owned(), ..Query::default() }).await?;
    let mut numbers = Numbers::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let devices = arrow::compute::cast(batch.column_by_name("device").expect("a tag"), &arrow::datatypes::DataType::Utf8);
        let devices = devices.expect("texts");
        let values = batch.column_by_name("n").expect("a field").as_primitive::<Int64Type>();
        for (device, value) in devices.as_string::<i32>().iter().zip(values) {
            numbers.entry(device.expect("a device").to_owned()).or_default().push(value.expect("a number"));
        }
    }
    Ok(numbers)
}
