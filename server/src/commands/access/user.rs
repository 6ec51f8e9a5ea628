//! `alluvium user`: principals, which are devices, programs and people.

use std::io::{self, Write};

use alluvium::{Error, Grant, Principal, Transaction};
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{change, lines, parse_grant, principal};
use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::{remote, told};

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
        Command::Give { name, role } => alter(context, &name, &Change::Give(role)),
        Command::Take { name, role } => alter(context, &name, &Change::Take(role)),
        Command::Disable { name } => alter(context, &name, &Change::Disabled(true)),
        Command::Enable { name } => alter(context, &name, &Change::Disabled(false)),
        Command::Remove { name } => remove(context, &name),
    }
}

/// Something that is changed of a principal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Gives it a role.
    Give(String),
    /// Takes a role from it.
    Take(String),
    /// Grants it something.
    Grant(String),
    /// Takes a grant from it.
    Ungrant(String),
    /// Lets it do nothing, or again what it may.
    Disabled(bool),
}

impl Change {
    /// As the audit trail calls it.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Change::Give(_) => "role.give",
            Change::Take(_) => "role.take",
            Change::Grant(_) => "grant.add",
            Change::Ungrant(_) => "grant.remove",
            Change::Disabled(true) => "principal.disable",
            Change::Disabled(false) => "principal.enable",
        }
    }

    /// What else there is to say of it.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Change::Give(text) | Change::Take(text) | Change::Grant(text) | Change::Ungrant(text) => text,
            Change::Disabled(_) => "",
        }
    }

    fn apply(&self, Principal { name, roles, grants, disabled }: &mut Principal) -> Result<(), Error> {
        match self {
            Change::Give(role) if !roles.contains(role) => roles.push(role.clone()),
            Change::Give(_) => {}
            Change::Take(role) if roles.contains(role) => roles.retain(|one| one != role),
            Change::Take(role) => return Err(Error::Invalid(format!("{name} does not have role {role:?}"))),
            Change::Grant(grant) => {
                let grant: Grant = grant.parse()?;
                if !grants.contains(&grant) {
                    grants.push(grant);
                }
            }
            Change::Ungrant(grant) => {
                let grant: Grant = grant.parse()?;
                if !grants.contains(&grant) {
                    return Err(Error::Invalid(format!("{name} has no grant of its own that says `{grant}`")));
                }
                grants.retain(|one| *one != grant);
            }
            Change::Disabled(given) => *disabled = *given,
        }
        Ok(())
    }

    /// Puts a principal back changed.
    pub(crate) fn make(&self, transaction: &mut Transaction<'_>, name: &str) -> Result<Principal, Error> {
        let mut changed = principal(transaction, name)?;
        self.apply(&mut changed)?;
        transaction.principals().put(&changed)?;
        Ok(changed)
    }
}

fn add(context: &Context, AddArguments { name, role, grant }: AddArguments) -> Outcome {
    let new = Principal { roles: role, grants: grant, ..Principal::new(name) };
    let said = describe(&new);
    match context.place_or_make()? {
        Place::Here(database) => {
            change(&database, "principal.add", &new.name, &sentence(&said), |transaction| add_in(transaction, &new))?;
            database.close()?;
        }
        Place::There(remote) => {
            let body = json!({ "roles": said.roles, "grants": said.grants });
            remote.order(&remote::put(&["principals", &new.name]).with("if_absent", true).body(body))?;
        }
    }
    tell(context, &said)
}

/// Adds one that is not there yet.
pub(crate) fn add_in(transaction: &mut Transaction<'_>, new: &Principal) -> Result<(), Error> {
    if transaction.principals().get(&new.name)?.is_some() {
        return Err(Error::Invalid(format!(
            "principal {:?} exists already: `alluvium user give` and `alluvium grant add` change it",
            new.name
        )));
    }
    transaction.principals().put(new).map(|_| ())
}

/// Changes one.
pub(super) fn alter(context: &Context, name: &str, wanted: &Change) -> Outcome {
    let altered = match context.place()? {
        Place::Here(database) => {
            let altered = change(&database, wanted.what(), name, wanted.detail(), |transaction| wanted.make(transaction, name))?;
            database.close()?;
            describe(&altered)
        }
        Place::There(remote) => {
            let body = serde_json::to_value(wanted).map_err(Failure::failed)?;
            remote.ask(&remote::patch(&["principals", name]).body(body))?
        }
    };
    tell(context, &altered)
}

fn tell(context: &Context, principal: &told::Principal) -> Outcome {
    if context.json { context.print_json(principal) } else { say(&sentence(principal)) }
}

/// What one is and may do, in a line.
fn sentence(told::Principal { name, roles, grants, disabled }: &told::Principal) -> String {
    let roles = if roles.is_empty() { "no role".to_owned() } else { format!("role {}", roles.join(", ")) };
    let own: String = grants.iter().map(|grant| format!("; {grant}")).collect();
    format!("{name}: {roles}{own}{}", if *disabled { " (disabled)" } else { "" })
}

/// A principal for programs.
pub(crate) fn describe(principal: &Principal) -> told::Principal {
    let Principal { name, roles, grants, disabled } = principal;
    told::Principal { name: name.clone(), roles: roles.clone(), grants: lines(grants), disabled: *disabled }
}

fn list(context: &Context) -> Outcome {
    let principals: Vec<told::Principal> = match context.place()? {
        Place::Here(database) => {
            let principals = database.principals().list()?;
            database.close()?;
            principals.iter().map(describe).collect()
        }
        Place::There(remote) => remote.all("principals", &remote::get(&["principals"]))?,
    };
    if context.json {
        return principals.iter().try_for_each(|principal| context.print_json(principal));
    }
    let mut table = Table::new([("name", Align::Left), ("roles", Align::Left), ("own grants", Align::Right), ("", Align::Left)]);
    for told::Principal { name, roles, grants, disabled } in principals {
        let disabled = if disabled { "disabled" } else { "" };
        table.push([name, roles.join(", "), grants.len().to_string(), disabled.to_owned()]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// One, and the grants of each of its roles.
fn find(context: &Context, name: &str) -> Outcome<(told::Principal, Vec<told::Role>)> {
    match context.place()? {
        Place::Here(database) => {
            let principals = database.principals();
            let principal = principals.get(name)?.ok_or_else(|| Error::NoSuchPrincipal { name: name.to_owned() })?;
            let of =
                |role: &String| Ok(told::Role { name: role.clone(), grants: lines(&principals.role(role)?.unwrap_or_default()) });
            let by_role = principal.roles.iter().map(of).collect::<Result<_, Error>>()?;
            database.close()?;
            Ok((describe(&principal), by_role))
        }
        Place::There(remote) => {
            let principal: told::Principal = remote.ask(&remote::get(&["principals", name]))?;
            let roles: Vec<told::Role> = remote.all("roles", &remote::get(&["roles"]))?;
            let by_role = roles.into_iter().filter(|role| principal.roles.contains(&role.name)).collect();
            Ok((principal, by_role))
        }
    }
}

fn show(context: &Context, name: &str) -> Outcome {
    let (principal, by_role) = find(context, name)?;
    if context.json {
        let mut object = json!(principal);
        object["roles"] = by_role.into_iter().map(|told::Role { name, grants }| (name, json!(grants))).collect();
        return context.print_json(&object);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", sentence(&principal))?;
    let own = principal.grants.into_iter().map(|grant| (grant, String::new()));
    let of_role = |told::Role { name, grants }| grants.into_iter().map(move |grant| (grant, format!("role {name}")));
    let of_roles = by_role.into_iter().flat_map(of_role);
    let mut table = Table::new([("grant", Align::Left), ("by", Align::Left)]);
    own.chain(of_roles).for_each(|(grant, by)| table.push([grant, by]));
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn remove(context: &Context, name: &str) -> Outcome {
    match context.place()? {
        Place::Here(database) => {
            change(&database, "principal.remove", name, "", |transaction| match transaction.principals().remove(name)? {
                true => Ok(()),
                false => Err(Error::NoSuchPrincipal { name: name.to_owned() }),
            })?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::delete(&["principals", name]))?;
        }
    }
    if context.json { context.print_json(&json!({ "name": name, "removed": true })) } else { say(&format!("{name} is gone")) }
}
