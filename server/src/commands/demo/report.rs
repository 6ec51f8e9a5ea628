//! What the demo cost.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use alluvium::Inspection;
use serde_json::{Value as Json, json};

use super::record::Recording;
use super::upload::Bucket;
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::terminal;

/// A query and how long it took.
#[derive(Debug)]
pub(super) struct TimedQuery {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) median: Duration,
}

#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) directory: &'a Path,
    pub(super) recording: &'a Recording,
    pub(super) sealing: Duration,
    pub(super) queries: Vec<TimedQuery>,
    pub(super) inspection: &'a Inspection,
    /// Bytes written before the demo began, where its directory is not new.
    pub(super) written_before: u64,
    pub(super) bucket: Bucket,
}

impl Report<'_> {
    /// Bytes of segments of the recorded tables, and bytes per point.
    fn size(&self) -> (u64, Option<f64>) {
        let tables = || self.inspection.tables.iter().filter(|table| self.recording.tables.contains(&table.schema.name));
        let bytes: u64 = tables().map(|table| table.bytes_on_disk).sum();
        let points: u64 = tables().map(|table| table.points).sum();
        (bytes, (points > 0).then(|| bytes as f64 / points as f64))
    }

    fn written(&self) -> u64 {
        self.inspection.bytes_written.saturating_sub(self.written_before)
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> Outcome {
        let (bytes, per_point) = self.size();
        let recording = self.recording;
        let mut costs = Table::new([("what it cost", Align::Left), ("", Align::Right)]);
        costs.push(["points".to_owned(), terminal::count(recording.points)]);
        costs.push(["segments on disk".to_owned(), terminal::bytes(bytes)]);
        costs.push([
            "bytes per point, file headers and all".to_owned(),
            per_point.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.2}")),
        ]);
        costs.push(["bytes written, log and all".to_owned(), terminal::bytes(self.written())]);
        costs.push(["durable batches".to_owned(), terminal::count(recording.batches.len() as u64)]);
        costs.push(["a durable batch, median".to_owned(), terminal::span(percentile(&recording.batches, 50))]);
        costs.push(["a durable batch, 99th percentile".to_owned(), terminal::span(percentile(&recording.batches, 99))]);
        costs.push(["sealing it all".to_owned(), terminal::span(self.sealing)]);
        for query in &self.queries {
            costs.push([format!("{} ({} rows)", query.name, terminal::count(query.rows)), terminal::span(query.median)]);
        }
        let bucket = &self.bucket;
        costs.push([
            format!("carrying it to a folder ({})", terminal::things(bucket.segments, "segment")),
            format!("{} in {}", terminal::bytes(bucket.bytes), terminal::span(bucket.took)),
        ]);
        writeln!(out)?;
        costs.write(out)?;
        let data = self.directory.display();
        writeln!(out, "\nThe data stay in {data}. Look around: alluvium --data {data} tables")?;
        let folder = bucket.folder.display();
        Ok(writeln!(out, "They are in {folder} as well, as plain Parquet. Check that they are: alluvium sync prove {folder}")?)
    }

    pub(super) fn describe(&self) -> Json {
        let (bytes, per_point) = self.size();
        let recording = self.recording;
        let queries: Vec<_> = self
            .queries
            .iter()
            .map(|query| json!({ "name": query.name, "rows": query.rows, "median_us": micros(query.median) }))
            .collect();
        json!({
            "directory": self.directory.to_string_lossy(),
            "tables": recording.tables,
            "rows": recording.rows,
            "points": recording.points,
            "bytes_on_disk": bytes,
            "bytes_per_point": per_point,
            "bytes_written": self.written(),
            "batches": recording.batches.len(),
            "batch_us": { "p50": micros(percentile(&recording.batches, 50)), "p99": micros(percentile(&recording.batches, 99)) },
            "seal_us": micros(self.sealing),
            "queries": queries,
            "bucket": {
                "folder": self.bucket.folder.to_string_lossy(),
                "segments": self.bucket.segments,
                "bytes": self.bucket.bytes,
                "us": micros(self.bucket.took),
            },
        })
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// The least of the sorted values that `percent` of them do not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(50));
        assert_eq!(percentile(&values, 99), Duration::from_millis(99));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
