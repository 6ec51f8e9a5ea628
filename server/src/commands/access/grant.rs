//! `alluvium grant`: what a principal may do besides what its roles allow, and whether something would be allowed.

use std::collections::HashMap;

use alluvium::{Action, Database, Error, Grant, Target};
use clap::{Args, Subcommand};
use serde_json::json;

use super::parse_grant;
use super::user::{self, Change};
use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::{remote, told};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Grants a principal something, as in "read,write table:air where device=${principal}"
    Add {
        /// The principal
        name: String,
        /// ACTIONS OBJECT, of a table perhaps `where TAG=VALUE|VALUE and …`. Actions: read, write, delete, consume, define,
        /// operate, administer, or all. Objects: table:NAME, collection:NAME, queue:NAME, key:KEY, database, everything; * in a
        /// name stands for any characters
        #[arg(value_parser = parse_grant)]
        grant: Grant,
    },
    /// Takes a grant from a principal
    Remove {
        /// The principal
        name: String,
        /// The grant
        #[arg(value_parser = parse_grant)]
        grant: Grant,
    },
    /// Says whether something would be allowed; exit code 1 if not
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The principal
    name: String,
    /// read, write, delete, consume, define, operate or administer
    #[arg(value_parser = parse_action)]
    action: Action,
    /// table:NAME, collection:NAME, queue:NAME, key:KEY or database
    object: String,
    /// Tags of one series of the table; without any, all of the table is meant
    #[arg(value_name = "TAG=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Add { name, grant } => user::alter(context, &name, &Change::Grant(grant.to_string())),
        Command::Remove { name, grant } => user::alter(context, &name, &Change::Ungrant(grant.to_string())),
        Command::Check(arguments) => check(context, &arguments),
    }
}

fn check(context: &Context, arguments: &CheckArguments) -> Outcome {
    check_tags(target(&arguments.object)?, &arguments.tags)?;
    let CheckArguments { name, action, object, tags } = arguments;
    let allowed = match context.place()? {
        Place::Here(database) => {
            let allowed = is_allowed(&database, name, *action, object, tags)?;
            database.close()?;
            allowed
        }
        Place::There(remote) => {
            let body = json!({ "action": action.name(), "object": object, "tags": tags });
            remote.ask::<told::Checked>(&remote::post(&["principals", name, "check"]).body(body))?.allowed
        }
    };
    if context.json {
        context.print_json(&told::Checked { allowed })?;
    }
    let answer =
        format!("{} may{} {} {}", arguments.name, if allowed { "" } else { " not" }, arguments.action.name(), arguments.object);
    match allowed {
        true if context.json => Ok(()),
        true => say(&answer),
        false => Err(Failure::failed(answer)),
    }
}

fn check_tags(target: Target<'_>, tags: &[(String, String)]) -> Outcome {
    if tags.is_empty() || matches!(target, Target::Table(_)) { Ok(()) } else { Err(Failure::usage("only tables have tags")) }
}

/// Whether a principal may do something, of a table perhaps only to the series of some tags. Nobody who is disabled may do anything.
pub(crate) fn is_allowed(
    database: &Database,
    name: &str,
    action: Action,
    object: &str,
    tags: &[(String, String)],
) -> Outcome<bool> {
    let target = target(object)?;
    check_tags(target, tags)?;
    let principals = database.principals();
    principals.get(name)?.ok_or_else(|| Error::NoSuchPrincipal { name: name.to_owned() })?;
    let Some(rights) = principals.rights(name)? else { return Ok(false) };
    Ok(match target {
        Target::Table(table) if !tags.is_empty() => {
            let tags: HashMap<&str, &str> = tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
            rights.scope(action, table).is_some_and(|scope| scope.holds(|tag| tags.get(tag).copied()))
        }
        target => rights.permit(action, target),
    })
}

fn target(object: &str) -> Outcome<Target<'_>> {
    match object.split_once(':') {
        Some(("table", name)) => Ok(Target::Table(name)),
        Some(("collection", name)) => Ok(Target::Collection(name)),
        Some(("queue", name)) => Ok(Target::Queue(name)),
        Some(("key", key)) => Ok(Target::Key(key)),
        None if object == "database" => Ok(Target::Database),
        _ => Err(Failure::usage(format_args!(
            "{object:?} is nothing to ask for: write table:NAME, collection:NAME, queue:NAME, key:KEY or database"
        ))),
    }
}

fn parse_action(name: &str) -> Result<Action, String> {
    name.parse().map_err(|error: Error| error.to_string())
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (tag, value) = text.split_once('=').ok_or("a tag is written TAG=VALUE")?;
    Ok((tag.to_owned(), value.to_owned()))
}
