//! `alluvium role`: grants that many have.

use std::io::{self, Write};

use alluvium::{Error, Grant};
use clap::Subcommand;
use serde_json::json;

use super::{change, lines, parse_grant};
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::Outcome;
use crate::output::table::{Align, Table};

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
    let database = context.open_quiet()?;
    let principals = database.principals();
    let mut roles = Vec::new();
    for name in principals.roles()? {
        let grants = lines(&principals.role(&name)?.unwrap_or_default());
        roles.push((name, grants));
    }
    database.close()?;
    if context.json {
        return roles.iter().try_for_each(|(name, grants)| context.print_json(&json!({ "name": name, "grants": grants })));
    }
    let mut table = Table::new([("role", Align::Left), ("grant", Align::Left)]);
    for (name, grants) in roles {
        for (number, grant) in grants.into_iter().enumerate() {
            table.push([if number == 0 { name.clone() } else { String::new() }, grant]);
        }
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn put(context: &Context, name: &str, grants: &[Grant]) -> Outcome {
    let database = context.open_or_make()?;
    change(&database, "role.put", name, &lines(grants).join("; "), |transaction| {
        transaction.principals().put_role(name, grants)
    })?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "name": name, "grants": lines(grants) })),
        false => say(&format!("role {name}: {}", lines(grants).join("; "))),
    }
}

fn remove(context: &Context, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    change(&database, "role.remove", name, "", |transaction| match transaction.principals().remove_role(name)? {
        true => Ok(()),
        false => Err(Error::NoSuchRole { name: name.to_owned() }),
    })?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "name": name, "removed": true })),
        false => say(&format!("role {name} is gone")),
    }
}
