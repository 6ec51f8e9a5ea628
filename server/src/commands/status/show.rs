//! The status for people.

use std::io::{self, Write};
use std::time::Duration;

use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::status::{Document, OfQueue, OfTable, Serving};

/// Writes all of it.
pub(super) fn print(document: &Document) -> Outcome {
    let mut out = io::stdout().lock();
    write(document, &mut out)?;
    Ok(out.flush()?)
}

pub(super) fn write(document: &Document, out: &mut dyn Write) -> Outcome {
    for (name, value) in facts(document) {
        writeln!(out, "{name:<15}{value}")?;
    }
    if !document.tables.is_empty() {
        writeln!(out)?;
        tables(&document.tables).write(out)?;
    }
    if !document.queues.is_empty() {
        writeln!(out)?;
        queues(&document.queues).write(out)?;
    }
    Ok(())
}

/// What is said in a line each.
fn facts(document: &Document) -> Vec<(&'static str, String)> {
    let Document { server, log, storage, audit, version, .. } = document;
    let mut facts = match server {
        Some(serving) => served(serving, version),
        None => vec![("server", "none has it open".to_owned())],
    };
    let (bytes, count) = (terminal::bytes, terminal::count);
    facts.push((
        "log",
        format!("{}, {} unsealed in {} files", bytes(log.bytes), bytes(log.unsealed_bytes), count(log.unsealed_files)),
    ));
    facts.push(("memory", format!("{} of rows not yet in segments", bytes(storage.memtable_bytes))));
    facts.push(("catalog", format!("{}, and {} of history", bytes(storage.catalog_bytes), bytes(storage.history_bytes))));
    let free = storage.free_bytes.map_or_else(String::new, |free| format!(", {} free", bytes(free)));
    let full = if storage.has_room { "" } else { ": full, rows are refused" };
    facts.push(("disk", format!("{} written so far{free}{full}", bytes(storage.written_bytes))));
    let hash = audit.hash.get(..16).unwrap_or_default();
    facts.push(("audit", format!("{} entries, the last {hash}…", count(audit.number))));
    facts
}

fn served(serving: &Serving, version: &str) -> Vec<(&'static str, String)> {
    let Serving { gateway, started_at, uptime_seconds, connections, writer_streams, queries, rows_applied, .. } = serving;
    let Serving { checks, sync_troubles, .. } = serving;
    let count = terminal::count;
    let ready = if checks.are_ok() { "yes".to_owned() } else { format!("no: {}", checks.reasons().join("; ")) };
    let mut facts = vec![
        ("server", format!("{gateway}, alluvium {version}, for {} since {started_at}", long(*uptime_seconds))),
        ("ready", ready),
        (
            "under way",
            format!(
                "{} connections, {} writer streams, {} queries",
                count(*connections),
                count(*writer_streams),
                count(*queries)
            ),
        ),
        ("applied", format!("{} rows of writer streams", count(*rows_applied))),
    ];
    facts.extend(sync_troubles.iter().map(|trouble| ("sync", trouble.clone())));
    facts
}

/// A length of time of minutes to years.
fn long(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        ..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

fn tables(tables: &[OfTable]) -> Table {
    let number = |name| (name, Align::Right);
    let mut shown = Table::new([
        ("table", Align::Left),
        number("rows"),
        number("unsealed"),
        number("series"),
        number("segments"),
        number("on disk"),
        number("let go of"),
    ]);
    let count = terminal::count;
    for OfTable { name, rows, unsealed_rows, series, segments, bytes, evicted_rows } in tables {
        shown.push([
            name.clone(),
            count(*rows),
            count(*unsealed_rows),
            count(*series),
            count(*segments),
            terminal::bytes(*bytes),
            count(*evicted_rows),
        ]);
    }
    shown
}

fn queues(queues: &[OfQueue]) -> Table {
    let number = |name| (name, Align::Right);
    let mut shown = Table::new([
        ("queue", Align::Left),
        number("ready"),
        number("scheduled"),
        number("leased"),
        number("delayed"),
        number("dead"),
    ]);
    for OfQueue { queue, ready, scheduled, leased, delayed, dead } in queues {
        let [ready, scheduled, leased, delayed, dead] = [ready, scheduled, leased, delayed, dead].map(|n| terminal::count(*n));
        shown.push([queue.clone(), ready, scheduled, leased, delayed, dead]);
    }
    shown
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::serve::Checks;
    use crate::status::{Audit, Log, Storage};

    /// Of a gateway with a table and a queue.
    pub(in super::super) fn document() -> Document {
        let ok = || "ok".to_owned();
        Document {
            version: "1.2.3".to_owned(),
            server: Some(Serving {
                gateway: "gateway-1".to_owned(),
                started_at: "2026-10-01T00:00:00Z".to_owned(),
                uptime_seconds: 90_061.5,
                connections: 2,
                writer_streams: 3,
                queries: 1,
                rows_applied: 1_234,
                checks: Checks { storage: ok(), disk: "it is full".to_owned(), clock: ok() },
                sync_troubles: vec!["cloud is waited for: no link".to_owned()],
            }),
            table_count: 1,
            tables: vec![OfTable {
                name: "air".to_owned(),
                rows: 5_000,
                unsealed_rows: 7,
                series: 3,
                segments: 2,
                bytes: 2_048,
                evicted_rows: 900,
            }],
            queue_count: 1,
            queues: vec![OfQueue { queue: "jobs".to_owned(), ready: 4, scheduled: 0, leased: 1, delayed: 0, dead: 9 }],
            log: Log { bytes: 4_096, unsealed_bytes: 1_024, unsealed_files: 1 },
            storage: Storage {
                memtable_bytes: 512,
                history_bytes: 0,
                catalog_bytes: 2_048,
                written_bytes: 10_240,
                written_bytes_since_opening: 1_024,
                free_bytes: Some(3 << 30),
                needs_free_bytes: 1_024,
                has_room: false,
            },
            audit: Audit { number: 12, hash: "ab".repeat(32), dropped: 0 },
        }
    }

    #[test]
    fn for_people() {
        let mut out = Vec::new();
        write(&document(), &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        let expected = "\
server         gateway-1, alluvium 1.2.3, for 1 d 1 h since 2026-10-01T00:00:00Z
ready          no: disk: it is full
under way      2 connections, 3 writer streams, 1 queries
applied        1,234 rows of writer streams
sync           cloud is waited for: no link
log            4.0 KiB, 1.0 KiB unsealed in 1 files
memory         512 B of rows not yet in segments
catalog        2.0 KiB, and 0 B of history
disk           10.0 KiB written so far, 3.0 GiB free: full, rows are refused
audit          12 entries, the last abababababababab…

table   rows  unsealed  series  segments  on disk  let go of
─────  ─────  ────────  ──────  ────────  ───────  ─────────
air    5,000         7       3         2  2.0 KiB        900

queue  ready  scheduled  leased  delayed  dead
─────  ─────  ─────────  ──────  ───────  ────
jobs       4          0       1        0     9
";
        assert_eq!(said, expected);
        let alone = Document { server: None, tables: Vec::new(), queues: Vec::new(), ..document() };
        let mut out = Vec::new();
        write(&alone, &mut out).unwrap();
        assert!(out.starts_with(b"server         none has it open\nlog "));
    }
}
