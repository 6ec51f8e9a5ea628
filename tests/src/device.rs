//! A device as a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value as Json, json};

/// What a device is to do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Who it is.
    pub name: String,
    /// The server, or a proxy before it.
    pub at: SocketAddr,
    /// Where its certificate and key are.
    pub directory: PathBuf,
    /// The certificate of the server's authority.
    pub authority: PathBuf,
    /// The file of its queue, or nothing for memory.
    pub queue: Option<PathBuf>,
    /// Bytes that its queue has room for.
    pub room: usize,
    /// The number of the first row.
    pub from: i64,
    /// Rows of a batch.
    pub rows: i64,
    /// How long it waits between batches.
    pub pause_millis: u64,
}

impl Orders {
    fn write(&self) -> String {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        json!({
            "name": self.name,
            "at": self.at.to_string(),
            "directory": path(&self.directory),
            "authority": path(&self.authority),
            "queue": self.queue.as_deref().map(path),
            "room": self.room,
            "from": self.from,
            "rows": self.rows,
            "pause_millis": self.pause_millis,
        })
        .to_string()
    }

    /// From JSON, as a device is given it.
    pub fn read(text: &str) -> Orders {
        let orders: Json = serde_json::from_str(text).expect("orders in JSON");
        let text = |name: &str| orders[name].as_str().unwrap_or_else(|| panic!("orders without {name}"));
        let number = |name: &str| orders[name].as_u64().unwrap_or_else(|| panic!("orders without {name}"));
        Orders {
            name: text("name").to_owned(),
            at: text("at").parse().expect("an address"),
            directory: text("directory").into(),
            authority: text("authority").into(),
            queue: orders["queue"].as_str().map(PathBuf::from),
            room: number("room") as usize,
            from: number("from") as i64,
            rows: number("rows") as i64,
            pause_millis: number("pause_millis"),
        }
    }
}

/// A device that runs, and is killed when it is dropped.
#[derive(Debug)]
pub struct Device {
    child: Child,
    from: i64,
    said: Arc<Said>,
    hearing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Said {
    taken: AtomicI64,
    durable: AtomicI64,
}

impl Device {
    /// Starts the program, which lies beside the tests.
    pub fn start(program: &str, orders: &Orders) -> Device {
        let mut command = Command::new(program);
        let mut child =
            command.arg(orders.write()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the device starts");
        let said = Arc::new(Said { taken: orders.from.into(), durable: orders.from.into() });
        let (lines, hears) = (BufReader::new(child.stdout.take().expect("piped")).lines(), said.clone());
        let hearing = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (what, end) = line.split_once(' ').expect("what, and up to which row");
                let of = if what == "taken" { &hears.taken } else { &hears.durable };
                of.fetch_max(end.parse().expect("a number"), Ordering::SeqCst);
            }
        });
        Device { child, from: orders.from, said, hearing: Some(hearing) }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Up to which row it said that they are in its buffer, and that they are durable on the server.
    pub fn said(&self) -> (i64, i64) {
        (self.said.taken.load(Ordering::SeqCst), self.said.durable.load(Ordering::SeqCst))
    }

    /// Kills it as SIGKILL does. The rows that it had said are in its buffer: from, and up to.
    pub fn kill(mut self) -> (i64, i64) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
        self.hear_all();
        (self.from, self.said().0)
    }

    /// Has it send all that it has and end. The rows that it wrote.
    pub fn finish(mut self) -> (i64, i64) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
        self.hear_all();
        (self.from, self.said().0)
    }

    fn hear_all(&mut self) {
        if let Some(hearing) = self.hearing.take() {
            hearing.join().expect("it says what is expected");
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
