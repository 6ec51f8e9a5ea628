//! Taking many items away, a few at a time, so that nobody waits long.

use super::bytes::Reader;
use super::desk::Desk;
use super::{keys, push};
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix, space};

/// Cells or items taken away at once.
const AT_A_TIME: usize = 1_000;

/// Which items are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Dead,
}

/// How far a purge has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purge {
    pub(super) which: Which,
    /// Items through this one are gone.
    pub(super) after: u64,
    /// Items behind this one were pushed since it began; `None` before it has.
    pub(super) last: Option<u64>,
    pub(super) removed: usize,
    pub(super) done: bool,
}

impl Purge {
    pub(super) fn of(which: Which) -> Self {
        Purge { which, after: 0, last: None, removed: 0, done: false }
    }

    /// Takes away the next items.
    pub(super) fn step(mut self, transaction: &mut Transaction, queue: &str) -> Result<Self> {
        Desk::change(transaction, queue, |transaction, desk| {
            let last = *self.last.get_or_insert(desk.tally.drawn);
            let index = match self.which {
                Which::All => space::QUEUE_STATE,
                Which::Dead => space::QUEUE_DEAD,
            };
            let range = keys::items_behind(index, desk.id(), self.after);
            let items = transaction.scan(range, Direction::Forward)?.take(AT_A_TIME).map(|cell| keys::last_number(&cell?.0));
            let items = items.take_while(|item| !matches!(item, Ok(item) if *item > last)).collect::<Result<Vec<_>>>()?;
            for &item in &items {
                let state = desk.indexed(transaction, item)?;
                desk.remove(transaction, item, &state)?;
            }
            self.after = items.last().copied().unwrap_or(last);
            self.removed += items.len();
            self.done = items.len() < AT_A_TIME;
            Ok(self)
        })
    }
}

/// Whether a queue was dropped whose items have yet to go.
pub(crate) fn has_dropped(transaction: &Transaction) -> Result<bool> {
    Ok(dropped(transaction)?.is_some())
}

/// Removes some of what a dropped queue has left, and in the end that it was dropped.
pub(crate) fn reclaim_dropped(transaction: &mut Transaction) -> Result<()> {
    let Some(queue) = dropped(transaction)? else { return Ok(()) };
    let mut room = AT_A_TIME;
    for first in keys::OF_A_QUEUE {
        let cells = transaction.scan(keys::all(first, queue), Direction::Forward)?.take(room);
        let cells = cells.map(|cell| cell.map(|(key, _)| key)).collect::<Result<Vec<_>>>()?;
        room -= cells.len();
        for cell in cells {
            match first {
                space::QUEUE_DEDUPLICATION => push::forget(transaction, queue, &cell)?,
                _ => transaction.remove(cell),
            }
        }
        if room == 0 {
            return Ok(());
        }
    }
    transaction.remove(keys::dropped(queue));
    Ok(())
}

/// The number of the first queue that was dropped.
fn dropped(transaction: &Transaction) -> Result<Option<u32>> {
    let mark = transaction.scan(prefix(&[space::QUEUE_DROPPED]), Direction::Forward)?.next().transpose()?;
    mark.map(|(key, _)| Reader::new("mark", key.get(1..).unwrap_or_default()).u32()).transpose()
}
