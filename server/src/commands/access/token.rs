//! `alluvium token`: secrets by which principals are known where there are no certificates.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Error, TimeUnit, Token, Transaction};
use clap::{Args, Subcommand};
use serde_json::json;

use super::change;
use crate::commands::values::{say, time, told_seconds};
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::timestamp;
use crate::{remote, told};

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
    let issued: told::Issued = match context.place()? {
        Place::Here(database) => {
            let issue = |transaction: &mut Transaction<'_>| transaction.principals().issue_token(name, label, *lasts);
            let (text, token) = change(&database, "token.issue", name, label, issue)?;
            database.close()?;
            told::Issued { issued: describe(&token), token: text }
        }
        Place::There(remote) => {
            let lasts = lasts.map(|time| time.as_secs_f64());
            let body = json!({ "principal": name, "label": label, "lasts_seconds": lasts });
            remote.ask(&remote::post(&["tokens"]).body(body))?
        }
    };
    if context.json {
        return context.print_json(&issued);
    }
    // Alone on stdout, for scripts.
    say(&issued.token)?;
    let _ = writeln!(io::stderr(), "token {} of {name}: keep it, it is not shown again", issued.issued.id);
    Ok(())
}

fn list(context: &Context) -> Outcome {
    let tokens: Vec<told::Token> = match context.place()? {
        Place::Here(database) => {
            let tokens = database.principals().tokens()?;
            database.close()?;
            tokens.iter().map(describe).collect()
        }
        Place::There(remote) => remote.all("tokens", &remote::get(&["tokens"]))?,
    };
    if context.json {
        return tokens.iter().try_for_each(|token| context.print_json(token));
    }
    let headings = [
        ("id", Align::Left),
        ("principal", Align::Left),
        ("label", Align::Left),
        ("issued", Align::Left),
        ("expires in", Align::Right),
    ];
    let mut table = Table::new(headings);
    for told::Token { id, principal, label, issued_at, expires_in_seconds } in tokens {
        table.push([id, principal, label, issued_at, told_seconds(expires_in_seconds)]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn revoke(context: &Context, id: &str) -> Outcome {
    let absent = || format!("there is no token {id:?}: `alluvium token list` shows those that hold");
    match context.place()? {
        Place::Here(database) => {
            change(&database, "token.revoke", id, "", |transaction| match transaction.principals().revoke_token(id)? {
                true => Ok(()),
                false => Err(Error::Invalid(absent())),
            })?;
            database.close()?;
        }
        Place::There(remote) => {
            if !remote.order_any(&remote::delete(&["tokens", id]))? {
                return Err(Failure::Usage(absent()));
            }
        }
    }
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
