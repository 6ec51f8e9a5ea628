//! Events in a few words.

use alluvium::{Event, Owner, TableSchema, TimeUnit};

use super::place;
use crate::commands::access::{self, audit};
use crate::output::timestamp;

/// An event in a few words.
pub(super) fn tell(event: &Event) -> String {
    let span = |table: &TableSchema, times: Option<(i64, i64)>| {
        times.map_or_else(String::new, |(a, b)| {
            let [a, b] = [a, b].map(|time| timestamp::utc(time, table.time_unit));
            if a == b { format!(" at {a}") } else { format!(" from {a} to {b}") }
        })
    };
    match event {
        Event::TableCreated(schema) => format!("table {} made", schema.name),
        Event::TableChanged(schema) => format!("table {} is at version {}", schema.name, schema.version),
        Event::TableDropped(schema) => format!("table {} dropped", schema.name),
        Event::SeriesAdded { table, series } => format!("{} new series in {}", series.len(), table.name),
        Event::Rows(rows) => format!("{} rows in {}{}", rows.rows(), rows.table().name, span(rows.table(), rows.times())),
        Event::Sealed(rows) => {
            let ids: Vec<_> = rows.segments.iter().map(|id| id.0.to_string()).collect();
            let (first, _) = rows.sequences;
            let times = span(&rows.table, rows.times);
            let place = if ids.is_empty() { "gone by now".to_owned() } else { format!("in segments {}", ids.join(" ")) };
            format!("{} rows in {}{times}, written from {first} on, {place}", rows.rows, rows.table.name)
        }
        Event::RowsDeleted { table, series, range } => {
            let which = series.as_ref().map_or_else(|| "all series".to_owned(), |series| format!("{} series", series.len()));
            format!("rows deleted in {which} of {}{}", table.name, span(table, Some((range.start, range.end))))
        }
        Event::Seal { through, segments } => format!("everything through {through} is in segments, {} new", segments.len()),
        Event::Compacted { removed, added } => format!("{} segments became {}", removed.len(), added.len()),
        Event::Receipt(receipt) => format!("receipt: {}: {}", receipt.file, receipt.detail),
        Event::Pair { key, value: None } => format!("pair {key} removed"),
        Event::Pair { key, value: Some(put) } => match std::str::from_utf8(&put.value) {
            Ok(text) => format!("pair {key} = {text}"),
            Err(_) => format!("pair {key} = {} bytes", put.value.len()),
        },
        Event::Collection { name, state: Some(_) } => format!("collection {name} made or changed"),
        Event::Collection { name, state: None } => format!("collection {name} is no more"),
        Event::Schema { collection, version, schema } => {
            let what = if schema.is_some() { "set" } else { "removed" };
            format!("schema version {version} of collection {} {what}", owner(collection))
        }
        Event::Document { collection, id, state } => {
            let at = format!("document {id} of collection {}", owner(collection));
            match state {
                None => format!("{at} removed"),
                Some(state) if state.deleted_at.is_some() => format!("{at} deleted"),
                Some(state) => format!("{at} = {}", state.json),
            }
        }
        Event::Queue { name, state: Some(_) } => format!("queue {name} made or changed"),
        Event::Queue { name, state: None } => format!("queue {name} is no more"),
        Event::Item { queue, item, content } => {
            let at = format!("item {item} of queue {}", owner(queue));
            match content.as_ref().map(|pushed| (std::str::from_utf8(&pushed.payload), pushed.payload.len())) {
                None => format!("{at} is gone"),
                Some((Ok(text), _)) => format!("{at} pushed: {text}"),
                Some((Err(_), bytes)) => format!("{at} pushed: {bytes} bytes"),
            }
        }
        Event::ItemState { queue, item, state } => {
            let (place, due, _) = place(state.place);
            let due = due.map_or_else(String::new, |at| format!(" for {}", timestamp::utc(at, TimeUnit::Micro)));
            format!("item {item} of queue {} is {place}{due}, tries {}", owner(queue), state.tries)
        }
        Event::Audited { number, entry: Some(found) } => format!("audit entry {number}: {}", audit::sentence(&found.entry)),
        Event::Audited { number, entry: None } => format!("audit entry {number} was let go of"),
        Event::Principal { name, principal: Some(_) } => format!("principal {name} added or changed"),
        Event::Principal { name, principal: None } => format!("principal {name} is no more"),
        Event::Role { name, grants: Some(grants) } => format!("role {name}: {}", access::lines(grants).join("; ")),
        Event::Role { name, grants: None } => format!("role {name} is no more"),
        Event::Other { key, value } => {
            let what = if value.is_some() { "put" } else { "removed" };
            format!("key {} {what}", key.escape_ascii())
        }
        _ => "something that this version does not know".to_owned(),
    }
}

fn owner(owner: &Owner) -> String {
    owner.name.as_deref().map_or_else(|| format!("#{} (dropped)", owner.number), str::to_owned)
}

/// On one line, with nothing a terminal might obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
