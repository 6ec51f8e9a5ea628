//! Items and queues for people and for programs.

use std::time::Duration;

use alluvium::{Item, Leased, Nacked, QueueSizes, QueueSpec, TimeUnit};

use crate::commands::values::{shown, text_or_base64, told_bytes};
use crate::output::table::Align;
use crate::output::timestamp;
use crate::status::OfQueue;
use crate::told;

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
pub(super) fn payload(item: &told::Item) -> String {
    shown(&told_bytes(item.payload.as_deref(), item.base64.as_deref()))
}

/// What became of an item that was given back, for programs.
pub(crate) fn nacked(nacked: &Nacked) -> told::Nacked {
    let (outcome, time) = match nacked {
        Nacked::Waits(time) => ("waits", Some(time)),
        Nacked::Dead => ("dead", None),
        Nacked::Gone => ("gone", None),
    };
    told::Nacked { outcome: outcome.into(), seconds: time.map(Duration::as_secs_f64) }
}

/// An item for programs.
pub(crate) fn item(item: &Item) -> told::Item {
    let time = |micros| timestamp::utc(micros, TimeUnit::Micro);
    let Item { id, payload, priority, tries, pushed, due, deduplication } = item;
    let (payload, base64) = text_or_base64(payload);
    told::Item {
        id: *id,
        priority: *priority,
        tries: *tries,
        pushed: time(*pushed),
        payload,
        base64,
        due: due.map(time),
        key: deduplication.clone(),
    }
}

/// An item that was popped, for programs.
pub(crate) fn leased(leased: &Leased) -> told::Leased {
    told::Leased { lease: leased.lease.to_string(), lasts_seconds: leased.lasts.as_secs_f64(), item: item(&leased.item) }
}

/// A queue for programs.
pub(crate) fn queue(spec: &QueueSpec, sizes: &QueueSizes) -> told::Queue {
    told::Queue {
        sizes: OfQueue::of(&spec.name, sizes),
        lease_seconds: spec.lease.as_secs_f64(),
        tries: spec.tries,
        back_off_seconds: spec.back_off.as_secs_f64(),
        back_off_limit_seconds: spec.back_off_limit.as_secs_f64(),
        dead_letters: spec.dead_letters,
        deduplication_seconds: spec.deduplication.as_secs_f64(),
    }
}
