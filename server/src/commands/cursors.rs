//! `alluvium cursors`: named positions in the change feed.

use std::io::{self, Write};

use clap::Subcommand;
use serde_json::json;

use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::remote::{self, Remote};
use crate::told;

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
    let cursors: Vec<told::Cursor> = match context.place()? {
        Place::Here(database) => {
            let cursors = database.cursors()?;
            database.close()?;
            cursors.into_iter().map(|cursor| told::Cursor { name: cursor.name, through: cursor.acknowledged }).collect()
        }
        Place::There(remote) => all_of(&remote)?,
    };
    if context.json {
        let described = |told::Cursor { name, through }: &_| json!({ "name": name, "acknowledged": through });
        return cursors.iter().try_for_each(|cursor| context.print_json(&described(cursor)));
    }
    let mut table = Table::new([("name", Align::Left), ("acknowledged", Align::Right)]);
    for told::Cursor { name, through } in cursors {
        table.push([name, through.to_string()]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// Those of a server.
pub(super) fn all_of(remote: &Remote) -> Outcome<Vec<told::Cursor>> {
    remote.all("cursors", &remote::get(&["cursors"]))
}

fn drop_one(context: &Context, name: &str) -> Outcome {
    let was_there = match context.place()? {
        Place::Here(database) => {
            let was_there = database.cursor(name).and_then(|mut cursor| cursor.remove()).map_err(Failure::of_request)?;
            database.close()?;
            was_there
        }
        Place::There(remote) => remote.order_any(&remote::delete(&["cursors", name]))?,
    };
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
