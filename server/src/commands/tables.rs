//! `alluvium tables`: which tables there are, with their columns; other names for them, and their end.

use std::io::{self, Write};

use alluvium::model::{Field, TableId, Tag};
use alluvium::{Error, Partitioning, TableSchema, TimeUnit};
use clap::Subcommand;
use serde_json::json;

use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::{remote, told};

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
    let asked = remote::patch(&["tables", name]).body(json!({ "name": new_name }));
    context.place()?.order(|database| database.rename_table(name, new_name).map(drop), &asked)?;
    if context.json {
        return context.print_json(&json!({ "name": new_name, "was": name }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{name} is {new_name} now")?;
    Ok(out.flush()?)
}

fn drop_one(context: &Context, name: &str) -> Outcome {
    context.place()?.order(|database| database.drop_table(name).map(drop), &remote::delete(&["tables", name]))?;
    if context.json {
        return context.print_json(&json!({ "name": name, "dropped": true }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{name} is gone")?;
    Ok(out.flush()?)
}

fn list(context: &Context) -> Outcome {
    let tables: Vec<told::Table> = match context.place()? {
        Place::Here(database) => {
            let tables = database.tables().iter().map(|table| describe(table)).collect();
            database.close()?;
            tables
        }
        Place::There(remote) => remote.all("tables", &remote::get(&["tables"]))?,
    };
    if context.json {
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
    Ok(())
}

/// A table as it is described.
fn print(table: &told::Table, out: &mut dyn Write) -> Outcome {
    let mut columns = Table::new([(table.name.as_str(), Align::Left), ("type", Align::Left)]);
    columns.push(["time".to_owned(), format!("time ({})", table.time_unit)]);
    for tag in &table.tags {
        columns.push([tag.clone(), "tag".to_owned()]);
    }
    for field in &table.fields {
        columns.push([field.name.clone(), field.r#type.clone()]);
    }
    columns.write(out)
}

/// A table for programs.
pub(crate) fn describe(table: &TableSchema) -> told::Table {
    let field = |field: &Field| told::Field { name: field.name.clone(), r#type: field.kind.to_string() };
    told::Table {
        name: table.name.clone(),
        time_unit: unit_name(table.time_unit).into(),
        partitioning: table.partitioning.name().into(),
        tags: table.tags.iter().map(|tag| tag.name.clone()).collect(),
        fields: table.fields.iter().map(field).collect(),
    }
}

/// The table of a description, as far as it tells: numbers of columns it does not.
pub(crate) fn described(table: told::Table) -> Outcome<TableSchema> {
    let time_unit = match &*table.time_unit {
        "ms" => TimeUnit::Milli,
        "ns" => TimeUnit::Nano,
        _ => TimeUnit::Micro,
    };
    let field = |told::Field { name, r#type }| {
        let kind = r#type.parse().map_err(|error: Error| Failure::failed(error))?;
        Ok(Field { name, id: 0, kind })
    };
    let fields = table.fields.into_iter().map(field).collect::<Outcome<_>>()?;
    let tags = table.tags.into_iter().map(|name| Tag { name, id: 0 }).collect();
    let (id, partitioning) = (TableId(0), Partitioning::Auto);
    Ok(TableSchema { id, name: table.name, version: 0, time_unit, partitioning, tags, fields })
}

/// `ms`, `us` or `ns`.
pub(crate) fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Milli => "ms",
        TimeUnit::Micro => "us",
        TimeUnit::Nano => "ns",
    }
}

#[cfg(test)]
mod tests {
    use alluvium::FieldType;

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
        print(&describe(&schema()), &mut out).unwrap();
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
