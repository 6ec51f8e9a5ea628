//! The cell of a writer: the number of its last batch, and when that was applied by the engine's clock, both u64 big-endian.

use std::sync::Arc;

use super::{WriterId, WriterState};
use crate::catalog::KeyRange;
use crate::error::{Error, Result};
use crate::keyspace::{prefix, space};
use crate::record::Key;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) applied_through: u64,
    pub(super) used_at: u64,
}

impl Form {
    pub(super) fn encode(self) -> Arc<[u8]> {
        [self.applied_through, self.used_at].into_iter().flat_map(u64::to_be_bytes).collect()
    }

    pub(super) fn decode(cell: &[u8]) -> Result<Self> {
        let read = || {
            let (applied, rest) = cell.split_first_chunk()?;
            Some((u64::from_be_bytes(*applied), u64::from_be_bytes(rest.try_into().ok()?)))
        };
        let (applied_through, used_at) = read().ok_or_else(wrong)?;
        Ok(Form { applied_through, used_at })
    }

    pub(super) fn state(self, id: WriterId) -> WriterState {
        let Form { applied_through, used_at } = self;
        WriterState { id, applied_through, used_at }
    }
}

/// Names hold no zero bytes, so one ends them.
fn beginning(principal: &str) -> Vec<u8> {
    [space::WRITER].iter().chain(principal.as_bytes()).chain(&[0]).copied().collect()
}

/// The cell of a writer.
pub(super) fn key(principal: &str, id: WriterId) -> Key {
    beginning(principal).into_iter().chain(id.0).collect()
}

/// The cells of all writers of a principal.
pub(crate) fn cells_of(principal: &str) -> KeyRange {
    prefix(&beginning(principal))
}

/// The id in the key of a writer.
pub(super) fn id_of(key: &[u8]) -> Result<WriterId> {
    key.last_chunk().map(|id| WriterId(*id)).ok_or_else(wrong)
}

fn wrong() -> Error {
    Error::Internal("a writer of a form that is not known".to_owned())
}
