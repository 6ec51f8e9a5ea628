//! Queries, built step by step.

use std::str::FromStr;

use alluvium::{Aggregate, Comparison, Filter, Order, QueryStream, TimeRange, TimeUnit, words};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PySet, PyString, PyTuple};

use crate::answer::Answer;
use crate::convert;
use crate::error::{Fault, Outcome};
use crate::handle::Via;
use crate::html;
use crate::shape::{Look, Shape};
use crate::stream::{self, Stream, add_dicts};
use crate::time::Clock;

/// A query of a table, built step by step: each step returns a new query. It is asked when its answer is read, as an iterator, as an Arrow stream,
/// or as a table of pandas, polars or pyarrow; and asked anew each time.
///
/// >>> hourly = air.scan().between("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z").where(room="A").every("1h").mean("co2")
/// >>> hourly.to_dicts()[0]["mean(co2)"]
/// 600.0
#[pyclass(frozen, module = "alluvium")]
#[derive(Clone)]
pub(crate) struct Query {
    via: Via,
    unit: TimeUnit,
    query: alluvium::Query,
    /// Which functions of which fields; of no field in particular, of all.
    wanted: Vec<(Aggregate, Vec<String>)>,
}

impl Query {
    pub(crate) fn new(via: Via, table: &str, unit: TimeUnit) -> Self {
        Query { via, unit, query: alluvium::Query::table(table), wanted: Vec::new() }
    }

    pub(crate) fn last(mut self, fields: Vec<String>) -> Self {
        self.query = self.query.last();
        self.query.fields = fields;
        self
    }

    /// What the engine is to be asked. It applies all functions to all fields, so some of what it answers may not be wanted.
    fn asked(&self) -> Outcome<alluvium::Query> {
        let mut query = self.query.clone();
        for (function, fields) in &self.wanted {
            let functions = &mut query.aggregation.get_or_insert_default().functions;
            if !functions.contains(function) {
                functions.push(*function);
            }
            query.fields.extend(fields.iter().filter(|field| !self.query.fields.contains(field)).cloned());
        }
        // Fields of no function in particular are all there are.
        if self.query.fields.is_empty() && self.wanted.iter().any(|(_, fields)| fields.is_empty()) {
            query.fields.clear();
        }
        let mut seen = std::collections::HashSet::new();
        query.fields.retain(|field| seen.insert(field.clone()));
        if query.aggregation.as_ref().is_some_and(|aggregation| aggregation.functions.is_empty()) {
            return Err(Fault::invalid("every and by need to know what of it: add mean, max, count, …, such as .mean(\"co2\")"));
        }
        Ok(query)
    }

    fn is_wanted(&self, column: &str) -> bool {
        let mut functions = Aggregate::ALL.into_iter().filter_map(|function| {
            let field = column.strip_prefix(function.name())?.strip_prefix('(')?.strip_suffix(')')?;
            Some((function, field))
        });
        let Some((function, field)) = functions.next().filter(|_| !self.wanted.is_empty()) else { return true };
        let asks = |fields: &[String]| match fields {
            [] => self.query.fields.is_empty() || self.query.fields.iter().any(|name| name == field),
            fields => fields.iter().any(|name| name == field),
        };
        self.wanted.iter().any(|(wanted, fields)| *wanted == function && asks(fields))
    }

    /// Asks; how the answer looks can be said.
    fn asks(&self, py: Python<'_>, look: Look<'_>) -> Outcome<(QueryStream, Shape)> {
        let stream = self.via.query(py, &self.asked()?)?;
        let shape = Shape::new(&stream.schema(), |column| self.is_wanted(column), look)?;
        Ok((stream, shape))
    }

    fn answer(&self, py: Python<'_>, look: Look<'_>) -> Outcome<Stream> {
        let (stream, shape) = self.asks(py, look)?;
        Ok(Stream::new(Answer::new(stream, shape)?))
    }

    fn aggregated(&self, function: Aggregate, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        let mut next = self.clone();
        next.wanted.push((function, names(fields)?));
        Ok(next)
    }

    fn filtered(mut self, column: &str, asked: &Bound<'_, PyAny>) -> Outcome<Self> {
        if let Ok(comparisons) = asked.cast::<PyDict>() {
            for (how, value) in comparisons {
                self = self.compared(column, &how.extract::<String>()?, &value)?;
            }
            return Ok(self);
        }
        let how = if is_several(asked) { "in" } else { "=" };
        self.compared(column, how, asked)
    }

    fn compared(mut self, column: &str, how: &str, value: &Bound<'_, PyAny>) -> Outcome<Self> {
        let comparison = comparison(how)?;
        let filter = if comparison == Comparison::In {
            let values = value.try_iter()?.map(|value| convert::value(&value?)).collect::<Outcome<Vec<_>>>()?;
            Filter::one_of(column, values)
        } else {
            Filter::new(column, comparison, convert::value(value)?)
        };
        self.query.filters.push(filter);
        Ok(self)
    }

    /// Filters as `where` takes them.
    pub(crate) fn with_filters(self, conditions: &Bound<'_, PyTuple>, equal: Option<&Bound<'_, PyDict>>) -> Outcome<Self> {
        let mut next = self;
        if let Ok((column, how, value)) = conditions.extract::<(String, String, Bound<'_, PyAny>)>() {
            next = next.compared(&column, &how, &value)?;
        } else {
            for condition in conditions {
                let columns = condition.cast::<PyDict>().map_err(|_| {
                    Fault::wrong_type(
                        "a filter is a column with its value, or a column, a comparison and a value: .where(\"co2\", \">\", 800)"
                            .to_owned(),
                    )
                })?;
                for (column, asked) in columns {
                    next = next.filtered(&column.extract::<String>()?, &asked)?;
                }
            }
        }
        for (column, asked) in equal.into_iter().flatten() {
            next = next.filtered(&column.extract::<String>()?, &asked)?;
        }
        Ok(next)
    }

    pub(crate) fn filters(&self) -> &[Filter] {
        &self.query.filters
    }

    /// The answer, of so many rows at most.
    fn first_rows(&self, py: Python<'_>, rows: usize) -> Outcome<(SchemaRef, Vec<RecordBatch>)> {
        let mut few = self.clone();
        few.query.limit = Some(few.query.limit.unwrap_or(u64::MAX).min(rows as u64));
        let stream = few.answer(py, Look::default())?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next(py)? {
            batches.push(batch);
        }
        Ok((stream.schema(), batches))
    }
}

fn is_several(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() || value.is_instance_of::<PySet>()
}

fn comparison(how: &str) -> Outcome<Comparison> {
    Ok(match how {
        "=" | "==" | "eq" => Comparison::Equal,
        "!=" | "ne" => Comparison::NotEqual,
        "<" | "lt" => Comparison::Less,
        "<=" | "le" => Comparison::LessOrEqual,
        ">" | "gt" => Comparison::Greater,
        ">=" | "ge" => Comparison::GreaterOrEqual,
        "in" => Comparison::In,
        _ => {
            return Err(Fault::invalid(format_args!(
                "{how:?} compares nothing: use =, !=, <, <=, >, >=, in, or eq, ne, lt, le, gt, ge"
            )));
        }
    })
}

/// A span of time, half-open.
pub(crate) fn range(
    py: Python<'_>,
    unit: TimeUnit,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
    zone: Option<&str>,
) -> Outcome<TimeRange> {
    let clock = Clock::new(py, zone)?;
    let bound = |moment: Option<&Bound<'_, PyAny>>, open: i64| {
        let Some(moment) = moment.filter(|moment| !moment.is_none()) else { return Ok(open) };
        match clock.moment(moment)?.map_err(Fault::invalid)? {
            Some(moment) => Ok(moment.bound(unit)),
            None => Err(Fault::invalid(format_args!("{moment} is no time: leave it out, or say one"))),
        }
    };
    Ok(TimeRange::new(bound(start, TimeRange::ALL.start)?, bound(end, TimeRange::ALL.end)?))
}

fn names(names: &Bound<'_, PyTuple>) -> Outcome<Vec<String>> {
    names.iter().map(|name| Ok(name.cast::<PyString>().map_err(PyErr::from)?.to_cow()?.into_owned())).collect()
}

#[pymethods]
impl Query {
    /// Only rows from `start` on and before `end`: the end is not within. Times are aware datetimes, text with an offset, NumPy's or pandas' times,
    /// or whole numbers in the table's unit; either may be None. `tz` says where times without a zone are from.
    ///
    /// >>> len(air.scan().between("2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z").to_dicts())
    /// 2
    #[pyo3(signature = (start, end, *, tz = None))]
    fn between(
        &self,
        py: Python<'_>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        tz: Option<&str>,
    ) -> Outcome<Self> {
        let mut next = self.clone();
        next.query.range = next.query.range.intersect(range(py, self.unit, start, end, tz)?);
        Ok(next)
    }

    /// Only rows from a time on.
    ///
    /// >>> len(air.scan().since("2024-01-01T01:00:00Z").to_dicts())
    /// 1
    #[pyo3(signature = (start, *, tz = None))]
    fn since(&self, py: Python<'_>, start: &Bound<'_, PyAny>, tz: Option<&str>) -> Outcome<Self> {
        self.between(py, Some(start), None, tz)
    }

    /// Only rows before a time.
    ///
    /// >>> len(air.scan().until("2024-01-01T01:00:00Z").to_dicts())
    /// 2
    #[pyo3(signature = (end, *, tz = None))]
    fn until(&self, py: Python<'_>, end: &Bound<'_, PyAny>, tz: Option<&str>) -> Outcome<Self> {
        self.between(py, None, Some(end), tz)
    }

    /// Only rows that satisfy all of this: a column has a value, one of several, or one that is `gt`, `ge`, `lt`, `le`, `ne`.
    ///
    /// >>> len(air.scan().where(room=["A", "B"]).to_dicts())
    /// 3
    /// >>> len(air.scan().where("co2", ">", 650).to_dicts())
    /// 1
    /// >>> len(air.scan().where(co2={"ge": 600, "lt": 700}).to_dicts())
    /// 1
    #[pyo3(name = "where", signature = (*conditions, **columns))]
    fn filter(&self, conditions: &Bound<'_, PyTuple>, columns: Option<&Bound<'_, PyDict>>) -> Outcome<Self> {
        self.clone().with_filters(conditions, columns)
    }

    /// Only these fields.
    ///
    /// >>> air.scan().select("co2").stream().columns
    /// ['time', 'room', 'co2']
    #[pyo3(signature = (*fields))]
    fn select(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        let mut next = self.clone();
        next.query.fields = names(fields)?;
        Ok(next)
    }

    /// One row per bucket of time, such as `"5m"`, `"1h"`, `"1d"`, `"1w"` or `"1mo"`. With `tz`, days, weeks and months are those of that zone.
    ///
    /// >>> [row["count(co2)"] for row in air.scan().every("1d", tz="Europe/Berlin").count("co2").to_dicts()]
    /// [3]
    #[pyo3(signature = (width, *, tz = None))]
    fn every(&self, width: &str, tz: Option<&str>) -> Outcome<Self> {
        let mut next = self.clone();
        next.query = next.query.every(words::window(width, tz)?);
        Ok(next)
    }

    /// One row per value of these tags.
    ///
    /// >>> air.scan().by("room").max("co2").to_dicts()
    /// [{'room': 'A', 'max(co2)': 700.0}, {'room': 'B', 'max(co2)': 500.0}]
    #[pyo3(signature = (*tags))]
    fn by(&self, tags: &Bound<'_, PyTuple>) -> Outcome<Self> {
        let mut next = self.clone();
        for tag in names(tags)? {
            next.query = next.query.by(tag);
        }
        Ok(next)
    }

    /// Several functions of the same fields, by name: count, sum, mean, min, max, first, last, stddev.
    ///
    /// >>> air.scan().aggregate(["min", "max"], "co2").to_dicts()
    /// [{'min(co2)': 500.0, 'max(co2)': 700.0}]
    #[pyo3(signature = (functions, *fields))]
    fn aggregate(&self, functions: Vec<String>, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        let mut next = self.clone();
        for function in functions {
            next = next.aggregated(Aggregate::from_str(&function)?, fields)?;
        }
        Ok(next)
    }

    /// How many values; of all fields where none is named.
    ///
    /// >>> air.scan().count("co2").to_dicts()
    /// [{'count(co2)': 3}]
    #[pyo3(signature = (*fields))]
    fn count(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Count, fields)
    }

    /// Their sum, which of whole numbers and decimals is exact.
    ///
    /// >>> air.scan().sum("co2").to_dicts()
    /// [{'sum(co2)': 1800.0}]
    #[pyo3(signature = (*fields))]
    fn sum(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Sum, fields)
    }

    /// Their mean.
    ///
    /// >>> air.scan().mean("co2").max("co2").to_dicts()
    /// [{'mean(co2)': 600.0, 'max(co2)': 700.0}]
    #[pyo3(signature = (*fields))]
    fn mean(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Mean, fields)
    }

    /// The least.
    ///
    /// >>> air.scan().min("co2").to_dicts()
    /// [{'min(co2)': 500.0}]
    #[pyo3(signature = (*fields))]
    fn min(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Min, fields)
    }

    /// The greatest.
    ///
    /// >>> air.scan().max("co2").to_dicts()
    /// [{'max(co2)': 700.0}]
    #[pyo3(signature = (*fields))]
    fn max(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Max, fields)
    }

    /// The earliest.
    ///
    /// >>> air.scan().where(room="A").first("co2").to_dicts()
    /// [{'first(co2)': 600.0}]
    #[pyo3(signature = (*fields))]
    fn first(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::First, fields)
    }

    /// The latest.
    ///
    /// >>> air.scan().where(room="A").every("1d").last("co2").to_dicts()[0]["last(co2)"]
    /// 700.0
    #[pyo3(name = "last", signature = (*fields))]
    fn latest(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Last, fields)
    }

    /// The sample standard deviation.
    ///
    /// >>> air.scan().stddev("co2").to_dicts()
    /// [{'stddev(co2)': 100.0}]
    #[pyo3(signature = (*fields))]
    fn stddev(&self, fields: &Bound<'_, PyTuple>) -> Outcome<Self> {
        self.aggregated(Aggregate::Stddev, fields)
    }

    /// The order of rows: `"series"` by tags, then time, as they are kept; `"time"` oldest first; `"-time"` newest first.
    ///
    /// >>> [row["co2"] for row in air.scan().order("-time").to_dicts()]
    /// [700.0, 500.0, 600.0]
    fn order(&self, order: &str) -> Outcome<Self> {
        let mut next = self.clone();
        next.query.order = match order {
            "series" => Order::Series,
            "time" => Order::TimeAscending,
            "-time" => Order::TimeDescending,
            _ => {
                return Err(Fault::invalid(format_args!(
                    "rows come in the order of \"series\", \"time\" or \"-time\", not of {order:?}"
                )));
            }
        };
        Ok(next)
    }

    /// At most so many rows.
    ///
    /// >>> len(air.scan().limit(2).to_dicts())
    /// 2
    fn limit(&self, rows: u64) -> Self {
        let mut next = self.clone();
        next.query.limit = Some(rows);
        next
    }

    /// Asks, and returns the answer as it comes.
    ///
    /// >>> air.scan().stream()
    /// <alluvium.Stream of time, room, co2>
    #[pyo3(signature = (*, tz = None))]
    fn stream(&self, py: Python<'_>, tz: Option<&str>) -> Outcome<Stream> {
        self.answer(py, Look { zone: tz, ..Look::default() })
    }

    fn __iter__(&self, py: Python<'_>) -> Outcome<Stream> {
        self.answer(py, Look::default())
    }

    /// Asks, and gives the answer to whoever reads Arrow streams. `requested_schema` is not looked at.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = requested_schema;
        Bound::new(py, self.answer(py, Look::default())?)?.call_method0("__arrow_c_stream__")
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let (_, shape) = self.asks(py, Look::default())?;
        crate::capsule::schema(py, &shape.schema())
    }

    /// The answer as dictionaries, of which nothing but Python is needed.
    ///
    /// >>> air.scan().where(room="B").select("co2").to_dicts()
    /// [{'time': datetime.datetime(2024, 1, 1, 0, 30, tzinfo=datetime.timezone.utc), 'room': 'B', 'co2': 500.0}]
    fn to_dicts<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyList>> {
        let rows = PyList::empty(py);
        let stream = self.answer(py, Look::default())?;
        while let Some(batch) = stream.next(py)? {
            add_dicts(&rows, &batch)?;
        }
        Ok(rows)
    }

    /// The answer as a table of pyarrow. Its times are UTC, or of the zone `tz`. Nothing is copied.
    ///
    /// >>> air.scan().to_arrow().num_rows
    /// 3
    #[pyo3(signature = (*, tz = None))]
    fn to_arrow<'py>(&self, py: Python<'py>, tz: Option<&str>) -> Outcome<Bound<'py, PyAny>> {
        let pyarrow = stream::package(py, "pyarrow", "pyarrow")?;
        stream::read_by(py, self.answer(py, Look { zone: tz, ..Look::default() })?, |stream| {
            pyarrow.call_method1("table", (stream,))
        })
    }

    /// The answer as a DataFrame of pandas, by way of pyarrow. Its times are UTC, or of the zone `tz`.
    ///
    /// >>> air.scan().to_pandas(tz="Europe/Berlin")["co2"].sum().item()
    /// 1800.0
    #[pyo3(signature = (*, tz = None))]
    fn to_pandas<'py>(&self, py: Python<'py>, tz: Option<&str>) -> Outcome<Bound<'py, PyAny>> {
        stream::package(py, "pandas", "pandas")?;
        Ok(self.to_arrow(py, tz)?.call_method0("to_pandas")?)
    }

    /// The answer as a DataFrame of polars. Its times are UTC, or of the zone `tz`. Columns of numbers are not copied.
    ///
    /// >>> air.scan().to_polars()["co2"].sum()
    /// 1800.0
    #[pyo3(signature = (*, tz = None))]
    fn to_polars<'py>(&self, py: Python<'py>, tz: Option<&str>) -> Outcome<Bound<'py, PyAny>> {
        let polars = stream::package(py, "polars", "polars")?;
        let look = Look { zone: tz, has_views: true };
        stream::read_by(py, self.answer(py, look)?, |stream| polars.call_method1("DataFrame", (stream,)))
    }

    fn __repr__(&self) -> String {
        let filters: Vec<_> = self.query.filters.iter().map(|filter| filter.column.as_str()).collect();
        let functions: Vec<_> =
            self.wanted.iter().map(|(function, fields)| format!("{}({})", function.name(), fields.join(", "))).collect();
        let part = |word: &str, names: String| if names.is_empty() { String::new() } else { format!(", {word} {names}") };
        format!(
            "<alluvium.Query of table {:?}{}{}>",
            self.query.table,
            part("where", filters.join(", ")),
            part("for", functions.join(", "))
        )
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        // One more than are shown tells that there are more.
        let (schema, batches) = self.first_rows(py, html::ROWS + 1)?;
        html::rows(py, &schema, &batches, html::ROWS)
    }
}
