//! The servers, each with a directory and a port of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alluvium_tests::http::{ask, ask_json};
use anyhow::{Context, Result, ensure};

use super::lines::{LINES, Stream};

/// How long one may take to start.
const START: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Alluvium,
    Influxdb,
    VictoriaMetrics,
}

/// One that runs, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    kind: Kind,
    child: Child,
    pub(super) at: SocketAddr,
    /// Where it takes line protocol.
    pub(super) path: String,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Alluvium, Kind::Influxdb, Kind::VictoriaMetrics];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Alluvium => "Alluvium",
            Kind::Influxdb => "InfluxDB",
            Kind::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// Its program, if it is installed.
    pub(super) fn program(self, alluvium: Option<&Path>) -> Option<PathBuf> {
        let name = match self {
            Kind::Alluvium => {
                let beside = || Some(std::env::current_exe().ok()?.parent()?.join("alluvium"));
                return alluvium.map(Path::to_owned).or_else(beside).filter(|path| path.exists());
            }
            Kind::Influxdb => "influxd",
            Kind::VictoriaMetrics => "victoria-metrics",
        };
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths).map(|path| path.join(name)).find(|path| path.exists())
    }

    /// Starts it on an empty directory. It has the cores of this thread.
    pub(super) fn start(self, program: &Path, data: &Path) -> Result<Server> {
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        let path = match self {
            Kind::Alluvium => {
                let http = at.to_string();
                command.arg("--data").arg(data).args(["serve", "--dev", "--listen", "127.0.0.1:0", "--http", &http]);
                "/write".to_owned()
            }
            Kind::Influxdb => {
                let config = data.join("influxdb.conf");
                fs::write(&config, influxdb(data, at))?;
                command.arg("-config").arg(config);
                "/write?db=bench".to_owned()
            }
            Kind::VictoriaMetrics => {
                command.arg(format!("-storageDataPath={}", data.display())).arg(format!("-httpListenAddr={at}"));
                command.arg("-retentionPeriod=100y");
                "/write".to_owned()
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let server = Server { kind: self, child, at, path };
        let began = Instant::now();
        while TcpStream::connect(at).is_err() {
            ensure!(began.elapsed() < START, "{} does not listen", self.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        if self == Kind::Influxdb {
            ensure!(ask(at, "POST", "/query?q=CREATE%20DATABASE%20bench", &[], b"").status == 200, "no database");
        }
        Ok(server)
    }
}

/// InfluxDB as it comes, but for where it is and what it would tell others.
fn influxdb(data: &Path, at: SocketAddr) -> String {
    let data = data.display();
    format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\n  dir = \"{data}/meta\"\n[data]\n  dir = \"{data}/data\"\n  \
         wal-dir = \"{data}/wal\"\n  query-log-enabled = false\n[http]\n  bind-address = \"{at}\"\n  log-enabled = false\n[monitor]\n  \
         store-enabled = false\n"
    )
}

impl Server {
    /// The processor time that it took so far.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind its name, which stands in parentheses; in hundredths of a second.
        let numbers = stat.rsplit_once(')').context("no numbers")?.1.split_whitespace();
        let ticks = numbers.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Sees that everything is there, as far as it can be counted.
    pub(super) fn check(&self, stream: Stream, lines: u64) -> Result<()> {
        let (measurement, field, share) = stream.counted();
        let expected = lines / LINES as u64 * (LINES as u64 / share);
        let get = |path: String| Ok::<_, anyhow::Error>(String::from_utf8(ask(self.at, "GET", &path, &[], b"").body)?);
        let found = match self.kind {
            Kind::Alluvium => {
                let asked = serde_json::json!({ "table": measurement, "functions": ["count"], "fields": [field] });
                ask_json(self.at, "", "POST", "/query", &asked).1.to_string()
            }
            Kind::Influxdb => get(format!("/query?db=bench&q=SELECT%20count({field})%20FROM%20{measurement}"))?,
            // It tells of what it has only later, and counts in its own way.
            Kind::VictoriaMetrics => return Ok(()),
        };
        ensure!(
            found.split(|letter: char| !letter.is_ascii_digit()).any(|number| number == expected.to_string()),
            "{}: {expected} values of {field} are to be there: {found}",
            self.kind.name()
        );
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
