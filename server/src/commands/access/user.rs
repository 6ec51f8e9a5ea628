//! `alluvium user`: principals, which are devices, programs and people.

use std::io::{self, Write};

use alluvium::{Error, Grant, Principal};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{change, lines, parse_grant, principal};
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::told;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Adds one
    Add(AddArguments),
    /// Lists all
    List,
    /// Shows one with its grants and those of its roles
    Show {
        /// Its name
        name: String,
    },
    /// Gives one a role
    Give {
        /// Its name
        name: String,
        /// device, reader, operator, admin, or an own one
        role: String,
    },
    /// Takes a role from one
    Take {
        /// Its name
        name: String,
        /// The role
        role: String,
    },
    /// Lets one do nothing for now
    Disable {
        /// Its name
        name: String,
    },
    /// Lets one do again what it may
    Enable {
        /// Its name
        name: String,
    },
    /// Removes one with its tokens
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// Its name: ASCII letters and digits and . _ - @ +
    name: String,
    /// A role: device, reader, operator, admin, or an own one; may be given several times
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A grant, as in "read,write table:air where device=${principal}"; may be given several times
    #[arg(long, value_name = "GRANT", value_parser = parse_grant)]
    grant: Vec<Grant>,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Add(arguments) => add(context, arguments),
        Command::List => list(context),
        Command::Show { name } => show(context, &name),
        Command::Give { name, role } => alter(context, "role.give", &name, &role, |principal| {
            if !principal.roles.contains(&role) {
                principal.roles.push(role.clone());
            }
            Ok(())
        }),
        Command::Take { name, role } => alter(context, "role.take", &name, &role, |principal| {
            let before = principal.roles.len();
            principal.roles.retain(|one| *one != role);
            match principal.roles.len() < before {
                true => Ok(()),
                false => Err(Error::Invalid(format!("{name} does not have role {role:?}"))),
            }
        }),
        Command::Disable { name } => alter(context, "principal.disable", &name, "", |principal| {
            principal.disabled = true;
            Ok(())
        }),
        Command::Enable { name } => alter(context, "principal.enable", &name, "", |principal| {
            principal.disabled = false;
            Ok(())
        }),
        Command::Remove { name } => remove(context, &name),
    }
}

fn add(context: &Context, AddArguments { name, role, grant }: AddArguments) -> Outcome {
    let new = Principal { roles: role, grants: grant, ..Principal::new(name) };
    let database = context.open_or_make()?;
    change(&database, "principal.add", &new.name, &sentence(&new), |transaction| {
        if transaction.principals().get(&new.name)?.is_some() {
            return Err(Error::Invalid(format!(
                "principal {:?} exists already: `alluvium user give` and `alluvium grant add` change it",
                new.name
            )));
        }
        transaction.principals().put(&new)
    })?;
    database.close()?;
    told(context, &new)
}

/// Puts one back changed.
pub(super) fn alter(
    context: &Context,
    what: &str,
    name: &str,
    detail: &str,
    alter: impl Fn(&mut Principal) -> Result<(), Error>,
) -> Outcome {
    let database = context.open_quiet()?;
    let altered = change(&database, what, name, detail, |transaction| {
        let mut principal = principal(transaction, name)?;
        alter(&mut principal)?;
        transaction.principals().put(&principal)?;
        Ok(principal)
    })?;
    database.close()?;
    told(context, &altered)
}

fn told(context: &Context, principal: &Principal) -> Outcome {
    if context.json { context.print_json(&describe(principal)) } else { say(&sentence(principal)) }
}

/// What one is and may do, in a line.
fn sentence(principal: &Principal) -> String {
    let Principal { name, roles, grants, disabled } = principal;
    let roles = if roles.is_empty() { "no role".to_owned() } else { format!("role {}", roles.join(", ")) };
    let own: String = lines(grants).into_iter().map(|grant| format!("; {grant}")).collect();
    format!("{name}: {roles}{own}{}", if *disabled { " (disabled)" } else { "" })
}

/// A principal for programs.
pub(crate) fn describe(principal: &Principal) -> told::Principal {
    let Principal { name, roles, grants, disabled } = principal;
    told::Principal { name: name.clone(), roles: roles.clone(), grants: lines(grants), disabled: *disabled }
}

fn list(context: &Context) -> Outcome {
    let database = context.open_quiet()?;
    let principals = database.principals().list()?;
    database.close()?;
    if context.json {
        return principals.iter().try_for_each(|principal| context.print_json(&describe(principal)));
    }
    let mut table = Table::new([("name", Align::Left), ("roles", Align::Left), ("own grants", Align::Right), ("", Align::Left)]);
    for Principal { name, roles, grants, disabled } in principals {
        let disabled = if disabled { "disabled" } else { "" };
        table.push([name, roles.join(", "), grants.len().to_string(), disabled.to_owned()]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn show(context: &Context, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    let principals = database.principals();
    let principal = principals.get(name)?.ok_or_else(|| Error::NoSuchPrincipal { name: name.to_owned() })?;
    let mut by_role = Vec::new();
    for role in &principal.roles {
        by_role.push((role.clone(), lines(&principals.role(role)?.unwrap_or_default())));
    }
    database.close()?;
    if context.json {
        let mut object = json!(describe(&principal));
        object["roles"] = by_role.into_iter().map(|(role, grants)| (role, json!(grants))).collect();
        return context.print_json(&object);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", sentence(&principal))?;
    let own = lines(&principal.grants).into_iter().map(|grant| (grant, String::new()));
    let of_roles =
        by_role.into_iter().flat_map(|(role, grants)| grants.into_iter().map(move |grant| (grant, format!("role {role}"))));
    let mut table = Table::new([("grant", Align::Left), ("by", Align::Left)]);
    own.chain(of_roles).for_each(|(grant, by)| table.push([grant, by]));
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn remove(context: &Context, name: &str) -> Outcome {
    let database = context.open_quiet()?;
    change(&database, "principal.remove", name, "", |transaction| match transaction.principals().remove(name)? {
        true => Ok(()),
        false => Err(Error::NoSuchPrincipal { name: name.to_owned() }),
    })?;
    database.close()?;
    if context.json { context.print_json(&json!({ "name": name, "removed": true })) } else { say(&format!("{name} is gone")) }
}
