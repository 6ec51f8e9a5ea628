//! Accumulators of text and bytes, which order by their bytes.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, GenericByteArray, GenericByteBuilder};
use arrow::datatypes::{BinaryType, ByteArrayType, Utf8Type};

use super::super::Aggregate;
use super::{Rows, Wanted};
use crate::model::{FieldStatistics, FieldType, Value};

/// A column type of text or bytes.
pub(super) trait Textual: ByteArrayType {
    /// A value that can be kept.
    fn own(native: &Self::Native) -> Value;
    /// A kept value; `None` where it is of another type.
    fn native(value: &Value) -> Option<&Self::Native>;
}

impl Textual for Utf8Type {
    fn own(native: &str) -> Value {
        Value::Utf8(native.to_owned())
    }

    fn native(value: &Value) -> Option<&str> {
        if let Value::Utf8(text) = value { Some(text) } else { None }
    }
}

impl Textual for BinaryType {
    fn own(native: &[u8]) -> Value {
        Value::Binary(native.to_owned())
    }

    fn native(value: &Value) -> Option<&[u8]> {
        if let Value::Binary(bytes) = value { Some(bytes) } else { None }
    }
}

pub(super) struct Strings<T> {
    minima: Vec<Option<Value>>,
    maxima: Vec<Option<Value>>,
    firsts: Vec<Option<(i64, Value)>>,
    lasts: Vec<Option<(i64, Value)>>,
    kind: PhantomData<T>,
}

impl<T> Default for Strings<T> {
    fn default() -> Self {
        Strings { minima: Vec::new(), maxima: Vec::new(), firsts: Vec::new(), lasts: Vec::new(), kind: PhantomData }
    }
}

fn bytes<T: Textual>(native: &T::Native) -> &[u8] {
    native.as_ref()
}

impl<T: Textual> Strings<T> {
    pub(super) fn resize(&mut self, groups: usize, wanted: Wanted) {
        let length = |kept: bool| if kept { groups } else { 0 };
        self.minima.resize(length(wanted.min), None);
        self.maxima.resize(length(wanted.max), None);
        self.firsts.resize(length(wanted.first), None);
        self.lasts.resize(length(wanted.last), None);
    }

    pub(super) fn update(&mut self, rows: &Rows<'_>, array: &GenericByteArray<T>, _: &[u64], wanted: Wanted) {
        for run in rows.runs {
            let Some((first, last)) = rows.ends(&run.rows) else { continue };
            if wanted.ends() {
                let at = |row: usize| (rows.times[row], array.value(row));
                self.merge_ends(run.state, at(first), at(last));
            }
            if wanted.extremes() {
                let span = first..last + 1;
                let found = match rows.bits {
                    Some(bits) => extremes::<T>(bits.rows(span).map(|row| array.value(row))),
                    None => extremes::<T>(span.map(|row| array.value(row))),
                };
                if let Some((low, high)) = found {
                    self.merge_extremes(run.state, low, high);
                }
            }
        }
    }

    fn merge_ends(&mut self, state: usize, first: (i64, &T::Native), last: (i64, &T::Native)) {
        if let Some(kept) = self.firsts.get_mut(state)
            && kept.as_ref().is_none_or(|(time, _)| first.0 < *time)
        {
            *kept = Some((first.0, T::own(first.1)));
        }
        if let Some(kept) = self.lasts.get_mut(state)
            && kept.as_ref().is_none_or(|(time, _)| last.0 >= *time)
        {
            *kept = Some((last.0, T::own(last.1)));
        }
    }

    fn merge_extremes(&mut self, state: usize, low: &T::Native, high: &T::Native) {
        if let Some(min) = self.minima.get_mut(state)
            && min.as_ref().and_then(T::native).is_none_or(|kept| bytes::<T>(low) < bytes::<T>(kept))
        {
            *min = Some(T::own(low));
        }
        if let Some(max) = self.maxima.get_mut(state)
            && max.as_ref().and_then(T::native).is_none_or(|kept| bytes::<T>(high) > bytes::<T>(kept))
        {
            *max = Some(T::own(high));
        }
    }

    pub(super) fn merge(&mut self, state: usize, statistics: &FieldStatistics, _: u64, _: Wanted) -> Option<()> {
        let ((early, first), (late, last)) = (&statistics.first, &statistics.last);
        self.merge_ends(state, (*early, T::native(first)?), (*late, T::native(last)?));
        self.merge_extremes(state, T::native(&statistics.min)?, T::native(&statistics.max)?);
        Some(())
    }

    pub(super) fn column<'a>(&'a self, function: Aggregate, _: FieldType, groups: &[u32], _: &[u64]) -> Option<ArrayRef> {
        let value: &dyn Fn(usize) -> Option<&'a Value> = match function {
            Aggregate::Min => &|group| self.minima.get(group)?.as_ref(),
            Aggregate::Max => &|group| self.maxima.get(group)?.as_ref(),
            Aggregate::First => &|group| self.firsts.get(group)?.as_ref().map(|(_, value)| value),
            Aggregate::Last => &|group| self.lasts.get(group)?.as_ref().map(|(_, value)| value),
            _ => return None,
        };
        let mut builder = GenericByteBuilder::<T>::new();
        for group in groups {
            match value(*group as usize).and_then(T::native) {
                Some(native) => builder.append_value(native),
                None => builder.append_null(),
            }
        }
        Some(Arc::new(builder.finish()))
    }
}

fn extremes<'a, T: Textual>(values: impl Iterator<Item = &'a T::Native>) -> Option<(&'a T::Native, &'a T::Native)> {
    let mut found: Option<(&T::Native, &T::Native)> = None;
    for value in values {
        found = Some(match found {
            None => (value, value),
            Some((low, high)) => (
                if bytes::<T>(value) < bytes::<T>(low) { value } else { low },
                if bytes::<T>(value) > bytes::<T>(high) { value } else { high },
            ),
        });
    }
    found
}
