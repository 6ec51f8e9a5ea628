//! Dead letters: items that were tried too often.

use super::desk::Desk;
use super::item::Stored;
use super::keys;
use super::lease::first_twice;
use super::promote::{self, Fate};
use super::state::{AT_ONCE, Place, State};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, space};

/// Dead letters behind an item, by number.
pub(super) fn list(transaction: &Transaction, queue: &str, after: u64, limit: usize) -> Result<Vec<Stored>> {
    let desk = Desk::open(transaction, queue)?;
    let mut items = numbers(transaction, &desk, after, limit)?;
    // Those whose last lease has ended, though nobody has made them dead letters yet.
    let due = promote::due(transaction, &desk, usize::MAX)?.into_iter().filter(|due| due.fate == Fate::Dead && due.item > after);
    items.extend(due.map(|due| due.item));
    items.sort_unstable();
    items.truncate(limit);
    items.into_iter().map(|item| desk.stored(transaction, item, desk.indexed(transaction, item)?)).collect()
}

/// Lets dead letters be tried anew.
pub(super) fn requeue(transaction: &mut Transaction, queue: &str, items: &[u64]) -> Result<()> {
    Desk::change(transaction, queue, |transaction, desk| {
        let find = |&item: &u64| {
            let state = desk.state(transaction, item)?.filter(|state| state.place == Place::Dead);
            let missing = || Error::NoSuchItem { queue: queue.to_owned(), item };
            Ok((item, state.ok_or_else(missing)?))
        };
        let dead = items.iter().map(find).collect::<Result<Vec<_>>>()?;
        if let Some(item) = first_twice(items.iter().copied()) {
            return Err(Error::invalid(format!("dead letter {item} of queue {queue:?} is there twice")));
        }
        dead.iter().try_for_each(|(item, state)| revive(transaction, desk, *item, state))
    })
}

/// The same for so many, the oldest first. Answers how many there were.
pub(super) fn requeue_some(transaction: &mut Transaction, queue: &str, limit: usize) -> Result<usize> {
    Desk::change(transaction, queue, |transaction, desk| {
        let items = numbers(transaction, desk, 0, limit)?;
        for &item in &items {
            let state = desk.indexed(transaction, item)?;
            revive(transaction, desk, item, &state)?;
        }
        Ok(items.len())
    })
}

fn numbers(transaction: &Transaction, desk: &Desk, after: u64, limit: usize) -> Result<Vec<u64>> {
    if desk.tally.dead == 0 {
        return Ok(Vec::new());
    }
    let range = keys::items_behind(space::QUEUE_DEAD, desk.id(), after);
    transaction.scan(range, Direction::Forward)?.take(limit).map(|cell| keys::last_number(&cell?.0)).collect()
}

fn revive(transaction: &mut Transaction, desk: &mut Desk, item: u64, state: &State) -> Result<()> {
    let place = desk.ready(desk.now.engine_micros, AT_ONCE);
    desk.replace(transaction, item, state, &State { tries: 0, place, ..*state })
}
