//! Names of documents and collections.

use crate::error::{Error, Result};
use crate::record::Moment;
use crate::shared::Shared;

/// Bytes of a document's id, at most.
const ID_BYTES: usize = 255;
/// Bytes of the name of a collection or an index, at most.
const NAME_BYTES: usize = 128;

/// Refuses what cannot be an id.
pub(super) fn check(id: &str) -> Result<()> {
    check_text("an id", id, ID_BYTES)
}

/// Refuses what cannot be a name. `what` says of what.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    check_text(what, name, NAME_BYTES)
}

fn check_text(what: &str, text: &str, most: usize) -> Result<()> {
    if text.is_empty() || text.len() > most {
        return Err(Error::invalid(format!("{what} has 1 to {most} bytes, not {}", text.len())));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(odd) => Err(Error::invalid(format!("{what} holds no control characters: {text:?} holds {odd:?}"))),
        None => Ok(()),
    }
}

/// A new id: a UUID of version 7 (RFC 9562), so that ids sort by the time they were made, as far as the wall clock is right.
pub(super) fn new(shared: &Shared, at: Moment) -> Result<String> {
    let millis = u64::try_from(at.wall_micros / 1_000).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &shared.random()?).into_uuid();
    Ok(id.to_string())
}
