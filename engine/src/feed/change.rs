//! What a change says.

use std::sync::Arc;

use super::filter::ChangeKind;
use super::rows::Rows;
use crate::audit::Audited;
use crate::document::{CollectionState, DocumentState, SchemaVersion};
use crate::model::{Sequence, SeriesKey, TableSchema, TimeRange};
use crate::principal::{Grant, Principal};
use crate::queue::{ItemContent, ItemState, QueueState};
use crate::record::{Evictions, Moment, Receipt, RowsOutline, SegmentId};

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
    /// A table gained columns or got another name; its schema as it then stood.
    TableChanged(Arc<TableSchema>),
    /// A table was dropped with all its rows; its schema as it last stood. What was written before is seen as
    /// [`Event::Sealed`] without segments from then on, what was deleted before not at all.
    TableDropped(Arc<TableSchema>),
    /// Series were met for the first time.
    SeriesAdded {
        /// Their table as it stands now, or did when it was dropped; likewise below.
        table: Arc<TableSchema>,
        /// Their tag values.
        series: Vec<SeriesKey>,
    },
    /// Rows were written.
    Rows(Rows),
    /// Rows were written whose log was let go of: they lie in segments.
    Sealed(SealedRows),
    /// Rows were deleted.
    RowsDeleted {
        /// The table.
        table: Arc<TableSchema>,
        /// Which series; `None` for all that existed.
        series: Option<Vec<SeriesKey>>,
        /// Which times, in the table's unit.
        range: TimeRange,
    },
    /// Everything up to a record now lies in segments.
    Seal {
        /// That record.
        through: Sequence,
        /// The segments made, with their tables. Some may have been compacted since.
        segments: Vec<(Arc<TableSchema>, SegmentId)>,
    },
    /// Segments stand for others that held the same rows.
    Compacted {
        /// Those that are gone.
        removed: Vec<SegmentId>,
        /// Those in their place, with their tables.
        added: Vec<(Arc<TableSchema>, SegmentId)>,
    },
    /// Segments were let go of to make room, with their rows.
    Evicted {
        /// Their table.
        table: Arc<TableSchema>,
        /// Those that are gone.
        removed: Vec<SegmentId>,
        /// All that the table has let go of by then.
        total: Evictions,
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
    /// A collection was made, changed, or dropped; renamed, both its names are told of.
    Collection {
        /// Its name.
        name: String,
        /// What it is; `None` where there is none of this name any more.
        state: Option<CollectionState>,
    },
    /// A version of the schema of a collection was set, or removed behind the drop of its collection.
    Schema {
        /// The collection.
        collection: Owner,
        /// The version.
        version: u32,
        /// The schema; `None` where it was removed.
        schema: Option<SchemaVersion>,
    },
    /// A document was put, deleted or restored, or removed for good. One that expires is removed some time after it did, those of
    /// a dropped collection behind the drop.
    Document {
        /// The collection.
        collection: Owner,
        /// The id.
        id: String,
        /// What was put, which says whether it counts as deleted; `None` where it was removed.
        state: Option<DocumentState>,
    },
    /// A queue was made, changed or dropped.
    Queue {
        /// Its name.
        name: String,
        /// What it is; `None` where it was dropped.
        state: Option<QueueState>,
    },
    /// An item was pushed, or is gone: acknowledged, purged, tried too often, or removed behind the drop of its queue.
    Item {
        /// The queue.
        queue: Owner,
        /// Its number in the queue.
        item: u64,
        /// What was pushed; `None` where it is gone.
        content: Option<ItemContent>,
    },
    /// An item was pushed, popped, given back, found dead or requeued.
    ItemState {
        /// The queue.
        queue: Owner,
        /// Its number in the queue.
        item: u64,
        /// How it stands with it.
        state: ItemState,
    },
    /// An entry was appended to the audit trail, or let go of as one of too many.
    Audited {
        /// Its number.
        number: u64,
        /// The entry; `None` where it was let go of.
        entry: Option<Audited>,
    },
    /// A principal was put or removed.
    Principal {
        /// Its name.
        name: String,
        /// What was put; `None` where it was removed.
        principal: Option<Principal>,
    },
    /// A role was put or removed.
    Role {
        /// Its name.
        name: String,
        /// What it grants; `None` where it was removed.
        grants: Option<Vec<Grant>>,
    },
    /// A key of metadata of which this version knows nothing more was put or removed.
    Other {
        /// The key.
        key: Vec<u8>,
        /// What was put; `None` where it was removed.
        value: Option<Vec<u8>>,
    },
}

/// The collection of a document, or the queue of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// The number that it keeps.
    pub number: u32,
    /// Its name by now; `None` if it was dropped since.
    pub name: Option<Arc<str>>,
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
    /// The table as it stands now, or did when it was dropped.
    pub table: Arc<TableSchema>,
    /// How many rows there were, as they were written.
    pub rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: Option<(i64, i64)>,
    /// The records they were written by, both ends included. Where reading began among these it begins at the first all the same.
    pub sequences: (Sequence, Sequence),
    /// The segments in which they lie now, with others: whoever reads them finds the rows as they are by now, not as they were.
    pub segments: Vec<SegmentId>,
}

impl SealedRows {
    /// Rows of a table that was dropped.
    pub(super) fn gone(table: Arc<TableSchema>, rows: &RowsOutline, sequences: (Sequence, Sequence)) -> Self {
        SealedRows { table, rows: rows.rows, times: rows.times, sequences, segments: Vec::new() }
    }
}

impl Event {
    /// How it is called for programs, as in `document_put`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::TableCreated(_) => "table_created",
            Event::TableChanged(_) => "table_changed",
            Event::TableDropped(_) => "table_dropped",
            Event::SeriesAdded { .. } => "series_added",
            Event::Rows(_) => "rows",
            Event::Sealed(_) => "sealed_rows",
            Event::RowsDeleted { .. } => "rows_deleted",
            Event::Seal { .. } => "seal",
            Event::Compacted { .. } => "compacted",
            Event::Evicted { .. } => "evicted",
            Event::Receipt(_) => "receipt",
            Event::Pair { value: Some(_), .. } => "pair_put",
            Event::Pair { value: None, .. } => "pair_removed",
            Event::Collection { state: Some(_), .. } => "collection",
            Event::Collection { state: None, .. } => "collection_removed",
            Event::Schema { schema: Some(_), .. } => "schema",
            Event::Schema { schema: None, .. } => "schema_removed",
            Event::Document { state: Some(state), .. } if state.deleted_at.is_some() => "document_deleted",
            Event::Document { state: Some(_), .. } => "document_put",
            Event::Document { state: None, .. } => "document_removed",
            Event::Queue { state: Some(_), .. } => "queue",
            Event::Queue { state: None, .. } => "queue_removed",
            Event::Item { content: Some(_), .. } => "item_pushed",
            Event::Item { content: None, .. } => "item_removed",
            Event::ItemState { .. } => "item_state",
            Event::Audited { entry: Some(_), .. } => "audited",
            Event::Audited { entry: None, .. } => "audit_dropped",
            Event::Principal { principal: Some(_), .. } => "principal",
            Event::Principal { principal: None, .. } => "principal_removed",
            Event::Role { grants: Some(_), .. } => "role",
            Event::Role { grants: None, .. } => "role_removed",
            Event::Other { .. } => "other",
        }
    }

    /// What it is about.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Event::TableCreated(_) | Event::TableChanged(_) | Event::TableDropped(_) => ChangeKind::Tables,
            Event::SeriesAdded { .. } => ChangeKind::Series,
            Event::Rows(_) | Event::Sealed(_) => ChangeKind::Rows,
            Event::RowsDeleted { .. } => ChangeKind::Deletions,
            Event::Seal { .. } | Event::Compacted { .. } | Event::Evicted { .. } => ChangeKind::Segments,
            Event::Receipt(_) => ChangeKind::Receipts,
            Event::Pair { .. } => ChangeKind::Pairs,
            Event::Collection { .. } | Event::Schema { .. } => ChangeKind::Collections,
            Event::Document { .. } => ChangeKind::Documents,
            Event::Queue { .. } => ChangeKind::Queues,
            Event::Item { .. } | Event::ItemState { .. } => ChangeKind::Items,
            Event::Audited { .. } => ChangeKind::Audit,
            Event::Principal { .. } | Event::Role { .. } => ChangeKind::Principals,
            Event::Other { .. } => ChangeKind::Other,
        }
    }

    /// The name of the table it is about; `None` if it is about none or several.
    pub fn table(&self) -> Option<&str> {
        match self {
            Event::TableCreated(schema) | Event::TableChanged(schema) | Event::TableDropped(schema) => Some(&schema.name),
            Event::SeriesAdded { table, .. } | Event::RowsDeleted { table, .. } | Event::Evicted { table, .. } => {
                Some(&table.name)
            }
            Event::Rows(rows) => Some(&rows.table().name),
            Event::Sealed(rows) => Some(&rows.table.name),
            _ => None,
        }
    }

    /// The name of the collection it is about, or whose document.
    pub fn collection(&self) -> Option<&str> {
        match self {
            Event::Collection { name, .. } => Some(name),
            Event::Schema { collection, .. } | Event::Document { collection, .. } => collection.name.as_deref(),
            _ => None,
        }
    }

    /// The name of the queue it is about, or whose item.
    pub fn queue(&self) -> Option<&str> {
        match self {
            Event::Queue { name, .. } => Some(name),
            Event::Item { queue, .. } | Event::ItemState { queue, .. } => queue.name.as_deref(),
            _ => None,
        }
    }

    /// The key of the pair it is about.
    pub fn key(&self) -> Option<&str> {
        match self {
            Event::Pair { key, .. } => Some(key),
            _ => None,
        }
    }
}
