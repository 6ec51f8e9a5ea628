//! Compare-and-set.

use crate::error::{Error, Result};
use crate::model::Sequence;

/// What has to be true of a pair or a document for a write to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfRevision {
    /// Nothing.
    #[default]
    Any,
    /// There is none.
    Absent,
    /// It is there, in this revision.
    Is(Sequence),
}

impl IfRevision {
    /// Refuses with [`Error::Stale`] what is not in the revision that is asked for. `what` says what it is; in which revision
    /// it is, `find` finds out, if that matters.
    pub(crate) fn check(self, what: impl FnOnce() -> String, find: impl FnOnce() -> Result<Option<Sequence>>) -> Result<()> {
        if self == IfRevision::Any {
            return Ok(());
        }
        let found = find()?;
        let holds = match self {
            IfRevision::Any => true,
            IfRevision::Absent => found.is_none(),
            IfRevision::Is(revision) => found == Some(revision),
        };
        if holds { Ok(()) } else { Err(Error::Stale { what: what(), found }) }
    }
}
