//! How the models reach the key space: all at once, or within a transaction. They are written once for both.

use std::sync::Arc;

use super::Transaction;
use crate::error::Result;
use crate::model::Sequence;
use crate::shared::Shared;

/// First bytes of keys. Those from [`DERIVED`](crate::record::DERIVED) say only what others say too.
pub(crate) mod space {
    /// Key-value pairs, by key.
    pub(crate) const KEY_VALUE: u8 = 0x10;
    /// Cursors of the change feed, by name.
    pub(crate) const CURSOR: u8 = 0x50;
    /// Key-value pairs that expire, by time and key.
    pub(crate) const KEY_VALUE_EXPIRY: u8 = 0x90;
}

/// Somewhere to read and write. The product has two: a database, where every write is a transaction of its own and durable when
/// it returns, and a transaction.
pub trait Access: sealed::Sealed {
    /// Reads a consistent state.
    #[doc(hidden)]
    fn read<T>(&self, read: impl FnOnce(&Transaction) -> Result<T>) -> Result<T>;

    /// Reads and writes, all or nothing. Answers also the sequence of the record; 0 where there is none, or none yet.
    #[doc(hidden)]
    fn write<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)>;

    /// What all models share.
    #[doc(hidden)]
    fn shared(&self) -> &Arc<Shared>;
}

pub(crate) mod sealed {
    /// Keeps others from having an access of their own.
    pub trait Sealed {}
}

/// What callers know a cell by: the sequence of its record, 0 as long as it has none.
pub(crate) fn revision(sequence: Sequence) -> Sequence {
    if sequence == Sequence::MAX { 0 } else { sequence }
}
