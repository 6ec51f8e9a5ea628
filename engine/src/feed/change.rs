//! What a change says.

use std::sync::Arc;

use super::filter::ChangeKind;
use super::rows::Rows;
use crate::model::{Sequence, SeriesKey, TableSchema, TimeRange};
use crate::record::{Moment, Receipt, SegmentId};

/// What one record of the log did, all of which happened together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// The number of the record. For rows of several records that are shown as one ([`Event::Sealed`]) that of the last, so that
    /// reading goes on behind it in any case.
    pub sequence: Sequence,
    /// When it was decided; only transactions and key-value writes say so.
    pub at: Option<Moment>,
    /// What happened. Never empty; of a filtered feed, what passed.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A table was made.
    TableCreated(Arc<TableSchema>),
    /// A table gained columns; its schema as it then stood.
    TableChanged(Arc<TableSchema>),
    /// Series were met for the first time.
    SeriesAdded {
        /// The name of their table.
        table: String,
        /// Their tag values.
        series: Vec<SeriesKey>,
    },
    /// Rows were written.
    Rows(Rows),
    /// Rows were written whose log was let go of: they lie in segments.
    Sealed(SealedRows),
    /// Rows were deleted.
    RowsDeleted {
        /// The name of the table.
        table: String,
        /// Which series; `None` for all that existed.
        series: Option<Vec<SeriesKey>>,
        /// Which times, in the table's unit.
        range: TimeRange,
    },
    /// Everything up to a record now lies in segments.
    Seal {
        /// That record.
        through: Sequence,
        /// The segments made, with the names of their tables. Some may have been compacted since.
        segments: Vec<(String, SegmentId)>,
    },
    /// Segments stand for others that held the same rows.
    Compacted {
        /// Those that are gone.
        removed: Vec<SegmentId>,
        /// Those in their place, with the names of their tables.
        added: Vec<(String, SegmentId)>,
    },
    /// Something was lost and this is what is known of it.
    Receipt(Receipt),
    /// A key-value pair was put or removed. One that expires is removed some time after it did.
    Pair {
        /// Its key.
        key: String,
        /// What was put; `None` where it was removed.
        value: Option<PairValue>,
    },
    /// A key of metadata of which this version knows nothing more was put or removed.
    Other {
        /// The key.
        key: Vec<u8>,
        /// What was put; `None` where it was removed.
        value: Option<Vec<u8>>,
    },
}

/// What was put under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairValue {
    /// The value.
    pub value: Vec<u8>,
    /// When it expires, in microseconds of the engine's clock (as [`Moment::engine_micros`]); `None` if it does not.
    pub expires_at: Option<u64>,
}

/// Rows of one table whose log was let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedRows {
    /// The name of the table.
    pub table: String,
    /// How many rows there were, as they were written.
    pub rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: Option<(i64, i64)>,
    /// The records they were written by, both ends included. Where reading began among these it begins at the first all the same.
    pub sequences: (Sequence, Sequence),
    /// The segments in which they lie now, with others: whoever reads them finds the rows as they are by now, not as they were.
    pub segments: Vec<SegmentId>,
}

impl Event {
    /// What it is about.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Event::TableCreated(_) | Event::TableChanged(_) => ChangeKind::Tables,
            Event::SeriesAdded { .. } => ChangeKind::Series,
            Event::Rows(_) | Event::Sealed(_) => ChangeKind::Rows,
            Event::RowsDeleted { .. } => ChangeKind::Deletions,
            Event::Seal { .. } | Event::Compacted { .. } => ChangeKind::Segments,
            Event::Receipt(_) => ChangeKind::Receipts,
            Event::Pair { .. } => ChangeKind::Pairs,
            Event::Other { .. } => ChangeKind::Other,
        }
    }

    /// The name of the table it is about; `None` if it is about none or several.
    pub fn table(&self) -> Option<&str> {
        match self {
            Event::TableCreated(schema) | Event::TableChanged(schema) => Some(&schema.name),
            Event::SeriesAdded { table, .. } | Event::RowsDeleted { table, .. } => Some(table),
            Event::Rows(rows) => Some(rows.table()),
            Event::Sealed(rows) => Some(&rows.table),
            _ => None,
        }
    }

    /// The name of the piece of metadata it is about, such as the key of a pair.
    pub fn name(&self) -> Option<&str> {
        match self {
            Event::Pair { key, .. } => Some(key),
            _ => None,
        }
    }
}
