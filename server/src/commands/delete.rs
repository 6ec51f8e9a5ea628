//! `alluvium delete`: rows of some series, or all, within a span of time.

use std::io::{self, Write};

use alluvium::{Comparison, Filter, Settings, TableSchema, TimeRange};
use clap::Args;
use jiff::tz::TimeZone;
use serde_json::json;

use super::Context;
use super::bounds::{Bounds, filters};
use crate::failure::{Failure, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The table
    #[arg(long, value_name = "NAME")]
    table: String,
    #[command(flatten)]
    bounds: Bounds,
    /// Only series whose tags satisfy TAG=V, TAG!=V or 'TAG in (A,B)'; all of them where several
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    conditions: Vec<String>,
    /// Every row of the table
    #[arg(long)]
    all: bool,
}

impl Arguments {
    /// The conditions, if they and the bounds make sense together.
    fn check(&self) -> Outcome<Vec<Filter>> {
        let bounded = self.bounds.are_given() || !self.conditions.is_empty();
        match (bounded, self.all) {
            (false, false) => {
                Err(Failure::usage("this would delete every row: narrow it with --from, --to or --where, or add --all"))
            }
            (true, true) => {
                Err(Failure::usage("--all deletes every row: leave out --from, --to and --where, or leave out --all"))
            }
            _ => filters(&self.conditions),
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let filters = arguments.check()?;
    arguments.bounds.moments(&TimeZone::UTC)?;
    let database = context.open_existing(Settings::default())?;
    let schema = database.table(&arguments.table)?;
    let range = arguments.bounds.range(schema.time_unit, &TimeZone::UTC)?;
    check_range(range)?;
    check_tags(&schema, &filters)?;
    let ack = database.delete(&arguments.table, &filters, range).map_err(Failure::of_request)?;
    database.close()?;
    if context.json {
        return context.print_json(&json!({ "table": arguments.table, "sequence": ack.sequence }));
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "deleted from {}: gone from every query now, from the disk with the next seals and compactions",
        arguments.table
    )?;
    Ok(out.flush()?)
}

fn check_range(range: TimeRange) -> Outcome {
    if range.is_empty() {
        return Err(Failure::usage("--from is not before --to: nothing would be deleted"));
    }
    Ok(())
}

/// A deletion picks series, and only tags tell series apart.
fn check_tags(schema: &TableSchema, filters: &[Filter]) -> Outcome {
    for filter in filters {
        if schema.field_position(&filter.column).is_some() {
            return Err(Failure::usage(format_args!(
                "{:?} is a field: a deletion picks series by tags and rows by time",
                filter.column
            )));
        }
        if !matches!(filter.comparison, Comparison::Equal | Comparison::NotEqual | Comparison::In) {
            return Err(Failure::usage(format_args!("tag {:?} can be compared with =, != and in only", filter.column)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn check(words: &[&str]) -> Outcome<Vec<Filter>> {
        Line::parse_from(["delete", "--table", "t"].iter().chain(words)).arguments.check()
    }

    #[test]
    fn a_deletion_is_bounded_or_says_all() {
        assert!(matches!(check(&[]), Err(Failure::Usage(_))));
        assert!(matches!(check(&["--all", "--from", "2024-01-01"]), Err(Failure::Usage(_))));
        assert!(matches!(check(&["--where", "room"]), Err(Failure::Usage(_))));
        assert_eq!(check(&["--all"]).unwrap(), []);
        assert_eq!(check(&["--from", "-1h"]).unwrap(), []);
        assert_eq!(check(&["--where", "room=A"]).unwrap(), [Filter::equal("room", "A")]);
    }

    #[test]
    fn an_empty_span_is_a_mistake() {
        assert!(check_range(TimeRange::new(5, 5)).is_err());
        assert!(check_range(TimeRange::ALL).is_ok());
    }
}
