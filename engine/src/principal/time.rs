//! By which time certificates may be judged: a gateway's clock may be behind after a boot, and what has expired must not hold again.

use super::form;
use crate::error::{Error, Result};
use crate::keyspace::{Transaction, space};
use crate::record::Key;

fn cell() -> Key {
    form::key(space::NOTED_TIME, b"")
}

/// The value of the cell: the sign bit is flipped, as in all times of the wall clock.
pub(super) fn encode(wall_micros: i64) -> [u8; 8] {
    (wall_micros ^ i64::MIN).to_be_bytes()
}

/// The time that was noted.
pub(super) fn noted(transaction: &Transaction) -> Result<Option<i64>> {
    let Some((_, value)) = transaction.get(&cell())? else { return Ok(None) };
    let bytes = (*value).try_into().map_err(|_| Error::Internal("a noted time of a form that is not known".to_owned()))?;
    Ok(Some(i64::from_be_bytes(bytes) ^ i64::MIN))
}

/// Notes a time, unless a later one is.
pub(super) fn note(transaction: &mut Transaction, wall_micros: i64) -> Result<()> {
    if noted(transaction)?.is_none_or(|noted| noted < wall_micros) {
        transaction.put(cell(), encode(wall_micros).as_slice().into());
    }
    Ok(())
}
