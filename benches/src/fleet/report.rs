//! The table for people and the object for programs.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use super::ingest::{Ingest, Load, Settled};
use super::queries::{Times, quantile};
use super::questions::QuestionKind;
use super::reopen::Reopen;
use crate::stores::StoreKind;

/// Bytes of a megabyte.
const MEGA: f64 = 1e6;

/// Everything that was measured. Parts that did not run are empty.
pub(crate) struct Report {
    seed: u64,
    seconds: usize,
    file_system: String,
    pub(crate) ingest: Vec<Ingest>,
    pub(crate) sizes: Vec<(StoreKind, Settled)>,
    pub(crate) reopen: Vec<Reopen>,
    pub(crate) queries: Vec<(QuestionKind, Times)>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(seed: u64, seconds: usize, file_system: String) -> Self {
        Report { seed, seconds, file_system, ingest: Vec::new(), sizes: Vec::new(), reopen: Vec::new(), queries: Vec::new() }
    }

    /// One table.
    pub(crate) fn table(&self) -> Table {
        let mut sheet = Sheet::new();
        self.ingest_rows(&mut sheet);
        self.size_rows(&mut sheet);
        self.reopen_rows(&mut sheet);
        self.query_rows(&mut sheet);
        sheet.0
    }

    fn ingest_rows(&self, sheet: &mut Sheet) {
        for run in &self.ingest {
            let Some(ours) = run.alluvium() else { continue };
            let sqlite = run.sqlite().map(|(_, settled)| settled);
            let mega = |rate: f64| rate / MEGA;
            let limit = mega(run.limit.overwrite.per_second());
            let theirs = |value: fn(&Settled) -> f64| sqlite.map(value);
            sheet.section(run.load.title());
            sheet.row(
                "durable, M points/s",
                mega(ours.appended.per_second()),
                Some(limit),
                theirs(million_per_second),
                Better::More,
            );
            sheet.row(
                "until sealed and compacted, M points/s",
                mega(ours.settled_per_second()),
                None,
                theirs(million_settled),
                Better::More,
            );
            sheet.row("CPU, µs/point", ours.cpu_us_per_point(), None, theirs(Settled::cpu_us_per_point), Better::Less);
            sheet.row("written, bytes/point", written(ours), None, theirs(written), Better::Less);
            sheet.row("peak memory, MB", peak(ours), None, theirs(peak), Better::Less);
            sheet.note("memory copy of the same bytes, M points/s", mega(run.limit.copy.per_second()));
        }
    }

    fn size_rows(&self, sheet: &mut Sheet) {
        if self.sizes.is_empty() {
            return;
        }
        sheet.section("On disk, settled");
        let sqlite = self.sizes.iter().find(|(kind, _)| kind.is_sqlite()).map(|(_, settled)| data(settled));
        for (kind, settled) in self.sizes.iter().filter(|(kind, _)| !kind.is_sqlite()) {
            let title = format!("segments, bytes/point ({})", profile(*kind));
            sheet.row(&title, data(settled), None, sqlite, Better::Less);
        }
        if let Some((_, settled)) = self.sizes.iter().find(|(kind, _)| *kind == StoreKind::Alluvium) {
            sheet.note("log beside them, MB", settled.footprint.log as f64 / MEGA);
            sheet.note("catalog beside them, MB", settled.footprint.catalog as f64 / MEGA);
        }
    }

    fn reopen_rows(&self, sheet: &mut Sheet) {
        let of = |sqlite| self.reopen.iter().find(|reopen| reopen.kind.is_sqlite() == sqlite).map(|reopen| reopen.seconds);
        if let Some(ours) = of(false) {
            sheet.section("Reopening after a kill, a quarter of the rows unsealed");
            sheet.row("seconds", ours, None, of(true), Better::Less);
        }
    }

    fn query_rows(&self, sheet: &mut Sheet) {
        for (kind, times) in &self.queries {
            let sqlite = times.sqlite_median().map(|(_, median)| median);
            let median = |times: &[f64]| quantile(times, 0.5);
            sheet.section(kind.title());
            sheet.row("sealed, warm: median, µs", median(&times.sealed), None, sqlite, Better::Less);
            sheet.row("sealed, warm: 95 % below, µs", quantile(&times.sealed, 0.95), None, None, Better::Less);
            sheet.row("page cache empty: median, µs", median(&times.cold), None, None, Better::Less);
            sheet.row("newest quarter unsealed: median, µs", median(&times.unsealed), None, None, Better::Less);
        }
    }

    /// One object. Rates are per second, sizes in bytes, times in the unit of their key.
    pub(crate) fn json(&self) -> Value {
        let mut report = Map::new();
        report.insert("seed".into(), json!(self.seed));
        report.insert("points".into(), json!(self.seconds * super::DEVICES * super::FIELDS));
        report.insert("file_system".into(), json!(self.file_system));
        if !self.ingest.is_empty() {
            let runs = self.ingest.iter().map(|run| (run.load.key().to_owned(), ingest_json(run)));
            report.insert("ingest".into(), Value::Object(runs.collect()));
            report.insert("written_per_point".into(), self.written_json());
            let peaks = self.ingest.iter().filter_map(Ingest::alluvium).map(peak);
            report.insert("peak_rss_mb".into(), json!(peaks.fold(0.0, f64::max)));
        }
        if !self.sizes.is_empty() {
            let sizes = self.sizes.iter().map(|(kind, settled)| (profile(*kind).to_owned(), json!(data(settled))));
            report.insert("bytes_per_point".into(), Value::Object(sizes.collect()));
            let files = self.sizes.iter().map(|(kind, settled)| (profile(*kind).to_owned(), json!(settled.footprint)));
            report.insert("bytes_on_disk".into(), Value::Object(files.collect()));
        }
        for reopen in &self.reopen {
            let key = if reopen.kind.is_sqlite() { "sqlite_reopen_seconds" } else { "reopen_seconds" };
            report.insert(key.into(), json!(reopen.seconds));
        }
        if !self.queries.is_empty() {
            let queries = self.queries.iter().map(|(kind, times)| (kind.name().to_owned(), query_json(times)));
            report.insert("queries".into(), Value::Object(queries.collect()));
        }
        Value::Object(report)
    }

    fn written_json(&self) -> Value {
        let of = |load| {
            let run = self.ingest.iter().find(|run| run.load == load);
            let written_by = |settled: Option<&Settled>| settled.map(written);
            let sqlite = run.and_then(Ingest::sqlite).map(|(_, settled)| settled);
            (written_by(run.and_then(Ingest::alluvium)), written_by(sqlite))
        };
        let (batch200, sqlite_batch200) = of(Load::Batch200);
        let (batch100k, sqlite_batch100k) = of(Load::Batch100k);
        json!({
            "batch200": batch200, "batch100k": batch100k,
            "sqlite_batch200": sqlite_batch200, "sqlite_batch100k": sqlite_batch100k,
        })
    }
}

fn ingest_json(run: &Ingest) -> Value {
    let (ours, sqlite) = (run.alluvium(), run.sqlite());
    json!({
        "points_per_second": ours.map(|settled| settled.appended.per_second()),
        "limit_points_per_second": run.limit.overwrite.per_second(),
        "sqlite_points_per_second": sqlite.map(|(_, settled)| settled.appended.per_second()),
        "cpu_us_per_point": ours.map(Settled::cpu_us_per_point),
        "settled_points_per_second": ours.map(Settled::settled_per_second),
        "copy_points_per_second": run.limit.copy.per_second(),
        "peak_rss_mb": ours.map(peak),
        "sqlite_layout": sqlite.map(|(kind, _)| kind.name()),
        "sqlite_cpu_us_per_point": sqlite.map(|(_, settled)| settled.cpu_us_per_point()),
        "sqlite_peak_rss_mb": sqlite.map(|(_, settled)| peak(settled)),
        "sqlite_layouts": run.stores.iter().filter(|(kind, _)| kind.is_sqlite()).map(|(kind, settled)| {
            (kind.name().to_owned(), json!(settled.appended.per_second()))
        }).collect::<Map<_, _>>(),
    })
}

fn query_json(times: &Times) -> Value {
    let sqlite = times.sqlite_median();
    json!({
        "median_us": quantile(&times.sealed, 0.5),
        "p95_us": quantile(&times.sealed, 0.95),
        "cold_median_us": quantile(&times.cold, 0.5),
        "unsealed_median_us": quantile(&times.unsealed, 0.5),
        "sqlite_median_us": sqlite.map(|(_, median)| median),
        "sqlite_layout": sqlite.map(|(kind, _)| kind.name()),
    })
}

fn profile(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Alluvium => "open",
        StoreKind::AlluviumCompact => "compact",
        StoreKind::AlluviumDecimal => "decimal",
        StoreKind::SqliteByDevice | StoreKind::SqliteByTime => "sqlite",
    }
}

fn million_per_second(settled: &Settled) -> f64 {
    settled.appended.per_second() / MEGA
}

fn million_settled(settled: &Settled) -> f64 {
    settled.settled_per_second() / MEGA
}

fn written(settled: &Settled) -> f64 {
    settled.per_point(settled.written_bytes)
}

fn data(settled: &Settled) -> f64 {
    settled.per_point(settled.footprint.data)
}

fn peak(settled: &Settled) -> f64 {
    settled.peak_memory as f64 / MEGA
}

/// Whether a larger number is the better one.
#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
}

struct Sheet(Table);

impl Sheet {
    fn new() -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["", "Alluvium", "limit", "of limit", "SQLite", "times better"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Sheet(table)
    }

    fn section(&mut self, title: &str) {
        self.0.add_row([Cell::new(title).add_attribute(comfy_table::Attribute::Bold)]);
    }

    fn row(&mut self, title: &str, ours: f64, limit: Option<f64>, sqlite: Option<f64>, better: Better) {
        let number = |value: Option<f64>| value.map(figure).unwrap_or_default();
        let ratio = sqlite.map(|sqlite| match better {
            Better::More => ours / sqlite,
            Better::Less => sqlite / ours,
        });
        let share = limit.map(|limit| ours / limit);
        let title = format!("  {title}");
        self.0.add_row([title, figure(ours), number(limit), number(share), number(sqlite), number(ratio)]);
    }

    fn note(&mut self, title: &str, value: f64) {
        self.row(title, value, None, None, Better::Less);
    }
}

/// Three significant digits.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}
