//! `alluvium changes`: the change feed, a line for each change.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Change, ChangeKind, Changes, Database, Error, Event, Settings, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::output::timestamp;

/// How long a follower waits at once.
const WAIT: Duration = Duration::from_secs(1);
/// Changes after which a cursor is moved: each time costs a write.
const ACKNOWLEDGED_AT_ONCE: u64 = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The sequence to begin with [default: the first]
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Waits for more at the end, such as what expires, until it is interrupted
    #[arg(long)]
    follow: bool,
    /// Only changes of this kind; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    /// Only changes of this table; may be given several times
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Only changes of metadata whose names begin so, as keys of pairs; may be given several times
    #[arg(long, value_name = "BEGINNING")]
    prefix: Vec<String>,
    /// Goes on behind what was read under this name before, and keeps how far it comes. A new one begins with --from
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// At most so many
    #[arg(long, value_name = "CHANGES")]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Tables,
    Series,
    Rows,
    Deletions,
    Segments,
    Receipts,
    Pairs,
    Other,
}

impl From<Kind> for ChangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tables => ChangeKind::Tables,
            Kind::Series => ChangeKind::Series,
            Kind::Rows => ChangeKind::Rows,
            Kind::Deletions => ChangeKind::Deletions,
            Kind::Segments => ChangeKind::Segments,
            Kind::Receipts => ChangeKind::Receipts,
            Kind::Pairs => ChangeKind::Pairs,
            Kind::Other => ChangeKind::Other,
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    // Only what happens in this process can be waited for.
    let database = context.open_existing(Settings { background: arguments.follow, ..Settings::default() })?;
    if !arguments.follow {
        // A name that is wrong would pass for one that nothing happened to.
        arguments.table.iter().try_for_each(|name| database.table(name).map(drop))?;
    }
    let mut changes = begin(&database, arguments).map_err(Failure::of_request)?;
    let printed = print_all(context, &database, arguments, &mut changes);
    // What was printed counts, however the rest went.
    let acknowledged = acknowledge(&database, arguments, &changes);
    printed.and(acknowledged)?;
    Ok(database.close()?)
}

fn begin(database: &Database, arguments: &Arguments) -> alluvium::Result<Changes> {
    let from = arguments.from.unwrap_or(1).max(1);
    let mut wanted = match &arguments.cursor {
        Some(name) => {
            let mut cursor = database.cursor(name)?;
            cursor.begin(from - 1)?;
            cursor.changes()?
        }
        None => database.changes().from(from),
    };
    wanted = arguments.kind.iter().fold(wanted, |wanted, kind| wanted.kind((*kind).into()));
    wanted = arguments.table.iter().fold(wanted, |wanted, table| wanted.table(table));
    wanted = arguments.prefix.iter().fold(wanted, |wanted, prefix| wanted.prefix(prefix));
    arguments.limit.map_or(wanted.clone(), |limit| wanted.limit(limit)).read()
}

fn acknowledge(database: &Database, arguments: &Arguments, changes: &Changes) -> Outcome {
    let Some(name) = &arguments.cursor else { return Ok(()) };
    let mut cursor = database.cursor(name)?;
    // An unneeded write would be one more record to read.
    if cursor.position()? < changes.through() {
        cursor.acknowledge(changes.through())?;
    }
    Ok(())
}

fn print_all(context: &Context, database: &Database, arguments: &Arguments, changes: &mut Changes) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut shown, mut unacknowledged) = (0, 0);
    while arguments.limit.is_none_or(|limit| shown < limit) {
        let line = match changes.next() {
            Some(Ok(change)) => {
                shown += 1;
                lines(context, database, &change)
            }
            Some(Err(Error::Gap { from, to })) => gap(context, from, to),
            Some(Err(error)) => return Err(error.into()),
            None => {
                out.flush()?;
                if !arguments.follow {
                    break;
                }
                if unacknowledged > 0 {
                    acknowledge(database, arguments, changes)?;
                    unacknowledged = 0;
                }
                changes.wait(WAIT)?;
                continue;
            }
        };
        out.write_all(line.as_bytes())?;
        unacknowledged += 1;
        if unacknowledged == ACKNOWLEDGED_AT_ONCE {
            out.flush()?;
            acknowledge(database, arguments, changes)?;
            unacknowledged = 0;
        }
    }
    Ok(out.flush()?)
}

fn gap(context: &Context, from: u64, to: u64) -> String {
    match context.json {
        true => format!("{}\n", json!({ "gap": { "from": from, "to": to } })),
        false => format!("{from} to {to} are no longer kept or cannot be read\n"),
    }
}

fn lines(context: &Context, database: &Database, change: &Change) -> String {
    let unit = |table: &str| database.table(table).map_or(TimeUnit::Micro, |schema| schema.time_unit);
    if context.json {
        let events: Vec<_> = change.events.iter().map(|event| describe(event, &unit)).collect();
        let mut object = json!({ "sequence": change.sequence, "events": events });
        if let Some(at) = change.at {
            object["at"] = json!(timestamp::utc(at.wall_micros, TimeUnit::Micro));
        }
        return format!("{object}\n");
    }
    change.events.iter().map(|event| format!("{} {}\n", change.sequence, printable(&tell(event, &unit)))).collect()
}

/// How an event is called for programs.
fn name_of(event: &Event) -> &'static str {
    match event {
        Event::TableCreated(_) => "table_created",
        Event::TableChanged(_) => "table_changed",
        Event::SeriesAdded { .. } => "series_added",
        Event::Rows(_) => "rows",
        Event::Sealed(_) => "sealed_rows",
        Event::RowsDeleted { .. } => "rows_deleted",
        Event::Seal { .. } => "seal",
        Event::Compacted { .. } => "compacted",
        Event::Receipt(_) => "receipt",
        Event::Pair { value: Some(_), .. } => "pair_put",
        Event::Pair { value: None, .. } => "pair_removed",
        _ => "other",
    }
}

fn describe(event: &Event, unit: &dyn Fn(&str) -> TimeUnit) -> Json {
    let span = |table: &str, times: Option<(i64, i64)>| times.map(|(a, b)| [a, b].map(|time| timestamp::utc(time, unit(table))));
    let mut object = json!({ "event": name_of(event) });
    let details = match event {
        Event::TableCreated(schema) | Event::TableChanged(schema) => json!({ "table": schema.name, "version": schema.version }),
        Event::SeriesAdded { table, series } => {
            json!({ "table": table, "series": series.iter().map(|key| &key.0).collect::<Vec<_>>() })
        }
        Event::Rows(rows) => json!({ "table": rows.table(), "rows": rows.rows(), "times": span(rows.table(), rows.times()) }),
        Event::Sealed(rows) => json!({
            "table": rows.table,
            "rows": rows.rows,
            "times": span(&rows.table, rows.times),
            "sequences": rows.sequences,
            "segments": rows.segments.iter().map(|id| id.0).collect::<Vec<_>>(),
        }),
        Event::RowsDeleted { table, series, range } => json!({
            "table": table,
            "series": series.as_ref().map(|series| series.iter().map(|key| &key.0).collect::<Vec<_>>()),
            "from": timestamp::utc(range.start, unit(table)),
            "to": timestamp::utc(range.end, unit(table)),
        }),
        Event::Seal { through, segments } => {
            json!({ "through": through, "segments": segments.iter().map(|(table, id)| json!([table, id.0])).collect::<Vec<_>>() })
        }
        Event::Compacted { removed, added } => json!({
            "removed": removed.iter().map(|id| id.0).collect::<Vec<_>>(),
            "added": added.iter().map(|(table, id)| json!([table, id.0])).collect::<Vec<_>>(),
        }),
        Event::Receipt(receipt) => {
            json!({ "file": receipt.file, "sequences": receipt.sequences, "bytes": receipt.bytes, "detail": receipt.detail })
        }
        Event::Pair { key, value } => {
            let mut pair = value.as_ref().map_or_else(|| json!({}), |put| text_or_bytes("value", "base64", &put.value));
            pair["key"] = json!(key);
            if let Some(at) = value.as_ref().and_then(|put| put.expires_at) {
                pair["expires_at_engine_micros"] = json!(at);
            }
            pair
        }
        Event::Other { key, value } => {
            let mut other = text_or_bytes("key", "key_base64", key);
            other["bytes"] = json!(value.as_ref().map(Vec::len));
            other
        }
        _ => json!({}),
    };
    if let (Some(object), Json::Object(details)) = (object.as_object_mut(), details) {
        object.extend(details);
    }
    object
}

/// Bytes that are no text are in base64.
fn text_or_bytes(text: &str, other: &str, bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(value) => json!({ text: value }),
        Err(_) => json!({ other: BASE64_STANDARD.encode(bytes) }),
    }
}

/// An event in a few words.
fn tell(event: &Event, unit: &dyn Fn(&str) -> TimeUnit) -> String {
    let span = |table: &str, times: Option<(i64, i64)>| {
        times.map_or_else(String::new, |(a, b)| {
            let [a, b] = [a, b].map(|time| timestamp::utc(time, unit(table)));
            if a == b { format!(" at {a}") } else { format!(" from {a} to {b}") }
        })
    };
    match event {
        Event::TableCreated(schema) => format!("table {} made", schema.name),
        Event::TableChanged(schema) => format!("table {} is at version {}", schema.name, schema.version),
        Event::SeriesAdded { table, series } => format!("{} new series in {table}", series.len()),
        Event::Rows(rows) => format!("{} rows in {}{}", rows.rows(), rows.table(), span(rows.table(), rows.times())),
        Event::Sealed(rows) => {
            let ids: Vec<_> = rows.segments.iter().map(|id| id.0.to_string()).collect();
            let (first, _) = rows.sequences;
            let times = span(&rows.table, rows.times);
            format!("{} rows in {}{times}, written from {first} on, in segments {}", rows.rows, rows.table, ids.join(" "))
        }
        Event::RowsDeleted { table, series, range } => {
            let which = series.as_ref().map_or_else(|| "all series".to_owned(), |series| format!("{} series", series.len()));
            format!("rows deleted in {which} of {table}{}", span(table, Some((range.start, range.end))))
        }
        Event::Seal { through, segments } => format!("everything through {through} is in segments, {} new", segments.len()),
        Event::Compacted { removed, added } => format!("{} segments became {}", removed.len(), added.len()),
        Event::Receipt(receipt) => format!("receipt: {}: {}", receipt.file, receipt.detail),
        Event::Pair { key, value: None } => format!("pair {key} removed"),
        Event::Pair { key, value: Some(put) } => match std::str::from_utf8(&put.value) {
            Ok(text) => format!("pair {key} = {text}"),
            Err(_) => format!("pair {key} = {} bytes", put.value.len()),
        },
        Event::Other { key, value } => {
            let what = if value.is_some() { "put" } else { "removed" };
            format!("key {} {what}", key.escape_ascii())
        }
        _ => "something that this version does not know".to_owned(),
    }
}

/// On one line, with nothing a terminal might obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_one_event_and_nothing_else() {
        let removed = Event::Other { key: b"\x07a\nb".to_vec(), value: None };
        assert_eq!(tell(&removed, &|_| TimeUnit::Micro), "key \\x07a\\nb removed");
        assert_eq!(printable("a\nb\u{1b}[31m"), "a b [31m");
        let told = describe(&removed, &|_| TimeUnit::Micro).to_string();
        assert_eq!(told, r#"{"event":"other","key":"\u0007a\nb","bytes":null}"#);
    }

    #[test]
    fn every_kind_can_be_asked_for() {
        let asked: Vec<ChangeKind> = Kind::value_variants().iter().map(|kind| (*kind).into()).collect();
        assert_eq!(asked, ChangeKind::ALL);
    }
}
