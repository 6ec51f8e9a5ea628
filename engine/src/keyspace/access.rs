//! How the models reach the key space: all at once, or within a transaction. They are written once for both.

use std::sync::Arc;

use super::{Transaction, Watch};
use crate::error::Result;
use crate::model::Sequence;
use crate::record::Key;
use crate::shared::Shared;

/// First bytes of keys. Those from [`DERIVED`](crate::record::DERIVED) say only what others say too.
pub(crate) mod space {
    /// What nearly every operation reads and few change.
    pub(crate) const DEFINITIONS: [u8; 7] = [QUEUE, COLLECTION, SCHEMA, COLLECTION_NAME, QUEUE_NAME, PRINCIPAL, ROLE];

    /// Key-value pairs, by key.
    pub(crate) const KEY_VALUE: u8 = 0x10;
    /// Queues, by name; without a name, the number of the next one.
    pub(crate) const QUEUE: u8 = 0x20;
    /// What was pushed, by queue and item.
    pub(crate) const QUEUE_ITEM: u8 = 0x21;
    /// How it stands with it, likewise.
    pub(crate) const QUEUE_STATE: u8 = 0x22;
    /// Collections, by name.
    pub(crate) const COLLECTION: u8 = 0x30;
    /// Documents, by collection and id.
    pub(crate) const DOCUMENT: u8 = 0x31;
    /// Schemas of collections, by version.
    pub(crate) const SCHEMA: u8 = 0x32;
    /// What documents were before, by revision.
    pub(crate) const HISTORY: u8 = 0x33;
    /// The number of the next collection.
    pub(crate) const NEXT_COLLECTION: u8 = 0x34;
    /// The audit trail, by number.
    pub(crate) const AUDIT: u8 = 0x40;
    /// Both ends of the audit trail.
    pub(crate) const AUDIT_HEAD: u8 = 0x41;
    /// Cursors of the change feed, by name.
    pub(crate) const CURSOR: u8 = 0x50;
    /// Principals, by name.
    pub(crate) const PRINCIPAL: u8 = 0x60;
    /// Roles, by name.
    pub(crate) const ROLE: u8 = 0x61;
    /// Tokens, by their SHA-256.
    pub(crate) const TOKEN: u8 = 0x62;
    /// Writers, by principal and id.
    pub(crate) const WRITER: u8 = 0x63;
    /// Certificates, by the SHA-256 of their public key.
    pub(crate) const CERTIFICATE: u8 = 0x64;
    /// By which time certificates may be judged.
    pub(crate) const NOTED_TIME: u8 = 0x65;
    /// Key-value pairs that expire, by time and key.
    pub(crate) const KEY_VALUE_EXPIRY: u8 = 0x90;
    /// Items that may be popped, by queue, priority and order.
    pub(crate) const QUEUE_READY: u8 = 0xA0;
    /// Items that are not due yet, by queue and time of the wall clock.
    pub(crate) const QUEUE_SCHEDULED: u8 = 0xA1;
    /// Items that are leased or back off, by queue and time of the engine's clock.
    pub(crate) const QUEUE_TIMED: u8 = 0xA2;
    /// Deduplication keys, by queue.
    pub(crate) const QUEUE_DEDUPLICATION: u8 = 0xA3;
    /// Items that were tried too often, by queue.
    pub(crate) const QUEUE_DEAD: u8 = 0xA4;
    /// How many items each queue has.
    pub(crate) const QUEUE_TALLY: u8 = 0xA5;
    /// How many items may be popped, by queue and priority.
    pub(crate) const QUEUE_LANE: u8 = 0xA6;
    /// Deduplication keys, by the time to which they last.
    pub(crate) const QUEUE_DEDUPLICATION_EXPIRY: u8 = 0xA7;
    /// Queues that were dropped, whose items have yet to go.
    pub(crate) const QUEUE_DROPPED: u8 = 0xA8;
    /// The names of queues, by number.
    pub(crate) const QUEUE_NAME: u8 = 0xA9;
    /// Entries of indexes: the values of a document, and its id.
    pub(crate) const INDEX: u8 = 0xb0;
    /// Documents that expire, by time, collection and id.
    pub(crate) const DOCUMENT_EXPIRY: u8 = 0xb1;
    /// The names of collections, by number.
    pub(crate) const COLLECTION_NAME: u8 = 0xb2;
    /// Indexes that are being built, and how far that went.
    pub(crate) const BUILDING: u8 = 0xb3;
    /// Beginnings of keys that nothing refers to any more.
    pub(crate) const DEBRIS: u8 = 0xb4;
    /// Deliveries, by name. What is noted of them is worth nothing elsewhere.
    pub(crate) const DELIVERY: u8 = 0xc0;
    /// Cuts that were not announced or are not held, by delivery and number.
    pub(crate) const CUT: u8 = 0xc1;
    /// Units that nobody else holds, by delivery, table and records.
    pub(crate) const UNIT: u8 = 0xc2;
    /// What whoever sends has noted, by delivery.
    pub(crate) const DELIVERY_NOTE: u8 = 0xc3;
    /// What tables have let go of, by table.
    pub(crate) const EVICTIONS: u8 = 0xc4;
    /// Deletions that some delivery told of, by record.
    pub(crate) const ERASED: u8 = 0xc5;
    /// Units that some cut says to be void, by delivery, cut and unit.
    pub(crate) const VOIDED: u8 = 0xc6;
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

    /// The same where others seldom change what it depends on. It is found out on the present state, by the caller's own thread
    /// and not on the path that all writers share; at its turn it stands if what it read is unchanged, and `again`, which does
    /// the same, is done if not.
    #[doc(hidden)]
    fn write_early<T: Send + 'static>(
        &mut self,
        early: impl FnOnce(&mut Transaction) -> Result<T>,
        again: impl FnOnce(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<(T, Sequence)>;

    /// Writes what gives room: on a full disk too, with the room kept for that.
    #[doc(hidden)]
    fn free<T: Send + 'static>(
        &mut self,
        write: impl Fn(&mut Transaction) -> Result<T> + Send + Sync + 'static,
    ) -> Result<(T, Sequence)>;

    /// What all models share.
    #[doc(hidden)]
    fn shared(&self) -> &Arc<Shared>;
}

/// An access through which one can wait for others: a database, for within a transaction nothing changes.
pub trait Waits: Access {
    /// Watches a key.
    #[doc(hidden)]
    fn watch(&self, key: &Key) -> Watch;
}

pub(crate) mod sealed {
    /// Keeps others from having an access of their own.
    pub trait Sealed {}
}

/// What callers know a cell by: the sequence of its record, 0 as long as it has none.
pub(crate) fn revision(sequence: Sequence) -> Sequence {
    if sequence == Sequence::MAX { 0 } else { sequence }
}
