//! What a line says.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::remote::TimeUnit;

/// The state of one key of metadata.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// The record that changed it last.
    pub sequence: u64,
    /// What it is: one of [`kind`].
    pub kind: String,
    /// What tells it from others of its kind.
    pub key: Vec<String>,
    /// Its state; none where there is none any more.
    pub value: Option<Box<RawValue>>,
}

/// What lines are about, and by which texts each is known.
pub mod kind {
    /// A table: its number.
    pub const TABLE: &str = "table";
    /// A series: the number of its table, and its own.
    pub const SERIES: &str = "series";
    /// A collection: its name.
    pub const COLLECTION: &str = "collection";
    /// A version of a schema: the number of its collection, and its own.
    pub const SCHEMA: &str = "schema";
    /// A document: the number of its collection, and its id.
    pub const DOCUMENT: &str = "document";
    /// A principal: its name.
    pub const PRINCIPAL: &str = "principal";
    /// A role: its name.
    pub const ROLE: &str = "role";
    /// An entry of the audit trail: its number.
    pub const AUDIT: &str = "audit";
    /// A key-value pair: its key.
    pub const PAIR: &str = "pair";
    /// A queue: its name.
    pub const QUEUE: &str = "queue";
    /// What was pushed: the number of its queue, and its own.
    pub const ITEM: &str = "item";
    /// How it stands with that, likewise.
    pub const ITEM_STATE: &str = "item_state";
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableValue {
    /// Its name.
    pub name: String,
    /// How often it was changed.
    pub version: u32,
    /// What its times count.
    pub unit: TimeUnit,
    /// `auto`, `hour`, `day`, `month` or `year`.
    pub partitions: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The numbers that the columns of these have for good, as the schema of its Parquet files says too.
    pub tag_ids: Vec<u32>,
    /// Its fields.
    pub fields: Vec<FieldValue>,
    /// Whether it was dropped.
    pub dropped: bool,
}

/// A field of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldValue {
    /// Its name.
    pub name: String,
    /// The number that its column has for good.
    pub id: u32,
    /// `float64`, `float32`, `int64`, `uint64`, `bool`, `utf8`, `binary` or `decimal(SCALE)`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionValue {
    /// Its number, which it keeps when it is renamed.
    pub number: u32,
    /// Whether what is deleted can be restored.
    pub soft_delete: bool,
    /// How long it can, in milliseconds; for good where there is none.
    pub keep_deleted_ms: Option<u64>,
    /// How many earlier revisions of each document are kept.
    pub history: u32,
    /// `none`, `backward`, `forward` or `full`.
    pub compatibility: String,
    /// References to documents of other collections.
    pub references: Vec<ReferenceValue>,
    /// Indexes, besides those of references.
    pub indexes: Vec<IndexValue>,
}

/// A reference of the documents of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceValue {
    /// Where the id of the other document is.
    pub path: String,
    /// The name of the other collection.
    pub to: String,
    /// `restrict`, `cascade` or `set_null`.
    pub on_delete: String,
}

/// An index of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexValue {
    /// Its name.
    pub name: String,
    /// What it is over, in order.
    pub paths: Vec<String>,
    /// Whether no two documents may have the same values.
    pub unique: bool,
}

/// A version of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaValue {
    /// The name of its collection; none where that was dropped.
    pub collection: Option<String>,
    /// JSON Schema, draft 2020-12.
    pub schema: Json,
    /// When it was set.
    pub set_at: Timestamp,
}

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentValue {
    /// The name of its collection; none where that was dropped.
    pub collection: Option<String>,
    /// Its content.
    pub body: Box<RawValue>,
    /// When it expires, by the clock that the gateway had; never where there is none.
    pub expires_at: Option<Timestamp>,
    /// When it was deleted, where it was and can be restored.
    pub deleted_at: Option<Timestamp>,
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalValue {
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// What it may do besides.
    pub grants: Vec<String>,
    /// Whether it may do nothing for now.
    pub disabled: bool,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleValue {
    /// What it grants.
    pub grants: Vec<String>,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditValue {
    /// When it was appended.
    pub at: Timestamp,
    /// Who did something.
    pub who: String,
    /// What.
    pub what: String,
    /// To what.
    pub object: String,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// Why.
    pub detail: String,
    /// How often.
    pub times: u32,
    /// Its hash, which chains it to the entry before.
    pub hash: crate::remote::Hash,
}

/// Bytes: as text where they are, or else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// Text.
    Text(String),
    /// Base64.
    Base64(String),
}

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }

    /// The bytes; `None` where they are no base64.
    pub fn decode(&self) -> Option<Vec<u8>> {
        match self {
            Bytes::Text(text) => Some(text.as_bytes().to_vec()),
            Bytes::Base64(text) => BASE64_STANDARD.decode(text).ok(),
        }
    }
}

/// A key-value pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairValue {
    /// Its value.
    pub value: Bytes,
    /// When it expires, by the clock that the gateway had; never where there is none.
    pub expires_at: Option<Timestamp>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueValue {
    /// Its number, which no other ever has.
    pub number: u32,
    /// How long whoever pops an item has it, in milliseconds.
    pub lease_ms: u64,
    /// How often an item is popped before it counts as dead.
    pub tries: u32,
    /// After how long an item that was given back may be popped again, in milliseconds: it doubles with every try …
    pub back_off_ms: u64,
    /// … up to this.
    pub back_off_limit_ms: u64,
    /// Whether items that were tried too often are kept.
    pub dead_letters: bool,
    /// For how long after a push others with its key are left out, in milliseconds.
    pub deduplication_ms: u64,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemValue {
    /// The name of its queue; none where that was dropped.
    pub queue: Option<String>,
    /// The payload.
    pub payload: Bytes,
    /// When it is due, where that was said.
    pub due: Option<Timestamp>,
    /// The key that no other item had within the queue's window.
    pub deduplication: Option<String>,
}

/// How it stands with an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemStateValue {
    /// The name of its queue; none where that was dropped.
    pub queue: Option<String>,
    /// Higher ones come first.
    pub priority: u8,
    /// How often it was popped since it was pushed or requeued.
    pub tries: u32,
    /// When it was pushed.
    pub pushed: Timestamp,
    /// `ready`, `scheduled`, `leased`, `delayed` or `dead`.
    pub place: String,
}
