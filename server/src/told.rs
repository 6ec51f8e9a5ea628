//! Things as programs are told of them: on the command line with `--json`, and over HTTP, in one form; and as the command line is
//! told of them by a server.
//!
//! What a thing is made of is decided where it is described, in `commands`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::commands::doc::wanted::WhenDeleted;
use crate::status::OfQueue;

/// A key-value pair.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pair {
    pub(crate) key: String,
    /// Given by every write, and by no other.
    pub(crate) revision: u64,
    /// The value where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// The value where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in_seconds: Option<f64>,
}

/// A pair that was put.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PutPair {
    pub(crate) key: String,
    pub(crate) revision: u64,
}

/// What a counter comes to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counter {
    pub(crate) key: String,
    pub(crate) value: i64,
}

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) revision: u64,
    /// What it says.
    pub(crate) document: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in_seconds: Option<f64>,
    /// When it was deleted, in µs since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_at_micros: Option<i64>,
}

/// A document that was stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StoredDocument {
    pub(crate) id: String,
    pub(crate) revision: u64,
}

/// Documents, how many there are, or how they would be found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Found {
    Documents {
        documents: Vec<Document>,
        /// What the next page is `after`; null on the last.
        next: Option<String>,
        /// Documents that were looked at.
        examined: u64,
    },
    Count {
        count: u64,
    },
    Explained(Explained),
}

/// How documents are found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Explained {
    /// Indexes that are read.
    pub(crate) indexes: Vec<String>,
    /// Whether they are read in the order that is asked for.
    pub(crate) in_order: bool,
    /// Documents that were looked at.
    pub(crate) examined: u64,
    pub(crate) returned: usize,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<String>,
}

/// What became of documents that were to be stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StoredDocuments {
    pub(crate) stored: usize,
    pub(crate) failed: usize,
    pub(crate) documents: Vec<StoredDocument>,
    pub(crate) errors: Vec<NotStored>,
}

/// A document that was not stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DocumentNotStored")]
pub(crate) struct NotStored {
    pub(crate) id: String,
    pub(crate) error: String,
}

/// A collection of documents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Collection {
    pub(crate) collection: String,
    /// How many there are.
    pub(crate) documents: u64,
    pub(crate) soft_delete: bool,
    pub(crate) keep_deleted_seconds: Option<f64>,
    /// Earlier versions of a document that are kept.
    pub(crate) history: u32,
    pub(crate) indexes: Vec<Index>,
    pub(crate) references: Vec<Reference>,
}

/// An index over documents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) paths: Vec<String>,
    pub(crate) unique: bool,
}

/// A field of documents that names documents of another collection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Reference {
    pub(crate) path: String,
    pub(crate) to: String,
    pub(crate) on_delete: WhenDeleted,
}

/// A version of a schema.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SchemaVersion {
    pub(crate) version: u32,
    /// When it was set, in µs since 1970, UTC.
    pub(crate) set_at_micros: i64,
    pub(crate) schema: Json,
}

/// The version that a schema is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SetSchema {
    pub(crate) version: u32,
}

/// An item of a queue.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Item {
    pub(crate) id: u64,
    /// Higher ones are popped first.
    pub(crate) priority: u8,
    /// How often it was popped.
    pub(crate) tries: u32,
    /// When it was pushed, RFC 3339.
    pub(crate) pushed: String,
    /// The payload where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<String>,
    /// The payload where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    /// Until when it waited, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<String>,
    /// Its deduplication key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// An item that was popped.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Leased {
    /// By which it is acknowledged or given back.
    pub(crate) lease: String,
    pub(crate) lasts_seconds: f64,
    #[serde(flatten)]
    pub(crate) item: Item,
}

/// An item that was pushed, or was there already.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PushedItem {
    pub(crate) id: u64,
    /// Whether there was one of the same key, whose id this is.
    pub(crate) duplicate: bool,
}

/// What becomes of an item that was given back: it waits for so long, is dead, or gone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Nacked {
    /// `waits`, `dead` or `gone`.
    pub(crate) outcome: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

/// To how many items something was done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Items {
    pub(crate) items: usize,
}

/// A queue: how many items are where, and its settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Queue {
    #[serde(flatten)]
    pub(crate) sizes: OfQueue,
    pub(crate) lease_seconds: f64,
    pub(crate) tries: u32,
    pub(crate) back_off_seconds: f64,
    pub(crate) back_off_limit_seconds: f64,
    pub(crate) dead_letters: bool,
    pub(crate) deduplication_seconds: f64,
}

/// Rows that were deleted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deleted {
    pub(crate) table: String,
    /// Of the change.
    pub(crate) sequence: u64,
}

/// How far somebody came in the change feed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Cursor {
    pub(crate) name: String,
    /// The sequence up to which everything was dealt with.
    pub(crate) through: u64,
}

/// A table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// `ms`, `us` or `ns`.
    pub(crate) time_unit: Cow<'static, str>,
    /// `auto`, `hour`, `day`, `month` or `year`.
    pub(crate) partitioning: Cow<'static, str>,
    pub(crate) tags: Vec<String>,
    pub(crate) fields: Vec<Field>,
}

/// A field of a table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// As `float64` or `decimal(2)`.
    pub(crate) r#type: String,
}

/// A principal: a device, a program or a person.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    /// Its own, besides those of its roles.
    pub(crate) grants: Vec<String>,
    /// Whether it may do nothing for now.
    pub(crate) disabled: bool,
}

/// A role, which grants what many principals may do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) grants: Vec<String>,
}

/// Whether one may do something.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Checked {
    pub(crate) allowed: bool,
}

/// A token, without its text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) principal: String,
    pub(crate) label: String,
    /// RFC 3339.
    pub(crate) issued_at: String,
    pub(crate) expires_in_seconds: Option<f64>,
}

/// A token, with its text, which is told this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Issued {
    #[serde(flatten)]
    pub(crate) issued: Token,
    pub(crate) token: String,
}

/// A certificate that was issued or revoked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Certificate {
    /// The SHA-256 of its public key, in hexadecimal digits.
    pub(crate) key: String,
    pub(crate) principal: String,
    /// RFC 3339, if it is known.
    pub(crate) not_before: Option<String>,
    /// RFC 3339, if it is known.
    pub(crate) not_after: Option<String>,
    /// RFC 3339, if it was revoked.
    pub(crate) revoked_at: Option<String>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "IssuedCertificate")]
pub(crate) struct Certified {
    #[serde(flatten)]
    pub(crate) certificate: Certificate,
    /// It and the authority's, in PEM.
    pub(crate) chain: String,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) who: String,
    pub(crate) what: String,
    /// What it was done to.
    pub(crate) object: String,
    /// `done`, `refused` or `failed`.
    pub(crate) outcome: Cow<'static, str>,
    pub(crate) detail: String,
    /// How often.
    pub(crate) times: u32,
    /// With that of the entry before hashed in, in hexadecimal digits.
    pub(crate) hash: String,
}

/// Where the audit trail begins and ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AuditHead {
    /// Of the last entry.
    pub(crate) number: u64,
    /// Of the last entry, in hexadecimal digits.
    pub(crate) hash: String,
    /// Entries that went as they were too many.
    pub(crate) dropped: u64,
    /// Of the last of those, on which the first that is there builds.
    pub(crate) dropped_hash: String,
}
