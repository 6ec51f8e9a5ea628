//! `alluvium delete`: rows of some series, or all, within a span of time.

use std::io::{self, Write};

use alluvium::{Comparison, Filter, Settings, TableSchema, TimeRange};
use clap::Args;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, filters};
use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::{remote, told};

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

/// Which rows of a table are deleted: those between two times of the series that satisfy conditions, or all.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeletedRows")]
pub(crate) struct Wanted {
    /// From then on: RFC 3339, or an integer since 1970.
    from: Option<String>,
    /// Before then.
    to: Option<String>,
    /// Conditions on tags, as `room=A`.
    #[serde(default)]
    r#where: Vec<String>,
    /// Every row of the table, which has to be said where nothing else is.
    #[serde(default)]
    all: bool,
}

impl Wanted {
    fn of(Arguments { bounds, conditions, all, .. }: &Arguments) -> Outcome<Wanted> {
        let (from, to) = bounds.absolute()?;
        Ok(Wanted { from, to, r#where: conditions.clone(), all: *all })
    }

    /// The conditions, if they and the bounds make sense together.
    fn check(&self) -> Outcome<Vec<Filter>> {
        let bounded = self.from.is_some() || self.to.is_some() || !self.r#where.is_empty();
        match (bounded, self.all) {
            (false, false) => {
                Err(Failure::usage("this would delete every row: narrow it with --from, --to or --where, or add --all"))
            }
            (true, true) => {
                Err(Failure::usage("--all deletes every row: leave out --from, --to and --where, or leave out --all"))
            }
            _ => filters(&self.r#where),
        }
    }

    /// As the engine takes it.
    pub(crate) fn select(self, schema: &TableSchema) -> Outcome<(Vec<Filter>, TimeRange)> {
        let filters = self.check()?;
        let range = Bounds::new(self.from, self.to).range(schema.time_unit, &TimeZone::UTC)?;
        check_range(range)?;
        check_tags(schema, &filters)?;
        Ok((filters, range))
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let (table, wanted) = (&arguments.table, Wanted::of(arguments)?);
    wanted.check()?;
    let deleted = match context.place_of(|context| context.open_existing(Settings::default()))? {
        Place::Here(database) => {
            let (filters, range) = wanted.select(&*database.table(table)?)?;
            let ack = database.delete(table, &filters, range).map_err(Failure::of_request)?;
            database.close()?;
            told::Deleted { table: table.clone(), sequence: ack.sequence }
        }
        Place::There(remote) => remote.ask(&remote::post(&["tables", table, "delete"]).said(&wanted)?)?,
    };
    if context.json {
        return context.print_json(&deleted);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "deleted from {table}: gone from every query now, from the disk with the next seals and compactions")?;
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
        Wanted::of(&Line::parse_from(["delete", "--table", "t"].iter().chain(words)).arguments)?.check()
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
