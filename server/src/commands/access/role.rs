//! `alluvium role`: grants that many have.

use std::io::{self, Write};

use alluvium::{Database, Error, Grant};
use clap::Subcommand;
use serde_json::json;

use super::{change, lines, parse_grant};
use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::{remote, told};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists all with their grants
    List,
    /// Puts an own one, in the place of any of its name
    Put {
        /// Its name
        name: String,
        /// What it grants, as in "read table:air_*"
        #[arg(value_parser = parse_grant)]
        grants: Vec<Grant>,
    },
    /// Removes an own one that nobody has
    Remove {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::List => list(context),
        Command::Put { name, grants } => put(context, &name, &grants),
        Command::Remove { name } => remove(context, &name),
    }
}

fn list(context: &Context) -> Outcome {
    let roles: Vec<told::Role> = match context.place()? {
        Place::Here(database) => {
            let roles = all(&database)?;
            database.close()?;
            roles
        }
        Place::There(remote) => remote.all("roles", &remote::get(&["roles"]))?,
    };
    if context.json {
        return roles.iter().try_for_each(|role| context.print_json(role));
    }
    let mut table = Table::new([("role", Align::Left), ("grant", Align::Left)]);
    for told::Role { name, grants } in roles {
        for (number, grant) in grants.into_iter().enumerate() {
            table.push([if number == 0 { name.clone() } else { String::new() }, grant]);
        }
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// All of a database, by name.
fn all(database: &Database) -> Result<Vec<told::Role>, Error> {
    let principals = database.principals();
    let named = |name: String| Ok(told::Role { grants: lines(&principals.role(&name)?.unwrap_or_default()), name });
    let mut names = principals.roles()?;
    names.sort_unstable();
    names.into_iter().map(named).collect()
}

fn put(context: &Context, name: &str, grants: &[Grant]) -> Outcome {
    match context.place_or_make()? {
        Place::Here(database) => {
            change(&database, "role.put", name, &lines(grants).join("; "), |transaction| {
                transaction.principals().put_role(name, grants)
            })?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::put(&["roles", name]).body(json!({ "grants": lines(grants) })))?;
        }
    }
    match context.json {
        true => context.print_json(&told::Role { name: name.to_owned(), grants: lines(grants) }),
        false => say(&format!("role {name}: {}", lines(grants).join("; "))),
    }
}

fn remove(context: &Context, name: &str) -> Outcome {
    match context.place()? {
        Place::Here(database) => {
            change(&database, "role.remove", name, "", |transaction| match transaction.principals().remove_role(name)? {
                true => Ok(()),
                false => Err(Error::NoSuchRole { name: name.to_owned() }),
            })?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::delete(&["roles", name]))?;
        }
    }
    match context.json {
        true => context.print_json(&json!({ "name": name, "removed": true })),
        false => say(&format!("role {name} is gone")),
    }
}
