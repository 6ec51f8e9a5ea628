//! Items and queues for people and for programs.

use alluvium::{Item, Leased, Nacked, QueueSizes, QueueSpec, TimeUnit};
use serde_json::{Value as Json, json};

use crate::commands::values::{put_bytes, shown, told_bytes};
use crate::output::table::Align;
use crate::output::timestamp;

/// Headings of items.
pub(super) const ITEM: [(&str, Align); 4] =
    [("item", Align::Right), ("priority", Align::Right), ("tries", Align::Right), ("payload", Align::Left)];

/// Headings of items that were popped.
pub(super) const LEASED: [(&str, Align); 5] = [
    ("lease", Align::Left),
    ("lasts", Align::Right),
    ("tries", Align::Right),
    ("priority", Align::Right),
    ("payload", Align::Left),
];

/// As much of a payload as fits a line.
pub(super) fn payload(item: &Json) -> String {
    shown(&told_bytes(item, "payload"))
}

/// What became of an item that was given back, for programs.
pub(crate) fn nacked(nacked: &Nacked) -> Json {
    match nacked {
        Nacked::Waits(time) => json!({ "outcome": "waits", "seconds": time.as_secs_f64() }),
        Nacked::Dead => json!({ "outcome": "dead" }),
        Nacked::Gone => json!({ "outcome": "gone" }),
    }
}

/// An item for programs.
pub(crate) fn item(item: &Item) -> Json {
    let time = |micros| timestamp::utc(micros, TimeUnit::Micro);
    let Item { id, payload, priority, tries, pushed, due, deduplication } = item;
    let mut object = json!({ "id": id, "priority": priority, "tries": tries, "pushed": time(*pushed) });
    put_bytes(&mut object, "payload", payload);
    if let Some(due) = due {
        object["due"] = json!(time(*due));
    }
    if let Some(key) = deduplication {
        object["key"] = json!(key);
    }
    object
}

/// An item that was popped, for programs.
pub(crate) fn leased(leased: &Leased) -> Json {
    let mut object = json!({ "lease": leased.lease.to_string(), "lasts_seconds": leased.lasts.as_secs_f64() });
    if let (Json::Object(object), Json::Object(item)) = (&mut object, item(&leased.item)) {
        object.extend(item);
    }
    object
}

/// A queue for programs.
pub(crate) fn queue(spec: &QueueSpec, sizes: &QueueSizes) -> Json {
    json!({
        "queue": spec.name,
        "ready": sizes.ready,
        "scheduled": sizes.scheduled,
        "leased": sizes.leased,
        "delayed": sizes.delayed,
        "dead": sizes.dead,
        "lease_seconds": spec.lease.as_secs_f64(),
        "tries": spec.tries,
        "back_off_seconds": spec.back_off.as_secs_f64(),
        "back_off_limit_seconds": spec.back_off_limit.as_secs_f64(),
        "dead_letters": spec.dead_letters,
        "deduplication_seconds": spec.deduplication.as_secs_f64(),
    })
}
