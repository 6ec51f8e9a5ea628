//! `alluvium grant`: what a principal may do besides what its roles allow, and whether something would be allowed.

use std::collections::HashMap;

use alluvium::{Action, Error, Grant, Rights, Target};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{parse_grant, user};
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};

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
        Command::Add { name, grant } => user::alter(context, "grant.add", &name, &grant.to_string(), |principal| {
            if !principal.grants.contains(&grant) {
                principal.grants.push(grant.clone());
            }
            Ok(())
        }),
        Command::Remove { name, grant } => user::alter(context, "grant.remove", &name, &grant.to_string(), |principal| {
            let before = principal.grants.len();
            principal.grants.retain(|one| *one != grant);
            match principal.grants.len() < before {
                true => Ok(()),
                false => Err(Error::Invalid(format!("{name} has no grant of its own that says `{grant}`"))),
            }
        }),
        Command::Check(arguments) => check(context, &arguments),
    }
}

fn check(context: &Context, arguments: &CheckArguments) -> Outcome {
    let target = target(&arguments.object)?;
    if !arguments.tags.is_empty() && !matches!(target, Target::Table(_)) {
        return Err(Failure::usage("only tables have tags"));
    }
    let database = context.open_quiet()?;
    let rights = database.principals().rights(&arguments.name)?;
    let exists = database.principals().get(&arguments.name)?.is_some();
    database.close()?;
    if !exists {
        return Err(Error::NoSuchPrincipal { name: arguments.name.clone() }.into());
    }
    // Nobody who is disabled has any.
    let allowed = rights.is_some_and(|rights| is_allowed(&rights, arguments, target));
    if context.json {
        context.print_json(&json!({ "allowed": allowed }))?;
    }
    let answer =
        format!("{} may{} {} {}", arguments.name, if allowed { "" } else { " not" }, arguments.action.name(), arguments.object);
    match allowed {
        true if context.json => Ok(()),
        true => say(&answer),
        false => Err(Failure::failed(answer)),
    }
}

fn is_allowed(rights: &Rights, arguments: &CheckArguments, target: Target<'_>) -> bool {
    match target {
        Target::Table(table) if !arguments.tags.is_empty() => {
            let tags: HashMap<&str, &str> = arguments.tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
            rights.scope(arguments.action, table).is_some_and(|scope| scope.holds(|tag| tags.get(tag).copied()))
        }
        target => rights.permit(arguments.action, target),
    }
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
