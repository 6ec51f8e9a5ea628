//! What to ask: a query as plain data.

use crate::error::{Error, Result};
use crate::model::{TimeRange, Value};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in (…)`
    In,
}

/// A condition on a tag or field. Tags know `=`, `!=` and `in`; a missing tag equals nothing, so `!=` keeps it. A missing
/// field value satisfies no comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Tag or field.
    pub column: String,
    /// Comparison.
    pub comparison: Comparison,
    /// One value, or several for `in`. Text is read as the column's type.
    pub values: Vec<Value>,
}

impl Filter {
    /// `column comparison value`.
    pub fn new(column: impl Into<String>, comparison: Comparison, value: impl Into<Value>) -> Self {
        Filter { column: column.into(), comparison, values: vec![value.into()] }
    }

    /// `column = value`.
    pub fn equal(column: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(column, Comparison::Equal, value)
    }

    /// `column in (values)`.
    pub fn one_of<V: Into<Value>>(column: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Filter { column: column.into(), comparison: Comparison::In, values: values.into_iter().map(Into::into).collect() }
    }
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By tags, then time: the order rows are kept in.
    #[default]
    Series,
    /// By time across series, oldest first; at equal times by tags.
    TimeAscending,
    /// By time across series, newest first; at equal times by tags.
    TimeDescending,
}

/// A function over the values of a field in a window. Missing values do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// How many values.
    Count,
    /// Their sum. Of integers and decimals: exact, as `Decimal128(38, scale)`.
    Sum,
    /// Their mean, as float64.
    Mean,
    /// The least. NaN counts as greater than every number.
    Min,
    /// The greatest, NaN only where there is nothing else.
    Max,
    /// The earliest.
    First,
    /// The latest.
    Last,
    /// The sample standard deviation, as float64; missing for fewer than two values.
    Stddev,
}

impl Aggregate {
    /// All of them, in the order they are documented.
    pub const ALL: [Aggregate; 8] = [
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::Mean,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Stddev,
    ];

    /// Its name, as in `mean(co2)`.
    pub const fn name(self) -> &'static str {
        match self {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Mean => "mean",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::First => "first",
            Aggregate::Last => "last",
            Aggregate::Stddev => "stddev",
        }
    }
}

impl std::str::FromStr for Aggregate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|aggregate| aggregate.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|aggregate| aggregate.name()).collect();
            Error::invalid(format_args!("unknown aggregate {text:?}: use {}", known.join(", ")))
        })
    }
}

/// The width of time buckets. Buckets start at multiples of the width since 1970-01-01T00:00:00Z, or at local midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// A fixed number of microseconds.
    Fixed {
        /// Width, above zero.
        micros: i64,
    },
    /// Calendar days in an IANA time zone.
    Day {
        /// Zone name, such as `Europe/Berlin`.
        zone: String,
    },
    /// Calendar weeks from Monday in an IANA time zone.
    Week {
        /// Zone name.
        zone: String,
    },
    /// Calendar months in an IANA time zone.
    Month {
        /// Zone name.
        zone: String,
    },
}

/// What to compute instead of returning rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregation {
    /// Functions, each applied to every selected field.
    pub functions: Vec<Aggregate>,
    /// Time buckets; `None` makes one group of all time.
    pub window: Option<Window>,
    /// Tags to group by.
    pub by: Vec<String>,
}

/// A query over one table. Built step by step:
///
/// ```
/// use alluvium::{Aggregate, Filter, Query, Window};
///
/// let hourly = Query::table("air")
///     .filter(Filter::equal("room", "A"))
///     .field("co2")
///     .aggregate([Aggregate::Mean, Aggregate::Max])
///     .every(Window::Fixed { micros: 3_600_000_000 });
/// # let _ = hourly;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Table name.
    pub table: String,
    /// Rows at these times, in the table's unit.
    pub range: TimeRange,
    /// All of these must hold.
    pub filters: Vec<Filter>,
    /// Fields to return; empty means all.
    pub fields: Vec<String>,
    /// Order of rows.
    pub order: Order,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Aggregates instead of rows.
    pub aggregation: Option<Aggregation>,
    /// The last value of every series instead of rows.
    pub last: bool,
}

impl Query {
    /// Every row and field of a table.
    pub fn table(name: impl Into<String>) -> Self {
        Query {
            table: name.into(),
            range: TimeRange::ALL,
            filters: Vec::new(),
            fields: Vec::new(),
            order: Order::default(),
            limit: None,
            aggregation: None,
            last: false,
        }
    }

    /// Only rows within `range`, in the table's unit.
    #[must_use]
    pub fn range(mut self, range: TimeRange) -> Self {
        self.range = range;
        self
    }

    /// Only rows that satisfy `filter`.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Returns this field (and others named so).
    #[must_use]
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.fields.push(name.into());
        self
    }

    /// Sets the order of rows.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Returns at most `rows` rows.
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Returns aggregates: columns named like `mean(co2)`, one row per window and group.
    #[must_use]
    pub fn aggregate(mut self, functions: impl IntoIterator<Item = Aggregate>) -> Self {
        self.aggregation.get_or_insert_default().functions.extend(functions);
        self
    }

    /// Aggregates per time bucket.
    #[must_use]
    pub fn every(mut self, window: Window) -> Self {
        self.aggregation.get_or_insert_default().window = Some(window);
        self
    }

    /// Aggregates per value of this tag (and others named so).
    #[must_use]
    pub fn by(mut self, tag: impl Into<String>) -> Self {
        self.aggregation.get_or_insert_default().by.push(tag.into());
        self
    }

    /// Returns one row per series: the latest non-missing value of each field, at the time of the series' latest row.
    #[must_use]
    pub fn last(mut self) -> Self {
        self.last = true;
        self
    }
}
