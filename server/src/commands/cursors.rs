//! `alluvium cursors`: named positions in the change feed.

use std::io::{self, Write};

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists them with the changes acknowledged last
    List,
    /// Drops one, so that no history is kept for it any more
    Drop {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(context: &Context, command: Option<&Command>) -> Outcome {
    match command {
        None | Some(Command::List) => list(context),
        Some(Command::Drop { name }) => drop_one(context, name),
    }
}

fn list(context: &Context) -> Outcome {
    let database = context.open_quiet()?;
    let cursors = database.cursors()?;
    database.close()?;
    if context.json {
        return cursors
            .iter()
            .try_for_each(|cursor| context.print_json(&json!({ "name": cursor.name, "acknowledged": cursor.acknowledged })));
    }
    let mut table = Table::new([("name", Align::Left), ("acknowledged", Align::Right)]);
    for cursor in cursors {
        table.push([cursor.name, cursor.acknowledged.to_string()]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn drop_one(context: &Context, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    let was_there = database.cursor(name).and_then(|mut cursor| cursor.remove()).map_err(Failure::of_request)?;
    database.close()?;
    if !was_there {
        return Err(Failure::failed(format_args!("there is no cursor {name:?}: `alluvium cursors` lists those there are")));
    }
    if context.json {
        return context.print_json(&json!({ "name": name, "dropped": true }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{name} is gone")?;
    Ok(out.flush()?)
}
