//! `alluvium cert ca`: the authority that issues certificates, and others that are trusted.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::super::change;
use super::{clock, open_store};
use crate::certificates::Store;
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the authority's certificate, by which clients know the server
    Export,
    /// Removes the authority's key, so that who takes the gateway cannot certify
    RemoveKey {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Trusts an authority of others: whom it certifies as NAME is the principal NAME@ISSUER
    Trust {
        /// What stands behind the @
        issuer: String,
        /// Its certificate, or several, in PEM
        file: PathBuf,
    },
    /// Trusts an authority of others no more
    Distrust {
        /// What stands behind the @
        issuer: String,
    },
    /// Lists the authorities of others that are trusted
    List,
}

pub(super) fn run(context: &Context, command: Command) -> Outcome {
    context.need_files("the authority is in files of the gateway")?;
    match command {
        Command::Export => export(context),
        Command::RemoveKey { yes } => remove_key(context, yes),
        Command::Trust { issuer, file } => trust(context, &issuer, &file),
        Command::Distrust { issuer } => distrust(context, &issuer),
        Command::List => list(context),
    }
}

/// Needs no database, so it works beside a server.
fn export(context: &Context) -> Outcome {
    let store = Store::open(context.data())?;
    let pem = store.authority_pem()?;
    if context.json {
        return context.print_json(&json!({ "gateway": store.gateway(), "ca": pem }));
    }
    let mut out = io::stdout().lock();
    out.write_all(pem.as_bytes())?;
    Ok(out.flush()?)
}

fn remove_key(context: &Context, yes: bool) -> Outcome {
    let database = context.open_quiet()?;
    let store = open_store(context, &clock(&database)?)?;
    let file = store.authority_key();
    let file = file.display();
    if !yes {
        return Err(Failure::usage(format_args!(
            "this removes {file}: copy it to where it is safe first, for without it nothing is issued or renewed, the server's own \
             certificate included, and only a new authority, which no device knows, could take its place. What was issued holds on. \
             The disk may keep its bytes for a while. Give --yes to do it"
        )));
    }
    // Before, so that nothing is done that is not in the trail.
    store.authority()?;
    change(&database, "ca.remove-key", &store.gateway(), "", |_| Ok(()))?;
    store.remove_authority_key()?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "file": file.to_string(), "removed": true })),
        false => say(&format!("{file} is gone: to issue certificates, put it back for as long as that takes")),
    }
}

fn trust(context: &Context, issuer: &str, file: &Path) -> Outcome {
    let content = std::fs::read(file).map_err(|error| Failure::io("read", file.display(), &error))?;
    let database = context.open_quiet()?;
    let store = open_store(context, &clock(&database)?)?;
    store.check_trust(issuer, &content, file)?;
    change(&database, "ca.trust", issuer, &file.display().to_string(), |_| Ok(()))?;
    store.trust(issuer, &content)?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "issuer": issuer, "trusted": true })),
        false => say(&format!("whom it certifies as NAME is the principal NAME@{issuer}")),
    }
}

fn distrust(context: &Context, issuer: &str) -> Outcome {
    let database = context.open_quiet()?;
    let store = open_store(context, &clock(&database)?)?;
    if !store.trusted()?.iter().any(|trusted| trusted == issuer) {
        return Err(Failure::usage(format_args!(
            "no authority is trusted as {issuer:?}: `alluvium cert ca list` shows those that are"
        )));
    }
    change(&database, "ca.distrust", issuer, "", |_| Ok(()))?;
    store.distrust(issuer)?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "issuer": issuer, "trusted": false })),
        false => say(&format!("no certificate for NAME@{issuer} is believed any more")),
    }
}

fn list(context: &Context) -> Outcome {
    let trusted = Store::open(context.data())?.trusted()?;
    trusted.iter().try_for_each(|issuer| match context.json {
        true => context.print_json(&json!({ "issuer": issuer, "trusted": true })),
        false => say(issuer),
    })
}
