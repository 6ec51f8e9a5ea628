//! `alluvium cert`: certificates, by which devices are known, and the authorities behind them.

mod authority;
mod issue;
pub(crate) mod register;

use alluvium::Database;
use clap::Subcommand;

use crate::certificates::{Clock, Store};
use crate::commands::Context;
use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issues a certificate to a principal that has none
    Issue(issue::Arguments),
    /// Issues another certificate to a principal; those before hold on
    Renew(issue::RenewArguments),
    /// Revokes certificates; their keys never hold again
    Revoke {
        /// The principal, or how the hash of a key begins, in at least eight digits. All 64 digits revoke a key that is not listed, too
        #[arg(value_name = "NAME|DIGITS")]
        name: String,
    },
    /// Lists those that were issued or revoked
    List,
    /// Looks after the authority that issues certificates, and others that are trusted
    #[command(subcommand)]
    Ca(authority::Command),
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Issue(arguments) => issue::issue(context, &arguments),
        Command::Renew(arguments) => issue::renew(context, &arguments),
        Command::Revoke { name } => register::revoke(context, &name),
        Command::List => register::list(context),
        Command::Ca(command) => authority::run(context, command),
    }
}

/// The clock by which certificates are issued and judged.
fn clock(database: &Database) -> Outcome<Clock> {
    Ok(Clock::new(database.principals().noted_time()?))
}

/// The certificates of an open database, made where there are none.
fn open_store(context: &Context, clock: &Clock) -> Outcome<Store> {
    Store::open_or_make(context.data(), None, clock)
}
