//! Accumulators: what has been seen of one field, for many groups at once. Each function keeps an array of its own over
//! the groups, and only if it is asked for.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{BinaryType, Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type, Utf8Type};

use self::flags::Flags;
use self::numbers::Numbers;
use self::strings::Strings;
use super::Aggregate;
use crate::error::{Error, Result};
use crate::model::kernels::Validity;
use crate::model::{FieldStatistics, FieldType};

mod flags;
mod numbers;
mod strings;

/// Which arrays are kept. Counts always are: they tell what is missing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    total: bool,
    min: bool,
    max: bool,
    first: bool,
    last: bool,
    moments: bool,
}

impl Wanted {
    fn new(functions: &[Aggregate]) -> Self {
        let has = |function| functions.contains(&function);
        Wanted {
            total: has(Aggregate::Sum) || has(Aggregate::Mean),
            min: has(Aggregate::Min),
            max: has(Aggregate::Max),
            first: has(Aggregate::First),
            last: has(Aggregate::Last),
            moments: has(Aggregate::Stddev),
        }
    }

    fn values(self) -> bool {
        self.total || self.moments || self.extremes() || self.ends()
    }

    fn extremes(self) -> bool {
        self.min || self.max
    }

    fn ends(self) -> bool {
        self.first || self.last
    }
}

/// Rows that belong to one group.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The number of the group. A call names each at most once.
    pub(super) state: usize,
    /// Which rows.
    pub(super) rows: Range<usize>,
}

/// The rows of a call: which belong to which group, their times, and which of them hold a value that counts.
struct Rows<'a> {
    runs: &'a [Run],
    times: &'a [i64],
    bits: Option<Validity<'a>>,
}

impl Rows<'_> {
    fn count(&self, rows: &Range<usize>) -> u64 {
        self.bits.map_or(rows.len(), |bits| bits.count(rows.clone())) as u64
    }

    /// The first and last row of a run that count.
    fn ends(&self, rows: &Range<usize>) -> Option<(usize, usize)> {
        match self.bits {
            Some(bits) => bits.ends(rows.clone()),
            None if rows.is_empty() => None,
            None => Some((rows.start, rows.end - 1)),
        }
    }
}

/// Everything asked of one field.
pub(super) struct FieldAccumulator {
    kind: FieldType,
    wanted: Wanted,
    counts: Vec<u64>,
    values: Values,
}

/// The earliest and the latest value of many groups, with their times. Of values at the same time the first taken in stays
/// the earliest and the last taken in becomes the latest: rows being fed in the order of tags, that is the order that decides.
#[derive(Debug, Default)]
struct Ends<V> {
    firsts: Vec<(i64, V)>,
    lasts: Vec<(i64, V)>,
}

impl<V: Copy + Default> Ends<V> {
    fn resize(&mut self, groups: usize, wanted: Wanted) {
        self.firsts.resize(if wanted.first { groups } else { 0 }, (0, V::default()));
        self.lasts.resize(if wanted.last { groups } else { 0 }, (0, V::default()));
    }

    fn merge(&mut self, state: usize, first: (i64, V), last: (i64, V), before: u64) {
        if let Some(kept) = self.firsts.get_mut(state).filter(|kept| before == 0 || first.0 < kept.0) {
            *kept = first;
        }
        if let Some(kept) = self.lasts.get_mut(state).filter(|kept| before == 0 || last.0 >= kept.0) {
            *kept = last;
        }
    }
}

enum Values {
    /// Only counts are asked for.
    None,
    Float64(Numbers<Float64Type>),
    Float32(Numbers<Float32Type>),
    Int64(Numbers<Int64Type>),
    UInt64(Numbers<UInt64Type>),
    Decimal(Numbers<Decimal64Type>),
    Bool(Flags),
    Utf8(Strings<Utf8Type>),
    Binary(Strings<BinaryType>),
}

/// Does the same with whatever accumulator there is.
macro_rules! each_kind {
    ($values:expr, $accumulator:ident => $body:expr, $none:expr) => {
        match $values {
            Values::None => $none,
            Values::Float64($accumulator) => $body,
            Values::Float32($accumulator) => $body,
            Values::Int64($accumulator) => $body,
            Values::UInt64($accumulator) => $body,
            Values::Decimal($accumulator) => $body,
            Values::Bool($accumulator) => $body,
            Values::Utf8($accumulator) => $body,
            Values::Binary($accumulator) => $body,
        }
    };
}

impl FieldAccumulator {
    pub(super) fn new(kind: FieldType, functions: &[Aggregate]) -> Self {
        let wanted = Wanted::new(functions);
        let values = match kind {
            _ if !wanted.values() => Values::None,
            FieldType::Float64 => Values::Float64(Numbers::default()),
            FieldType::Float32 => Values::Float32(Numbers::default()),
            FieldType::Int64 => Values::Int64(Numbers::default()),
            FieldType::UInt64 => Values::UInt64(Numbers::default()),
            FieldType::Decimal { .. } => Values::Decimal(Numbers::default()),
            FieldType::Bool => Values::Bool(Flags::default()),
            FieldType::Utf8 => Values::Utf8(Strings::default()),
            FieldType::Binary => Values::Binary(Strings::default()),
        };
        FieldAccumulator { kind, wanted, counts: Vec::new(), values }
    }

    /// Makes room for so many groups, or with 0 forgets them all.
    pub(super) fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        let wanted = self.wanted;
        each_kind!(&mut self.values, accumulator => accumulator.resize(groups, wanted), {});
    }

    /// Takes in the rows of `runs` in which `column` is present and `mask` is set.
    pub(super) fn update(&mut self, runs: &[Run], times: &[i64], column: &ArrayRef, mask: Option<&BooleanBuffer>) -> Result<()> {
        if column.len() != times.len() {
            return Err(Error::Internal(format!("a column of {} values for {} rows", column.len(), times.len())));
        }
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0).map(NullBuffer::inner);
        let both;
        let bits = match (nulls, mask) {
            (Some(nulls), Some(mask)) => {
                both = nulls & mask;
                Some(&both)
            }
            (Some(bits), None) | (None, Some(bits)) => Some(bits),
            (None, None) => None,
        };
        let rows = Rows { runs, times, bits: bits.map(Validity::new) };
        let (counts, wanted) = (self.counts.as_slice(), self.wanted);
        match &mut self.values {
            Values::None => Some(()),
            Values::Float64(numbers) => column.as_primitive_opt().map(|array| numbers.update(&rows, array, counts, wanted)),
            Values::Float32(numbers) => column.as_primitive_opt().map(|array| numbers.update(&rows, array, counts, wanted)),
            Values::Int64(numbers) => column.as_primitive_opt().map(|array| numbers.update(&rows, array, counts, wanted)),
            Values::UInt64(numbers) => column.as_primitive_opt().map(|array| numbers.update(&rows, array, counts, wanted)),
            Values::Decimal(numbers) => column.as_primitive_opt().map(|array| numbers.update(&rows, array, counts, wanted)),
            Values::Bool(flags) => column.as_boolean_opt().map(|array| flags.update(&rows, array, counts, wanted)),
            Values::Utf8(strings) => column.as_bytes_opt().map(|array| strings.update(&rows, array, counts, wanted)),
            Values::Binary(strings) => column.as_bytes_opt().map(|array| strings.update(&rows, array, counts, wanted)),
        }
        .ok_or_else(|| Error::Internal(format!("a field of {} came as {}", self.kind, column.data_type())))?;
        for run in runs {
            self.counts[run.state] += rows.count(&run.rows);
        }
        Ok(())
    }

    /// Takes in a stretch of one series by its statistics. They cannot answer a standard deviation.
    pub(super) fn merge_statistics(&mut self, state: usize, statistics: &FieldStatistics) -> Result<()> {
        let (before, wanted) = (self.counts[state], self.wanted);
        if wanted.moments {
            return Err(Error::Internal("a standard deviation was asked of statistics".to_owned()));
        }
        if statistics.count > 0 {
            each_kind!(&mut self.values, accumulator => accumulator.merge(state, statistics, before, wanted), Some(()))
                .ok_or_else(|| Error::Internal(format!("a field of {} has statistics of another type", self.kind)))?;
            self.counts[state] += statistics.count;
        }
        Ok(())
    }

    /// The results of a function for some groups.
    pub(super) fn column(&self, function: Aggregate, groups: &[u32]) -> Result<ArrayRef> {
        let counts = self.counts.as_slice();
        if function == Aggregate::Count {
            return Ok(Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| counts[*group as usize].cast_signed()))));
        }
        each_kind!(&self.values, accumulator => accumulator.column(function, self.kind, groups, counts), None)
            .ok_or_else(|| Error::Internal(format!("{} of {} was not kept", function.name(), self.kind)))
    }
}
