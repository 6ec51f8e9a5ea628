//! Everything that is kept as bytes: read, and written again.

use crate::catalog;
use crate::feed::history;
use crate::record::{Record, persist};
use crate::segment::SegmentIndex;

/// What bytes claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A record of the log, of this kind.
    Record(u8),
    /// A table in the catalog.
    Table,
    /// A segment in the catalog.
    Segment,
    /// A deletion in the catalog.
    Deletion,
    /// A receipt in the catalog.
    Receipt,
    /// The tags of a series in the catalog.
    Series,
    /// The index of a segment.
    Index,
    /// The entries of a chunk of history.
    History,
}

impl Form {
    /// All of them; the records with every kind there is, and one that is none.
    pub fn all() -> impl Iterator<Item = Form> {
        let others = [Form::Table, Form::Segment, Form::Deletion, Form::Receipt, Form::Series, Form::Index, Form::History];
        // In an order in which inputs keep their meaning.
        (0..=9).map(Form::Record).chain(others).chain((10..=11).map(Form::Record))
    }
}

/// Reads bytes and writes what they say; `None` where they say nothing.
///
/// # Panics
/// If what was read cannot be written.
#[expect(clippy::expect_used, reason = "a panic is what a fuzzer looks for")]
pub fn again(form: Form, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match form {
        Form::Record(kind) => Record::decode(kind, bytes).ok()?.encode().expect("what was read can be written"),
        Form::Table => persist::table::encode(&persist::table::decode(bytes).ok()?),
        Form::Segment => persist::segment::encode(&persist::segment::decode(bytes).ok()?),
        Form::Deletion => persist::deletion::encode_all(&persist::deletion::decode_all(bytes).ok()?),
        Form::Receipt => persist::receipt::encode(&persist::receipt::decode(bytes).ok()?),
        Form::Series => {
            let mut out = Vec::new();
            catalog::encode_series(&catalog::decode_series(bytes).ok()?, &mut out);
            out
        }
        Form::Index => SegmentIndex::decode(bytes).ok()?.encode(),
        Form::History => history::again(bytes)?,
    })
}
