//! Least and greatest values for readers other than ourselves: the statistics of Parquet's column chunks and page index.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::dictionary::order_key;
use super::values::{ColumnKind, PageValues, Values};
use crate::model::FieldType;

/// Texts longer than this are not worth their room in the footer; their column then goes without bounds.
const TEXT_BYTES: usize = 64;

/// The range of some values of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) nulls: u64,
    range: Range,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Range {
    /// There is no value.
    #[default]
    Empty,
    /// Nothing can be said that every reader understands alike: a NaN, or a long text.
    Unknown,
    /// Ordering key and bits of the least and the greatest.
    Fixed {
        min: (u64, u64),
        max: (u64, u64),
    },
    Texts {
        min: Vec<u8>,
        max: Vec<u8>,
    },
}

impl Bounds {
    /// Of one page.
    pub(super) fn of(kind: ColumnKind, page: &PageValues) -> Bounds {
        let nan = |bits: u64| match kind {
            ColumnKind::Field(FieldType::Float64) => f64::from_bits(bits).is_nan(),
            ColumnKind::Field(FieldType::Float32) => f32::from_bits(bits as u32).is_nan(),
            _ => false,
        };
        let range = match &page.values {
            Values::Words(words) => fixed(kind, words.iter().copied(), nan),
            Values::Halves(halves) => fixed(kind, halves.iter().map(|half| u64::from(*half)), nan),
            Values::Bits(bits) => fixed(kind, bits.iter().map(|bit| u64::from(*bit)), nan),
            Values::Texts(all) => all.iter().fold(Range::Empty, |range, text| range.merge(text_range(text))),
        };
        Bounds { nulls: (page.rows - page.present()) as u64, range }
    }

    /// Of one text, said once for any number of rows.
    pub(super) fn of_text(text: &[u8]) -> Bounds {
        Bounds { nulls: 0, range: text_range(text) }
    }

    pub(super) fn merge(self, other: Bounds) -> Bounds {
        Bounds { nulls: self.nulls + other.nulls, range: self.range.merge(other.range) }
    }

    /// Whether there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.range == Range::Empty
    }

    /// Least and greatest as Parquet lays values down; `None` if there are none, or they are unknown.
    pub(super) fn bytes(&self, kind: ColumnKind) -> Option<(Vec<u8>, Vec<u8>)> {
        match &self.range {
            Range::Empty | Range::Unknown => None,
            Range::Texts { min, max } => Some((min.clone(), max.clone())),
            Range::Fixed { min, max } => {
                Some((lay_down(kind, widen(kind, min.1, true)), lay_down(kind, widen(kind, max.1, false))))
            }
        }
    }

    /// Statistics of a column chunk.
    pub(super) fn statistics(&self, kind: ColumnKind) -> Statistics {
        let nulls = Some(self.nulls);
        let (min, max) = match &self.range {
            Range::Fixed { min, max } => (Some(widen(kind, min.1, true)), Some(widen(kind, max.1, false))),
            _ => (None, None),
        };
        match kind {
            ColumnKind::Field(FieldType::Float64) => {
                let nans = (self.range != Range::Unknown).then_some(0);
                let statistics = ValueStatistics::new(min.map(f64::from_bits), max.map(f64::from_bits), None, nulls, false);
                Statistics::Double(statistics.with_nan_count(nans))
            }
            ColumnKind::Field(FieldType::Float32) => {
                let nans = (self.range != Range::Unknown).then_some(0);
                let single = |bits: u64| f32::from_bits(bits as u32);
                Statistics::Float(ValueStatistics::new(min.map(single), max.map(single), None, nulls, false).with_nan_count(nans))
            }
            ColumnKind::Field(FieldType::Bool) => {
                Statistics::boolean(min.map(|bit| bit == 1), max.map(|bit| bit == 1), None, nulls, false)
            }
            ColumnKind::Tag | ColumnKind::Field(FieldType::Utf8 | FieldType::Binary) => {
                let (min, max) = match &self.range {
                    Range::Texts { min, max } => (Some(ByteArray::from(min.clone())), Some(ByteArray::from(max.clone()))),
                    _ => (None, None),
                };
                Statistics::ByteArray(ValueStatistics::new(min, max, None, nulls, false))
            }
            ColumnKind::Time(_) | ColumnKind::Field(_) => {
                Statistics::int64(min.map(u64::cast_signed), max.map(u64::cast_signed), None, nulls, false)
            }
        }
    }
}

impl Range {
    fn merge(self, other: Range) -> Range {
        match (self, other) {
            (Range::Empty, any) | (any, Range::Empty) => any,
            (Range::Fixed { min: a, max: b }, Range::Fixed { min: c, max: d }) => Range::Fixed { min: a.min(c), max: b.max(d) },
            (Range::Texts { min: a, max: b }, Range::Texts { min: c, max: d }) => Range::Texts { min: a.min(c), max: b.max(d) },
            _ => Range::Unknown,
        }
    }
}

fn text_range(text: &[u8]) -> Range {
    if text.len() > TEXT_BYTES { Range::Unknown } else { Range::Texts { min: text.to_vec(), max: text.to_vec() } }
}

fn fixed(kind: ColumnKind, values: impl Iterator<Item = u64>, nan: impl Fn(u64) -> bool) -> Range {
    let mut found: Option<((u64, u64), (u64, u64))> = None;
    for bits in values {
        if nan(bits) {
            return Range::Unknown;
        }
        let value = (order_key(kind, bits), bits);
        found = Some(found.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
    }
    found.map_or(Range::Empty, |(min, max)| Range::Fixed { min, max })
}

/// Readers differ on whether the zeroes differ, so a bound of zero takes in both.
fn widen(kind: ColumnKind, bits: u64, down: bool) -> u64 {
    match kind {
        ColumnKind::Field(FieldType::Float64) if f64::from_bits(bits) == 0.0 => u64::from(down) << 63,
        ColumnKind::Field(FieldType::Float32) if f32::from_bits(bits as u32) == 0.0 => u64::from(down) << 31,
        _ => bits,
    }
}

fn lay_down(kind: ColumnKind, bits: u64) -> Vec<u8> {
    match kind {
        ColumnKind::Field(FieldType::Float32) => (bits as u32).to_le_bytes().to_vec(),
        ColumnKind::Field(FieldType::Bool) => vec![bits as u8],
        _ => bits.to_le_bytes().to_vec(),
    }
}
