//! Names of documents and collections.

use crate::error::Result;
use crate::record::Moment;
use crate::shared::{Shared, check_text};

/// Bytes of a document's id, at most.
const ID_BYTES: usize = 255;
/// Bytes of the name of a collection or an index, at most.
const NAME_BYTES: usize = 128;

/// Refuses what cannot be an id.
pub(super) fn check(id: &str) -> Result<()> {
    check_text("document id", id, ID_BYTES)
}

/// Refuses what cannot be the name of something.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    check_text(what, name, NAME_BYTES)
}

/// A new id: a UUID of version 7 (RFC 9562), so that ids sort by the time they were made, as far as the wall clock is right.
pub(super) fn new(shared: &Shared, at: Moment) -> Result<String> {
    let millis = u64::try_from(at.wall_micros / 1_000).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &shared.random()?).into_uuid();
    Ok(id.to_string())
}
