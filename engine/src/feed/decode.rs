//! Records as changes.

use std::sync::Arc;

use super::cells;
use super::change::{Change, Event, SealedRows};
use super::filter::{ChangeKind, Filter};
use super::history::Kept;
use super::names::Names;
use super::rows::Rows;
use crate::error::Error;
use crate::model::{Sequence, SeriesKey, TableId, TableSchema};
use crate::record::{
    self, DecodeError, Deletion, Evicted, Moment, Record, RecordKind, RowsOutline, SegmentEntry, SegmentId, SeriesSelection,
};
use crate::table::{Registry, Table};

/// What is known of the tables that records speak of, and what is wanted of the records.
pub(super) struct Decoder<'a> {
    pub(super) registry: &'a Registry,
    pub(super) filter: &'a Filter,
    pub(super) names: &'a mut Names,
}

/// Why there is no change of a record.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing makes sense of it any more.
    Senseless,
    /// What it takes could not be read.
    Failed(Error),
}

impl From<DecodeError> for Trouble {
    fn from(_: DecodeError) -> Self {
        Trouble::Senseless
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Failed(error)
    }
}

impl Decoder<'_> {
    /// What a record did, as far as it is wanted.
    pub(super) fn change(&mut self, sequence: Sequence, kept: &Kept<'_>) -> Result<Option<Change>, Trouble> {
        let (at, last, mut events) = match kept {
            Kept::Record { kind, payload } => {
                let unknown = || DecodeError::new("record", format!("unknown kind {kind}"));
                let kind = RecordKind::from_code(*kind).ok_or_else(unknown)?;
                if !self.filter.wants_record(kind) {
                    return Ok(None);
                }
                let (at, events) = self.record(sequence, kind, payload)?;
                (at, sequence, events)
            }
            Kept::Rows { last, tables } => (None, *last, self.sealed(tables, (sequence, *last))?),
            Kept::Transaction { tables, payload } => {
                let (at, mut events) = self.transaction(sequence, payload)?;
                events.extend(self.sealed(tables, (sequence, sequence))?);
                (at, sequence, events)
            }
            Kept::Lost { .. } => return Ok(None),
        };
        events.retain(|event| self.filter.passes(event));
        Ok((!events.is_empty()).then_some(Change { sequence: last, at, events }))
    }

    fn record(&mut self, sequence: Sequence, kind: RecordKind, payload: &[u8]) -> Result<(Option<Moment>, Vec<Event>), Trouble> {
        match kind {
            RecordKind::PutRows => return Ok((None, self.rows(sequence, payload)?.into_iter().collect())),
            RecordKind::Transaction => return self.transaction(sequence, payload),
            _ => {}
        }
        let event = match Record::decode(kind.code(), payload)? {
            Record::CreateTable(schema) => Event::TableCreated(Arc::new(schema)),
            Record::AlterTable(schema) => Event::TableChanged(Arc::new(schema)),
            Record::DropTable(schema) => Event::TableDropped(Arc::new(schema)),
            Record::CreateSeries { table, keys, .. } => Event::SeriesAdded { table: self.schema(table)?, series: keys },
            Record::DeleteRows(deletion) => return Ok((None, self.deleted(&deletion)?.into_iter().collect())),
            Record::Sealed(sealed) => Event::Seal { through: sealed.through, segments: self.segments(&sealed.segments)? },
            Record::Compacted(compacted) => {
                Event::Compacted { removed: compacted.removed, added: self.segments(&compacted.added)? }
            }
            Record::Evicted(Evicted { table, removed, total, receipt }) => {
                let evicted = Event::Evicted { table: self.schema(table)?, removed, total };
                return Ok((None, [evicted].into_iter().chain(receipt.map(Event::Receipt)).collect()));
            }
            Record::Receipt(receipt) => Event::Receipt(receipt),
            Record::PutRows { .. } | Record::Transaction(_) => return Ok((None, Vec::new())),
        };
        Ok((None, vec![event]))
    }

    fn transaction(&mut self, sequence: Sequence, payload: &[u8]) -> Result<(Option<Moment>, Vec<Event>), Trouble> {
        let outline = record::outline_transaction(payload)?;
        let mut events = Vec::with_capacity(outline.cells.len() + outline.rows.len());
        for cell in &outline.cells {
            events.extend(cells::event(&cell.key, cell.value.as_deref(), self.names)?);
        }
        for deletion in &outline.deletions {
            events.extend(self.deleted(deletion)?);
        }
        for rows in outline.rows {
            events.extend(self.rows(sequence, rows)?);
        }
        Ok((Some(outline.at), events))
    }

    fn deleted(&self, deletion: &Deletion) -> Result<Option<Event>, DecodeError> {
        if self.registry.dropped(deletion.table).is_some() {
            return Ok(None);
        }
        let table = self.table(deletion.table)?;
        let series = match &deletion.series {
            SeriesSelection::All => None,
            SeriesSelection::Only(ids) => Some(keys(&table, ids)?),
        };
        Ok(Some(Event::RowsDeleted { table: table.schema(), series, range: deletion.range }))
    }

    fn rows(&self, sequence: Sequence, payload: &[u8]) -> Result<Option<Event>, DecodeError> {
        if !self.filter.wants(ChangeKind::Rows) {
            return Ok(None);
        }
        let outline = record::outline_rows(payload)?;
        if let Some(schema) = self.registry.dropped(outline.table) {
            return Ok(Some(Event::Sealed(SealedRows::gone(schema, &outline, (sequence, sequence)))));
        }
        let table = self.table(outline.table)?;
        let wanted = self.filter.wants_table(&table.schema().name);
        Ok(wanted.then(|| Event::Rows(Rows::new(table, &outline, payload))))
    }

    fn sealed(&self, tables: &[RowsOutline], sequences: (Sequence, Sequence)) -> Result<Vec<Event>, DecodeError> {
        if !self.filter.wants(ChangeKind::Rows) {
            return Ok(Vec::new());
        }
        let one = |outline: &RowsOutline| {
            if let Some(schema) = self.registry.dropped(outline.table) {
                return Ok(Event::Sealed(SealedRows::gone(schema, outline, sequences)));
            }
            let table = self.table(outline.table)?;
            let (schema, times) = (table.schema(), outline.times);
            let (first, last) = sequences;
            let holds = |entry: &&Arc<SegmentEntry>| {
                let in_time = times.is_none_or(|(from, to)| entry.times.0 <= to && from <= entry.times.1);
                entry.first_sequence <= last && first <= entry.last_sequence && in_time
            };
            let segments = table.state.read().segments.iter().filter(holds).map(|entry| entry.id).collect();
            Ok(Event::Sealed(SealedRows { table: schema, rows: outline.rows, times, sequences, segments }))
        };
        tables.iter().map(one).collect()
    }

    fn segments(&self, entries: &[SegmentEntry]) -> Result<Vec<(Arc<TableSchema>, SegmentId)>, DecodeError> {
        entries.iter().map(|entry| Ok((self.schema(entry.table)?, entry.id))).collect()
    }

    fn schema(&self, id: TableId) -> Result<Arc<TableSchema>, DecodeError> {
        self.registry.dropped(id).map_or_else(|| Ok(self.table(id)?.schema()), Ok)
    }

    /// One that is neither there nor dropped had its definition lost.
    fn table(&self, id: TableId) -> Result<Arc<Table>, DecodeError> {
        self.registry.by_id(id).ok_or_else(|| DecodeError::new("record", format!("table {} is lost", id.0)))
    }
}

fn keys(table: &Table, ids: &[crate::model::SeriesId]) -> Result<Vec<SeriesKey>, DecodeError> {
    let series = table.series.read();
    let key = |id: &crate::model::SeriesId| {
        (id.0 < series.len()).then(|| series.key(*id)).ok_or_else(|| DecodeError::new("record", "a series is lost"))
    };
    ids.iter().map(key).collect()
}
