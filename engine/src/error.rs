//! Errors, sorted by what the caller should do about them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of every fallible operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`], without knowing which error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will stay wrong: mend the input.
    Input,
    /// What was asked for does not exist, or exists already.
    Missing,
    /// The same request may succeed later: another process holds the directory, or the disk is full.
    Unavailable,
    /// Bytes on disk are not what was written there. The loss is named.
    Damaged,
    /// The device or the operating system refused: nothing further is acknowledged until the database is opened again.
    Fatal,
}

/// One row of a batch that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Zero-based position in the batch.
    pub row: usize,
    /// The column at fault.
    pub column: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why the lease of a queue's item holds no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LeaseLoss {
    /// Its time ran out, or the item was given back: someone else may pop it.
    #[error("its time ran out or it was given back, so another may pop the item")]
    Ended,
    /// The item was popped again since.
    #[error("the item was given to someone else since")]
    Taken,
    /// There is no such item any more.
    #[error("the item is gone: acknowledged, purged or dropped")]
    Gone,
}

/// Everything that can go wrong. Each message says what happened, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `sync`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The disk is full. Reading goes on; writing resumes by itself once there is room.
    #[error("disk full while writing {}: free some room, writing then resumes by itself", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The database takes all the room that it may. Reading and taking away go on; writing resumes by itself once some was let go of.
    #[error(
        "the database takes {used} of the {budget} bytes that it may (retention.disk_bytes), and nothing may go before it is held elsewhere: \
         see what it waits for with `alluvium evict --dry-run`, let targets catch up, or allow more; writing then resumes by itself"
    )]
    DiskBudget {
        /// Bytes of all its files.
        used: u64,
        /// Bytes that they may take.
        budget: u64,
    },
    /// A write or sync failed earlier, so nothing more is acknowledged.
    #[error("the database stopped accepting writes after a failure ({reason}): open it again to recover")]
    Stopped {
        /// The first failure.
        reason: String,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// Another process has the directory open.
    #[error("{} is in use by {holder}: close that process first", path.display())]
    Locked {
        /// The database directory.
        path: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The directory holds something, but not a database of ours.
    #[error("{} is not an Alluvium database ({reason}): choose an empty or new directory", path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
        /// How that was seen.
        reason: String,
    },
    /// The directory was written by another version of the format.
    #[error("{} has format version {found}, this program reads version {supported}: use the program version that wrote it", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The version found there.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// Bytes on disk fail their checksum or contradict themselves.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        detail: String,
    },
    /// No table of that name.
    #[error("there is no table {name:?}: `alluvium tables` lists them")]
    NoSuchTable {
        /// The name asked for.
        name: String,
    },
    /// Others changed meanwhile what a transaction had read. Nothing of it was done; made again it may succeed.
    #[error("others changed what this transaction had read; make it again")]
    Conflict,
    /// The query was given up before its answer was complete.
    #[error("the query was cancelled")]
    Cancelled,
    /// Something is not in the revision that a write was made for. Nothing was written.
    #[error("{what} is {}: read it again and decide anew", found.map_or("not there".to_owned(), |found| format!("at revision {found}")))]
    Stale {
        /// What it is.
        what: String,
        /// The revision found; `None` where there is nothing. 0 is one that is being written right now.
        found: Option<u64>,
    },
    /// No collection of that name.
    #[error("there is no collection {name:?}: `alluvium doc collections` lists them")]
    NoSuchCollection {
        /// The name asked for.
        name: String,
    },
    /// A collection of that name exists already.
    #[error("collection {name:?} exists already")]
    CollectionExists {
        /// The name asked for.
        name: String,
    },
    /// No document of that id.
    #[error("collection {collection:?} has no document {id:?}")]
    NoSuchDocument {
        /// The collection.
        collection: String,
        /// The id asked for.
        id: String,
    },
    /// The schema of a collection does not allow a document. It was not stored.
    #[error(transparent)]
    InvalidDocument(Box<InvalidDocument>),
    /// Another document has the same values in a unique index. Nothing was stored.
    #[error(
        "document {id:?} of collection {collection:?} has the same values as document {other:?} in the unique index {index:?}"
    )]
    NotUnique {
        /// The collection.
        collection: String,
        /// The index.
        index: String,
        /// The document.
        id: String,
        /// The document that has the values.
        other: String,
    },
    /// A document refers to one that is not there, or that will be gone by itself. Nothing was stored.
    #[error(transparent)]
    BrokenReference(Box<BrokenReference>),
    /// Another document refers to one that was to go. Nothing was done.
    #[error("document {id:?} of collection {collection:?} is referred to by document {other:?} of collection {by:?}")]
    Referenced {
        /// The collection.
        collection: String,
        /// The document.
        id: String,
        /// The collection of the other document.
        by: String,
        /// The other document.
        other: String,
    },
    /// A schema does not agree with the one before as its collection asks. Nothing was changed.
    #[error("the schema is not {direction} compatible with version {version} of collection {collection:?}: {detail}")]
    Incompatible {
        /// The collection.
        collection: String,
        /// The version that holds.
        version: u32,
        /// `backward` or `forward`.
        direction: &'static str,
        /// What would be refused, or allowed.
        detail: String,
    },
    /// Changes that the feed was to show are no longer kept, or cannot be read. The feed goes on behind them when it is asked for
    /// the next one; what they left behind, [`Database::changed_since`](crate::Database::changed_since) and queries tell.
    #[error("changes {from} to {to} are no longer kept or cannot be read: go on behind them and read the latest state instead")]
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A change was asked for, or acknowledged, that is yet to be made: the sequence is of another database or of a later state
    /// of this one, as after a backup was restored.
    #[error("there is no change {asked} yet, the last is {last}: begin anew from a sequence of this database")]
    FutureSequence {
        /// The sequence given.
        asked: u64,
        /// The last there is.
        last: u64,
    },
    /// No principal of that name.
    #[error("there is no principal {name:?}: `alluvium user list` lists them")]
    NoSuchPrincipal {
        /// The name asked for.
        name: String,
    },
    /// No role of that name.
    #[error("there is no role {name:?}: `alluvium role list` lists them")]
    NoSuchRole {
        /// The name asked for.
        name: String,
    },
    /// No certificate that is called so and holds.
    #[error("no certificate that holds is called {name:?}: `alluvium cert list` shows what there is")]
    NoSuchCertificate {
        /// The principal or the beginning of a key's hash that was asked for.
        name: String,
    },
    /// A writer that is not known, and is not new: what became of what it sent cannot be told.
    #[error(
        "writer {writer} is not known, or was idle for too long: what it sent before may be there or not; go on under a new id"
    )]
    WriterExpired {
        /// Its id.
        writer: String,
    },
    /// More was acknowledged to a writer than is there: this is an earlier state, as after a backup was restored.
    #[error(
        "batches of writer {writer} are there up to {applied}, though {acknowledged} was acknowledged: the database is in an earlier state; send what is \
         kept under a new id"
    )]
    WriterBehind {
        /// Its id.
        writer: String,
        /// The last batch that is there.
        applied: u64,
        /// The last that was acknowledged.
        acknowledged: u64,
    },
    /// A batch came before one that is missing. It was not applied.
    #[error("batch {found} of writer {writer} came, {expected} is the next: send that first")]
    WriterGap {
        /// Its id.
        writer: String,
        /// The batch that is to come next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// No cursor of that name.
    #[error("there is no cursor {name:?}: begin it, or see `alluvium cursors` for those there are")]
    NoSuchCursor {
        /// The name asked for.
        name: String,
    },
    /// No delivery of that name.
    #[error("there is no delivery {name:?}: `alluvium sync status` lists those there are")]
    NoSuchDelivery {
        /// The name asked for.
        name: String,
    },
    /// A table of that name exists already.
    #[error("table {name:?} exists already")]
    TableExists {
        /// The name asked for.
        name: String,
    },
    /// No queue of that name.
    #[error("there is no queue {name:?}: `alluvium queue list` lists them")]
    NoSuchQueue {
        /// The name asked for.
        name: String,
    },
    /// A queue of that name exists already.
    #[error("queue {name:?} exists already")]
    QueueExists {
        /// The name asked for.
        name: String,
    },
    /// No such item among the dead letters of a queue.
    #[error("queue {queue:?} has no dead letter {item}: `alluvium queue dead` lists them")]
    NoSuchItem {
        /// The queue.
        queue: String,
        /// The number asked for.
        item: u64,
    },
    /// A lease that holds no more. Nothing was done, to other items of the same call either.
    #[error("the lease of item {item} of queue {queue:?} is lost: {how}")]
    LeaseLost {
        /// The queue.
        queue: String,
        /// The item it was a lease of.
        item: u64,
        /// What became of it.
        how: LeaseLoss,
    },
    /// No such column in a table.
    #[error("table {table:?} has no {what} {name:?}; it has {known}")]
    NoSuchColumn {
        /// The table.
        table: String,
        /// `column`, `field` or `tag`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are, comma separated.
        known: String,
    },
    /// A name, schema, batch or query that cannot be accepted as it is.
    #[error("{0}")]
    Invalid(String),
    /// A batch with bad rows: refused whole, nothing was written.
    #[error("{} bad row(s) in a batch for table {table:?}, nothing was written; first: row {}, column {:?}: {}", rows.len(), rows[0].row, rows[0].column, rows[0].reason)]
    BadRows {
        /// The table.
        table: String,
        /// Every bad row. Never empty.
        rows: Vec<BadRow>,
    },
    /// A limit of this build or of the settings was exceeded.
    #[error("{what} is {found}, the limit is {limit}{}", if setting.is_empty() { String::new() } else { format!(" (setting `{setting}`)") })]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        found: u64,
        /// How much is allowed.
        limit: u64,
        /// The setting that changes it, or empty.
        setting: &'static str,
    },
    /// Arrow refused data that had been validated.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A state the engine cannot reach unless it has a defect.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Invalid(_) | Error::BadRows { .. } | Error::Limit { .. } | Error::Arrow(_) => ErrorKind::Input,
            Error::NotADatabase { .. } | Error::Version { .. } => ErrorKind::Input,
            Error::InvalidDocument(_) | Error::Incompatible { .. } | Error::BrokenReference(_) => ErrorKind::Input,
            Error::NotUnique { .. } | Error::Referenced { .. } => ErrorKind::Input,
            Error::NoSuchCollection { .. } | Error::CollectionExists { .. } | Error::NoSuchDocument { .. } => ErrorKind::Missing,
            Error::NoSuchTable { .. } | Error::TableExists { .. } | Error::NoSuchColumn { .. } => ErrorKind::Missing,
            Error::NoSuchQueue { .. } | Error::QueueExists { .. } | Error::NoSuchItem { .. } | Error::LeaseLost { .. } => {
                ErrorKind::Missing
            }
            Error::WriterExpired { .. } | Error::WriterBehind { .. } => ErrorKind::Missing,
            Error::WriterGap { .. } => ErrorKind::Input,
            Error::NoSuchPrincipal { .. } | Error::NoSuchRole { .. } | Error::NoSuchCertificate { .. } => ErrorKind::Missing,
            Error::NoSuchCursor { .. } | Error::NoSuchDelivery { .. } | Error::Gap { .. } => ErrorKind::Missing,
            Error::FutureSequence { .. } => ErrorKind::Input,
            Error::DiskFull { .. } | Error::DiskBudget { .. } | Error::Locked { .. } => ErrorKind::Unavailable,
            Error::Conflict | Error::Cancelled | Error::Stale { .. } => ErrorKind::Unavailable,
            Error::Damaged { .. } => ErrorKind::Damaged,
            Error::Io { .. } | Error::Stopped { .. } | Error::Closed | Error::Internal(_) => ErrorKind::Fatal,
        }
    }

    /// Wraps the operating system's answer; a full disk becomes [`Error::DiskFull`].
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match Self::is_full(&source) {
            true => Error::DiskFull { path: path.to_owned() },
            false => Error::Io { action, path: path.to_owned(), source },
        }
    }

    /// Whether the operating system says that there is no room.
    pub(crate) fn is_full(source: &io::Error) -> bool {
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// The same failure for everyone whom it concerns.
    pub(crate) fn shared(&self) -> Error {
        match self {
            Error::DiskFull { path } => Error::DiskFull { path: path.clone() },
            Error::DiskBudget { used, budget } => Error::DiskBudget { used: *used, budget: *budget },
            Error::Stopped { reason } => Error::Stopped { reason: reason.clone() },
            other => Error::Stopped { reason: other.to_string() },
        }
    }

    /// A file whose bytes cannot be trusted.
    pub fn damaged(path: &Path, detail: impl fmt::Display) -> Self {
        Error::Damaged { path: path.to_owned(), detail: detail.to_string() }
    }

    /// An input that cannot be accepted.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Error::Invalid(message.to_string())
    }
}

/// Where and why the schema of a collection does not allow a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {id:?} does not satisfy the schema of collection {collection:?}: at {path:?} {detail} (rule {rule})")]
pub struct InvalidDocument {
    /// The collection.
    pub collection: String,
    /// The document.
    pub id: String,
    /// Where in the document, as a JSON Pointer; empty for all of it.
    pub path: String,
    /// The rule of the schema, as a JSON Pointer into it.
    pub rule: String,
    /// What is wrong.
    pub detail: String,
}

/// Which reference of a document leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {id:?} of collection {collection:?} refers at {path} to collection {to:?}: {why}")]
pub struct BrokenReference {
    /// The collection.
    pub collection: String,
    /// The document.
    pub id: String,
    /// Where in the document.
    pub path: String,
    /// The collection referred to.
    pub to: String,
    /// What is wrong.
    pub why: String,
}

impl From<InvalidDocument> for Error {
    fn from(invalid: InvalidDocument) -> Self {
        Error::InvalidDocument(Box::new(invalid))
    }
}

impl From<BrokenReference> for Error {
    fn from(broken: BrokenReference) -> Self {
        Error::BrokenReference(Box::new(broken))
    }
}
