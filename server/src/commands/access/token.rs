//! `alluvium token`: secrets by which principals are known where there are no certificates.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Error, TimeUnit, Token};
use clap::{Args, Subcommand};
use serde_json::json;

use super::change;
use crate::commands::Context;
use crate::commands::values::{say, seconds, time};
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::timestamp;
use crate::told;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issues one and prints it, this once: it is stored nowhere
    Issue(IssueArguments),
    /// Lists those that hold, by what they are called
    List,
    /// Revokes one
    Revoke {
        /// What it is called, as `alluvium token list` shows
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IssueArguments {
    /// The principal whose it is
    name: String,
    /// What it is for
    #[arg(long, default_value = "")]
    label: String,
    /// How long it holds, as in 1h or 90d; for good without. Time during which the machine is off does not count
    #[arg(long, value_name = "DURATION", value_parser = time)]
    lasts: Option<Duration>,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Issue(arguments) => issue(context, &arguments),
        Command::List => list(context),
        Command::Revoke { id } => revoke(context, &id),
    }
}

fn issue(context: &Context, IssueArguments { name, label, lasts }: &IssueArguments) -> Outcome {
    let database = context.open_quiet()?;
    let (text, token) =
        change(&database, "token.issue", name, label, |transaction| transaction.principals().issue_token(name, label, *lasts))?;
    database.close()?;
    if context.json {
        return context.print_json(&told::Issued { issued: describe(&token), token: text });
    }
    // Alone on stdout, for scripts.
    say(&text)?;
    let _ = writeln!(io::stderr(), "token {} of {name}: keep it, it is not shown again", token.id);
    Ok(())
}

fn list(context: &Context) -> Outcome {
    let database = context.open_quiet()?;
    let tokens = database.principals().tokens()?;
    database.close()?;
    if context.json {
        return tokens.iter().try_for_each(|token| context.print_json(&describe(token)));
    }
    let headings = [
        ("id", Align::Left),
        ("principal", Align::Left),
        ("label", Align::Left),
        ("issued", Align::Left),
        ("expires in", Align::Right),
    ];
    let mut table = Table::new(headings);
    for token in tokens {
        let issued = timestamp::utc(token.issued_at, TimeUnit::Micro);
        let expires = token.expires_in.map_or_else(String::new, seconds);
        table.push([token.id, token.principal, token.label, issued, expires]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn revoke(context: &Context, id: &str) -> Outcome {
    let database = context.open_quiet()?;
    change(&database, "token.revoke", id, "", |transaction| match transaction.principals().revoke_token(id)? {
        true => Ok(()),
        false => Err(Error::Invalid(format!("there is no token {id:?}: `alluvium token list` shows those that hold"))),
    })?;
    database.close()?;
    if context.json { context.print_json(&json!({ "id": id, "revoked": true })) } else { say(&format!("token {id} is revoked")) }
}

/// A token for programs, without its text.
pub(crate) fn describe(token: &Token) -> told::Token {
    told::Token {
        id: token.id.clone(),
        principal: token.principal.clone(),
        label: token.label.clone(),
        issued_at: timestamp::utc(token.issued_at, TimeUnit::Micro),
        expires_in_seconds: token.expires_in.map(|left| left.as_secs_f64()),
    }
}
