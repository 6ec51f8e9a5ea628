//! `alluvium tables`: which tables there are, with their columns; other names for them, and their end.

use std::io::{self, Write};

use alluvium::{Partitioning, TableSchema, TimeUnit};
use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::told;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists them with their columns
    List,
    /// Gives one another name
    Rename {
        /// Its name
        name: String,
        /// The name it is to have
        new_name: String,
    },
    /// Drops one with all its rows, for good
    Drop {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(context: &Context, command: Option<&Command>) -> Outcome {
    match command {
        None | Some(Command::List) => list(context),
        Some(Command::Rename { name, new_name }) => rename(context, name, new_name),
        Some(Command::Drop { name }) => drop_one(context, name),
    }
}

fn rename(context: &Context, name: &str, new_name: &str) -> Outcome {
    let database = context.open_quiet()?;
    let schema = database.rename_table(name, new_name).map_err(Failure::of_request)?;
    database.close()?;
    if context.json {
        return context.print_json(&json!({ "name": schema.name, "was": name }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{name} is {} now", schema.name)?;
    Ok(out.flush()?)
}

fn drop_one(context: &Context, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    database.drop_table(name).map_err(Failure::of_request)?;
    database.close()?;
    if context.json {
        return context.print_json(&json!({ "name": name, "dropped": true }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{name} is gone")?;
    Ok(out.flush()?)
}

fn list(context: &Context) -> Outcome {
    let database = context.open_quiet()?;
    let tables = database.tables();
    if context.json {
        let tables: Vec<_> = tables.iter().map(|table| describe(table)).collect();
        context.print_json(&json!({ "tables": tables }))?;
    } else if tables.is_empty() {
        terminal::remark("there are no tables yet: `alluvium import FILE --table NAME` makes one");
    } else {
        let mut out = io::stdout().lock();
        for (position, table) in tables.iter().enumerate() {
            if position > 0 {
                writeln!(out)?;
            }
            print(table, &mut out)?;
        }
        out.flush()?;
    }
    Ok(database.close()?)
}

fn print(table: &TableSchema, out: &mut dyn Write) -> Outcome {
    let mut columns = Table::new([(table.name.as_str(), Align::Left), ("type", Align::Left)]);
    columns.push(["time".to_owned(), format!("time ({})", unit_name(table.time_unit))]);
    for tag in &table.tags {
        columns.push([tag.name.clone(), "tag".to_owned()]);
    }
    for field in &table.fields {
        columns.push([field.name.clone(), field.kind.to_string()]);
    }
    columns.write(out)
}

/// A table for programs.
pub(crate) fn describe(table: &TableSchema) -> told::Table {
    let field = |field: &alluvium::model::Field| told::Field { name: field.name.clone(), r#type: field.kind.to_string() };
    told::Table {
        name: table.name.clone(),
        time_unit: unit_name(table.time_unit),
        partitioning: partitioning_name(table.partitioning),
        tags: table.tags.iter().map(|tag| tag.name.clone()).collect(),
        fields: table.fields.iter().map(field).collect(),
    }
}

/// `ms`, `us` or `ns`.
pub(crate) fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Milli => "ms",
        TimeUnit::Micro => "us",
        TimeUnit::Nano => "ns",
    }
}

/// `auto`, `hour`, …
pub(crate) fn partitioning_name(partitioning: Partitioning) -> &'static str {
    match partitioning {
        Partitioning::Auto => "auto",
        Partitioning::Hour => "hour",
        Partitioning::Day => "day",
        Partitioning::Month => "month",
        Partitioning::Year => "year",
    }
}

#[cfg(test)]
mod tests {
    use alluvium::FieldType;
    use alluvium::model::{Field, TableId, Tag};

    use super::*;

    fn schema() -> TableSchema {
        TableSchema {
            id: TableId(0),
            name: "air".to_owned(),
            version: 1,
            time_unit: TimeUnit::Micro,
            partitioning: Partitioning::Auto,
            tags: vec![Tag { name: "room".to_owned(), id: 2 }],
            fields: vec![Field { name: "co2".to_owned(), id: 3, kind: FieldType::Decimal { scale: 1 } }],
        }
    }

    #[test]
    fn a_table_for_people_and_for_programs() {
        let mut out = Vec::new();
        print(&schema(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "air   type\n────  ──────────\ntime  time (us)\nroom  tag\nco2   decimal(1)\n"
        );
        assert_eq!(
            serde_json::to_string(&describe(&schema())).unwrap(),
            r#"{"name":"air","time_unit":"us","partitioning":"auto","tags":["room"],"fields":[{"name":"co2","type":"decimal(1)"}]}"#
        );
    }
}
