//! Events as JSON.

use alluvium::{Event, TableSchema, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};

use super::place;
use crate::commands::access::{self, audit, user};
use crate::output::timestamp;

/// An event, and all that is known of it.
pub(crate) fn describe(event: &Event) -> Json {
    let span = |table: &TableSchema, times: Option<(i64, i64)>| {
        times.map(|(a, b)| [a, b].map(|time| timestamp::utc(time, table.time_unit)))
    };
    let mut object = json!({ "event": event.name() });
    let details = match event {
        Event::TableCreated(schema) | Event::TableChanged(schema) | Event::TableDropped(schema) => {
            json!({ "table": schema.name, "version": schema.version })
        }
        Event::SeriesAdded { table, series } => {
            json!({ "table": table.name, "series": series.iter().map(|key| &key.0).collect::<Vec<_>>() })
        }
        Event::Rows(rows) => {
            json!({ "table": rows.table().name, "rows": rows.rows(), "times": span(rows.table(), rows.times()) })
        }
        Event::Sealed(rows) => json!({
            "table": rows.table.name,
            "rows": rows.rows,
            "times": span(&rows.table, rows.times),
            "sequences": rows.sequences,
            "segments": rows.segments.iter().map(|id| id.0).collect::<Vec<_>>(),
        }),
        Event::RowsDeleted { table, series, range } => json!({
            "table": table.name,
            "series": series.as_ref().map(|series| series.iter().map(|key| &key.0).collect::<Vec<_>>()),
            "from": timestamp::utc(range.start, table.time_unit),
            "to": timestamp::utc(range.end, table.time_unit),
        }),
        Event::Seal { through, segments: made } => {
            json!({ "through": through, "segments": made.iter().map(|(table, id)| json!([table.name, id.0])).collect::<Vec<_>>() })
        }
        Event::Compacted { removed, added } => json!({
            "removed": removed.iter().map(|id| id.0).collect::<Vec<_>>(),
            "added": added.iter().map(|(table, id)| json!([table.name, id.0])).collect::<Vec<_>>(),
        }),
        Event::Evicted { table, removed, total } => json!({
            "table": table.name,
            "segments": removed.iter().map(|id| id.0).collect::<Vec<_>>(),
            "total_rows": total.rows,
            "total_unheld_rows": total.unheld_rows,
            "latest": timestamp::utc(total.times.1, table.time_unit),
        }),
        Event::Receipt(receipt) => {
            json!({ "file": receipt.file, "sequences": receipt.sequences, "bytes": receipt.bytes, "detail": receipt.detail })
        }
        Event::Pair { key, value } => {
            let mut pair = value.as_ref().map_or_else(|| json!({}), |put| text_or_bytes("value", "base64", &put.value));
            pair["key"] = json!(key);
            put(&mut pair, "expires_at_engine_micros", value.as_ref().and_then(|put| put.expires_at));
            pair
        }
        Event::Collection { name, state } => {
            json!({ "collection": name, "collection_number": state.as_ref().map(|state| state.number) })
        }
        Event::Schema { collection, version, schema } => json!({
            "collection": collection.name.as_deref(),
            "collection_number": collection.number,
            "version": version,
            "schema": schema.as_ref().map(|schema| &schema.schema),
        }),
        Event::Document { collection, id, state } => {
            let mut document =
                json!({ "collection": collection.name.as_deref(), "collection_number": collection.number, "id": id });
            if let Some(state) = state {
                document["document"] = state.content().unwrap_or_default();
                put(&mut document, "expires_at_engine_micros", state.expires_at);
                put(&mut document, "deleted_at", state.deleted_at.map(|at| timestamp::utc(at, TimeUnit::Micro)));
            }
            document
        }
        Event::Queue { name, state } => json!({ "queue": name, "queue_number": state.as_ref().map(|state| state.number) }),
        Event::Item { queue, item, content } => {
            let mut object =
                content.as_ref().map_or_else(|| json!({}), |pushed| text_or_bytes("payload", "base64", &pushed.payload));
            object["queue"] = json!(queue.name.as_deref());
            object["queue_number"] = json!(queue.number);
            object["item"] = json!(item);
            put(&mut object, "deduplication", content.as_ref().and_then(|pushed| pushed.deduplication.as_deref()));
            put(&mut object, "due", content.as_ref().and_then(|pushed| pushed.due).map(|at| timestamp::utc(at, TimeUnit::Micro)));
            object
        }
        Event::ItemState { queue, item, state } => {
            let (place, wall, engine) = place(state.place);
            let mut object = json!({
                "queue": queue.name.as_deref(),
                "queue_number": queue.number,
                "item": item,
                "priority": state.priority,
                "tries": state.tries,
                "place": place,
            });
            put(&mut object, "due", wall.map(|at| timestamp::utc(at, TimeUnit::Micro)));
            put(&mut object, "until_engine_micros", engine);
            object
        }
        Event::Audited { number, entry } => {
            let mut object = entry.as_ref().map_or_else(|| json!({}), |entry| json!(audit::describe(entry)));
            object["number"] = json!(number);
            object
        }
        Event::Principal { name, principal } => {
            let mut object = principal.as_ref().map_or_else(|| json!({}), |principal| json!(user::describe(principal)));
            object["name"] = json!(name);
            object
        }
        Event::Role { name, grants } => json!({ "name": name, "grants": grants.as_ref().map(|grants| access::lines(grants)) }),
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

/// Adds what there is.
fn put(object: &mut Json, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        object[name] = value.into();
    }
}

/// Bytes that are no text are in base64.
fn text_or_bytes(text: &str, other: &str, bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(value) => json!({ text: value }),
        Err(_) => json!({ other: BASE64_STANDARD.encode(bytes) }),
    }
}
