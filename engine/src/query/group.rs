//! Grouping: rows are gathered by the values of some tags and by time bucket, and come out in order.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::accumulate::{FieldAccumulator, Run};
use super::aggregate::AggregatePlan;
use super::projection::Projection;
use super::window::Windows;
use super::{Aggregate, Aggregation, Order};
use crate::error::{Error, Result};
use crate::model::kernels::Validity;
use crate::model::{Block, FieldStatistics, SeriesKey, TableSchema};

/// Rows of an answer made at once.
const BATCH_ROWS: usize = 8_192;

/// Groups held back before those that are complete are given out.
const HELD_GROUPS: usize = 16_384;

/// Values of the tags grouped by.
type Key = Vec<Option<String>>;

/// The groups of an aggregating query. Rows are fed series by series in the order of tags, within a series by time;
/// [`Groups::finish`] gives the answer. Rows without a value of any field still make a group, whose count is 0; without
/// windows and tags to group by there is one group even if there are no rows.
///
/// Where the order of feeding is that of the answer (grouped by the first tags, in order of series), complete groups can be
/// taken on the way with [`Groups::next_ready`], so that memory stays bounded.
pub(crate) struct Groups {
    plan: AggregatePlan,
    order: Order,
    windows: Windows,
    /// One for each field of the plan.
    fields: Vec<FieldAccumulator>,
    keys: Keys,
    /// Of each group: which key and where its bucket begins.
    groups: Vec<(u32, i64)>,
    index: HashMap<(u32, i64), u32>,
    /// Of each group: the one that followed it when last seen. Series after series goes through the same buckets.
    followers: Vec<u32>,
    /// The group last fed.
    last: Option<u32>,
    runs: Vec<Run>,
    emission: Emission,
    ready: VecDeque<RecordBatch>,
}

/// When groups are complete before all has been fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emission {
    /// At the end only.
    AtEnd,
    /// When the key changes.
    ByKey,
    /// Every key being one series: also when the bucket changes.
    ByBucket,
}

/// The keys met, numbered.
#[derive(Debug, Default)]
struct Keys {
    values: Vec<Key>,
    numbers: HashMap<Key, u32>,
    /// For each number, the first group it had.
    heads: Vec<u32>,
    last: u32,
    scratch: Key,
}

impl Keys {
    /// The number of the key that a series has.
    fn number(&mut self, by: &[usize], series: &SeriesKey) -> u32 {
        let is_last = self
            .values
            .get(self.last as usize)
            .is_some_and(|key| by.iter().zip(key).all(|(position, value)| series.tag(*position) == value.as_deref()));
        if !is_last {
            self.scratch.clear();
            self.scratch.extend(by.iter().map(|position| series.tag(*position).map(str::to_owned)));
            self.last = match self.numbers.get(&self.scratch) {
                Some(number) => *number,
                None => {
                    let number = self.values.len() as u32;
                    self.values.push(self.scratch.clone());
                    self.heads.push(u32::MAX);
                    self.numbers.insert(std::mem::take(&mut self.scratch), number);
                    number
                }
            };
        }
        self.last
    }

    fn clear(&mut self) {
        *self = Keys::default();
    }
}

impl Groups {
    /// No rows yet. The aggregation is checked against the table: see the errors of its parts.
    pub(crate) fn new(schema: &TableSchema, aggregation: &Aggregation, projection: &Projection, order: Order) -> Result<Self> {
        let plan = AggregatePlan::new(schema, aggregation, projection)?;
        let windows = Windows::new(&aggregation.window, schema.time_unit)?;
        let fields = plan.fields.iter().map(|field| FieldAccumulator::new(field.kind, &field.functions)).collect();
        let in_tag_order = plan.by.iter().enumerate().all(|(i, position)| i == *position);
        let emission = match order {
            Order::Series if in_tag_order && plan.by.len() == schema.tags.len() => Emission::ByBucket,
            Order::Series if in_tag_order => Emission::ByKey,
            Order::TimeAscending | Order::TimeDescending | Order::Series => Emission::AtEnd,
        };
        Ok(Groups {
            plan,
            order,
            windows,
            fields,
            keys: Keys::default(),
            groups: Vec::new(),
            index: HashMap::new(),
            followers: Vec::new(),
            last: None,
            runs: Vec::new(),
            emission,
            ready: VecDeque::new(),
        })
    }

    /// The columns of the answer.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.plan.columns.clone()
    }

    /// Positions of the fields that have to be fed, in the order asked for, and whether their values matter or only
    /// whether they are present.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.plan.fields.iter().map(|field| (field.position, field.functions.iter().any(|f| *f != Aggregate::Count)))
    }

    /// Whether times have to be fed as they are. Where not, any times do, as long as there are as many as rows.
    pub(crate) fn reads_times(&self) -> bool {
        !self.windows.is_all() || self.plan.asks(|function| matches!(function, Aggregate::First | Aggregate::Last))
    }

    /// Whether statistics can answer; see [`Groups::feed_statistics`].
    pub(crate) fn takes_statistics(&self) -> bool {
        !self.plan.asks(|function| function == Aggregate::Stddev)
    }

    /// Whether both ends of a span of times fall into one bucket.
    pub(crate) fn in_one_bucket(&mut self, min: i64, max: i64) -> bool {
        self.windows.bucket(min).contains(max) || self.windows.is_all()
    }

    /// Takes in rows of one series, sorted by time, of which only those that `mask` (without nulls, one for each row) lets
    /// through count.
    pub(crate) fn feed(&mut self, series: &SeriesKey, block: &Block, mask: Option<&BooleanArray>) -> Result<()> {
        let Some(earliest) = block.times.first() else { return Ok(()) };
        let mask = mask.map(BooleanArray::values);
        if mask.is_some_and(|mask| mask.len() != block.rows()) {
            return Err(Error::Internal("a mask of another length than the rows".to_owned()));
        }
        let key = self.enter(series, *earliest)?;
        let bits = mask.map(Validity::new);
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        let mut windows = std::mem::replace(&mut self.windows, Windows::all());
        for (bucket, rows) in windows.runs(&block.times) {
            if bits.is_none_or(|bits| bits.any(rows.clone())) {
                runs.push(Run { state: self.group(key, bucket) as usize, rows });
            }
        }
        self.windows = windows;
        let fed = self.update(&runs, block, mask);
        self.runs = runs;
        fed
    }

    fn update(&mut self, runs: &[Run], block: &Block, mask: Option<&arrow::buffer::BooleanBuffer>) -> Result<()> {
        let groups = self.groups.len();
        for (plan, field) in self.plan.fields.iter().zip(&mut self.fields) {
            field.resize(groups);
            if let Some(column) = block.column(plan.position) {
                field.update(runs, &block.times, column, mask)?;
            }
        }
        Ok(())
    }

    /// Takes in a stretch of rows of one series by the statistics of its fields, `None` being those of a field that no row
    /// has. The rows' earliest and latest times have to lie in one bucket, and all of the rows have to count.
    pub(crate) fn feed_statistics<'s>(
        &mut self,
        series: &SeriesKey,
        times: (i64, i64),
        statistics: impl Fn(usize) -> Option<&'s FieldStatistics>,
    ) -> Result<()> {
        if !self.in_one_bucket(times.0, times.1) {
            return Err(Error::Internal("statistics of rows in several buckets".to_owned()));
        }
        let key = self.enter(series, times.0)?;
        let bucket = self.windows.bucket_start(times.0);
        let group = self.group(key, bucket) as usize;
        let groups = self.groups.len();
        for (plan, field) in self.plan.fields.iter().zip(&mut self.fields) {
            field.resize(groups);
            if let Some(statistics) = statistics(plan.position) {
                field.merge_statistics(group, statistics)?;
            }
        }
        Ok(())
    }

    /// The number of the key of a series about to be fed from a time on, after what is complete by then was given out.
    fn enter(&mut self, series: &SeriesKey, time: i64) -> Result<u32> {
        let before = self.keys.last;
        let key = self.keys.number(&self.plan.by, series);
        let last = self.last.and_then(|last| self.groups.get(last as usize)).copied();
        if self.groups.len() < HELD_GROUPS || self.emission == Emission::AtEnd {
            return Ok(key);
        }
        let bucket = self.windows.bucket_start(time);
        let complete = key != before || self.emission == Emission::ByBucket && last.is_none_or(|(_, start)| start < bucket);
        if !complete {
            return Ok(key);
        }
        self.give_out()?;
        Ok(self.keys.number(&self.plan.by, series))
    }

    /// Turns all groups into batches and forgets them.
    fn give_out(&mut self) -> Result<()> {
        let order = self.sorted();
        for groups in order.chunks(BATCH_ROWS) {
            let batch = self.batch(groups)?;
            self.ready.push_back(batch);
        }
        self.groups.clear();
        self.index.clear();
        self.followers.clear();
        self.keys.clear();
        self.last = None;
        self.fields.iter_mut().for_each(|field| field.resize(0));
        Ok(())
    }

    /// The group of a key and bucket, made where there is none.
    fn group(&mut self, key: u32, bucket: i64) -> u32 {
        let is = |group: &u32| self.groups.get(*group as usize) == Some(&(key, bucket));
        let follower = self.last.and_then(|last| self.followers.get(last as usize)).copied();
        let guesses = [follower, self.keys.heads.get(key as usize).copied(), self.last];
        if let Some(group) = guesses.into_iter().flatten().find(is) {
            self.last = Some(group);
            return group;
        }
        let next = self.groups.len() as u32;
        let group = *self.index.entry((key, bucket)).or_insert(next);
        if group == next {
            self.groups.push((key, bucket));
            self.followers.push(u32::MAX);
            if let Some(head) = self.keys.heads.get_mut(key as usize).filter(|head| **head == u32::MAX) {
                *head = group;
            }
        }
        if let Some(follower) = self.last.and_then(|last| self.followers.get_mut(last as usize)) {
            *follower = group;
        }
        self.last = Some(group);
        group
    }

    /// The next batch of groups that are complete already. All of them come before those of [`Groups::finish`].
    pub(crate) fn next_ready(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// The answer: what is ready, then the rest, in batches of at most 8,192 rows made as they are taken.
    pub(crate) fn finish(mut self) -> Answer {
        if self.plan.by.is_empty() && self.windows.is_all() && self.groups.is_empty() && self.ready.is_empty() {
            let key = self.keys.number(&[], &SeriesKey::default());
            self.group(key, i64::MIN);
        }
        let groups = self.groups.len();
        self.fields.iter_mut().for_each(|field| field.resize(groups));
        Answer { order: self.sorted(), groups: self, row: 0 }
    }

    /// The numbers of all groups, in the order of the answer.
    fn sorted(&self) -> Vec<u32> {
        // Where each key stands among the keys, so that groups compare by numbers.
        let mut keys: Vec<u32> = (0..self.keys.values.len() as u32).collect();
        keys.sort_by(|a, b| self.keys.values[*a as usize].cmp(&self.keys.values[*b as usize]));
        let mut ranks = vec![0u32; keys.len()];
        for (rank, key) in keys.iter().enumerate() {
            ranks[*key as usize] = rank as u32;
        }
        let mut order: Vec<u32> = (0..self.groups.len() as u32).collect();
        order.sort_by(|a, b| self.compare(&ranks, *a, *b));
        order
    }

    fn compare(&self, ranks: &[u32], a: u32, b: u32) -> Ordering {
        let ((key_a, time_a), (key_b, time_b)) = (self.groups[a as usize], self.groups[b as usize]);
        let keys = ranks[key_a as usize].cmp(&ranks[key_b as usize]);
        let times = time_a.cmp(&time_b);
        match self.order {
            Order::Series => keys.then(times),
            Order::TimeAscending => times.then(keys),
            Order::TimeDescending => times.reverse().then(keys),
        }
    }

    fn batch(&self, groups: &[u32]) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.columns.fields().len());
        if !self.windows.is_all() {
            let times = Int64Array::from_iter_values(groups.iter().map(|group| self.groups[*group as usize].1));
            columns.push(cast(&times, self.plan.columns.field(0).data_type())?);
        }
        for position in 0..self.plan.by.len() {
            let mut tags = StringBuilder::new();
            for group in groups {
                let (key, _) = self.groups[*group as usize];
                tags.append_option(self.keys.values[key as usize][position].as_deref());
            }
            columns.push(Arc::new(tags.finish()));
        }
        for (plan, field) in self.plan.fields.iter().zip(&self.fields) {
            for function in &plan.functions {
                columns.push(field.column(*function, groups)?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups.len()));
        Ok(RecordBatch::try_new_with_options(self.plan.columns.clone(), columns, &options)?)
    }
}

/// The batches of an answer.
pub(crate) struct Answer {
    groups: Groups,
    order: Vec<u32>,
    row: usize,
}

impl Answer {
    /// The columns of every batch.
    #[cfg(test)]
    pub(crate) fn schema(&self) -> SchemaRef {
        self.groups.schema()
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.groups.next_ready() {
            return Some(Ok(batch));
        }
        let rows: Range<usize> = self.row..self.order.len().min(self.row + BATCH_ROWS);
        let groups = self.order.get(rows).filter(|groups| !groups.is_empty())?;
        self.row += groups.len();
        Some(self.groups.batch(groups))
    }
}

#[cfg(test)]
mod tests;
