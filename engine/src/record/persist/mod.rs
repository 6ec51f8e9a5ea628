//! The bytes of everything that is stored rarely: schemas, segment entries, deletions, receipts.
//!
//! Each is a frozen struct of its own in postcard (unsigned and zig-zag varints, little end first; lengths before
//! sequences; enum variants by position), so that a change of a runtime type cannot change what lies on disk. Log and
//! catalog share these forms.

pub(crate) mod deletion;
pub(crate) mod evicted;
pub(crate) mod receipt;
pub(crate) mod segment;
pub(crate) mod series;
pub(crate) mod table;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use crate::model::TimeRange;

/// A half-open span of time.
#[derive(Serialize, Deserialize)]
struct RangeForm {
    start: i64,
    end: i64,
}

impl From<TimeRange> for RangeForm {
    fn from(range: TimeRange) -> Self {
        RangeForm { start: range.start, end: range.end }
    }
}

impl From<RangeForm> for TimeRange {
    fn from(form: RangeForm) -> Self {
        TimeRange { start: form.start, end: form.end }
    }
}

#[expect(clippy::expect_used, reason = "writing to memory cannot fail, and every sequence here knows its length")]
pub(crate) fn write<T: Serialize>(form: &T) -> Vec<u8> {
    postcard::to_stdvec(form).expect("plain structs serialize")
}

/// Reads one form and refuses trailing bytes. What it allocates is bounded by a small multiple of `bytes`: a declared length
/// reserves at most 1 MiB ahead of the elements that are really there.
pub(crate) fn read<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, DecodeError> {
    match read_first(what, bytes)? {
        (form, []) => Ok(form),
        (_, rest) => Err(DecodeError::new(what, format!("{} bytes too many", rest.len()))),
    }
}

/// Reads one form, and answers the bytes behind it.
fn read_first<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|error| DecodeError::new(what, error.to_string()))
}

/// Bytes as a length and a copy, rather than one by one.
fn as_bytes<S: serde::Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}
