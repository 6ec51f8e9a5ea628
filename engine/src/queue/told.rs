//! What cells of queues say, one by one: for the change feed.

use super::item::Content;
use super::keys;
use super::spec::{QueueSpec, Settings};
use super::state::{Place, State};
use crate::error::{Error, Result};
use crate::keyspace::space;

/// What the change feed tells of a cell.
#[derive(Debug)]
pub(crate) enum Told {
    /// The definition of a queue.
    Queue { name: String, state: Option<QueueState> },
    /// What was pushed.
    Item { queue: u32, item: u64, content: Option<ItemContent> },
    /// How it stands with an item.
    State { queue: u32, item: u64, state: ItemState },
    /// Nothing that others do not say too.
    Nothing,
}

/// A queue as the change feed shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// No other queue ever has this number.
    pub number: u32,
    /// What it is.
    pub spec: QueueSpec,
}

/// What was pushed, as the change feed shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemContent {
    /// The payload.
    pub payload: Vec<u8>,
    /// When it is due, in microseconds UTC, if that was said.
    pub due: Option<i64>,
    /// The key that no other item had within the queue's window.
    pub deduplication: Option<String>,
}

/// How it stands with an item, as the change feed shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemState {
    /// Higher ones come first.
    pub priority: u8,
    /// How often it was popped since it was pushed or requeued.
    pub tries: u32,
    /// When it was pushed, in microseconds UTC.
    pub pushed: i64,
    /// Where it is.
    pub place: ItemPlace,
}

/// Where an item of a queue is. It leaves a place whose time has come without a change: the next change of its queue says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemPlace {
    /// It may be popped.
    Ready,
    /// It may be popped from this time on, in microseconds UTC.
    Scheduled(i64),
    /// Someone has it until this time, in microseconds of the engine's clock.
    Leased(u64),
    /// It was given back and may be popped from this time on, in microseconds of the engine's clock.
    Delayed(u64),
    /// It was tried too often.
    Dead,
}

/// Reads a cell of queues or their items; `None` if it is none of those.
pub(crate) fn told(key: &[u8], cell: Option<&[u8]>) -> Result<Option<Told>> {
    let told = match (key.first(), cell) {
        (Some(&space::QUEUE), _) => definition(key, cell)?,
        (Some(&space::QUEUE_ITEM), _) => {
            let (queue, item) = keys::read_item(key)?;
            Told::Item { queue, item, content: cell.map(content).transpose()? }
        }
        (Some(&space::QUEUE_STATE), Some(cell)) => {
            let (queue, item) = keys::read_item(key)?;
            Told::State { queue, item, state: state(cell)? }
        }
        // It goes with the item.
        (Some(&space::QUEUE_STATE), None) => Told::Nothing,
        _ => return Ok(None),
    };
    Ok(Some(told))
}

fn definition(key: &[u8], cell: Option<&[u8]>) -> Result<Told> {
    let name = std::str::from_utf8(key.get(1..).unwrap_or_default());
    let name = name.map_err(|_| Error::Internal("the name of a queue is no text".to_owned()))?;
    if name.is_empty() {
        return Ok(Told::Nothing);
    }
    let state = |cell| Settings::decode(cell).map(|own| QueueState { number: own.id, spec: own.spec(name.to_owned()) });
    Ok(Told::Queue { name: name.to_owned(), state: cell.map(state).transpose()? })
}

fn content(cell: &[u8]) -> Result<ItemContent> {
    let Content { due, deduplication, payload } = Content::decode(cell)?;
    Ok(ItemContent { payload: payload.to_owned(), due, deduplication: deduplication.map(str::to_owned) })
}

fn state(cell: &[u8]) -> Result<ItemState> {
    let State { priority, tries, pushed, place } = State::decode(cell)?;
    let place = match place {
        Place::Ready(_) => ItemPlace::Ready,
        Place::Scheduled { due } => ItemPlace::Scheduled(due),
        Place::Leased { until, .. } => ItemPlace::Leased(until),
        Place::Delayed { until } => ItemPlace::Delayed(until),
        Place::Dead => ItemPlace::Dead,
    };
    Ok(ItemState { priority, tries, pushed, place })
}
