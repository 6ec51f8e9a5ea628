//! The real binary as a server.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::binary;

/// A server that runs, and is killed when it is dropped.
#[derive(Debug)]
pub struct Served {
    child: Child,
    /// Where it listens.
    pub at: SocketAddr,
    /// Where it serves HTTP.
    pub http: Option<SocketAddr>,
}

impl Served {
    /// Serves the database in `data` on loopback, on a port of its choice.
    pub fn start(data: &Path, arguments: &[&str]) -> Served {
        let mut command = binary::command(data, ["serve", "--json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(arguments);
        Served::spawn(command)
    }

    /// The same with a command made otherwise, which has to print what it listens on as JSON.
    pub fn spawn(mut command: Command) -> Served {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it ended, or said {line:?}"));
        let place = |name: &str| said[name].as_str().and_then(|at| at.parse().ok());
        let at = place("listen").unwrap_or_else(|| panic!("no address in {line:?}"));
        Served { child, at, http: place("http") }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Ends it as a service manager does, and answers how it ended.
    pub fn end(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().expect("it ends")
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What has a process see another time. Preloaded by hand: the command of the same name stays in between.
pub fn libfaketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib")
        .expect("libraries")
        .map(|entry| entry.expect("an entry").path().join("faketime/libfaketime.so.1"));
    places.into_iter().find(|place| place.exists()).expect("libfaketime is missing: tests/run installs it")
}
