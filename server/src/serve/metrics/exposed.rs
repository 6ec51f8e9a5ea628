//! All that is told, under its names. A registry is made for each scrape, of counters that are shared and of what was sampled.

use std::time::SystemTime;

use alluvium::{QueueSizes, Status, TableStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::counted::Metrics;
use super::labels::{Build, OfQueue, OfTable, OfTarget, Outcome};
use super::sampled::Sample;
use crate::sync::{Target, Totals};

/// What the text is.
pub(crate) use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// Tables that are told apart, the first by name.
const TABLES: usize = 256;

/// What is told of besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    /// Queries that run.
    pub(crate) queries: usize,
    /// Requests that were refused for want of rights.
    pub(crate) refusals: u64,
    /// Bytes that the device may be written, as its maker says.
    pub(crate) endurance_bytes: Option<u64>,
}

/// The text for a scrape.
pub(crate) fn expose(metrics: &Metrics, sample: &Sample, present: Present, targets: &[Target]) -> String {
    let mut all = Registry::default();
    all.register(
        "process_start_time_seconds",
        "When the process was started, since 1970",
        ConstGauge::new(seconds(metrics.started)),
    );
    let registry = all.sub_registry_with_prefix("alluvium");
    server(registry, metrics, present);
    storage(registry, sample);
    tables(registry, &sample.status.tables);
    queues(registry, &sample.status);
    device(registry, &sample.status, metrics, present.endurance_bytes);
    sync(registry, targets);
    let mut text = String::new();
    // Into memory, which takes everything.
    let _ = encode(&mut text, &all);
    text
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn server(registry: &mut Registry, metrics: &Metrics, present: Present) {
    let m = metrics.clone();
    registry.register("build", "What runs", Info::new(Build { version: env!("CARGO_PKG_VERSION") }));
    registry.register("quic_connections", "Connections there are", m.connections);
    registry.register("quic_connections_accepted", "Connections that were let in", m.connections_accepted);
    registry.register("quic_handshakes_refused", "Connections that were not let in", m.handshakes_refused);
    registry.register(
        "request_duration_seconds",
        "Time until the answer to a request began, of a query until it ended",
        m.requests,
    );
    registry.register("errors", "Errors that somebody was told", m.errors);
    registry.register("refusals", "Requests refused for want of rights", ConstCounter::new(present.refusals));
    registry.register("writer_streams", "Writer streams there are", m.writer_streams);
    registry.register("writer_batches_applied", "Batches of writer streams that are durable", m.batches_applied);
    registry.register("writer_batches_refused", "Batches of writer streams that were refused", m.batches_refused);
    registry.register("writer_rows_applied", "Rows in batches that are durable", m.rows_applied);
    registry.register("writer_bytes_applied", "Bytes of batches that are durable, as they came", m.bytes_applied);
    registry.register("writer_commit_duration_seconds", "Time that transactions of batches took", m.commits);
    registry.register("queries_running", "Queries that run", gauge(present.queries as u64));
}

fn storage(registry: &mut Registry, Sample { at, status, counts, .. }: &Sample) {
    let reads = [("hit", counts.kv_hits), ("miss", counts.kv_misses)];
    let family: Family<Outcome, prometheus_client::metrics::counter::Counter> = Family::default();
    for (outcome, count) in reads {
        family.get_or_create(&Outcome { outcome }).inc_by(count);
    }
    registry.register("kv_reads", "Reads of one key", family);
    let gauges = [
        ("log_bytes", "Bytes of log files, spare ones included", status.log_bytes),
        ("log_unsealed_bytes", "Bytes of log behind the last seal", status.unsealed_log_bytes),
        ("log_unsealed_files", "Log files behind the last seal", status.unsealed_log_files),
        ("memtable_bytes", "Memory of rows not yet in segments", status.memtable_bytes),
        ("history_bytes", "Bytes kept for the change feed", status.history_bytes),
        ("catalog_bytes", "Bytes of the catalog and its snapshots", status.catalog_bytes),
        ("used_bytes", "Bytes of all files of the database", status.bytes_used),
        ("audit_entries", "Entries of the audit trail that are kept", status.audit.number.saturating_sub(status.audit.dropped)),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, gauge(value));
    }
    if let Some(allowed) = status.bytes_allowed {
        registry.register(
            "allowed_bytes",
            "Bytes that the files of the database may take: writes are refused beyond",
            gauge(allowed),
        );
    }
    registry.register(
        "audit_entries_written",
        "Entries of the audit trail since it began",
        ConstCounter::new(status.audit.number),
    );
    registry.register("sampled_timestamp_seconds", "When storage was looked at, since 1970", ConstGauge::new(seconds(*at)));
}

/// A number of a table: its name, what it is, and how it is found.
type Described = (&'static str, &'static str, fn(&TableStatus) -> u64);

fn tables(registry: &mut Registry, tables: &[TableStatus]) {
    registry.register("tables", "Tables there are", gauge(tables.len() as u64));
    let told = &tables[..tables.len().min(TABLES)];
    let gauges: [Described; 6] = [
        ("table_rows", "Rows, once for each segment or unsealed run that holds them", |table| table.rows),
        ("table_unsealed_rows", "Rows not yet in segments", |table| table.unsealed_rows),
        ("table_series", "Different series", |table| table.series),
        ("table_segments", "Segments", |table| table.segments),
        ("table_bytes", "Bytes of segments", |table| table.bytes_on_disk),
        ("table_evicted_rows", "Rows that were let go of, ever", |table| table.evicted.map_or(0, |evicted| evicted.rows)),
    ];
    for (name, help, of) in gauges {
        registry.register(name, help, family(told.iter().map(|table| (OfTable { table: table.name.clone() }, of(table)))));
    }
}

fn queues(registry: &mut Registry, status: &Status) {
    registry.register("queues", "Queues there are", gauge(status.queue_count));
    let items = status.queues.iter().flat_map(|(queue, sizes)| {
        let QueueSizes { ready, scheduled, leased, delayed, dead } = *sizes;
        let states = [("ready", ready), ("scheduled", scheduled), ("leased", leased), ("delayed", delayed), ("dead", dead)];
        states.map(|(state, count)| (OfQueue { queue: queue.clone(), state }, count))
    });
    registry.register("queue_items", "Items of queues", family(items));
}

/// A number of a target: its name, what it is, and how it is found.
type OfSync = (&'static str, &'static str, fn(&Target) -> Option<u64>);

fn sync(registry: &mut Registry, targets: &[Target]) {
    let total = |of: fn(&Totals) -> u64| move |target: &Target| target.totals.as_ref().map(of);
    let gauges: [OfSync; 14] = [
        ("sync_cuts", "Cuts taken for a target", |target| Some(target.cuts)),
        ("sync_cuts_announced", "Cuts announced to a target", |target| Some(target.announced)),
        ("sync_cuts_left", "Cuts that are not announced, or not all there", |target| Some(target.cuts_left)),
        ("sync_units_left", "Units that are not there", |target| Some(target.units_left)),
        ("sync_delivered_cut", "The cut through which everything is there", |target| Some(target.delivered.as_ref()?.cut)),
        ("sync_circuit_open", "1 while a target is left alone for what it did not do", |target| {
            Some(u64::from(target.circuit.is_some()))
        }),
        ("sync_aside", "Files that were set aside", |target| Some(target.aside.len() as u64)),
        ("sync_paused", "1 while nothing is sent to a target", |target| Some(u64::from(target.paused))),
        ("sync_ledger_cut", "The last cut that the centre was told", |target| target.ledger.as_ref()?.cut),
        ("sync_ledger_cuts_left", "Cuts that the centre is to be told", |target| Some(target.ledger.as_ref()?.cuts_left)),
        ("sync_ledger_metadata_left", "Cuts whose metadata the centre is to be told", |target| {
            Some(target.ledger.as_ref()?.metadata_left)
        }),
        ("sync_ledger_segments_left", "Segments that the centre is to be told", |target| {
            Some(target.ledger.as_ref()?.segments_left)
        }),
        ("sync_ledger_refused", "Segments that the centre does not take", |target| Some(target.ledger.as_ref()?.refused)),
        ("sync_ledger_circuit_open", "1 while the centre is left alone for what it did not do", |target| {
            Some(u64::from(target.ledger.as_ref()?.circuit.is_some()))
        }),
    ];
    let told = |of: &dyn Fn(&Target) -> Option<u64>| {
        let values: Vec<_> =
            targets.iter().filter_map(|target| Some((OfTarget { target: target.name.clone() }, of(target)?))).collect();
        values.into_iter()
    };
    for (name, help, of) in gauges {
        registry.register(name, help, family(told(&of)));
    }
    registry.register("sync_bytes_sent", "Bytes sent to a target", counters(told(&total(|totals| totals.bytes_sent))));
    registry.register("sync_segments_sent", "Segments sent to a target", counters(told(&total(|totals| totals.segments))));
    registry.register(
        "sync_failures",
        "Things that failed, and were or are tried again",
        counters(told(&total(|totals| totals.failures))),
    );
}

fn device(registry: &mut Registry, status: &Status, metrics: &Metrics, endurance_bytes: Option<u64>) {
    let written = status.bytes_written_since_opening;
    registry.register("device_written_bytes", "Bytes written to the directory by this process", ConstCounter::new(written));
    registry.register("device_syncs", "Syncs asked of the device by this process", ConstCounter::new(status.syncs_since_opening));
    registry.register("device_lifetime_written_bytes", "Bytes written since the directory was made", gauge(status.bytes_written));
    if let Some(free) = status.free_bytes {
        registry.register("device_free_bytes", "Bytes that may still be written", gauge(free));
    }
    let Some(endurance) = endurance_bytes else { return };
    registry.register("device_endurance_bytes", "Bytes that the device may be written, as its maker says", gauge(endurance));
    if let Some(left) = seconds_left(endurance, status.bytes_written, written, metrics.uptime().as_secs_f64()) {
        registry.register(
            "device_life_seconds",
            "Time until that is used up, at the rate of this process",
            ConstGauge::new(left),
        );
    }
}

/// How long the device lasts at the rate at which it was written since the start. Without a rate nobody knows.
fn seconds_left(endurance: u64, lifetime: u64, written: u64, seconds: f64) -> Option<f64> {
    let rate = written as f64 / seconds;
    (rate > 0.0 && rate.is_finite()).then(|| endurance.saturating_sub(lifetime) as f64 / rate)
}

/// Beyond 63 bits nothing is.
fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

fn family<L>(values: impl Iterator<Item = (L, u64)>) -> Family<L, Gauge>
where
    L: Clone + std::fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static,
{
    let family = Family::<L, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    family
}

fn counters<L>(values: impl Iterator<Item = (L, u64)>) -> Family<L, Counter>
where
    L: Clone + std::fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static,
{
    let family = Family::<L, Counter>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_device_goes_by_the_rate_of_now() {
        assert_eq!(seconds_left(1_000, 400, 60, 30.0), Some(300.0));
        assert_eq!(seconds_left(1_000, 4_000, 60, 30.0), Some(0.0));
        assert_eq!(seconds_left(1_000, 400, 0, 30.0), None);
        assert_eq!(seconds_left(1_000, 400, 60, 0.0), None);
    }
}
