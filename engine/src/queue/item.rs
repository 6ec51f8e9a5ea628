//! What is pushed, and what comes back.

use std::sync::Arc;

use super::bytes::{Reader, sorted};
use super::state::{AT_ONCE, State};
use crate::error::{Error, Result};
use crate::shared::{Shared, check_text};

/// Bytes of a deduplication key, at most.
const DEDUPLICATION_BYTES: usize = 1_024;

/// What is to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    payload: Vec<u8>,
    priority: u8,
    due: Option<i64>,
    deduplication: Option<String>,
}

impl NewItem {
    /// Any bytes, of priority 0, due at once.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        NewItem { payload: payload.into(), priority: 0, due: None, deduplication: None }
    }

    /// What is to be pushed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Comes before everything of lower priority.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        NewItem { priority, ..self }
    }

    /// Cannot be popped before a time of the wall clock, in microseconds since 1970. The only time of a queue that a step of
    /// that clock moves.
    #[must_use]
    pub fn due(self, wall_micros: i64) -> Self {
        NewItem { due: Some(wall_micros), ..self }
    }

    /// Is pushed only if nothing with the same key was within the queue's window: text of 1 to 1,024 bytes without control
    /// characters. Also what is acknowledged by then counts.
    #[must_use]
    pub fn deduplicate(self, key: &str) -> Self {
        NewItem { deduplication: Some(key.to_owned()), ..self }
    }

    /// Checked, with the cell of what was pushed made outside the decision, for which others wait.
    pub(super) fn prepare(self, shared: &Shared) -> Result<Prepared> {
        shared.check_value("bytes of a payload", &self.payload)?;
        if let Some(key) = &self.deduplication {
            check_text("deduplication key", key, DEDUPLICATION_BYTES)?;
        }
        let NewItem { payload, priority, due, deduplication } = self;
        let content = Content { due, deduplication: deduplication.as_deref(), payload: &payload }.encode();
        Ok(Prepared { content, priority, due, deduplication })
    }
}

/// An item on its way into a queue.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) content: Arc<[u8]>,
    pub(super) priority: u8,
    pub(super) due: Option<i64>,
    pub(super) deduplication: Option<String>,
}

/// What was pushed, as it lies in its cell.
#[derive(Debug)]
pub(super) struct Content<'c> {
    pub(super) due: Option<i64>,
    pub(super) deduplication: Option<&'c str>,
    pub(super) payload: &'c [u8],
}

impl<'c> Content<'c> {
    /// When it is due, the deduplication key with its length (0 without one), the payload.
    fn encode(&self) -> Arc<[u8]> {
        let key = self.deduplication.unwrap_or_default();
        // Longer ones were refused.
        let len = u16::try_from(key.len()).unwrap_or_default();
        let parts = [&sorted(self.due.unwrap_or(AT_ONCE))[..], &len.to_be_bytes(), key.as_bytes(), self.payload];
        Arc::from(parts.concat())
    }

    pub(super) fn decode(cell: &'c [u8]) -> Result<Self> {
        let mut reader = Reader::new("item", cell);
        let due = Some(reader.sorted()?).filter(|due| *due != AT_ONCE);
        let len = reader.array().map(u16::from_be_bytes)?;
        let key = std::str::from_utf8(reader.take(len.into())?).map_err(|_| reader.wrong("a key that is no text"))?;
        let deduplication = Some(key).filter(|key| !key.is_empty());
        Ok(Content { due, deduplication, payload: reader.rest() })
    }
}

/// An item of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number: rising, and never given twice in the same queue.
    pub id: u64,
    /// What was pushed.
    pub payload: Vec<u8>,
    /// Higher ones come first.
    pub priority: u8,
    /// How often it was popped since it was pushed or requeued, this time included.
    pub tries: u32,
    /// When it was pushed, in microseconds since 1970 by the wall clock of then.
    pub pushed: i64,
    /// When it was to be due, likewise, if that was said.
    pub due: Option<i64>,
    /// The key that no other item had within the queue's window.
    pub deduplication: Option<String>,
}

/// An item as it lies in its cells, to be made an [`Item`] outside the decision.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: u64,
    pub(super) state: State,
    pub(super) content: Arc<[u8]>,
}

impl Stored {
    pub(super) fn open(self) -> Result<Item> {
        let Content { due, deduplication, payload } = Content::decode(&self.content)?;
        let State { priority, tries, pushed, .. } = self.state;
        let (payload, deduplication) = (payload.to_owned(), deduplication.map(str::to_owned));
        Ok(Item { id: self.id, payload, priority, tries, pushed, due, deduplication })
    }
}

/// A piece of an item is missing.
pub(super) fn incomplete(queue: &str, item: u64) -> Error {
    Error::Internal(format!("item {item} of queue {queue:?} is incomplete"))
}
