//! Clients that each write one request after the other.

use std::io::{IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};

use super::lines::{LINES, Stream};
use super::servers::Server;

/// What was reached.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Points a second.
    pub(super) rate: f64,
    /// The share of a processor that the server took.
    pub(super) busy: f64,
    /// How long half of the requests took at most.
    pub(super) median: Duration,
    /// Lines that were acknowledged.
    pub(super) lines: u64,
}

/// Writes for so long.
pub(super) fn write(server: &Server, stream: Stream, clients: usize, seconds: u64) -> Result<Outcome> {
    let base = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64 / 1_000_000_000 * 1_000_000_000;
    // What is made at first sight is made before.
    client(server, stream, base - 1_000_000_000, 0, Instant::now())?;
    let (began, busy) = (Instant::now(), server.processor_time()?);
    let until = began + Duration::from_secs(seconds);
    let mut all = Vec::new();
    let points = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..clients).map(|number| scope.spawn(move || client(server, stream, base, number, until))).collect();
        let mut points = 0;
        for thread in threads {
            let (took, each) = thread.join().map_err(|_| anyhow!("a client panicked"))??;
            points += took.len() * each;
            all.extend(took);
        }
        anyhow::Ok(points)
    })?;
    let elapsed = began.elapsed().as_secs_f64();
    let busy = (server.processor_time()? - busy).as_secs_f64() / elapsed;
    all.sort_unstable();
    let lines = (all.len() + 1) * LINES;
    Ok(Outcome { rate: points as f64 / elapsed, busy, median: all[all.len() / 2], lines: lines as u64 })
}

/// Writes one request at least; answers how long each took, and the points of each.
fn client(server: &Server, stream: Stream, base: u64, number: usize, until: Instant) -> Result<(Vec<Duration>, usize)> {
    let mut body = stream.body(number);
    let mut connection = Connection::open(server.at, &server.path, body.bytes.len())?;
    let mut took = Vec::new();
    loop {
        // A millisecond is the least that all of them tell apart.
        body.set_time(base + took.len() as u64 * 1_000_000);
        let began = Instant::now();
        connection.post(&body.bytes)?;
        took.push(began.elapsed());
        if Instant::now() >= until {
            return Ok((took, body.points));
        }
    }
}

/// A connection that is kept.
struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
}

impl Connection {
    fn open(at: SocketAddr, path: &str, length: usize) -> Result<Connection> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let head = format!("POST {path} HTTP/1.1\r\nhost: {at}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
        Ok(Connection { stream, head: head.into_bytes() })
    }

    fn post(&mut self, body: &[u8]) -> Result<()> {
        let sent = self.stream.write_vectored(&[IoSlice::new(&self.head), IoSlice::new(body)])?;
        match sent.checked_sub(self.head.len()) {
            Some(sent) => self.stream.write_all(&body[sent..])?,
            None => {
                self.stream.write_all(&self.head[sent..])?;
                self.stream.write_all(body)?;
            }
        }
        let mut answer = [0; 4_096];
        let mut read = 0;
        while !answer[..read].windows(4).any(|window| window == b"\r\n\r\n") {
            let more = self.stream.read(answer.get_mut(read..).context("a long answer")?)?;
            ensure!(more > 0, "the server went away");
            read += more;
        }
        ensure!(answer.starts_with(b"HTTP/1.1 204"), "{}", answer[..read].escape_ascii());
        Ok(())
    }
}
