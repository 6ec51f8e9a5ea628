//! Dictionaries: the distinct values of a column, sorted, so that neighbouring values have neighbouring indexes.

use hashbrown::HashMap;

use super::bits::width_of;
use super::codec::encode_plain;
use super::values::{ColumnKind, Texts, Values};
use crate::model::FieldType;

/// Most entries a dictionary of fixed-width values may have.
const ENTRIES: usize = 1 << 17;
/// Most bytes a dictionary of texts may have: any page that needs one entry decodes all of them.
const TEXT_BYTES: usize = 256 << 10;
/// After this many values a dictionary must have shown that values repeat.
const PROBATION: usize = 32 << 10;
/// Bytes of a dictionary compressed together, so that a page that refers to a part of it decompresses only that part.
pub(super) const FRAME_BYTES: usize = 16 << 10;

/// The distinct values of a column, while they are few enough.
pub(super) enum Distinct {
    /// Of words, and of halves widened. Keyed by bits: NaNs of different payload, and the zeroes, are different.
    Fixed { ids: HashMap<u64, u32>, seen: usize, halves: bool },
    /// Of texts.
    Texts { ids: HashMap<Vec<u8>, u32>, seen: usize, bytes: usize },
}

impl Distinct {
    /// `None` for values that have no use for a dictionary.
    pub(super) fn new(values: &Values) -> Option<Distinct> {
        match values {
            Values::Words(_) => Some(Distinct::Fixed { ids: HashMap::new(), seen: 0, halves: false }),
            Values::Halves(_) => Some(Distinct::Fixed { ids: HashMap::new(), seen: 0, halves: true }),
            Values::Texts(_) => Some(Distinct::Texts { ids: HashMap::new(), seen: 0, bytes: 0 }),
            Values::Bits(_) => None,
        }
    }

    /// Adds the values of a page. `false` means that a dictionary does not pay.
    pub(super) fn add(&mut self, values: &Values) -> bool {
        let (count, seen, fits) = match (self, values) {
            (Distinct::Fixed { ids, seen, .. }, Values::Words(words)) => {
                words.iter().for_each(|word| add_fixed(ids, *word));
                *seen += words.len();
                (ids.len(), *seen, ids.len() <= ENTRIES)
            }
            (Distinct::Fixed { ids, seen, .. }, Values::Halves(halves)) => {
                halves.iter().for_each(|half| add_fixed(ids, u64::from(*half)));
                *seen += halves.len();
                (ids.len(), *seen, ids.len() <= ENTRIES)
            }
            (Distinct::Texts { ids, seen, bytes }, Values::Texts(texts)) => {
                for text in texts.iter() {
                    let next = ids.len() as u32;
                    ids.entry_ref(text).or_insert_with(|| {
                        *bytes += text.len() + 4;
                        next
                    });
                }
                *seen += texts.len();
                (ids.len(), *seen, *bytes <= TEXT_BYTES)
            }
            _ => return false,
        };
        fits && (seen < PROBATION || count < seen / 4 * 3)
    }

    /// Sorts the values; from here on they have their final indexes.
    pub(super) fn finish(self, kind: ColumnKind) -> Dictionary {
        match self {
            Distinct::Fixed { mut ids, halves, .. } => {
                let mut sorted: Vec<(u64, u64)> = ids.keys().map(|bits| (order_key(kind, *bits), *bits)).collect();
                sorted.sort_unstable();
                for (rank, (_, bits)) in sorted.iter().enumerate() {
                    ids.insert(*bits, rank as u32);
                }
                let values = if halves {
                    Values::Halves(sorted.iter().map(|(_, bits)| *bits as u32).collect())
                } else {
                    Values::Words(sorted.iter().map(|(_, bits)| *bits).collect())
                };
                Dictionary::new(Indexes::Fixed(ids), &values)
            }
            Distinct::Texts { mut ids, .. } => {
                let mut sorted: Vec<Vec<u8>> = ids.keys().cloned().collect();
                sorted.sort_unstable();
                let mut texts = Texts::default();
                sorted.iter().for_each(|text| texts.push(text));
                for (rank, text) in sorted.into_iter().enumerate() {
                    ids.insert(text, rank as u32);
                }
                Dictionary::new(Indexes::Texts(ids), &Values::Texts(texts))
            }
        }
    }
}

fn add_fixed(ids: &mut HashMap<u64, u32>, bits: u64) {
    let next = ids.len() as u32;
    ids.entry(bits).or_insert(next);
}

/// Bits that order as the values do.
pub(super) fn order_key(kind: ColumnKind, bits: u64) -> u64 {
    const SIGN: u64 = 1 << 63;
    match kind {
        ColumnKind::Field(FieldType::Float64) => bits ^ ((bits.cast_signed() >> 63).cast_unsigned() | SIGN),
        ColumnKind::Field(FieldType::Float32) => {
            let bits = bits as u32;
            u64::from(bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 1 << 31))
        }
        ColumnKind::Field(FieldType::UInt64) => bits,
        _ => bits ^ SIGN,
    }
}

enum Indexes {
    Fixed(HashMap<u64, u32>),
    Texts(HashMap<Vec<u8>, u32>),
}

/// The distinct values of a column in order, and the index of each.
pub(super) struct Dictionary {
    indexes: Indexes,
    /// How many entries.
    pub(super) count: u32,
    /// The entries as Parquet lays them down.
    pub(super) plain: Vec<u8>,
}

impl Dictionary {
    fn new(indexes: Indexes, values: &Values) -> Dictionary {
        let mut plain = Vec::new();
        encode_plain(values, &mut plain);
        Dictionary { indexes, count: values.len() as u32, plain }
    }

    /// Bits of the largest index.
    pub(super) fn width(&self) -> u32 {
        width_of(u64::from(self.count.saturating_sub(1)))
    }

    /// The indexes of values, or `None` if one is not there.
    pub(super) fn look_up(&self, values: &Values) -> Option<Vec<u32>> {
        match (&self.indexes, values) {
            (Indexes::Fixed(ids), Values::Words(words)) => words.iter().map(|word| ids.get(word).copied()).collect(),
            (Indexes::Fixed(ids), Values::Halves(halves)) => {
                halves.iter().map(|half| ids.get(&u64::from(*half)).copied()).collect()
            }
            (Indexes::Texts(ids), Values::Texts(texts)) => texts.iter().map(|text| ids.get(text).copied()).collect(),
            _ => None,
        }
    }
}
