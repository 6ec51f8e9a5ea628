//! The rows of a table where they lie in a bucket, for DuckDB: each once, with the newest value of each field, and none that was deleted.
//!
//! Columns are found by the numbers in the files, not by their names: DuckDB does not tell `V` and `v` apart, and files written before a
//! column was added do not have it.

use std::fmt::{self, Write};

use alluvium::model::TIME_COLUMN;
use alluvium::{FieldType, TableSchema, TimeUnit};

use crate::remote::{Erasure, Key, Series};
use crate::restore::TableContents;

/// The number that times have in every file.
const TIME_ID: u32 = 1;

/// A query cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoQuery {
    /// Nothing tells of its columns.
    #[error("no metadata in the bucket tell of the columns of table {table:?}: restore it to read its rows")]
    NoColumns {
        /// The table.
        table: String,
    },
}

/// A query for all rows of a table. `root` is where the objects are for DuckDB: a folder, or a URL that its extensions read.
///
/// # Errors
///
/// [`NoQuery`] where the table's columns are not known.
pub fn query(table: &TableContents, root: &str) -> Result<String, NoQuery> {
    let schema = &table.schema;
    // Versions begin with 1: nothing but manifests and names told of it.
    if schema.version == 0 && !table.segments.is_empty() {
        return Err(NoQuery::NoColumns { table: schema.name.clone() });
    }
    let series = columns(schema).take(1 + schema.tags.len()).map(|column| column.named(&format!("c{}", column.id)));
    let fields = columns(schema).skip(1 + schema.tags.len()).map(|column| column.named(&column.newest()));
    let mut text = format!("SELECT {}\n", series.chain(fields).collect::<Vec<_>>().join(", "));
    // Text takes whatever is written to it.
    let _ = match table.segments.is_empty() {
        true => nothing(&mut text, schema),
        false => rows(&mut text, table, root.trim_end_matches('/')),
    };
    Ok(text)
}

fn nothing(text: &mut String, schema: &TableSchema) -> fmt::Result {
    let nulls: Vec<_> = columns(schema).map(|Column { id, kind, .. }| format!("NULL::{kind} AS c{id}")).collect();
    writeln!(text, "FROM (SELECT {}, 0 AS record)\nWHERE false\nGROUP BY {};", nulls.join(", "), key(schema))
}

fn rows(text: &mut String, table: &TableContents, root: &str) -> fmt::Result {
    let schema = &table.schema;
    // An object's name tells its last record. Of another type `arg_max` would lose the sign of a zero.
    writeln!(
        text,
        "FROM (\n  SELECT *, CAST(regexp_extract(filename, '-([0-9]+)_[0-9a-f]{{64}}\\.parquet$', 1) AS BIGINT) AS record\n  FROM read_parquet(["
    )?;
    for segment in &table.segments {
        let key = Key::Segment(segment.key.clone());
        writeln!(text, "    {},", quoted(&no_pattern(&format!("{root}/{key}"))))?;
    }
    let known: Vec<_> = columns(schema).map(Column::known).collect();
    writeln!(text, "  ], filename = true, hive_partitioning = false, schema = MAP {{\n    {}\n  }})\n)", known.join(",\n    "))?;
    for (number, erasure) in table.erasures.iter().enumerate() {
        let word = if number == 0 { "WHERE" } else { "  AND" };
        writeln!(text, "{word} NOT ({})", taken(schema, erasure))?;
    }
    writeln!(text, "GROUP BY {};", key(schema))
}

/// What tells a row from others.
fn key(schema: &TableSchema) -> String {
    let key: Vec<_> = columns(schema).take(1 + schema.tags.len()).map(|column| format!("c{}", column.id)).collect();
    key.join(", ")
}

/// A column, as files number it.
struct Column<'s> {
    id: u32,
    name: &'s str,
    kind: String,
}

impl Column<'_> {
    fn named(&self, value: &str) -> String {
        format!("{value} AS \"{}\"", self.name.replace('"', "\"\""))
    }

    /// Of several rows of a series and time the last value there is: `arg_max` looks at no missing ones.
    fn newest(&self) -> String {
        match self.kind.as_str() {
            // Which would lose the sign of a zero.
            "FLOAT" => format!("CAST(arg_max(CAST(c{} AS DOUBLE), record) AS FLOAT)", self.id),
            _ => format!("arg_max(c{}, record)", self.id),
        }
    }

    fn known(self) -> String {
        format!("{id}: {{name: 'c{id}', type: '{kind}', default_value: NULL}}", id = self.id, kind = self.kind)
    }
}

fn columns(schema: &TableSchema) -> impl Iterator<Item = Column<'_>> {
    let time = match schema.time_unit {
        TimeUnit::Milli | TimeUnit::Micro => "TIMESTAMPTZ",
        TimeUnit::Nano => "TIMESTAMPTZ_NS",
    };
    let time = Column { id: TIME_ID, name: TIME_COLUMN, kind: time.to_owned() };
    let tags = schema.tags.iter().map(|tag| Column { id: tag.id, name: &tag.name, kind: "VARCHAR".to_owned() });
    let fields = schema.fields.iter().map(|field| Column { id: field.id, name: &field.name, kind: kind(field.kind) });
    std::iter::once(time).chain(tags).chain(fields)
}

fn kind(kind: FieldType) -> String {
    let name = match kind {
        FieldType::Float64 => "DOUBLE",
        FieldType::Float32 => "FLOAT",
        FieldType::Int64 => "BIGINT",
        FieldType::UInt64 => "UBIGINT",
        FieldType::Bool => "BOOLEAN",
        FieldType::Utf8 => "VARCHAR",
        FieldType::Binary => "BLOB",
        FieldType::Decimal { scale } => return format!("DECIMAL({}, {scale})", FieldType::DECIMAL_PRECISION),
    };
    name.to_owned()
}

/// What holds of the rows that a deletion takes.
fn taken(schema: &TableSchema, erasure: &Erasure) -> String {
    let since = match schema.time_unit {
        TimeUnit::Milli => "epoch_ms",
        TimeUnit::Micro => "epoch_us",
        TimeUnit::Nano => "epoch_ns",
    };
    let Erasure { sequence, from, to, .. } = erasure;
    let mut text = format!("record < {sequence} AND {since}(c{TIME_ID}) >= {from} AND {since}(c{TIME_ID}) < {to}");
    if let Series::Only(series) = &erasure.series {
        let each: Vec<_> = series.iter().map(|tags| format!("({})", of_series(schema, tags))).collect();
        text += &format!(" AND ({})", if each.is_empty() { "false".to_owned() } else { each.join(" OR ") });
    }
    text
}

/// What holds of the rows of a series. Tags that were added later have no value in it.
fn of_series(schema: &TableSchema, tags: &[Option<String>]) -> String {
    let is = |(at, tag): (usize, &alluvium::model::Tag)| match tags.get(at).and_then(Option::as_deref) {
        Some(value) => format!("c{} IS NOT DISTINCT FROM {}", tag.id, quoted(value)),
        None => format!("c{} IS NULL", tag.id),
    };
    let known = schema.tags.iter().enumerate().map(is);
    // Of a tag that the table does not have no row has a value.
    let unknown = tags.iter().skip(schema.tags.len()).any(Option::is_some).then(|| "false".to_owned());
    let all: Vec<_> = known.chain(unknown).collect();
    if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of one file, where DuckDB takes patterns.
fn no_pattern(name: &str) -> String {
    let letter = |letter: char| match letter {
        '*' | '?' | '[' => format!("[{letter}]"),
        other => other.to_string(),
    };
    name.chars().map(letter).collect()
}
