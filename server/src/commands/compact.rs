//! `alluvium compact`: everything into segments, small segments into larger ones, and the room of what is gone back to the disk.

use std::io::{self, Write};
use std::time::Instant;

use alluvium::{Inspection, Settings};
use serde_json::json;

use super::Context;
use crate::failure::Outcome;
use crate::output::terminal;

pub(crate) fn run(context: &Context) -> Outcome {
    let start = Instant::now();
    let database = context.open_existing(Settings { background: false, ..Settings::default() })?;
    let bar = terminal::progress(0, "{spinner} {msg} {elapsed}");
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let before = segment_bytes(&database.inspect()?);
    bar.set_message("sealing");
    database.seal()?;
    bar.set_message("compacting");
    let report = database.compact()?;
    bar.finish_and_clear();
    let after = segment_bytes(&database.inspect()?);
    database.close()?;
    if context.json {
        return context.print_json(&json!({
            "segments_before": report.segments_before,
            "segments_after": report.segments_after,
            "bytes_before": before,
            "bytes_after": after,
            "catalog_bytes_before": report.catalog_bytes_before,
            "catalog_bytes_after": report.catalog_bytes_after,
            "seconds": start.elapsed().as_secs_f64(),
        }));
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} segments became {}, {} became {}, the catalog's {} became {}, in {}",
        report.segments_before,
        report.segments_after,
        terminal::bytes(before),
        terminal::bytes(after),
        terminal::bytes(report.catalog_bytes_before),
        terminal::bytes(report.catalog_bytes_after),
        terminal::span(start.elapsed())
    )?;
    Ok(out.flush()?)
}

fn segment_bytes(inspection: &Inspection) -> u64 {
    inspection.tables.iter().map(|table| table.bytes_on_disk).sum()
}
