//! The values of one page of one column: from Arrow to the physical types of Parquet and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::Malformed;
use crate::error::{Error, Result};
use crate::format::limits;
use crate::model::{Column, FieldType, TimeUnit};

/// Most text one page may hold: what 31 bits can count, and half of it to spare for how it is encoded.
const PAGE_TEXT_BYTES: u64 = 1 << 29;

/// What a column of a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// The time of each row; never null.
    Time(TimeUnit),
    /// A tag.
    Tag,
    /// A field.
    Field(FieldType),
}

/// Parquet's physical types, as far as segments use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    /// INT64 or DOUBLE.
    Word,
    /// FLOAT.
    Half,
    /// BOOLEAN.
    Bit,
    /// BYTE_ARRAY.
    Text,
}

impl ColumnKind {
    pub(super) fn physical(self) -> Physical {
        match self {
            ColumnKind::Tag | ColumnKind::Field(FieldType::Utf8 | FieldType::Binary) => Physical::Text,
            ColumnKind::Field(FieldType::Float32) => Physical::Half,
            ColumnKind::Field(FieldType::Bool) => Physical::Bit,
            _ => Physical::Word,
        }
    }

    /// Whether values are floating-point numbers.
    pub(super) fn is_float(self) -> bool {
        matches!(self, ColumnKind::Field(FieldType::Float64 | FieldType::Float32))
    }

    /// Whether a row may lack a value.
    pub(super) fn nullable(self) -> bool {
        !matches!(self, ColumnKind::Time(_))
    }
}

/// Byte strings laid end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts {
    /// Where each ends; the first begins at 0.
    pub(super) ends: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[place] as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|place| self.get(place))
    }
}

/// The values that are present, without gaps. Words and halves hold the bits of whatever type the column has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Words(Vec<u64>),
    Halves(Vec<u32>),
    Bits(Vec<bool>),
    Texts(Texts),
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Values::Words(words) => words.len(),
            Values::Halves(halves) => halves.len(),
            Values::Bits(bits) => bits.len(),
            Values::Texts(texts) => texts.len(),
        }
    }
}

/// The rows of one column in one page.
#[derive(Debug, Clone)]
pub(super) struct PageValues {
    pub(super) rows: usize,
    /// Which rows have a value; `None` where all do.
    pub(super) nulls: Option<NullBuffer>,
    pub(super) values: Values,
}

impl PageValues {
    /// Takes the present values out of an Arrow array of the field's own type.
    pub(super) fn of_field(kind: FieldType, column: &Column, rows: usize) -> Result<PageValues> {
        let Some(array) = column else {
            return Ok(PageValues { rows, nulls: Some(NullBuffer::new_null(rows)), values: empty(kind) });
        };
        if array.len() != rows || *array.data_type() != kind.arrow() {
            let found = format!("{} rows of {}, expected {rows} of {kind}", array.len(), array.data_type());
            return Err(Error::Internal(format!("a column for a segment has {found}")));
        }
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        if matches!(kind, FieldType::Utf8 | FieldType::Binary) {
            let bytes = array.to_data().get_slice_memory_size().unwrap_or(usize::MAX);
            limits::check("bytes of text in one page of a segment", bytes as u64, PAGE_TEXT_BYTES, "")?;
        }
        let values = present(array, kind, nulls.as_ref())
            .ok_or_else(|| Error::Internal(format!("a column for a segment is not the {kind} array it says it is")))?;
        Ok(PageValues { rows, nulls, values })
    }

    /// How many rows have a value.
    pub(super) fn present(&self) -> usize {
        self.values.len()
    }
}

fn empty(kind: FieldType) -> Values {
    match ColumnKind::Field(kind).physical() {
        Physical::Word => Values::Words(Vec::new()),
        Physical::Half => Values::Halves(Vec::new()),
        Physical::Bit => Values::Bits(Vec::new()),
        Physical::Text => Values::Texts(Texts::default()),
    }
}

fn pick<T: Copy, U>(all: &[T], nulls: Option<&NullBuffer>, bits: impl Fn(T) -> U) -> Vec<U> {
    match nulls {
        None => all.iter().map(|value| bits(*value)).collect(),
        Some(nulls) => nulls.valid_indices().map(|row| bits(all[row])).collect(),
    }
}

fn present(array: &ArrayRef, kind: FieldType, nulls: Option<&NullBuffer>) -> Option<Values> {
    let any = array.as_any();
    let rows = |len: usize| (0..len).filter(move |row| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
    Some(match kind {
        FieldType::Float64 => Values::Words(pick(any.downcast_ref::<Float64Array>()?.values(), nulls, f64::to_bits)),
        FieldType::Float32 => Values::Halves(pick(any.downcast_ref::<Float32Array>()?.values(), nulls, f32::to_bits)),
        FieldType::Int64 => Values::Words(pick(any.downcast_ref::<Int64Array>()?.values(), nulls, i64::cast_unsigned)),
        FieldType::UInt64 => Values::Words(pick(any.downcast_ref::<UInt64Array>()?.values(), nulls, |value| value)),
        FieldType::Decimal { .. } => {
            Values::Words(pick(any.downcast_ref::<Decimal64Array>()?.values(), nulls, i64::cast_unsigned))
        }
        FieldType::Bool => {
            let bits = any.downcast_ref::<BooleanArray>()?.values();
            Values::Bits(rows(bits.len()).map(|row| bits.value(row)).collect())
        }
        FieldType::Utf8 => {
            let texts = any.downcast_ref::<StringArray>()?;
            Values::Texts(gather(rows(texts.len()).map(|row| texts.value(row).as_bytes())))
        }
        FieldType::Binary => {
            let texts = any.downcast_ref::<BinaryArray>()?;
            Values::Texts(gather(rows(texts.len()).map(|row| texts.value(row))))
        }
    })
}

fn gather<'a>(items: impl Iterator<Item = &'a [u8]>) -> Texts {
    let mut texts = Texts::default();
    items.for_each(|text| texts.push(text));
    texts
}

/// Spreads present values over the rows they belong to; rows without a value get the default.
fn spread<T: Copy + Default>(dense: Vec<T>, nulls: Option<&NullBuffer>) -> Vec<T> {
    let Some(nulls) = nulls else { return dense };
    let mut out = vec![T::default(); nulls.len()];
    for (row, value) in nulls.valid_indices().zip(dense) {
        out[row] = value;
    }
    out
}

fn spread_texts(texts: Texts, nulls: Option<&NullBuffer>) -> Result<(OffsetBuffer<i32>, Buffer), Malformed> {
    if i32::try_from(texts.bytes.len()).is_err() {
        return Err(Malformed("a page holds more than 2 GiB of text"));
    }
    let rows = nulls.map_or(texts.len(), NullBuffer::len);
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0i32);
    match nulls {
        None => offsets.extend(texts.ends.iter().map(|end| end.cast_signed())),
        Some(nulls) => {
            let mut ends = texts.ends.iter();
            let mut end = 0;
            for row in 0..rows {
                if nulls.is_valid(row) {
                    end = ends.next().map_or(end, |next| next.cast_signed());
                }
                offsets.push(end);
            }
        }
    }
    Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(texts.bytes)))
}

/// Makes the Arrow array of one page. `values` must hold as many as `nulls` has valid rows, and be of the kind's physical type.
pub(super) fn to_array(kind: ColumnKind, values: Values, nulls: Option<NullBuffer>) -> Result<ArrayRef, Malformed> {
    const MISFIT: Malformed = Malformed("values of another type than the column's");
    let field = match kind {
        ColumnKind::Time(_) => FieldType::Int64,
        ColumnKind::Tag => FieldType::Utf8,
        ColumnKind::Field(field) => field,
    };
    Ok(match (field, values) {
        (FieldType::Bool, Values::Bits(bits)) => {
            Arc::new(BooleanArray::new(BooleanBuffer::from(spread(bits, nulls.as_ref())), nulls)) as ArrayRef
        }
        (FieldType::Float32, Values::Halves(halves)) => {
            Arc::new(Float32Array::new(scalars(spread(halves, nulls.as_ref())), nulls))
        }
        (FieldType::Utf8, Values::Texts(texts)) => {
            let (offsets, bytes) = spread_texts(texts, nulls.as_ref())?;
            Arc::new(StringArray::try_new(offsets, bytes, nulls).map_err(|_| Malformed("text that is not UTF-8"))?)
        }
        (FieldType::Binary, Values::Texts(texts)) => {
            let (offsets, bytes) = spread_texts(texts, nulls.as_ref())?;
            Arc::new(BinaryArray::try_new(offsets, bytes, nulls).map_err(|_| Malformed("byte strings out of order"))?)
        }
        (numeric, Values::Words(words)) => {
            let words = spread(words, nulls.as_ref());
            match numeric {
                FieldType::Float64 => Arc::new(Float64Array::new(scalars(words), nulls)),
                FieldType::Int64 => Arc::new(Int64Array::new(scalars(words), nulls)),
                FieldType::UInt64 => Arc::new(UInt64Array::new(ScalarBuffer::from(words), nulls)),
                FieldType::Decimal { .. } => Arc::new(Decimal64Array::new(scalars(words), nulls).with_data_type(numeric.arrow())),
                _ => return Err(MISFIT),
            }
        }
        _ => return Err(MISFIT),
    })
}

/// The same memory seen as another type of the same size.
fn scalars<T: arrow::datatypes::ArrowNativeType, U: arrow::datatypes::ArrowNativeType>(bits: Vec<T>) -> ScalarBuffer<U> {
    let len = bits.len();
    ScalarBuffer::new(Buffer::from_vec(bits), 0, len)
}
