//! What keys of metadata say: the one place that knows of all models.

use super::change::{Event, PairValue};
use super::names::Names;
use crate::error::Result;
use crate::keyspace::space;
use crate::record::is_derived;
use crate::{audit, document, kv, principal, queue};

/// Whether the feed speaks of a key. It does not of what others say too, nor of how far itself was read, of numbers to be given
/// next, of where the audit trail ends, of what documents were before, which it has told, of tokens, which are secrets, of writers,
/// which nothing else can go on with, or of certificates and the time they are judged by, which are the gateway's own.
pub(crate) fn shown(key: &[u8]) -> bool {
    const UNTOLD: [u8; 8] = [
        space::CURSOR,
        space::HISTORY,
        space::NEXT_COLLECTION,
        space::AUDIT_HEAD,
        space::TOKEN,
        space::WRITER,
        space::CERTIFICATE,
        space::NOTED_TIME,
    ];
    !is_derived(key) && !key.first().is_some_and(|first| UNTOLD.contains(first))
}

/// A key's new value as an event; `None` for what the feed does not speak of. Fails where names cannot be looked up.
pub(super) fn event(key: &[u8], value: Option<&[u8]>, names: &mut Names) -> Result<Option<Event>> {
    if !shown(key) {
        return Ok(None);
    }
    // What nothing makes sense of is shown as it is.
    if let Some(event) = pair(key, value) {
        return Ok(Some(event));
    }
    if let Ok(Some(told)) = document::told(key, value) {
        return of_documents(told, names).map(Some);
    }
    if let Ok(Some(told)) = queue::told(key, value) {
        return of_queues(told, names);
    }
    match principal::told(key, value) {
        Some(principal::Told::Principal { name, principal }) => return Ok(Some(Event::Principal { name, principal })),
        Some(principal::Told::Role { name, grants }) => return Ok(Some(Event::Role { name, grants })),
        None => {}
    }
    if let Some((number, entry)) = audit::told(key, value) {
        return Ok(Some(Event::Audited { number, entry }));
    }
    Ok(Some(Event::Other { key: key.to_vec(), value: value.map(<[u8]>::to_vec) }))
}

fn pair(key: &[u8], value: Option<&[u8]>) -> Option<Event> {
    if key.first() != Some(&space::KEY_VALUE) {
        return None;
    }
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

fn of_documents(told: document::Told, names: &mut Names) -> Result<Event> {
    Ok(match told {
        document::Told::Collection { name, state } => {
            names.forget();
            let mut name_of = |number| Ok(names.owner(space::COLLECTION_NAME, number)?.name.map(|name| name.to_string()));
            let state = state.map(|definition| definition.state(&mut name_of)).transpose()?;
            Event::Collection { name, state }
        }
        document::Told::Document { collection, id, state } => {
            Event::Document { collection: names.owner(space::COLLECTION_NAME, collection)?, id, state }
        }
        document::Told::Schema { collection, version, schema } => {
            Event::Schema { collection: names.owner(space::COLLECTION_NAME, collection)?, version, schema }
        }
    })
}

fn of_queues(told: queue::Told, names: &mut Names) -> Result<Option<Event>> {
    Ok(Some(match told {
        queue::Told::Queue { name, state } => {
            names.forget();
            Event::Queue { name, state }
        }
        queue::Told::Item { queue, item, content } => {
            Event::Item { queue: names.owner(space::QUEUE_NAME, queue)?, item, content }
        }
        queue::Told::State { queue, item, state } => {
            Event::ItemState { queue: names.owner(space::QUEUE_NAME, queue)?, item, state }
        }
        queue::Told::Nothing => return Ok(None),
    }))
}
