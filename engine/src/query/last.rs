//! The last value of every series, from the newest piece back, and from statistics where they tell it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::SchemaRef;

use super::assemble::{BATCH_ROWS, as_times, filtered};
use super::plan::Plan;
use super::scan::{Part, Piece, Verdict};
use crate::error::Result;
use crate::model::{Block, ColumnBuilder, FieldType, SeriesId, Value};

/// Streams one row per series: the latest present value of each field, at the time of the latest row.
pub(super) struct LastValues {
    plan: Plan,
    schema: SchemaRef,
    /// Position and type of each field asked for.
    fields: Vec<(usize, FieldType)>,
    next: usize,
    left: u64,
}

/// What is known of a series while its pieces are looked at, newest first.
struct Latest {
    time: Option<i64>,
    /// By field asked for.
    values: Vec<Option<Value>>,
}

impl LastValues {
    pub(super) fn new(plan: Plan) -> Self {
        let schema = plan.projection.row_schema(&plan.scan.schema);
        let fields = plan.projection.fields().iter().map(|&field| (field, plan.scan.schema.fields[field].kind)).collect();
        let left = plan.limit.unwrap_or(u64::MAX);
        LastValues { plan, schema, fields, next: 0, left }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let wanted = self.left.min(BATCH_ROWS as u64) as usize;
        let mut rows = Rows::new(&self.plan, &self.fields);
        while rows.times.len() < wanted {
            let Some(&series) = self.plan.scan.series.get(self.next) else { break };
            self.next += 1;
            if let Latest { time: Some(time), values } = self.latest(series)? {
                rows.push(&self.plan, series, time, values);
            }
        }
        self.left -= rows.times.len() as u64;
        if rows.times.is_empty() { Ok(None) } else { rows.finish(&self.schema).map(Some) }
    }

    fn latest(&self, series: SeriesId) -> Result<Latest> {
        let mut pieces = self.plan.scan.pieces(series)?;
        // The newest last, so that they are taken from the end.
        pieces.sort_by_key(|piece| piece.times.1);
        let mut latest = Latest { time: None, values: vec![None; self.fields.len()] };
        while !latest.is_complete()
            && let Some(cluster) = newest_cluster(&mut pieces)
        {
            let known = match cluster.as_slice() {
                [only] => self.known(series, only, &latest),
                _ => None,
            };
            latest.fill(match known {
                Some(known) => known,
                None => self.read(series, cluster)?,
            });
        }
        Ok(latest)
    }

    /// What statistics tell of a piece that nothing overlaps, if they tell all that is still missing.
    fn known(&self, series: SeriesId, piece: &Piece, latest: &Latest) -> Option<Latest> {
        let (plan, missing) = (&self.plan, latest.values.iter().map(Option::is_none));
        if !plan.filters.fields.is_empty() || !plan.scan.is_whole(series, piece) {
            return None;
        }
        let value =
            |(&(field, _), missing): (&(usize, FieldType), bool)| if missing { piece.last_value(field) } else { Some(None) };
        let values = self.fields.iter().zip(missing).map(value).collect::<Option<_>>()?;
        Some(Latest { time: Some(piece.times.1), values })
    }

    /// Reads rows, oldest first, so that later ones take the place of earlier ones.
    fn read(&self, series: SeriesId, cluster: Vec<Piece>) -> Result<Latest> {
        let plan = &self.plan;
        let mut rows = plan.scan.rows_of(series, cluster);
        let mut latest = Latest { time: None, values: vec![None; self.fields.len()] };
        while let Some(part) = rows.next(&plan.scan, &mut |_| Verdict::Read)? {
            if let Part::Rows(block) = part {
                let mask = plan.filters.fields.mask(&block)?;
                latest.see(&filtered(block, mask)?, &self.fields);
            }
        }
        Ok(latest)
    }
}

/// The rows of a batch, column by column.
struct Rows {
    times: Vec<i64>,
    tags: Vec<StringBuilder>,
    fields: Vec<ColumnBuilder>,
}

impl Rows {
    fn new(plan: &Plan, fields: &[(usize, FieldType)]) -> Self {
        let tags = plan.scan.schema.tags.iter().map(|_| StringBuilder::new()).collect();
        Rows { times: Vec::new(), tags, fields: fields.iter().map(|&(_, kind)| ColumnBuilder::new(kind)).collect() }
    }

    fn push(&mut self, plan: &Plan, series: SeriesId, time: i64, values: Vec<Option<Value>>) {
        self.times.push(time);
        let key = plan.table.key(series);
        for (tag, column) in self.tags.iter_mut().enumerate() {
            column.append_option(key.tag(tag));
        }
        for (column, value) in self.fields.iter_mut().zip(values) {
            // Values come from columns of their field's type.
            if value.is_none_or(|value| column.append(value).is_err()) {
                column.append_null();
            }
        }
    }

    fn finish(mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![as_times(self.times.into(), schema.field(0).data_type())?];
        columns.extend(self.tags.iter_mut().map(|tag| Arc::new(tag.finish()) as ArrayRef));
        columns.extend(self.fields.iter_mut().map(ColumnBuilder::finish));
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

/// The piece that reaches furthest, with all that overlap it.
fn newest_cluster(pieces: &mut Vec<Piece>) -> Option<Vec<Piece>> {
    let mut cluster = vec![pieces.pop()?];
    let mut since = cluster[0].times.0;
    while let Some(piece) = pieces.pop_if(|piece| piece.times.1 >= since) {
        since = since.min(piece.times.0);
        cluster.push(piece);
    }
    Some(cluster)
}

impl Latest {
    fn is_complete(&self) -> bool {
        self.time.is_some() && self.values.iter().all(Option::is_some)
    }

    /// Takes what is still missing from an older stretch.
    fn fill(&mut self, older: Latest) {
        self.time = self.time.or(older.time);
        for (value, older) in self.values.iter_mut().zip(older.values) {
            *value = value.take().or(older);
        }
    }

    /// Takes in rows that are newer than what was seen.
    fn see(&mut self, block: &Block, fields: &[(usize, FieldType)]) {
        self.time = block.times.last().copied().or(self.time);
        for (&(field, kind), value) in fields.iter().zip(&mut self.values) {
            let Some(column) = block.column(field) else { continue };
            let newest = (0..column.len()).rev().find_map(|row| Value::in_row(column.as_ref(), kind, row));
            *value = newest.or_else(|| value.take());
        }
    }
}

impl Iterator for LastValues {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
