//! Columns of one type into columns of another.

use std::fmt::Write as _;
use std::sync::Arc;

use alluvium::FieldType;
use alluvium::format::limits;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::import::Failure;
use crate::import::column::{Cell, ColumnBuilder, ColumnSpec, Role, shorten};
use crate::import::time::{EpochUnit, Moment, parse_time};

/// What is wrong with rows of a batch: the first fault of each.
pub(super) struct Faults(Vec<Option<String>>);

impl Faults {
    pub(super) fn new(rows: usize) -> Self {
        Faults(vec![None; rows])
    }

    pub(super) fn set(&mut self, row: usize, reason: String) {
        if let Some(fault) = self.0.get_mut(row) {
            fault.get_or_insert(reason);
        }
    }

    /// Whether each row is sound.
    pub(super) fn kept(&self) -> Vec<bool> {
        self.0.iter().map(Option::is_none).collect()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (usize, String)> {
        self.0.into_iter().enumerate().filter_map(|(row, fault)| Some((row, fault?)))
    }
}

/// The values of a column as moments.
pub(super) fn moments(array: &ArrayRef, unit: Option<EpochUnit>) -> Box<dyn Iterator<Item = Result<Moment, String>> + '_> {
    let missing = || "the time is missing".to_owned();
    let of_integer = move |count: i64| Moment::from_epoch(count, unit.unwrap_or_else(|| EpochUnit::by_magnitude(count)));
    match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let unit = match unit {
                TimeUnit::Second => EpochUnit::Second,
                TimeUnit::Millisecond => EpochUnit::Milli,
                TimeUnit::Microsecond => EpochUnit::Micro,
                TimeUnit::Nanosecond => EpochUnit::Nano,
            };
            match cast(array, &DataType::Int64) {
                Ok(counts) => {
                    let counts: Vec<Option<i64>> = counts.as_primitive::<Int64Type>().iter().collect();
                    Box::new(counts.into_iter().map(move |count| Ok(Moment::from_epoch(count.ok_or_else(missing)?, unit))))
                }
                Err(error) => Box::new(std::iter::repeat_n(Err(error.to_string()), array.len())),
            }
        }
        DataType::Date32 => Box::new(array.as_primitive::<Date32Type>().iter().map(move |days| {
            let seconds = i64::from(days.ok_or_else(missing)?) * 86_400;
            Ok(Moment::from_epoch(seconds, EpochUnit::Second))
        })),
        DataType::Int64 => {
            Box::new(array.as_primitive::<Int64Type>().iter().map(move |count| Ok(of_integer(count.ok_or_else(missing)?))))
        }
        DataType::UInt64 => Box::new(array.as_primitive::<UInt64Type>().iter().map(move |count| {
            let count = i64::try_from(count.ok_or_else(missing)?).map_err(|_| "the time is out of range".to_owned())?;
            Ok(of_integer(count))
        })),
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter().map(move |text| {
            let text = text.ok_or_else(missing)?;
            parse_time(text, unit).map_err(|error| format!("{} {error}", shorten(text)))
        })),
        other => Box::new(std::iter::repeat_n(Err(format!("{other} is not a time")), array.len())),
    }
}

/// The column as one of `kind`. Values that do not fit are faults of their rows.
pub(super) fn convert(array: &ArrayRef, spec: &ColumnSpec, kind: FieldType, faults: &mut Faults) -> Result<ArrayRef, Failure> {
    let array = match (array.data_type(), kind) {
        (DataType::Timestamp(..), FieldType::Int64) => cast(array, &DataType::Int64)?,
        (DataType::Date32, FieldType::Int64) => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        _ => Arc::clone(array),
    };
    if *array.data_type() == DataType::Null {
        return Ok(arrow::array::new_null_array(&kind.arrow(), array.len()));
    }
    if *array.data_type() != kind.arrow() {
        return convert_by_text(&array, spec, faults);
    }
    if spec.role == Role::Tag {
        for (row, tag) in array.as_string::<i32>().iter().enumerate() {
            if let Some(tag) = tag.filter(|tag| tag.len() as u64 > limits::TAG_BYTES) {
                let name = &spec.name;
                faults.set(row, format!("tag {name:?} has {} bytes, at most {} are accepted", tag.len(), limits::TAG_BYTES));
            }
        }
    }
    Ok(array)
}

fn convert_by_text(array: &ArrayRef, spec: &ColumnSpec, faults: &mut Faults) -> Result<ArrayRef, Failure> {
    let mut builder = ColumnBuilder::new(spec.clone());
    let mut text = String::new();
    let options = FormatOptions::default();
    // Bytes are shown in hexadecimal digits, which would be something else.
    let bytes = array.as_binary_opt::<i32>();
    let formatter = if bytes.is_none() { Some(ArrayFormatter::try_new(array, &options)?) } else { None };
    for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
        text.clear();
        let written = match (bytes, &formatter) {
            (Some(bytes), _) => {
                std::str::from_utf8(bytes.value(row)).map(|bytes| text.push_str(bytes)).map_err(|_| "is not text".to_owned())
            }
            (None, Some(formatter)) => write!(text, "{}", formatter.value(row)).map_err(|error| error.to_string()),
            (None, None) => Ok(()),
        };
        let set = match written {
            Ok(()) => builder.set(row, Cell { text: &text, quoted: true }).map(drop).map_err(String::from),
            Err(reason) => Err(format!("column {:?} {reason}", spec.name)),
        };
        if let Err(reason) = set {
            faults.set(row, reason);
        }
    }
    Ok(builder.take(array.len())?.0)
}
