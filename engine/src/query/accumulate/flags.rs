//! Accumulators of booleans: false is less than true.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};

use super::super::Aggregate;
use super::{Ends, Rows, Wanted};
use crate::model::kernels::Validity;
use crate::model::{FieldStatistics, FieldType, Value};

#[derive(Debug, Default)]
pub(super) struct Flags {
    minima: Vec<bool>,
    maxima: Vec<bool>,
    ends: Ends<bool>,
}

impl Flags {
    pub(super) fn resize(&mut self, groups: usize, wanted: Wanted) {
        // What nothing has been seen of yet: the least is true, the greatest is false.
        self.minima.resize(if wanted.min { groups } else { 0 }, true);
        self.maxima.resize(if wanted.max { groups } else { 0 }, false);
        self.ends.resize(groups, wanted);
    }

    pub(super) fn update(&mut self, rows: &Rows<'_>, array: &BooleanArray, counts: &[u64], wanted: Wanted) {
        let values = Validity::new(array.values());
        for run in rows.runs {
            let Some((first, last)) = rows.ends(&run.rows) else { continue };
            if wanted.ends() {
                let (first, last) = ((rows.times[first], array.value(first)), (rows.times[last], array.value(last)));
                self.ends.merge(run.state, first, last, counts[run.state]);
            }
            if wanted.extremes() {
                let span = first..last + 1;
                let (mut all, mut any) = (true, false);
                match rows.bits {
                    Some(bits) => bits.rows(span).map(|row| array.value(row)).for_each(|value| {
                        all &= value;
                        any |= value;
                    }),
                    None => {
                        let set = values.count(span.clone());
                        (all, any) = (set == span.len(), set > 0);
                    }
                }
                self.merge_extremes(run.state, all, any);
            }
        }
    }

    fn merge_extremes(&mut self, state: usize, all: bool, any: bool) {
        if let Some(min) = self.minima.get_mut(state) {
            *min &= all;
        }
        if let Some(max) = self.maxima.get_mut(state) {
            *max |= any;
        }
    }

    pub(super) fn merge(&mut self, state: usize, statistics: &FieldStatistics, before: u64, wanted: Wanted) -> Option<()> {
        let flag = |value: &Value| if let Value::Bool(flag) = value { Some(*flag) } else { None };
        if wanted.extremes() {
            self.merge_extremes(state, flag(&statistics.min)?, flag(&statistics.max)?);
        }
        if wanted.ends() {
            let ((early, first), (late, last)) = (&statistics.first, &statistics.last);
            self.ends.merge(state, (*early, flag(first)?), (*late, flag(last)?), before);
        }
        Some(())
    }

    pub(super) fn column(&self, function: Aggregate, _: FieldType, groups: &[u32], counts: &[u64]) -> Option<ArrayRef> {
        let value: &dyn Fn(usize) -> Option<bool> = match function {
            Aggregate::Min => &|group| self.minima.get(group).copied(),
            Aggregate::Max => &|group| self.maxima.get(group).copied(),
            Aggregate::First => &|group| self.ends.firsts.get(group).map(|first| first.1),
            Aggregate::Last => &|group| self.ends.lasts.get(group).map(|last| last.1),
            _ => return None,
        };
        let present = |group: &u32| (counts[*group as usize] > 0).then_some(*group as usize);
        let array: BooleanArray = groups.iter().map(|group| present(group).and_then(value)).collect();
        Some(Arc::new(array))
    }
}
