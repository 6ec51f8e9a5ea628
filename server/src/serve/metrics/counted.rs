//! What the server counts as it works.

use std::time::{Duration, Instant, SystemTime};

use alluvium_protocol::code::Code;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::labels::{Kind, Name, Reason, Refusal, Request, Told};

/// Upper bounds of latencies, in seconds.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Methods that are counted apart. Others are `other`, so that nobody makes many.
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// A method or path of none that there is.
const OTHER: &str = "other";

/// Counters since the server was started. A clone counts the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(super) started: SystemTime,
    running_since: Instant,
    pub(super) requests: Family<Request, Histogram>,
    pub(super) errors: Family<Told, Counter>,
    pub(super) handshakes_refused: Family<Reason, Counter>,
    /// Connections that were let in.
    pub(crate) connections_accepted: Counter,
    /// Connections there are.
    pub(crate) connections: Gauge,
    /// Writer streams there are.
    pub(crate) writer_streams: Gauge,
    /// Batches that were refused.
    pub(crate) batches_refused: Counter,
    pub(super) batches_applied: Counter,
    pub(super) rows_applied: Counter,
    pub(super) bytes_applied: Counter,
    /// How long transactions of batches took, each of all that came meanwhile.
    pub(super) commits: Histogram,
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    /// Counts one.
    pub(crate) fn among(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// From now on.
    pub(crate) fn new() -> Self {
        Metrics {
            started: SystemTime::now(),
            running_since: Instant::now(),
            requests: Family::new_with_constructor(latencies),
            errors: Family::default(),
            handshakes_refused: Family::default(),
            connections_accepted: Counter::default(),
            connections: Gauge::default(),
            writer_streams: Gauge::default(),
            batches_refused: Counter::default(),
            batches_applied: Counter::default(),
            rows_applied: Counter::default(),
            bytes_applied: Counter::default(),
            commits: latencies(),
        }
    }

    /// When the process was started.
    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    /// Rows in batches that are durable.
    pub(crate) fn rows_applied(&self) -> u64 {
        self.rows_applied.get()
    }

    /// For how long it has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.running_since.elapsed()
    }

    /// A request that was answered, by method and path where it has any.
    pub(crate) fn request(&self, kind: Kind, method: &str, route: &str, took: Duration) {
        let known = || METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        let request = match kind {
            Kind::Http | Kind::Call => {
                Request { kind, method: known(), route: if route.is_empty() { OTHER } else { route }.to_owned() }
            }
            _ => Request { kind, method: "", route: String::new() },
        };
        self.requests.get_or_create(&request).observe(took.as_secs_f64());
    }

    /// An error that somebody was told.
    pub(crate) fn error(&self, kind: Kind, code: Code) {
        self.errors.get_or_create(&Told { kind, code: Name(code) }).inc();
    }

    /// Somebody who was not let in.
    pub(crate) fn handshake_refused(&self, reason: Refusal) {
        self.handshakes_refused.get_or_create(&Reason { reason }).inc();
    }

    /// Batches that are durable, their rows and their bytes on the wire, and how long that took.
    pub(crate) fn applied(&self, batches: usize, rows: usize, bytes: usize, took: Duration) {
        self.batches_applied.inc_by(batches as u64);
        self.rows_applied.inc_by(rows as u64);
        self.bytes_applied.inc_by(bytes as u64);
        // Once for a sync.
        self.commits.observe(took.as_secs_f64());
    }
}

fn latencies() -> Histogram {
    Histogram::new(SECONDS)
}
