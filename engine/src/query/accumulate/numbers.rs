//! Accumulators of numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, PrimitiveArray};

use super::super::Aggregate;
use super::super::aggregate::result_type;
use super::{Ends, Rows, Wanted};
use crate::model::kernels::{Moments, Number, Numeric, Total, each_block};
use crate::model::{FieldStatistics, FieldType, Sum};

#[derive(Debug)]
pub(super) struct Numbers<P: Numeric> {
    totals: Vec<<P::Native as Number>::Total>,
    minima: Vec<P::Native>,
    maxima: Vec<P::Native>,
    ends: Ends<P::Native>,
    moments: Vec<Moments>,
    scratch: Vec<P::Native>,
}

impl<P: Numeric> Default for Numbers<P> {
    fn default() -> Self {
        Numbers {
            totals: Vec::new(),
            minima: Vec::new(),
            maxima: Vec::new(),
            ends: Ends::default(),
            moments: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl<P: Numeric> Numbers<P> {
    pub(super) fn resize(&mut self, groups: usize, wanted: Wanted) {
        let length = |kept: bool| if kept { groups } else { 0 };
        self.totals.resize(length(wanted.total), Default::default());
        self.minima.resize(length(wanted.min), P::Native::default());
        self.maxima.resize(length(wanted.max), P::Native::default());
        self.ends.resize(groups, wanted);
        self.moments.resize(length(wanted.moments), Moments::default());
    }

    pub(super) fn update(&mut self, rows: &Rows<'_>, array: &PrimitiveArray<P>, counts: &[u64], wanted: Wanted) {
        let values: &[P::Native] = array.values();
        if wanted.ends() {
            for run in rows.runs {
                if let Some((first, last)) = rows.ends(&run.rows) {
                    let (first, last) = ((rows.times[first], values[first]), (rows.times[last], values[last]));
                    self.ends.merge(run.state, first, last, counts[run.state]);
                }
            }
        }
        if wanted.total || wanted.extremes() || wanted.moments {
            for run in rows.runs {
                let (state, mut count) = (run.state, counts[run.state]);
                let Numbers { totals, minima, maxima, moments, scratch, .. } = self;
                each_block(values, rows.bits, run.rows.clone(), scratch, |block| {
                    if let Some(total) = totals.get_mut(state) {
                        total.merge(P::Native::sum(block));
                    }
                    if wanted.extremes() {
                        let (low, high) = P::Native::extremes(block);
                        merge_extremes(minima.get_mut(state), maxima.get_mut(state), low, high, count);
                    }
                    if let Some(moments) = moments.get_mut(state) {
                        moments.merge(count, Moments::of(block), block.len() as u64);
                    }
                    count += block.len() as u64;
                });
            }
        }
    }

    pub(super) fn merge(&mut self, state: usize, statistics: &FieldStatistics, before: u64, wanted: Wanted) -> Option<()> {
        if let Some(total) = self.totals.get_mut(state) {
            total.merge(statistics.sum.and_then(Total::from_sum)?);
        }
        if wanted.extremes() {
            let (low, high) = (P::native(&statistics.min)?, P::native(&statistics.max)?);
            merge_extremes(self.minima.get_mut(state), self.maxima.get_mut(state), low, high, before);
        }
        if wanted.ends() {
            let ((early, first), (late, last)) = (&statistics.first, &statistics.last);
            self.ends.merge(state, (*early, P::native(first)?), (*late, P::native(last)?), before);
        }
        Some(())
    }

    pub(super) fn column(&self, function: Aggregate, kind: FieldType, groups: &[u32], counts: &[u64]) -> Option<ArrayRef> {
        let scale = match kind {
            FieldType::Decimal { scale } => 10f64.powi(i32::from(scale)),
            _ => 1.0,
        };
        let present = |group: &u32| (counts[*group as usize] > 0).then_some(*group as usize);
        let natives = |value: &dyn Fn(usize) -> P::Native| {
            let array: PrimitiveArray<P> = groups.iter().map(|group| present(group).map(value)).collect();
            Arc::new(array.with_data_type(kind.arrow())) as ArrayRef
        };
        let doubles = |value: &dyn Fn(usize) -> Option<f64>| {
            let array: Float64Array = groups.iter().map(|group| present(group).and_then(value)).collect();
            Arc::new(array) as ArrayRef
        };
        let kept = |length: usize| (length >= counts.len()).then_some(());
        match function {
            Aggregate::Count => None,
            Aggregate::Sum => kept(self.totals.len()).map(|()| self.sums(kind, groups, counts)),
            Aggregate::Mean => kept(self.totals.len())
                .map(|()| doubles(&|group| Some(self.totals[group].to_f64() / (counts[group] as f64 * scale)))),
            Aggregate::Min => kept(self.minima.len()).map(|()| natives(&|group| self.minima[group])),
            Aggregate::Max => kept(self.maxima.len()).map(|()| natives(&|group| self.maxima[group])),
            Aggregate::First => kept(self.ends.firsts.len()).map(|()| natives(&|group| self.ends.firsts[group].1)),
            Aggregate::Last => kept(self.ends.lasts.len()).map(|()| natives(&|group| self.ends.lasts[group].1)),
            Aggregate::Stddev => kept(self.moments.len())
                .map(|()| doubles(&|group| self.moments[group].deviation(counts[group]).map(|deviation| deviation / scale))),
        }
    }

    fn sums(&self, kind: FieldType, groups: &[u32], counts: &[u64]) -> ArrayRef {
        let sums = groups.iter().map(|group| *group as usize).map(|group| {
            let sum = self.totals[group].into_sum();
            (counts[group] > 0).then_some(sum)
        });
        if matches!(kind, FieldType::Float64 | FieldType::Float32) {
            return Arc::new(sums.map(|sum| sum.map(Sum::as_f64)).collect::<Float64Array>());
        }
        let integer = |sum| if let Sum::Integer(total) = sum { Some(total) } else { None };
        let array: Decimal128Array = sums.map(|sum| sum.and_then(integer)).collect();
        Arc::new(array.with_data_type(result_type(Aggregate::Sum, kind)))
    }
}

fn merge_extremes<N: Number>(min: Option<&mut N>, max: Option<&mut N>, low: N, high: N, before: u64) {
    if let Some(min) = min {
        *min = if before == 0 { low } else { min.lesser(low) };
    }
    if let Some(max) = max {
        *max = if before == 0 { high } else { max.greater(high) };
    }
}
