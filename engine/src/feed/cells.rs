//! What keys of metadata say: the one place that knows of all models.

use super::change::{Event, PairValue};
use crate::keyspace::space;
use crate::kv;
use crate::record::is_derived;

/// Whether the feed speaks of a key. It does not of what others say too, nor of how far itself was read.
pub(crate) fn shown(key: &[u8]) -> bool {
    !is_derived(key) && key.first() != Some(&space::CURSOR)
}

/// A key's new value as an event; `None` for what the feed does not speak of.
pub(super) fn event(key: &[u8], value: Option<&[u8]>) -> Option<Event> {
    if !shown(key) {
        return None;
    }
    let known = match key.first() {
        Some(&space::KEY_VALUE) => pair(key, value),
        _ => None,
    };
    Some(known.unwrap_or_else(|| Event::Other { key: key.to_vec(), value: value.map(<[u8]>::to_vec) }))
}

fn pair(key: &[u8], value: Option<&[u8]>) -> Option<Event> {
    let key = kv::name_of(key)?;
    let value = match value {
        None => None,
        Some(cell) => {
            let (expires_at, value) = kv::read_cell(cell)?;
            Some(PairValue { value: value.to_vec(), expires_at })
        }
    };
    Some(Event::Pair { key: key.to_owned(), value })
}
