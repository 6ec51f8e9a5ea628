//! Rows that are objects of Python, as Arrow has them.

use std::sync::Arc;

use alluvium::{BadRow, Error, FieldType, TableSchema, TimeUnit};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::error::{Fault, Outcome};
use crate::time::{Clock, Refusal, numpy_scale};
use crate::{capsule, foreign};

/// The name of the column that every table has.
pub(crate) const TIME: &str = "time";

/// How many bad rows are named.
const NAMED: usize = 1_000;

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Time(TimeUnit),
    Tag,
    Field(FieldType),
}

/// Reads values of Python for a table.
pub(crate) struct RowReader<'s, 'py> {
    schema: &'s TableSchema,
    clock: Clock<'py>,
}

impl<'s, 'py> RowReader<'s, 'py> {
    pub(crate) fn new(py: Python<'py>, schema: &'s TableSchema, zone: Option<&str>) -> Outcome<Self> {
        Ok(RowReader { schema, clock: Clock::new(py, zone)? })
    }

    /// Columns: lists, arrays, or whatever can be iterated.
    pub(crate) fn columns(&self, columns: &Bound<'py, PyDict>) -> Outcome<RecordBatch> {
        let mut arrays = Vec::new();
        for (name, values) in columns {
            let name: String = name.extract()?;
            let array = self.column(&name, &values)?;
            arrays.push((name, array));
        }
        batch(arrays)
    }

    /// Dictionaries of one row each. A row need not have all columns.
    pub(crate) fn dicts(&self, rows: &[Bound<'py, PyAny>]) -> Outcome<RecordBatch> {
        let rows: Vec<_> = rows.iter().map(|row| row.cast::<PyDict>().cloned()).collect::<Result<_, _>>().map_err(|_| {
            Fault::wrong_type("rows are dictionaries, such as {\"time\": …, \"room\": \"A\", \"co2\": 612.5}".to_owned())
        })?;
        let names = PyDict::new(self.clock.py());
        // Whose rows have none is told so.
        names.set_item(TIME, self.clock.py().None())?;
        for row in &rows {
            names.update(row.as_mapping())?;
        }
        let mut arrays = Vec::new();
        for name in names.keys() {
            let values = PyList::new(name.py(), rows.iter().map(|row| row.get_item(&name)).collect::<PyResult<Vec<_>>>()?)?;
            let name: String = name.extract()?;
            let array = self.objects(&name, &values)?;
            arrays.push((name, array));
        }
        batch(arrays)
    }

    fn kind(&self, name: &str) -> Outcome<Kind> {
        if name == TIME {
            return Ok(Kind::Time(self.schema.time_unit));
        }
        if self.schema.tag_position(name).is_some() {
            return Ok(Kind::Tag);
        }
        let field = self.schema.field_position(name).and_then(|at| self.schema.fields.get(at));
        let missing = || Error::NoSuchColumn {
            table: self.schema.name.clone(),
            what: "column",
            name: name.to_owned(),
            known: self.schema.column_names(),
        };
        Ok(field.map(|field| Kind::Field(field.kind)).ok_or_else(missing)?)
    }

    /// One column, by the fastest way that its values know.
    fn column(&self, name: &str, values: &Bound<'py, PyAny>) -> Outcome<ArrayRef> {
        if let Some(array) = foreign::column(values)? {
            return Ok(array);
        }
        let values = match values.getattr_opt("to_numpy")? {
            Some(to_numpy) => to_numpy.call0()?,
            None => values.clone(),
        };
        if values.getattr_opt("dtype")?.is_some() && values.getattr_opt("tobytes")?.is_some() {
            if let Some(array) = self.numpy(name, &values)? {
                return Ok(array);
            }
            return self.objects(name, &values.call_method0("tolist")?.cast_into::<PyList>().map_err(PyErr::from)?);
        }
        if values.is_instance_of::<PyString>() || values.is_instance_of::<PyBytes>() || values.is_instance_of::<PyDict>() {
            return Err(Fault::wrong_type(format!(
                "column {name:?} is a list or an array of values, not a {}",
                values.get_type().name()?
            )));
        }
        let values: Vec<_> = values.try_iter()?.collect::<PyResult<_>>()?;
        self.objects(name, &PyList::new(self.clock.py(), values)?)
    }

    /// An array of NumPy whose bytes say it all; none where each object has to be looked at, as where a mask says that some are missing.
    fn numpy(&self, name: &str, values: &Bound<'py, PyAny>) -> Outcome<Option<ArrayRef>> {
        if values.getattr_opt("mask")?.is_some() {
            return Ok(None);
        }
        let kind = values.getattr("dtype")?;
        let letter: String = kind.getattr("kind")?.extract()?;
        match (letter.as_str(), self.kind(name)?) {
            ("M", Kind::Time(unit)) => self.numpy_times(name, values, &kind, unit).map(Some),
            ("f", Kind::Field(FieldType::Float64)) => {
                Ok(Some(Arc::new(Float64Array::from_iter_values(eights(values, "<f8")?.map(f64::from_le_bytes)))))
            }
            ("i", Kind::Time(_) | Kind::Field(_)) => {
                Ok(Some(Arc::new(Int64Array::from_iter_values(eights(values, "<i8")?.map(i64::from_le_bytes)))))
            }
            ("u", Kind::Field(_)) => {
                Ok(Some(Arc::new(UInt64Array::from_iter_values(eights(values, "<u8")?.map(u64::from_le_bytes)))))
            }
            _ => Ok(None),
        }
    }

    fn numpy_times(&self, name: &str, values: &Bound<'py, PyAny>, kind: &Bound<'py, PyAny>, unit: TimeUnit) -> Outcome<ArrayRef> {
        let (values, scale) = match numpy_scale(kind)? {
            Some(scale) => (values.clone(), scale),
            None => {
                let days = values.call_method1("astype", ("datetime64[D]",))?;
                let scale = numpy_scale(&days.getattr("dtype")?)?.unwrap_or(1);
                (days, scale)
            }
        };
        let mut bad = Bad::new(&self.schema.name, name);
        let times = eights(&values, "<i8")?.map(i64::from_le_bytes).enumerate().map(|(row, count)| {
            let time =
                self.clock.numpy_moment(count, scale).and_then(|moment| moment.map(|moment| moment.exact(unit)).transpose());
            bad.unless(row, time).flatten()
        });
        let times: Int64Array = times.collect();
        bad.refuse()?;
        Ok(Arc::new(times))
    }

    /// Any objects, looked at one by one.
    fn objects(&self, name: &str, values: &Bound<'py, PyList>) -> Outcome<ArrayRef> {
        let mut bad = Bad::new(&self.schema.name, name);
        let array: ArrayRef = match self.kind(name)? {
            Kind::Time(unit) => Arc::new(bad.read::<_, Int64Array>(values, |value| {
                Ok(self.clock.moment(value)?.and_then(|moment| moment.map(|moment| moment.exact(unit)).transpose()))
            })?),
            Kind::Tag => Arc::new(bad.present::<_, StringArray>(values, text)?),
            Kind::Field(FieldType::Float64) => Arc::new(bad.present::<_, Float64Array>(values, double)?),
            Kind::Field(FieldType::Float32) => Arc::new(bad.present::<_, Float32Array>(values, |value| {
                // The nearest there is.
                Ok(double(value)?.map(|double| double as f32))
            })?),
            Kind::Field(FieldType::Int64) => Arc::new(bad.present::<_, Int64Array>(values, |value| integer(value, "int64"))?),
            Kind::Field(FieldType::UInt64) => Arc::new(bad.present::<_, UInt64Array>(values, |value| integer(value, "uint64"))?),
            Kind::Field(FieldType::Bool) => Arc::new(bad.present::<_, BooleanArray>(values, flag)?),
            Kind::Field(FieldType::Utf8) => Arc::new(bad.present::<_, StringArray>(values, text)?),
            Kind::Field(FieldType::Binary) => Arc::new(bad.present::<_, BinaryArray>(values, bytes)?),
            Kind::Field(FieldType::Decimal { scale }) => {
                let unscaled = bad.present::<_, Decimal64Array>(values, |value| decimal(value, scale))?;
                Arc::new(unscaled.with_precision_and_scale(FieldType::DECIMAL_PRECISION, scale.cast_signed()).map_err(arrow)?)
            }
        };
        bad.refuse()?;
        Ok(array)
    }
}

/// Elements of eight bytes.
fn eights(values: &Bound<'_, PyAny>, kind: &str) -> PyResult<impl Iterator<Item = [u8; 8]> + use<>> {
    let bytes: Vec<u8> = match kind {
        // Times are numbers of eight bytes already.
        "<i8" if values.getattr("dtype")?.getattr("kind")?.eq("M")? => {
            values.call_method1("view", ("i8",))?.call_method0("tobytes")?.extract()?
        }
        kind => values.call_method1("astype", (kind,))?.call_method0("tobytes")?.extract()?,
    };
    Ok((0..bytes.len() / 8).map(move |at| std::array::from_fn(|byte| bytes[8 * at + byte])))
}

/// What is wrong with which rows of a column.
struct Bad<'s> {
    table: &'s str,
    column: &'s str,
    rows: Vec<BadRow>,
}

impl<'s> Bad<'s> {
    fn new(table: &'s str, column: &'s str) -> Self {
        Bad { table, column, rows: Vec::new() }
    }

    fn unless<T>(&mut self, row: usize, value: Result<T, Refusal>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(reason) => {
                if self.rows.len() < NAMED {
                    self.rows.push(BadRow { row, column: self.column.to_owned(), reason });
                }
                None
            }
        }
    }

    fn read<'py, T, A: FromIterator<Option<T>>>(
        &mut self,
        values: &Bound<'py, PyList>,
        read: impl Fn(&Bound<'py, PyAny>) -> PyResult<Result<Option<T>, Refusal>>,
    ) -> PyResult<A> {
        values.iter().enumerate().map(|(row, value)| Ok(self.unless(row, read(&value)?).flatten())).collect()
    }

    /// The same where None is a missing value, and what pandas has for it.
    fn present<'py, T, A: FromIterator<Option<T>>>(
        &mut self,
        values: &Bound<'py, PyList>,
        read: impl Fn(&Bound<'py, PyAny>) -> PyResult<Result<T, Refusal>>,
    ) -> PyResult<A> {
        self.read(values, |value| match value.is_none() {
            true => Ok(Ok(None)),
            false => match read(value)? {
                Err(_) if value.get_type().name()? == "NAType" => Ok(Ok(None)),
                read => Ok(read.map(Some)),
            },
        })
    }

    fn refuse(self) -> Outcome<()> {
        match self.rows.is_empty() {
            true => Ok(()),
            false => Err(Error::BadRows { table: self.table.to_owned(), rows: self.rows }.into()),
        }
    }
}

fn batch(columns: Vec<(String, ArrayRef)>) -> Outcome<RecordBatch> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    if let Some((name, column)) = columns.iter().find(|(_, column)| column.len() != rows) {
        return Err(Fault::invalid(format_args!(
            "column {name:?} has {} values and another has {rows}: each row has one of each",
            column.len()
        )));
    }
    if columns.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    }
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(name, column)| (Field::new(name, column.data_type().clone(), true), column)).unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(Error::from)?)
}

/// Arrays one behind the other.
pub(crate) fn joined(arrays: &[ArrayRef]) -> Outcome<Option<ArrayRef>> {
    let all: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let joined = concat(&all).map_err(arrow)?;
    Ok(Some(capsule::checked(joined)?))
}

fn arrow(error: ArrowError) -> Fault {
    Error::from(error).into()
}

type Read<T> = PyResult<Result<T, Refusal>>;

fn no(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Refusal> {
    Ok(format!("{} is no {what}", value.repr()?))
}

fn text(value: &Bound<'_, PyAny>) -> Read<String> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(Ok(text.to_cow()?.into_owned())),
        Err(_) => Ok(Err(no(value, "text")?)),
    }
}

fn is_flag(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyBool>() || value.get_type().name()?.to_cow()?.starts_with("bool"))
}

fn double(value: &Bound<'_, PyAny>) -> Read<f64> {
    if value.is_instance_of::<PyFloat>() {
        return Ok(Ok(value.extract()?));
    }
    if is_flag(value)? || value.is_instance_of::<PyString>() {
        return Ok(Err(no(value, "float64")?));
    }
    if value.is_instance_of::<PyInt>() {
        let number = value.extract::<i64>().ok().filter(|number| i128::from(*number) == (*number as f64) as i128);
        return match number {
            Some(number) => Ok(Ok(number as f64)),
            None => Ok(Err(no(value, "float64 that stays the same")?)),
        };
    }
    match value.extract::<f64>() {
        Ok(number) => Ok(Ok(number)),
        Err(_) => Ok(Err(no(value, "float64")?)),
    }
}

fn integer<'py, T: for<'a> FromPyObject<'a, 'py>>(value: &Bound<'py, PyAny>, what: &str) -> Read<T> {
    if is_flag(value)? {
        return Ok(Err(no(value, what)?));
    }
    match value.extract::<T>() {
        Ok(number) => Ok(Ok(number)),
        Err(_) => Ok(Err(no(value, what)?)),
    }
}

fn flag(value: &Bound<'_, PyAny>) -> Read<bool> {
    match value.extract() {
        Ok(flag) => Ok(Ok(flag)),
        Err(_) => Ok(Err(no(value, "bool")?)),
    }
}

fn bytes(value: &Bound<'_, PyAny>) -> Read<Vec<u8>> {
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        return Ok(Ok(value.extract()?));
    }
    Ok(Err(no(value, "bytes")?))
}

/// The unscaled whole number of what Python's decimals take.
fn decimal(value: &Bound<'_, PyAny>, scale: u8) -> Read<i64> {
    let what = format!("number of {scale} decimals and at most 18 digits");
    let class = value.py().import("decimal")?.getattr("Decimal")?;
    // A float is meant by the shortest text that reads back as the same.
    let text = value.str()?;
    let unscaled = class.call1((text,)).and_then(|number| {
        let scaled = number.call_method1("scaleb", (scale,))?;
        let whole = scaled.call_method0("to_integral_value")?;
        if scaled.eq(&whole)? { whole.call_method0("__int__")?.extract::<i64>().map(Some) } else { Ok(None) }
    });
    match unscaled {
        Ok(Some(unscaled)) if !is_flag(value)? => Ok(Ok(unscaled)),
        _ => Ok(Err(no(value, &what)?)),
    }
}
