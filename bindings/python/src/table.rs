//! Tables.

use std::str::FromStr;
use std::sync::Arc;

use alluvium::{FieldType, Partitioning, TableSchema, TableSpec, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::append::{Appended, Appender};
use crate::error::{Fault, Outcome};
use crate::handle::Via;
use crate::html;
use crate::query::{self, Query};

/// A table of readings: a time, tags that tell series apart, and fields that were measured.
///
/// >>> air
/// <alluvium.Table 'air': time (us), tags room, fields co2 float64>
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Table {
    via: Via,
    name: String,
    unit: TimeUnit,
}

impl Table {
    /// A table that is there.
    pub(crate) fn find(py: Python<'_>, via: Via, name: &str) -> Outcome<Self> {
        let unit = via.schema(py, name)?.time_unit;
        Ok(Table { via, name: name.to_owned(), unit })
    }

    pub(crate) fn known(via: Via, schema: &TableSchema) -> Self {
        Table { via, name: schema.name.clone(), unit: schema.time_unit }
    }

    fn schema(&self, py: Python<'_>) -> Outcome<Arc<TableSchema>> {
        self.via.schema(py, &self.name)
    }

    pub(crate) fn appended(&self, data: &Bound<'_, PyAny>, zone: Option<String>, durable: bool) -> Outcome<Appended> {
        let schema = self.schema(data.py())?;
        Appender { via: &self.via, schema, zone, durable }.append(data)
    }

    fn scanned(&self) -> Query {
        Query::new(self.via.clone(), &self.name, self.unit)
    }
}

/// The unit as it is written in Python.
fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Milli => "ms",
        TimeUnit::Micro => "us",
        TimeUnit::Nano => "ns",
    }
}

/// A table to be made, in words.
pub(crate) fn spec(
    name: &str,
    tags: Vec<String>,
    fields: Option<&Bound<'_, PyDict>>,
    time_unit: Option<&str>,
    partitioning: Option<&str>,
) -> Outcome<TableSpec> {
    let mut spec = TableSpec::new(name);
    spec.tags = tags;
    for (field, kind) in fields.into_iter().flatten() {
        spec = spec.field(field.extract::<String>()?, kind_of(&kind)?);
    }
    if let Some(unit) = time_unit {
        let units = [TimeUnit::Milli, TimeUnit::Micro, TimeUnit::Nano];
        let found = units.into_iter().find(|known| unit_name(*known) == unit);
        spec.time_unit = found
            .ok_or_else(|| Fault::invalid(format_args!("a table counts time in \"ms\", \"us\" or \"ns\", not in {unit:?}")))?;
    }
    if let Some(partitioning) = partitioning {
        spec.partitioning = Partitioning::from_str(partitioning)?;
    }
    Ok(spec)
}

/// A type by its name, or the type of Python that goes with it.
fn kind_of(kind: &Bound<'_, PyAny>) -> Outcome<FieldType> {
    let name: String = match kind.extract() {
        Ok(name) => name,
        Err(_) => match kind.getattr_opt("__name__")? {
            Some(name) => name.extract()?,
            None => return Err(Fault::wrong_type(format!("a field has a type such as \"float64\", not {kind}"))),
        },
    };
    Ok(match name.as_str() {
        "float" => FieldType::Float64,
        "int" => FieldType::Int64,
        "str" => FieldType::Utf8,
        "bytes" => FieldType::Binary,
        name => FieldType::from_str(name)?,
    })
}

#[pymethods]
impl Table {
    /// Its name.
    ///
    /// >>> air.name
    /// 'air'
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The names of its tags.
    ///
    /// >>> air.tags
    /// ['room']
    #[getter]
    fn tags(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        Ok(self.schema(py)?.tags.iter().map(|tag| tag.name.clone()).collect())
    }

    /// Its fields and their types.
    ///
    /// >>> air.fields
    /// {'co2': 'float64'}
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        for field in &self.schema(py)?.fields {
            fields.set_item(&field.name, field.kind.to_string())?;
        }
        Ok(fields)
    }

    /// The unit of its time: `"ms"`, `"us"` or `"ns"`.
    ///
    /// >>> air.time_unit
    /// 'us'
    #[getter]
    fn time_unit(&self) -> &'static str {
        unit_name(self.unit)
    }

    /// Appends rows; when it returns they are on disk.
    ///
    /// They are a dict of columns, dicts of rows, a table of pyarrow, pandas or polars, or whatever has Arrow's PyCapsule interface. A row of a series
    /// and time that is there already is merged with it, field by field, the later value winning. None is a missing value; NaN is one of its own, except
    /// in pandas, where it stands for a missing one. A row without a time is refused, and with it the rows it came with; NaT is no time.
    ///
    /// Times are aware datetimes, text with an offset, or whole numbers in the table's unit. Columns of times without a zone, of NumPy, pandas or Arrow,
    /// are taken for UTC; with `tz` they, and times of Python without a zone, are taken for what a clock showed there.
    ///
    /// Many rows are written in pieces of some MiB, each of which is there or not as a whole. Should one be refused, `appended` of the exception says
    /// how many rows were appended before it. `durable=False` returns when they can be read; `Database.flush` makes them durable.
    ///
    /// >>> air.append({"time": ["2024-01-03T00:00:00Z", "2024-01-03T01:00:00Z"], "room": ["A", "A"], "co2": [612.5, None]}).rows
    /// 2
    #[pyo3(signature = (data, *, tz = None, durable = true))]
    fn append(&self, data: &Bound<'_, PyAny>, tz: Option<String>, durable: bool) -> Outcome<Appended> {
        self.appended(data, tz, durable)
    }

    /// Begins a query.
    ///
    /// >>> air.scan()
    /// <alluvium.Query of table "air">
    fn scan(&self) -> Query {
        self.scanned()
    }

    /// Begins a query of last values: one row per series, with the latest value of each field, or of these only.
    ///
    /// >>> [row["co2"] for row in air.last().to_dicts()]
    /// [700.0, 500.0]
    #[pyo3(signature = (*fields))]
    fn last(&self, fields: Vec<String>) -> Query {
        self.scanned().last(fields)
    }

    /// Deletes the rows from `start` on and before `end` whose tags satisfy `where`, as in `Query.where`. Returns the sequence of its record.
    ///
    /// >>> air.delete("2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z", where={"room": "A"}) > 0
    /// True
    /// >>> len(air.scan().to_dicts())
    /// 2
    #[pyo3(signature = (start = None, end = None, *, r#where = None, tz = None))]
    fn delete(
        &self,
        py: Python<'_>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        r#where: Option<&Bound<'_, PyDict>>,
        tz: Option<&str>,
    ) -> Outcome<u64> {
        if start.is_none() && end.is_none() && r#where.is_none() {
            return Err(Fault::invalid(
                "which rows are to be deleted is not said: give start, end or where; where={} is all of them",
            ));
        }
        let range = query::range(py, self.unit, start, end, tz)?;
        let query = self.scanned().with_filters(&PyTuple::empty(py), r#where)?;
        let (name, filters) = (&self.name, query.filters());
        match &self.via {
            Via::Database(handle) => py.detach(|| handle.with(|db| Ok(db.delete(name, filters, range)?.sequence))),
            Via::Transaction(_, tx) => py.detach(|| tx.with(|tx| tx.delete(name, filters, range).map(|()| 0))),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let Ok(schema) = self.schema(py) else { return format!("<alluvium.Table {:?}>", self.name) };
        let tags: Vec<_> = schema.tags.iter().map(|tag| tag.name.clone()).collect();
        let fields: Vec<_> = schema.fields.iter().map(|field| format!("{} {}", field.name, field.kind)).collect();
        format!(
            "<alluvium.Table '{}': time ({}), tags {}, fields {}>",
            self.name,
            unit_name(self.unit),
            tags.join(", "),
            fields.join(", ")
        )
    }

    fn _repr_html_(&self, py: Python<'_>) -> Outcome<String> {
        let schema = self.schema(py)?;
        let row = |name: &str, what: &str, kind: String| vec![html::escaped(name), what.to_owned(), kind];
        let mut rows = vec![row("time", "time", format!("timestamp ({}), UTC", unit_name(self.unit)))];
        rows.extend(schema.tags.iter().map(|tag| row(&tag.name, "tag", "utf8".to_owned())));
        rows.extend(schema.fields.iter().map(|field| row(&field.name, "field", field.kind.to_string())));
        let heads = ["column", "is a", "type"].map(str::to_owned);
        Ok(format!("<p>Table <b>{}</b></p>{}", html::escaped(&self.name), html::table(&heads, &rows)))
    }
}

/// Makes a table, or adds the columns to it that it lacks.
pub(crate) fn ensured(py: Python<'_>, via: &Via, spec: &TableSpec) -> Outcome<Table> {
    let schema = match via {
        Via::Database(handle) => py.detach(|| handle.with(|db| alluvium_bindings::ensure(db, spec)))?,
        Via::Transaction(..) => return Err(Fault::invalid("tables are made outside transactions: make it with db.table first")),
    };
    Ok(Table::known(via.clone(), &schema))
}
