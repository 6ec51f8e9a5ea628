//! The records of the log: every mutation, as effects, so that replay is deterministic and idempotent.

mod column;
mod error;
mod float;
mod kind;
mod pack;
pub(crate) mod persist;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod transaction;

pub use error::DecodeError;
pub use kind::RecordKind;
pub(crate) use pack::{Reader, put_varint, put_zigzag};
pub use rows::encode_rows;
pub(crate) use rows::{RowsOutline, outline as outline_rows};
pub use transaction::{DERIVED, Effect, Key, Moment, Transaction, is_derived};
pub(crate) use transaction::{encode as encode_transaction, outline as outline_transaction};

use crate::model::{Block, Partition, Sequence, SeriesId, SeriesKey, TableId, TableSchema, TimeRange};

/// One mutation.
#[derive(Debug, Clone)]
pub enum Record {
    /// A table was made; its schema.
    CreateTable(TableSchema),
    /// A table gained columns or got another name; its schema as it now stands.
    AlterTable(TableSchema),
    /// Series were made, with dense numbers `first`, `first + 1`, …
    CreateSeries {
        /// Their table.
        table: TableId,
        /// The number of the first.
        first: SeriesId,
        /// Their tag values.
        keys: Vec<SeriesKey>,
    },
    /// Rows were put.
    PutRows {
        /// Their table.
        table: TableId,
        /// The rows, in the order they were given.
        block: Block,
    },
    /// Rows were deleted.
    DeleteRows(Deletion),
    /// Everything up to a sequence became segments.
    Sealed(Sealed),
    /// Segments were replaced by others.
    Compacted(Compacted),
    /// Something was lost and this is what is known of it.
    Receipt(Receipt),
    /// A transaction, over any models.
    Transaction(Transaction),
    /// A table was dropped; its schema as it last stood, one version on.
    DropTable(TableSchema),
    /// Segments were let go of.
    Evicted(Evicted),
}

/// A deletion of rows older than its own record, with the series already resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The table.
    pub table: TableId,
    /// Which series.
    pub series: SeriesSelection,
    /// Which times, in the table's unit.
    pub range: TimeRange,
}

/// A set of series of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeriesSelection {
    /// Every series that existed.
    All,
    /// These, in rising order.
    Only(Vec<SeriesId>),
}

impl SeriesSelection {
    /// Whether a series is in the set.
    pub fn contains(&self, series: SeriesId) -> bool {
        match self {
            SeriesSelection::All => true,
            SeriesSelection::Only(ids) => ids.binary_search(&series).is_ok(),
        }
    }
}

/// The number of a segment, rising and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(pub u64);

/// One row of the segment list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Number of the segment.
    pub id: SegmentId,
    /// Its table.
    pub table: TableId,
    /// Its partition; `None` for a spill segment, whose rows are scattered over several.
    pub partition: Option<Partition>,
    /// First log record it may hold rows of.
    pub first_sequence: Sequence,
    /// Last log record it may hold rows of.
    pub last_sequence: Sequence,
    /// Deletions up to this record are carried out in it; later ones mask its rows. At least `last_sequence`.
    pub deletions_through: Sequence,
    /// Rows.
    pub rows: u64,
    /// Values present, all fields together.
    pub points: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
    /// Different series.
    pub series: u32,
    /// BLAKE3 of the file.
    pub hash: [u8; 32],
    /// Pages, slices, statistics and block checksums, as the segment module lays them out. Empty where not loaded.
    pub index: Vec<u8>,
}

/// A seal: every row up to `through` now lies in segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The last sequence covered.
    pub through: Sequence,
    /// The segments made.
    pub segments: Vec<SegmentEntry>,
}

/// A compaction: `added` stand for `removed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// Segments no longer part of the table.
    pub removed: Vec<SegmentId>,
    /// Segments in their place.
    pub added: Vec<SegmentEntry>,
    /// Deletions that no remaining segment is older than.
    pub retired_deletions: Vec<Sequence>,
}

/// An eviction: segments of a table that were let go of, to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// The table.
    pub table: TableId,
    /// Segments no longer part of it.
    pub removed: Vec<SegmentId>,
    /// All that the table has let go of by now.
    pub total: Evictions,
    /// What is lost with them, where nobody else holds it who was to.
    pub receipt: Option<Receipt>,
}

/// What a table has let go of, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evictions {
    /// Segments.
    pub segments: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Rows among these that nobody else was known to hold.
    pub unheld_rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
    /// The last log record of which rows are among these.
    pub last_sequence: Sequence,
    /// When it last did, by the wall clock, in microseconds since 1970.
    pub at_micros: i64,
}

/// What kind of loss a receipt speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptKind {
    /// The log ended in unfinished writes, none of them acknowledged as durable. Ordinary after a power cut.
    TornTail,
    /// Log records that had been durable cannot be read.
    LogDamage,
    /// A segment, or part of one, cannot be read.
    SegmentDamage,
    /// The catalog was rebuilt. Nothing is lost unless another receipt says so.
    CatalogRebuilt,
    /// Rows were let go of to make room, and nobody is known to hold them.
    Evicted,
}

/// A durable statement of what was lost, as far as known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When it was noticed, by the wall clock, in microseconds since 1970.
    pub at_micros: i64,
    /// What happened.
    pub kind: ReceiptKind,
    /// The file, relative to the database directory.
    pub file: String,
    /// The log records that are gone, both ends included.
    pub sequences: Option<(Sequence, Sequence)>,
    /// The table touched.
    pub table: Option<TableId>,
    /// The series touched.
    pub series: Vec<SeriesId>,
    /// The times touched, both ends included, in the table's unit.
    pub times: Option<(i64, i64)>,
    /// Bytes set aside.
    pub bytes: u64,
    /// In words.
    pub detail: String,
}
