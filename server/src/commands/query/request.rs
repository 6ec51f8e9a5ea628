//! What to ask: from flags to a [`Query`].

use alluvium::{Aggregate, FieldType, Order, Query, TableSchema, TimeRange};
use alluvium_protocol::message;
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::commands::bounds::{Bounds, filters};
use crate::failure::{Failure, Outcome};
use crate::output::terminal;
use crate::parse::duration;

/// Which rows, and what of them.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// The table
    #[arg(long, value_name = "NAME")]
    pub(super) table: String,
    #[command(flatten)]
    bounds: Bounds,
    /// Only rows that satisfy NAME=V, NAME!=V, 'NAME in (A,B)' or 'FIELD>=N' (also >, <, <=); all of them where several.
    /// Quotes protect names and values: '"a=b" in ("x, y", z)'
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    conditions: Vec<String>,
    /// Only this field (repeatable) [default: all]
    #[arg(long = "field", value_name = "FIELD")]
    fields: Vec<String>,
    /// Aggregates per time bucket: 90s, 5m, 1h, 1d, 1w (from Monday), 1mo, …
    #[arg(long, value_name = "WIDTH")]
    every: Option<String>,
    /// Zone of calendar buckets (1d, 1w, 1mo), of --from and --to without an offset, and of the times in tables and plots
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Functions: count, sum, mean, min, max, first, last, stddev (comma-separated) [default: mean]
    #[arg(long = "agg", value_name = "FUNCTIONS", value_delimiter = ',', value_parser = function)]
    functions: Vec<Aggregate>,
    /// Aggregates per value of this tag (repeatable)
    #[arg(long = "by", value_name = "TAG")]
    by: Vec<String>,
    /// The last value of every series
    #[arg(long, conflicts_with_all = ["every", "functions", "by"])]
    last: bool,
    /// By time across series [default: by tags, then time]
    #[arg(long, value_enum)]
    order: Option<Direction>,
    /// At most N rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Direction {
    /// Oldest first
    Asc,
    /// Newest first
    Desc,
}

fn function(name: &str) -> Result<Aggregate, alluvium::Error> {
    name.trim().parse()
}

impl Request {
    /// The zone asked for, or UTC.
    pub(super) fn zone(&self) -> Outcome<TimeZone> {
        self.tz.as_deref().map_or(Ok(TimeZone::UTC), |name| duration::zone(name).map_err(Failure::Usage))
    }

    /// Finds what is wrong without looking at the table.
    pub(super) fn check(&self) -> Outcome {
        filters(&self.conditions)?;
        self.window()?;
        self.bounds.moments(&self.zone()?).map(drop)
    }

    fn window(&self) -> Outcome<Option<alluvium::Window>> {
        let window = self.every.as_deref().map(|width| duration::window(width, self.tz.as_deref()));
        window.transpose().map_err(Failure::Usage)
    }

    /// The same as a server is asked it.
    pub(super) fn message(&self, schema: &TableSchema, zone: &TimeZone) -> Outcome<message::Query> {
        let query = self.build(schema, zone)?;
        let aggregates = query.aggregation.as_ref().map_or(&[][..], |aggregation| &aggregation.functions);
        Ok(message::Query {
            table: query.table,
            from: (query.range.start != TimeRange::ALL.start).then_some(query.range.start),
            to: (query.range.end != TimeRange::ALL.end).then_some(query.range.end),
            conditions: self.conditions.clone(),
            fields: query.fields,
            order: match self.order {
                None => 0,
                Some(Direction::Asc) => 1,
                Some(Direction::Desc) => 2,
            },
            limit: self.limit,
            functions: aggregates.iter().map(|function| function.name().to_owned()).collect(),
            every: self.every.clone().unwrap_or_default(),
            zone: self.tz.clone().unwrap_or_default(),
            by: self.by.clone(),
            last: self.last,
        })
    }

    /// The query, for a table with this schema.
    pub(super) fn build(&self, schema: &TableSchema, zone: &TimeZone) -> Outcome<Query> {
        let mut query = Query::table(&self.table).range(self.bounds.range(schema.time_unit, zone)?);
        query.filters = filters(&self.conditions)?;
        query.fields.clone_from(&self.fields);
        query.limit = self.limit;
        query.last = self.last;
        query.order = match self.order {
            None => Order::Series,
            Some(Direction::Asc) => Order::TimeAscending,
            Some(Direction::Desc) => Order::TimeDescending,
        };
        let window = self.window()?;
        if window.is_none() && self.functions.is_empty() && self.by.is_empty() {
            return Ok(query);
        }
        let functions = if self.functions.is_empty() { vec![Aggregate::Mean] } else { self.functions.clone() };
        if query.fields.is_empty() {
            query.fields = suitable_fields(schema, &functions)?;
        }
        let aggregation = query.aggregation.get_or_insert_default();
        aggregation.functions = functions;
        aggregation.window = window;
        aggregation.by.clone_from(&self.by);
        Ok(query)
    }
}

/// The fields that every function can be applied to, where nobody named any. Empty stands for all of them.
fn suitable_fields(schema: &TableSchema, functions: &[Aggregate]) -> Outcome<Vec<String>> {
    let arithmetic = |function: &&Aggregate| matches!(function, Aggregate::Sum | Aggregate::Mean | Aggregate::Stddev);
    let Some(function) = functions.iter().find(arithmetic) else { return Ok(Vec::new()) };
    let (numbers, others): (Vec<_>, Vec<_>) = schema.fields.iter().partition(|field| FieldType::is_numeric(field.kind));
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let others: Vec<_> = others.iter().map(|field| format!("{} ({})", field.name, field.kind)).collect();
    if numbers.is_empty() {
        return Err(Failure::usage(format_args!(
            "{} needs numbers, and table {:?} has only {}: use --agg count, min, max, first or last",
            function.name(),
            schema.name,
            others.join(", ")
        )));
    }
    terminal::remark(format_args!("left out, since {} needs numbers: {}", function.name(), others.join(", ")));
    Ok(numbers.into_iter().map(|field| field.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use alluvium::model::{Field, Partitioning, TableId, Tag};
    use alluvium::{Aggregation, Filter, TimeUnit, Window};
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        request: Request,
    }

    fn schema() -> TableSchema {
        let field = |name: &str, id, kind| Field { name: name.to_owned(), id, kind };
        TableSchema {
            id: TableId(0),
            name: "air".to_owned(),
            version: 1,
            time_unit: TimeUnit::Milli,
            partitioning: Partitioning::Auto,
            tags: vec![Tag { name: "room".to_owned(), id: 2 }],
            fields: vec![field("co2", 3, FieldType::Float64), field("state", 4, FieldType::Utf8)],
        }
    }

    fn query(words: &[&str]) -> Outcome<Query> {
        let words = ["query", "--table", "air"].into_iter().chain(words.iter().copied());
        let request = Line::try_parse_from(words).map_err(Failure::usage)?.request;
        request.check()?;
        request.build(&schema(), &request.zone()?)
    }

    #[test]
    fn every_flag_finds_its_place() {
        let asked = [
            "--from",
            "2024-03-31",
            "--to",
            "1711879200",
            "--where",
            "room in (A, B)",
            "--where",
            "co2>=400",
            "--field",
            "co2",
            "--every",
            "1d",
            "--tz",
            "Europe/Berlin",
            "--agg",
            "mean,max",
            "--by",
            "room",
            "--order",
            "desc",
            "--limit",
            "7",
        ];
        let expected = Query {
            table: "air".to_owned(),
            range: TimeRange::new(1_711_839_600_000, 1_711_879_200_000),
            filters: vec![Filter::one_of("room", ["A", "B"]), Filter::new("co2", alluvium::Comparison::GreaterOrEqual, "400")],
            fields: vec!["co2".to_owned()],
            order: Order::TimeDescending,
            limit: Some(7),
            aggregation: Some(Aggregation {
                functions: vec![Aggregate::Mean, Aggregate::Max],
                window: Some(Window::Day { zone: "Europe/Berlin".to_owned() }),
                by: vec!["room".to_owned()],
            }),
            last: false,
        };
        assert_eq!(query(&asked).unwrap(), expected);
    }

    #[test]
    fn without_flags_everything_is_returned() {
        assert_eq!(query(&[]).unwrap(), Query::table("air"));
        assert_eq!(query(&["--last"]).unwrap(), Query::table("air").last());
    }

    #[test]
    fn the_mean_of_numbers_is_the_default() {
        let expected = Query::table("air").field("co2").aggregate([Aggregate::Mean]).every(Window::Fixed { micros: 300_000_000 });
        assert_eq!(query(&["--every", "5m"]).unwrap(), expected);
        assert_eq!(query(&["--by", "room"]).unwrap(), Query::table("air").field("co2").aggregate([Aggregate::Mean]).by("room"));
        assert_eq!(query(&["--agg", "count"]).unwrap(), Query::table("air").aggregate([Aggregate::Count]));
    }

    #[test]
    fn a_relative_time_is_no_flag() {
        let range = query(&["--from", "-1h"]).unwrap().range;
        assert!(range.start > 1_700_000_000_000 && range.end == i64::MAX);
    }

    #[test]
    fn wrong_usage() {
        for wrong in [
            &["--where", "room"][..],
            &["--every", "soon"],
            &["--tz", "Mars/Olympus"],
            &["--from", "yesterday"],
            &["--agg", "median"],
            &["--last", "--every", "1h"],
            &["--last", "--agg", "mean"],
            &["--limit", "-1"],
            &["--order", "up"],
        ] {
            assert!(matches!(query(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }
}
