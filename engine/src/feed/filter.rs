//! Which changes are shown.

use super::change::Event;
use crate::record::RecordKind;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Tables and their columns.
    Tables,
    /// New series.
    Series,
    /// Rows written, in the log or in segments by now.
    Rows,
    /// Rows deleted.
    Deletions,
    /// Seals and compactions.
    Segments,
    /// Receipts of loss.
    Receipts,
    /// Key-value pairs.
    Pairs,
    /// Collections and their schemas.
    Collections,
    /// Documents.
    Documents,
    /// Queues.
    Queues,
    /// Items of queues.
    Items,
    /// Entries of the audit trail.
    Audit,
    /// Principals and roles; of tokens there is nothing to be seen.
    Principals,
    /// Metadata of models that this version does not know.
    Other,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [ChangeKind; 14] = [
        ChangeKind::Tables,
        ChangeKind::Series,
        ChangeKind::Rows,
        ChangeKind::Deletions,
        ChangeKind::Segments,
        ChangeKind::Receipts,
        ChangeKind::Pairs,
        ChangeKind::Collections,
        ChangeKind::Documents,
        ChangeKind::Queues,
        ChangeKind::Items,
        ChangeKind::Audit,
        ChangeKind::Principals,
        ChangeKind::Other,
    ];
}

/// What events have to be to be shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Of one of these kinds; any where there are none.
    pub(super) kinds: Vec<ChangeKind>,
    /// About one of these; any where there are none.
    pub(super) subjects: Vec<Subject>,
}

/// What an event may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// A table, by name.
    Table(String),
    /// A collection, likewise.
    Collection(String),
    /// A queue, likewise.
    Queue(String),
    /// Pairs whose keys begin so.
    Keys(String),
}

impl Filter {
    pub(super) fn wants(&self, kind: ChangeKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    pub(super) fn wants_table(&self, name: &str) -> bool {
        let named = |subject: &Subject| matches!(subject, Subject::Table(table) if table == name);
        self.subjects.is_empty() || self.subjects.iter().any(named)
    }

    /// Whether events of a record may pass, so that others need not be decoded.
    pub(super) fn wants_record(&self, kind: RecordKind) -> bool {
        match kind {
            RecordKind::CreateTable | RecordKind::AlterTable | RecordKind::DropTable => self.wants(ChangeKind::Tables),
            RecordKind::CreateSeries => self.wants(ChangeKind::Series),
            RecordKind::PutRows => self.wants(ChangeKind::Rows),
            RecordKind::DeleteRows => self.wants(ChangeKind::Deletions),
            RecordKind::Sealed | RecordKind::Compacted => self.wants(ChangeKind::Segments),
            RecordKind::Evicted => self.wants(ChangeKind::Segments) || self.wants(ChangeKind::Receipts),
            RecordKind::Receipt => self.wants(ChangeKind::Receipts),
            RecordKind::Transaction => true,
        }
    }

    pub(super) fn passes(&self, event: &Event) -> bool {
        self.wants(event.kind()) && (self.subjects.is_empty() || self.subjects.iter().any(|subject| subject.is_of(event)))
    }
}

impl Subject {
    fn is_of(&self, event: &Event) -> bool {
        match self {
            Subject::Table(name) => event.table() == Some(name),
            Subject::Collection(name) => event.collection() == Some(name),
            Subject::Queue(name) => event.queue() == Some(name),
            Subject::Keys(beginning) => event.key().is_some_and(|key| key.starts_with(beginning.as_str())),
        }
    }
}
