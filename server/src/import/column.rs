//! One column under construction: text in, Arrow out.

use std::sync::Arc;

use alluvium::FieldType;
use alluvium::format::limits;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, NullBufferBuilder, StringArray,
    UInt64Array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::infer::Kind;
use super::number::{NotDecimal, parse_bool, parse_decimal, parse_int, parse_uint};

/// The standard alphabet, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a column is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A tag: text that helps to identify a series.
    Tag,
    /// A field.
    Field(FieldType),
    /// A field that takes its type from its first value.
    Undecided,
}

/// A column of the file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    /// Its name in file and table.
    pub(crate) name: String,
    /// What it is.
    pub(crate) role: Role,
    /// Whether the table or the command line says so, rather than a look at the file.
    pub(crate) fixed: bool,
}

/// The text of one value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a> {
    /// The text, unescaped.
    pub(crate) text: &'a str,
    /// Whether quotes make it text for sure: a JSON or line protocol string, or an *empty* CSV cell in quotes (some programs put
    /// quotes around every number). Only then may text be empty rather than missing.
    pub(crate) quoted: bool,
}

/// A value whose type its format tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Typed<'a> {
    /// With the text that says it, for decimals.
    Float(f64, &'a str),
    Int(i64),
    UInt(u64),
    Bool(bool),
    Text(&'a str),
}

/// Why a value cannot be in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The column, or nothing if it is about the row.
    pub(crate) column: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// What whoever imports can do about it, or nothing.
    pub(crate) hint: String,
}

impl Misfit {
    /// Without anything to do about it.
    pub(crate) fn new(column: &str, reason: impl Into<String>) -> Self {
        Misfit { column: column.to_owned(), reason: reason.into(), hint: String::new() }
    }
}

impl From<Misfit> for String {
    fn from(Misfit { column, reason, hint }: Misfit) -> Self {
        match column.as_str() {
            // What is said of the row or its time is a sentence already.
            "" | super::rows::TIME => reason + &hint,
            name => format!("column {name:?}: {reason}{hint}"),
        }
    }
}

/// Values of one type.
enum Values {
    None,
    Float64(Vec<f64>),
    Float32(Vec<f32>),
    Int64(Vec<i64>),
    UInt64(Vec<u64>),
    Bool(Vec<bool>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
    Binary { ends: Vec<i32>, bytes: Vec<u8> },
    Decimal { scale: u8, unscaled: Vec<i64> },
}

impl Values {
    fn of(role: Role) -> Values {
        let (ends, bytes) = (vec![0], Vec::new());
        match role {
            Role::Undecided => Values::None,
            Role::Tag | Role::Field(FieldType::Utf8) => Values::Text { ends, bytes },
            Role::Field(FieldType::Float64) => Values::Float64(Vec::new()),
            Role::Field(FieldType::Float32) => Values::Float32(Vec::new()),
            Role::Field(FieldType::Int64) => Values::Int64(Vec::new()),
            Role::Field(FieldType::UInt64) => Values::UInt64(Vec::new()),
            Role::Field(FieldType::Bool) => Values::Bool(Vec::new()),
            Role::Field(FieldType::Binary) => Values::Binary { ends, bytes },
            Role::Field(FieldType::Decimal { scale }) => Values::Decimal { scale, unscaled: Vec::new() },
        }
    }
}

/// A column under construction. Rows that say nothing of it are missing; they are filled in when a later row does.
pub(crate) struct ColumnBuilder {
    /// What it is.
    pub(crate) spec: ColumnSpec,
    values: Values,
    present: NullBufferBuilder,
}

impl ColumnBuilder {
    pub(crate) fn new(spec: ColumnSpec) -> Self {
        ColumnBuilder { values: Values::of(spec.role), spec, present: NullBufferBuilder::new(0) }
    }

    /// How many rows have been filled in.
    pub(crate) fn len(&self) -> usize {
        self.present.len()
    }

    /// Changes what the column is. It must be empty of values.
    pub(crate) fn set_role(&mut self, role: Role) {
        let rows = self.len();
        self.spec.role = role;
        self.values = Values::of(role);
        self.present = NullBufferBuilder::new(0);
        self.pad(rows);
    }

    /// Sets the value at `row`, where nothing has been set. Says how many bytes of text that took.
    pub(crate) fn set(&mut self, row: usize, cell: Cell<'_>) -> Result<usize, Misfit> {
        self.check_absent(row)?;
        let is_text = matches!(self.values, Values::Text { .. } | Values::Binary { .. });
        if cell.text.is_empty() && !(cell.quoted && is_text) {
            return Ok(0);
        }
        if let Values::None = self.values {
            self.set_role(Role::Field(Kind::of_first_value(cell)));
        }
        self.pad(row);
        match self.push(cell.text) {
            Some(bytes) => {
                self.present.append_non_null();
                Ok(bytes)
            }
            None => Err(self.misfit(cell.text)),
        }
    }

    /// Sets a value of known type at `row`. What is of another type than the column does not fit.
    pub(crate) fn put(&mut self, row: usize, value: Typed<'_>) -> Result<usize, Misfit> {
        self.check_absent(row)?;
        self.pad(row);
        match (&mut self.values, value) {
            (Values::Float64(values), Typed::Float(value, _)) => values.push(value),
            (Values::Int64(values), Typed::Int(value)) => values.push(value),
            (Values::UInt64(values), Typed::UInt(value)) => values.push(value),
            (Values::Bool(values), Typed::Bool(value)) => values.push(value),
            (Values::Text { .. }, Typed::Text(text)) | (Values::Float32(_) | Values::Decimal { .. }, Typed::Float(_, text)) => {
                let bytes = self.push(text).ok_or_else(|| self.misfit(text))?;
                self.present.append_non_null();
                return Ok(bytes);
            }
            _ => return Err(Misfit::new(&self.spec.name, "a value of another type")),
        }
        self.present.append_non_null();
        Ok(0)
    }

    fn check_absent(&self, row: usize) -> Result<(), Misfit> {
        let twice = || Misfit::new(&self.spec.name, "given twice");
        if self.len() > row { Err(twice()) } else { Ok(()) }
    }

    /// Appends a value; `None` if the text is none of this column's type, and nothing is appended.
    fn push(&mut self, text: &str) -> Option<usize> {
        let plain = text.trim_ascii();
        match &mut self.values {
            Values::None => return None,
            Values::Float64(values) => values.push(plain.parse().ok()?),
            Values::Float32(values) => values.push(plain.parse().ok()?),
            Values::Int64(values) => values.push(parse_int(plain)?),
            Values::UInt64(values) => values.push(parse_uint(plain)?),
            Values::Bool(values) => values.push(parse_bool(plain)?),
            Values::Decimal { scale, unscaled } => unscaled.push(parse_decimal(plain, *scale).ok()?),
            Values::Text { ends, bytes } => {
                if self.spec.role == Role::Tag && text.len() as u64 > limits::TAG_BYTES {
                    return None;
                }
                let end = i32::try_from(bytes.len() + text.len()).ok()?;
                bytes.extend_from_slice(text.as_bytes());
                ends.push(end);
                return Some(text.len() + 4);
            }
            Values::Binary { ends, bytes } => {
                let start = bytes.len();
                let decoded = BASE64.decode_vec(plain, bytes);
                let Some(end) = decoded.ok().and_then(|()| i32::try_from(bytes.len()).ok()) else {
                    bytes.truncate(start);
                    return None;
                };
                ends.push(end);
                return Some(bytes.len() - start + 4);
            }
        }
        Some(0)
    }

    /// Appends missing values up to `rows` rows.
    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        self.present.append_n_nulls(missing);
        self.resize(rows);
    }

    /// Forgets everything from `row` on.
    pub(crate) fn truncate(&mut self, row: usize) {
        if self.len() > row {
            self.present.truncate(row);
            self.resize(row);
        }
    }

    fn resize(&mut self, rows: usize) {
        match &mut self.values {
            Values::None => {}
            Values::Float64(values) => values.resize(rows, 0.0),
            Values::Float32(values) => values.resize(rows, 0.0),
            Values::Int64(values) => values.resize(rows, 0),
            Values::UInt64(values) => values.resize(rows, 0),
            Values::Bool(values) => values.resize(rows, false),
            Values::Decimal { unscaled, .. } => unscaled.resize(rows, 0),
            Values::Text { ends, bytes } | Values::Binary { ends, bytes } => {
                ends.resize(rows + 1, i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                bytes.truncate(ends.last().map_or(0, |end| end.unsigned_abs() as usize));
            }
        }
    }

    /// Takes `rows` rows as an array and starts afresh; also how many values are present.
    pub(crate) fn take(&mut self, rows: usize) -> Result<(ArrayRef, usize), arrow::error::ArrowError> {
        self.pad(rows);
        let nulls = self.present.finish();
        let present = rows - nulls.as_ref().map_or(0, |nulls| nulls.null_count());
        let array: ArrayRef = match std::mem::replace(&mut self.values, Values::of(self.spec.role)) {
            Values::None => return Err(arrow::error::ArrowError::SchemaError("a column without a type".into())),
            Values::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Values::Float32(values) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            Values::Int64(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::UInt64(values) => Arc::new(UInt64Array::try_new(values.into(), nulls)?),
            Values::Bool(values) => Arc::new(BooleanArray::new(values.into(), nulls)),
            Values::Text { ends, bytes } => {
                Arc::new(StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes), nulls)?)
            }
            Values::Binary { ends, bytes } => {
                Arc::new(BinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes), nulls)?)
            }
            Values::Decimal { scale, unscaled } => Arc::new(
                Decimal64Array::try_new(unscaled.into(), nulls)?
                    .with_precision_and_scale(FieldType::DECIMAL_PRECISION, scale.cast_signed())?,
            ),
        };
        Ok((array, present))
    }

    /// Says why a text does not fit, and how to make it fit.
    fn misfit(&self, text: &str) -> Misfit {
        let (name, shown) = (&self.spec.name, shorten(text));
        let Role::Field(kind) = self.spec.role else {
            let (bytes, most) = (text.len(), limits::TAG_BYTES);
            return Misfit::new(name, format!("a tag of {bytes} bytes, at most {most} are accepted"));
        };
        let what = match kind {
            FieldType::Decimal { scale } => match parse_decimal(text.trim_ascii(), scale) {
                Err(NotDecimal::TooPrecise) => format!("has more than {scale} digits after the point"),
                Err(NotDecimal::TooLarge) => format!("has more than {} digits", FieldType::DECIMAL_PRECISION),
                _ => "is not a number".to_owned(),
            },
            FieldType::Binary => "is not base64".to_owned(),
            kind => format!("is not {} {kind}", if matches!(kind, FieldType::Int64) { "an" } else { "a" }),
        };
        let hint = match Kind::of_text(text).wider_than(kind) {
            Some(wider) if !self.spec.fixed => format!(" (--type {name}={wider}, into a new table, accepts it)"),
            _ => String::new(),
        };
        Misfit { column: name.clone(), reason: format!("{shown} {what}"), hint }
    }
}

/// A value in quotes, cut where it is long.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
