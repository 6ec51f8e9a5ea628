//! Alluvium: an embedded historian for IoT gateways.
//!
//! Every mutation is one record in one log; columns (memtable, then Parquet segments) and tables (the catalog) are
//! materialised from it. In the order data flows:
//!
//! - `model`, `record`, `format`, `settings`, `error`, `fence`, `io`, `clock`, `counters`, `shared`, `watermark`, `merge`, `words`: what everything else
//!   is made of;
//! - `wal`, `memtable`, `segment`, `catalog`, `table`: the parts, which do not know each other;
//! - `keyspace`: the ordered keys and values under all metadata, over the catalog; `kv`, `document`, `queue`, `principal`, `audit`, `writer`, `delivery`: what is made of them;
//! - `ingest`, `seal`, `query`, `maintain`, `store`: the paths through them; `feed`: every change in order, read back from the log;
//! - `recover`, `database`: opening, and the front door.

mod audit;
mod catalog;
mod clock;
mod counters;
mod database;
mod delivery;
mod document;
mod error;
mod feed;
mod fence;
pub mod format;
mod ingest;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod io;
mod keyspace;
mod kv;
mod maintain;
mod memtable;
mod merge;
pub mod model;
mod principal;
mod query;
mod queue;
pub mod record;
mod recover;
mod retention;
mod seal;
mod segment;
mod settings;
mod shared;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod wal;
mod watermark;
pub mod words;
mod writer;

pub use audit::{AuditEntry, AuditHead, AuditOutcome, Audited, Trail};
pub use counters::Counts;
pub use database::{
    BackgroundStep, Builder, ColumnInspection, CompactReport, CutWhat, Database, Delivery, Holding, Inspection,
    MetadataInspection, Problem, ReceiptInspection, SendOrder, Sending, Shipment, Status, TableInspection, TableStatus,
    Transaction, VerifyReport,
};
pub use delivery::{Announced, Cut, DeliveredThrough, DeliveryHead, DeliveryState, Sent, Unit};
pub use document::{
    Collection, CollectionSpec, CollectionState, Collections, Compatibility, Document, DocumentQuery, DocumentState, IndexSpec,
    OnDelete, Page, Path, Plan, PutDocument, PutMany, ReferenceSpec, SchemaVersion, Where,
};
pub use error::{BadRow, BrokenReference, Error, ErrorKind, InvalidDocument, LeaseLoss, Result};
pub use feed::{
    Change, ChangeKind, ChangedKey, ChangedKeys, Changes, ChangesFrom, Cursor, CursorState, Event, Owner, PairValue, Rows,
    SealedRows,
};
#[doc(hidden)]
pub use fence::fence;
pub use fence::is_fenced;
pub use ingest::{Ack, RowBuilder, RowWriter};
#[doc(hidden)]
pub use keyspace::Watch;
pub use keyspace::{Access, IfRevision, Waits};
pub use kv::{KeyValue, Pair, Put, Scan};
pub use model::{
    FieldType, Partition, PartitionKind, Partitioning, Sequence, SeriesId, SeriesKey, TableId, TableSchema, TableSpec, TimeRange,
    TimeUnit, Value,
};
pub use principal::{Action, Certificate, Grant, KeyHash, Object, Pattern, Principal, Principals, Rights, Scope, Target, Token};
pub use query::{Aggregate, Aggregation, Cancel, Comparison, Filter, Order, Query, QueryStream, Window};
pub use queue::{
    Item, ItemContent, ItemPlace, ItemState, Lease, Leased, Nacked, NewItem, Pop, Pushed, Queue, QueueSizes, QueueSpec,
    QueueState, Retry,
};
pub use recover::{Assembled, DeletionPart, Parts, SegmentPart, TablePart};
pub use retention::{Eviction, EvictionReason, Keep, Retention, Unheld};
pub use segment::{ForeignColumn, ForeignType, NoExtent, ParquetReader, ParquetWriter, SegmentExtent};
pub use settings::{Durability, OnDamage, Profile, Settings};
pub use writer::{WriterId, WriterPast, WriterState, Writers};
