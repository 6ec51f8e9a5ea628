//! Events in a few words, from what is said of them for programs: so a server's are told as one's own.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

/// An event, as it is described, in a few words.
pub(super) fn tell(event: &Json) -> String {
    let text = |name: &str| text(event, name);
    let [table, name, item, key, number] = ["table", "name", "item", "key", "number"].map(text);
    match event["event"].as_str().unwrap_or_default() {
        "table_created" => format!("table {table} made"),
        "table_changed" => format!("table {table} is at version {}", text("version")),
        "table_dropped" => format!("table {table} dropped"),
        "series_added" => format!("{} new series in {table}", count(event, "series")),
        "rows" => format!("{} rows in {table}{}", text("rows"), span(&texts(event, "times"))),
        "sealed_rows" => sealed(event),
        "rows_deleted" => {
            let which = if event["series"].is_null() { "all".to_owned() } else { count(event, "series").to_string() };
            format!("rows deleted in {which} series of {table}{}", span(&[text("from"), text("to")]))
        }
        "seal" => format!("everything through {} is in segments, {} new", text("through"), count(event, "segments")),
        "compacted" => format!("{} segments became {}", count(event, "removed"), count(event, "added")),
        "receipt" => format!("receipt: {}: {}", text("file"), text("detail")),
        "pair_removed" => format!("pair {key} removed"),
        "pair_put" => format!("pair {key} = {}", content(event, "value")),
        "collection" => format!("collection {} made or changed", text("collection")),
        "collection_removed" => format!("collection {} is no more", text("collection")),
        "schema" => format!("schema version {} of collection {} set", text("version"), owner(event, "collection")),
        "schema_removed" => format!("schema version {} of collection {} removed", text("version"), owner(event, "collection")),
        "document_removed" => format!("{} removed", document(event)),
        "document_deleted" => format!("{} deleted", document(event)),
        "document_put" => format!("{} = {}", document(event), event["document"]),
        "queue" => format!("queue {} made or changed", text("queue")),
        "queue_removed" => format!("queue {} is no more", text("queue")),
        "item_removed" => format!("item {item} of queue {} is gone", owner(event, "queue")),
        "item_pushed" => format!("item {item} of queue {} pushed: {}", owner(event, "queue"), content(event, "payload")),
        "item_state" => {
            let due = event["due"].as_str().map_or_else(String::new, |due| format!(" for {due}"));
            let (place, tries) = (text("place"), text("tries"));
            format!("item {item} of queue {} is {place}{due}, tries {tries}", owner(event, "queue"))
        }
        "audited" => {
            let [who, what, object, outcome] = ["who", "what", "object", "outcome"].map(text);
            format!("audit entry {number}: {who} {what} {object} {outcome}")
        }
        "audit_dropped" => format!("audit entry {number} was let go of"),
        "principal" => format!("principal {name} added or changed"),
        "principal_removed" => format!("principal {name} is no more"),
        "role" => format!("role {name}: {}", texts(event, "grants").join("; ")),
        "role_removed" => format!("role {name} is no more"),
        "other" => other(event),
        _ => "something that this version does not know".to_owned(),
    }
}

/// A value as people see it: nothing where there is none.
fn text(event: &Json, name: &str) -> String {
    match &event[name] {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Texts of a list.
fn texts(event: &Json, name: &str) -> Vec<String> {
    event[name].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn count(event: &Json, name: &str) -> usize {
    event[name].as_array().map_or(0, Vec::len)
}

fn span(times: &[String]) -> String {
    match times {
        [first, last] if first == last => format!(" at {first}"),
        [first, last] => format!(" from {first} to {last}"),
        _ => String::new(),
    }
}

fn sealed(event: &Json) -> String {
    let ids: Vec<String> = event["segments"].as_array().into_iter().flatten().map(Json::to_string).collect();
    let place = if ids.is_empty() { "gone by now".to_owned() } else { format!("in segments {}", ids.join(" ")) };
    let (rows, table, times) = (text(event, "rows"), text(event, "table"), span(&texts(event, "times")));
    format!("{rows} rows in {table}{times}, written from {} on, {place}", event["sequences"][0])
}

fn document(event: &Json) -> String {
    format!("document {} of collection {}", text(event, "id"), owner(event, "collection"))
}

/// Of what was dropped only its number is known.
fn owner(event: &Json, kind: &str) -> String {
    match event[kind].as_str() {
        Some(name) => name.to_owned(),
        None => format!("#{} (dropped)", event[format!("{kind}_number")]),
    }
}

fn bytes(event: &Json, name: &str) -> Vec<u8> {
    event[name].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default()
}

/// Text, or how many bytes there are.
fn content(event: &Json, name: &str) -> String {
    match event[name].as_str() {
        Some(text) => text.to_owned(),
        None => format!("{} bytes", bytes(event, "base64").len()),
    }
}

fn other(event: &Json) -> String {
    let key = event["key"].as_str().map_or_else(|| bytes(event, "key_base64"), |key| key.as_bytes().to_vec());
    let what = if event["bytes"].is_null() { "removed" } else { "put" };
    format!("key {} {what}", key.escape_ascii())
}

/// On one line, with nothing a terminal might obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
