//! What of a change somebody may see.

use alluvium::{Action, Change, ChangeKind, Event, Rights, Rows, Scope, Sequence, SeriesKey, TableSchema, Target};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::commands::changes::{describe, moment};
use crate::failure::{Failure, Outcome};
use crate::output::json::JsonLines;
use crate::output::value::{self, Value};
use crate::output::{Sink, timestamp};

/// A change, as somebody sees it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    sequence: Sequence,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    events: Vec<ShownEvent>,
}

#[derive(Debug, Serialize)]
struct ShownEvent {
    #[serde(flatten)]
    event: Json,
    /// Rows, as objects by the names of their columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Box<RawValue>>,
}

/// What becomes of a change.
#[derive(Debug)]
pub(super) enum Sight {
    /// It is shown, as far as it may be.
    Shown(Shown),
    /// None of it is theirs.
    Hidden,
    /// Some of it may be theirs, but nobody can tell any more: from this record on.
    Blurred(Sequence),
}

/// Someone who looks.
#[derive(Debug)]
pub(super) struct Viewer<'r> {
    pub(super) rights: &'r Rights,
    /// Whether rows are told, and not only how many there are.
    pub(super) rows: bool,
}

impl Viewer<'_> {
    /// What they see of a change.
    pub(super) fn look(&self, change: &Change) -> Outcome<Sight> {
        let mut events = Vec::with_capacity(change.events.len());
        for event in &change.events {
            if let Event::Sealed(rows) = event
                && self.scope(&rows.table).is_some_and(|scope| !scope.is_everything())
            {
                return Ok(Sight::Blurred(rows.sequences.0));
            }
            events.extend(self.event(event)?);
        }
        if events.is_empty() {
            return Ok(Sight::Hidden);
        }
        Ok(Sight::Shown(Shown { sequence: change.sequence, at: moment(change), events }))
    }

    fn event(&self, event: &Event) -> Outcome<Option<ShownEvent>> {
        let plain = |shows: bool| shows.then(|| ShownEvent { event: describe(event), values: None });
        let on = |action: Action, target: Target<'_>| self.rights.permit(action, target);
        // Where something was dropped, its name went with it.
        let read = |target: Option<Target<'_>>| on(Action::Read, target.unwrap_or(Target::Database));
        Ok(match event {
            Event::Rows(rows) => return self.rows_of(event, rows),
            Event::SeriesAdded { table, series } => self.series(event, table, series),
            Event::RowsDeleted { table, series: Some(series), .. } => self.series(event, table, series),
            Event::TableCreated(table) | Event::TableChanged(table) | Event::TableDropped(table) => {
                plain(self.scope(table).is_some())
            }
            Event::RowsDeleted { table, .. } => plain(self.scope(table).is_some()),
            Event::Sealed(rows) => plain(self.scope(&rows.table).is_some()),
            Event::Pair { key, .. } => plain(read(Some(Target::Key(key)))),
            Event::Collection { .. } | Event::Schema { .. } | Event::Document { .. } => {
                plain(read(event.collection().map(Target::Collection)))
            }
            Event::Queue { .. } | Event::Item { .. } | Event::ItemState { .. } => plain(read(event.queue().map(Target::Queue))),
            other => match other.kind() {
                ChangeKind::Audit | ChangeKind::Principals => plain(on(Action::Administer, Target::Database)),
                _ => plain(read(None)),
            },
        })
    }

    fn scope(&self, table: &TableSchema) -> Option<Scope> {
        self.rights.scope(Action::Read, &table.name)
    }

    /// Of series those that they may read.
    fn series(&self, event: &Event, table: &TableSchema, series: &[SeriesKey]) -> Option<ShownEvent> {
        let scope = self.scope(table)?;
        let position = |name: &str| table.tags.iter().position(|tag| tag.name == name);
        let seen = |key: &&SeriesKey| scope.holds(|name| key.0.get(position(name)?)?.as_deref());
        let seen: Vec<_> = series.iter().filter(seen).map(|key| &key.0).collect();
        if seen.is_empty() {
            return None;
        }
        let mut described = describe(event);
        described["series"] = json!(seen);
        Some(ShownEvent { event: described, values: None })
    }

    fn rows_of(&self, event: &Event, rows: &Rows) -> Outcome<Option<ShownEvent>> {
        let Some(scope) = self.scope(rows.table()) else { return Ok(None) };
        let mut described = describe(event);
        if scope.is_everything() && !self.rows {
            return Ok(Some(ShownEvent { event: described, values: None }));
        }
        let mut batch = rows.batch()?;
        if !scope.is_everything() {
            batch = within(&batch, &scope)?;
            let times = times(&batch)?.map(|(first, last)| [first, last].map(|at| timestamp::utc(at, rows.table().time_unit)));
            described["rows"] = json!(batch.num_rows());
            described["times"] = json!(times);
        }
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let values = if self.rows { Some(objects(&batch)?) } else { None };
        Ok(Some(ShownEvent { event: described, values }))
    }
}

/// Of rows those of series that are in a scope.
fn within(batch: &RecordBatch, scope: &Scope) -> Outcome<RecordBatch> {
    let schema = batch.schema();
    let holds: BooleanArray = value::with_columns(batch, |columns| {
        let tag = |row: usize, name: &str| match columns.get(schema.index_of(name).ok()?)?.get(row)? {
            Value::Text(text) => Some(text),
            _ => None,
        };
        Ok((0..batch.num_rows()).map(|row| Some(scope.holds(|name| tag(row, name)))).collect())
    })?;
    filter_record_batch(batch, &holds).map_err(Failure::failed)
}

/// Earliest and latest time.
fn times(batch: &RecordBatch) -> Outcome<Option<(i64, i64)>> {
    value::with_columns(batch, |columns| {
        let time = |row| match columns.first().and_then(|times| times.get(row)) {
            Some(Value::Time(ticks, _)) => Some(ticks),
            _ => None,
        };
        let all = || (0..batch.num_rows()).filter_map(time);
        Ok(all().min().zip(all().max()))
    })
}

/// Rows as a list of objects.
fn objects(batch: &RecordBatch) -> Outcome<Box<RawValue>> {
    let mut lines = Vec::new();
    let mut out = Box::new(JsonLines::new(&mut lines, &batch.schema()));
    out.write(batch)?;
    out.finish()?;
    let lines = String::from_utf8(lines).map_err(Failure::failed)?;
    // Text in JSON holds no end of a line.
    let list = format!("[{}]", lines.trim_end().replace('\n', ","));
    RawValue::from_string(list).map_err(Failure::failed)
}
