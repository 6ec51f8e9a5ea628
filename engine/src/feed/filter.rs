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
    /// Metadata of models that this version does not know.
    Other,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [ChangeKind; 8] = [
        ChangeKind::Tables,
        ChangeKind::Series,
        ChangeKind::Rows,
        ChangeKind::Deletions,
        ChangeKind::Segments,
        ChangeKind::Receipts,
        ChangeKind::Pairs,
        ChangeKind::Other,
    ];
}

/// What events have to be to be shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Of one of these kinds; any where there are none.
    pub(super) kinds: Vec<ChangeKind>,
    /// About one of these tables, or of one of these names.
    pub(super) tables: Vec<String>,
    pub(super) prefixes: Vec<String>,
}

impl Filter {
    pub(super) fn wants(&self, kind: ChangeKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    pub(super) fn wants_table(&self, name: &str) -> bool {
        (self.tables.is_empty() && self.prefixes.is_empty()) || self.tables.iter().any(|table| table == name)
    }

    /// Whether events of a record may pass, so that others need not be decoded.
    pub(super) fn wants_record(&self, kind: RecordKind) -> bool {
        match kind {
            RecordKind::CreateTable | RecordKind::AlterTable => self.wants(ChangeKind::Tables),
            RecordKind::CreateSeries => self.wants(ChangeKind::Series),
            RecordKind::PutRows => self.wants(ChangeKind::Rows),
            RecordKind::DeleteRows => self.wants(ChangeKind::Deletions),
            RecordKind::Sealed | RecordKind::Compacted => self.wants(ChangeKind::Segments),
            RecordKind::Receipt => self.wants(ChangeKind::Receipts),
            RecordKind::Transaction => true,
        }
    }

    pub(super) fn passes(&self, event: &Event) -> bool {
        if !self.wants(event.kind()) {
            return false;
        }
        if self.tables.is_empty() && self.prefixes.is_empty() {
            return true;
        }
        let named = |name: &str| self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        event.table().is_some_and(|table| self.tables.iter().any(|wanted| wanted == table)) || event.name().is_some_and(named)
    }
}
