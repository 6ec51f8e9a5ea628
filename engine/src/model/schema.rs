//! Tables: their tags, typed fields and how they are partitioned.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

use super::TimeUnit;
use crate::error::{Error, Result};
use crate::format::limits;

/// The name of the time column in every table, batch and file.
pub const TIME_COLUMN: &str = "time";

/// The number of a table within a database, dense from 0 in order of creation and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// IEEE 754 double; NaN payloads are kept.
    Float64,
    /// IEEE 754 single; NaN payloads are kept.
    Float32,
    /// Signed 64-bit integer.
    Int64,
    /// Unsigned 64-bit integer.
    UInt64,
    /// Boolean.
    Bool,
    /// UTF-8 text.
    Utf8,
    /// Bytes.
    Binary,
    /// A number of `scale` decimals, kept as a 64-bit integer (up to 18 digits): what an instrument of fixed resolution reads.
    Decimal {
        /// Digits after the point, 0 to 18.
        scale: u8,
    },
}

impl FieldType {
    /// Digits an unscaled decimal may have.
    pub const DECIMAL_PRECISION: u8 = 18;

    /// Arrow's type for it. Decimals are `Decimal64(18, scale)`.
    pub fn arrow(self) -> DataType {
        match self {
            FieldType::Float64 => DataType::Float64,
            FieldType::Float32 => DataType::Float32,
            FieldType::Int64 => DataType::Int64,
            FieldType::UInt64 => DataType::UInt64,
            FieldType::Bool => DataType::Boolean,
            FieldType::Utf8 => DataType::Utf8,
            FieldType::Binary => DataType::Binary,
            FieldType::Decimal { scale } => DataType::Decimal64(Self::DECIMAL_PRECISION, scale.cast_signed()),
        }
    }

    /// Whether sums and means make sense.
    pub fn is_numeric(self) -> bool {
        !matches!(self, FieldType::Bool | FieldType::Utf8 | FieldType::Binary)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldType::Float64 => f.write_str("float64"),
            FieldType::Float32 => f.write_str("float32"),
            FieldType::Int64 => f.write_str("int64"),
            FieldType::UInt64 => f.write_str("uint64"),
            FieldType::Bool => f.write_str("bool"),
            FieldType::Utf8 => f.write_str("utf8"),
            FieldType::Binary => f.write_str("binary"),
            FieldType::Decimal { scale } => write!(f, "decimal({scale})"),
        }
    }
}

impl FromStr for FieldType {
    type Err = Error;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self> {
        let decimal = || {
            let scale = text.strip_prefix("decimal(")?.strip_suffix(')')?.parse().ok()?;
            (scale <= Self::DECIMAL_PRECISION).then_some(FieldType::Decimal { scale })
        };
        Ok(match text {
            "float64" => FieldType::Float64,
            "float32" => FieldType::Float32,
            "int64" => FieldType::Int64,
            "uint64" => FieldType::UInt64,
            "bool" => FieldType::Bool,
            "utf8" => FieldType::Utf8,
            "binary" => FieldType::Binary,
            _ => decimal().ok_or_else(|| {
                Error::invalid(format_args!(
                    "unknown type {text:?}: use float64, float32, int64, uint64, bool, utf8, binary or decimal(SCALE) with SCALE up to 18"
                ))
            })?,
        })
    }
}

/// The span of time that one segment of a table may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Partitioning {
    /// Chosen from the observed rate; may later only coarsen.
    #[default]
    Auto,
    /// UTC hours.
    Hour,
    /// UTC days.
    Day,
    /// UTC months.
    Month,
    /// UTC years.
    Year,
}

impl Partitioning {
    /// All that there are.
    pub const ALL: [Partitioning; 5] =
        [Partitioning::Auto, Partitioning::Hour, Partitioning::Day, Partitioning::Month, Partitioning::Year];

    /// Its name, as in `hour`.
    pub const fn name(self) -> &'static str {
        match self {
            Partitioning::Auto => "auto",
            Partitioning::Hour => "hour",
            Partitioning::Day => "day",
            Partitioning::Month => "month",
            Partitioning::Year => "year",
        }
    }
}

impl fmt::Display for Partitioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Partitioning {
    type Err = Error;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|partitioning| partitioning.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|partitioning| partitioning.name()).collect();
            Error::invalid(format_args!("unknown partitioning {text:?}: use {}", known.join(", ")))
        })
    }
}

/// A tag column: UTF-8 text that helps to identify a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Column name.
    pub name: String,
    /// Stable column number, written to Parquet as the Iceberg field id. The time column is 1.
    pub id: u32,
}

/// A field column: what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Column name.
    pub name: String,
    /// Stable column number, written to Parquet as the Iceberg field id. The time column is 1.
    pub id: u32,
    /// What it holds.
    pub kind: FieldType,
}

/// A table as it stands. Tags and fields are only ever added at the end, so that positions are stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// Number within the database.
    pub id: TableId,
    /// Name, unique within the database.
    pub name: String,
    /// Rises by one with every change.
    pub version: u32,
    /// Unit of the time column.
    pub time_unit: TimeUnit,
    /// As declared.
    pub partitioning: Partitioning,
    /// Tag columns.
    pub tags: Vec<Tag>,
    /// Field columns.
    pub fields: Vec<Field>,
}

impl TableSchema {
    /// The columns of a row batch: `time`, then tags, then fields.
    pub fn arrow(&self) -> SchemaRef {
        let mut columns = vec![self.time_field()];
        columns.extend(self.tags.iter().map(|tag| ArrowField::new(&tag.name, DataType::Utf8, true)));
        columns.extend(self.fields.iter().map(|field| ArrowField::new(&field.name, field.kind.arrow(), true)));
        Arc::new(Schema::new(columns))
    }

    /// The time column: a UTC timestamp, never null.
    pub fn time_field(&self) -> ArrowField {
        ArrowField::new(TIME_COLUMN, DataType::Timestamp(self.time_unit.arrow(), Some("UTC".into())), false)
    }

    /// Position of a tag by name.
    pub fn tag_position(&self, name: &str) -> Option<usize> {
        self.tags.iter().position(|tag| tag.name == name)
    }

    /// Position of a field by name.
    pub fn field_position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The names of all tags and fields, for error messages.
    pub fn column_names(&self) -> String {
        let names: Vec<_> =
            self.tags.iter().map(|t| t.name.as_str()).chain(self.fields.iter().map(|f| f.name.as_str())).collect();
        names.join(", ")
    }

    /// The schema with more tags and fields, one version on.
    pub fn extended(&self, tags: &[String], fields: &[(String, FieldType)]) -> Result<TableSchema> {
        let mut next = self.clone();
        next.version += 1;
        next.push_columns(tags, fields)?;
        Ok(next)
    }

    /// The schema under another name, one version on.
    pub fn renamed(&self, name: &str) -> Result<TableSchema> {
        let next = TableSchema { name: name.to_owned(), version: self.version + 1, ..self.clone() };
        next.check().map(|()| next)
    }

    /// Whether it is this table with columns added or another name, or as it was.
    pub(crate) fn extends(&self, earlier: &TableSchema) -> bool {
        (self.id, self.time_unit) == (earlier.id, earlier.time_unit)
            && self.tags.starts_with(&earlier.tags)
            && self.fields.starts_with(&earlier.fields)
    }

    fn push_columns(&mut self, tags: &[String], fields: &[(String, FieldType)]) -> Result<()> {
        let mut id = 1 + self.tags.len() as u32 + self.fields.len() as u32;
        let mut next_id = || {
            id += 1;
            id
        };
        self.tags.extend(tags.iter().map(|name| Tag { name: name.clone(), id: next_id() }));
        self.fields.extend(fields.iter().map(|(name, kind)| Field { name: name.clone(), id: next_id(), kind: *kind }));
        self.check()
    }

    /// What holds of every schema, whoever made it.
    pub(crate) fn check(&self) -> Result<()> {
        check_name("table", &self.name)?;
        let names = self.tags.iter().map(|tag| &tag.name).chain(self.fields.iter().map(|field| &field.name));
        let mut seen = HashSet::from([TIME_COLUMN]);
        for name in names {
            check_name("column", name)?;
            if !seen.insert(name) {
                return Err(Error::invalid(format_args!("table {:?} has two columns named {name:?}: rename one", self.name)));
            }
        }
        limits::check("columns of a table", seen.len() as u64, limits::COLUMNS, "")
    }
}

/// A table to be created.
///
/// ```
/// use alluvium::{FieldType, TableSpec};
///
/// let spec = TableSpec::new("air").tag("room").field("co2", FieldType::Float64).field("occupied", FieldType::Bool);
/// # let _ = spec;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Name of the table.
    pub name: String,
    /// Unit of its time column.
    pub time_unit: TimeUnit,
    /// Span of its partitions.
    pub partitioning: Partitioning,
    /// Names of its tags.
    pub tags: Vec<String>,
    /// Names and types of its fields.
    pub fields: Vec<(String, FieldType)>,
}

impl TableSpec {
    /// A table without columns yet: microseconds UTC, partitions chosen by rate.
    pub fn new(name: impl Into<String>) -> Self {
        TableSpec {
            name: name.into(),
            time_unit: TimeUnit::default(),
            partitioning: Partitioning::default(),
            tags: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, name: impl Into<String>) -> Self {
        self.tags.push(name.into());
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, kind: FieldType) -> Self {
        self.fields.push((name.into(), kind));
        self
    }

    /// Sets the unit of time.
    #[must_use]
    pub fn time_unit(mut self, unit: TimeUnit) -> Self {
        self.time_unit = unit;
        self
    }

    /// Sets the span of partitions.
    #[must_use]
    pub fn partitioning(mut self, partitioning: Partitioning) -> Self {
        self.partitioning = partitioning;
        self
    }

    /// The schema of version 1, checked.
    pub(crate) fn into_schema(self, id: TableId) -> Result<TableSchema> {
        let mut schema = TableSchema {
            id,
            name: self.name,
            version: 1,
            time_unit: self.time_unit,
            partitioning: self.partitioning,
            tags: Vec::new(),
            fields: Vec::new(),
        };
        schema.push_columns(&self.tags, &self.fields)?;
        Ok(schema)
    }
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > limits::NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Error::invalid(format_args!(
            "{name:?} cannot be the name of a {what}: use 1 to {} bytes without control characters",
            limits::NAME_BYTES
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitionings_are_read_as_they_are_written() {
        let names = ["auto", "hour", "day", "month", "year"];
        assert_eq!(Partitioning::ALL.map(|partitioning| partitioning.to_string()), names);
        for (partitioning, name) in Partitioning::ALL.into_iter().zip(names) {
            assert_eq!(name.parse::<Partitioning>().unwrap(), partitioning);
        }
        for unknown in ["", "Hour", "hours", " day", "week"] {
            let refused = unknown.parse::<Partitioning>().unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
            let told = refused.to_string();
            assert!(told.contains(&format!("{unknown:?}")) && told.contains("auto, hour, day, month, year"), "{told}");
        }
    }
}
