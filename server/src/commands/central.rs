//! `alluvium central`: the PostgreSQL that knows what all gateways cut and delivered, for its owner.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use alluvium_sync::postgres::{Central, GatewayStatus, Migrated, Options, Secret, Status};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes the schema, or brings it to this version: to be run before gateways are updated, and once a year
    Migrate {
        #[command(flatten)]
        at: At,
        /// Gives the role `alluvium_gateway`, by which gateways log in, the password in this file
        #[arg(long, value_name = "FILE")]
        login_password_file: Option<PathBuf>,
    },
    /// Makes a gateway known, and prints its secret, once
    Provision(Named),
    /// Gives a gateway another secret, and prints it, once
    Rotate(Named),
    /// Takes nothing more from a gateway; what it delivered stays
    Retire(Named),
    /// Shows the server, and how far each gateway is
    Status {
        #[command(flatten)]
        at: At,
        /// This gateway alone
        name: Option<String>,
    },
}

/// A gateway.
#[derive(Debug, Args)]
pub(crate) struct Named {
    #[command(flatten)]
    at: At,
    /// Its name
    name: String,
}

/// Where the centre is.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The database, as its owner: postgresql://OWNER@HOST/NAME?sslrootcert=FILE, or as psql takes it
    #[arg(long = "to", value_name = "CONNINFO", env = "ALLUVIUM_CENTRAL", hide_env_values = true)]
    conninfo: String,
    /// The owner's password is in this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl At {
    async fn connect(&self) -> Outcome<Central> {
        let options = Options { password_file: self.password_file.clone(), ..Options::new(&self.conninfo) };
        Central::connect(&options).await.map_err(Failure::failed)
    }
}

pub(crate) fn run(context: &Context, command: &Command) -> Outcome {
    crate::serve::runtime()?.block_on(carry_out(context, command))
}

async fn carry_out(context: &Context, command: &Command) -> Outcome {
    match command {
        Command::Migrate { at, login_password_file } => {
            let mut central = at.connect().await?;
            let migrated = central.migrate().await.map_err(Failure::failed)?;
            if let Some(file) = login_password_file {
                central.set_login_password(&password(file)?).await.map_err(Failure::failed)?;
            }
            tell_migrated(context, &migrated)
        }
        Command::Provision(Named { at, name }) => {
            let secret = at.connect().await?.provision(name).await.map_err(Failure::failed)?;
            tell_secret(context, name, &secret)
        }
        Command::Rotate(Named { at, name }) => {
            let secret = at.connect().await?.rotate(name).await.map_err(Failure::failed)?;
            tell_secret(context, name, &secret)
        }
        Command::Retire(Named { at, name }) => {
            at.connect().await?.retire(name).await.map_err(Failure::failed)?;
            match context.json {
                true => context.print_json(&json!({ "gateway": name, "retired": true })),
                false => say(&format!("nothing more is taken from {name}")),
            }
        }
        Command::Status { at, name } => {
            let status = at.connect().await?.status(name.as_deref()).await.map_err(Failure::failed)?;
            if context.json { context.print_json(&status) } else { print(&status) }
        }
    }
}

/// The first line of a file.
fn password(file: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::io("read", file.display(), &error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Failure::failed(format_args!("{} has no password in its first line", file.display()))),
    }
}

fn tell_migrated(context: &Context, migrated: &Migrated) -> Outcome {
    let Migrated { applied, dropped, partitions } = migrated;
    if context.json {
        return context.print_json(&json!({ "applied": applied, "dropped": dropped, "partitions": partitions }));
    }
    let made = terminal::things(applied.len() as u64, "migration");
    say(&format!("{made} and {} made", terminal::things(u64::from(*partitions), "partition")))
}

fn tell_secret(context: &Context, name: &str, secret: &Secret) -> Outcome {
    if context.json {
        return context.print_json(&json!({ "gateway": name, "secret": secret.expose() }));
    }
    terminal::remark(format_args!("the secret of {name}, which is not shown again:"));
    say(secret.expose())
}

fn print(status: &Status) -> Outcome {
    let mut out = io::stdout().lock();
    let timescale = match status.timescale.as_ref().and_then(|timescale| timescale.installed.as_ref()) {
        Some(version) => format!(", with TimescaleDB {version}"),
        None => String::new(),
    };
    let apis: Vec<_> = status.apis.iter().map(|api| format!("v{api}")).collect();
    writeln!(out, "PostgreSQL {}{timescale}; gateways may call {}", status.server_version, apis.join(", "))?;
    for warning in &status.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    if !status.gateways.is_empty() {
        let right = ["cut", "delivered through", "behind", "missing", "lost"].map(|heading| (heading, Align::Right));
        let [cut, through, behind, missing, lost] = right;
        let mut table = Table::new([("gateway", Align::Left), cut, through, behind, missing, lost, ("last seen", Align::Left)]);
        status.gateways.iter().for_each(|gateway| table.push(row(gateway)));
        table.write(&mut out)?;
    }
    Ok(out.flush()?)
}

fn row(gateway: &GatewayStatus) -> [String; 7] {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), terminal::count);
    let seen = gateway.seen_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    [
        gateway.name.clone(),
        number(gateway.head.as_ref().map(|head| head.cut)),
        number(gateway.delivered_through),
        terminal::count(gateway.cuts_behind),
        terminal::count(gateway.missing),
        terminal::count(gateway.lost),
        if gateway.retired_at.is_some() { format!("{seen} (retired)") } else { seen },
    ]
}
