//! `alluvium cert issue` and `renew`.

use std::path::{Path, PathBuf};

use alluvium::{Certificate, Database, Error};
use clap::Args;
use serde_json::json;

use super::super::change;
use super::{clock, open_store, register};
use crate::certificates::{Clock, Issued, Output, Subject};
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    wanted: RenewArguments,
    /// Even if it has one that holds
    #[arg(long)]
    another: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArguments {
    /// The principal
    name: String,
    /// A signing request in PEM with the key to be certified, so that the device keeps its own; a new key is made without
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// For how many days from now
    #[arg(long, default_value_t = 3_650, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// Where to put NAME.pem, and NAME.key if it is new
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(super) fn issue(context: &Context, Arguments { wanted, another }: &Arguments) -> Outcome {
    run(context, wanted, "certificate.issue", |held, now| match held.iter().find(|one| register::holds(one, now)) {
        Some(one) if !another => Err(Error::Invalid(format!(
            "{:?} has a certificate that holds until {}: revoke it, use `alluvium cert renew`, or give --another",
            wanted.name,
            register::until(one)
        ))),
        _ => Ok(()),
    })
}

pub(super) fn renew(context: &Context, wanted: &RenewArguments) -> Outcome {
    run(context, wanted, "certificate.renew", |held, _| match held {
        [] => Err(Error::Invalid(format!("{:?} has no certificate yet: use `alluvium cert issue`", wanted.name))),
        _ => Ok(()),
    })
}

/// Issues a certificate if what the principal has lets it.
fn run(
    context: &Context,
    wanted: &RenewArguments,
    what: &str,
    permit: impl Fn(&[Certificate], i64) -> Result<(), Error>,
) -> Outcome {
    let RenewArguments { name, csr, days, out } = wanted;
    let database = context.open_quiet()?;
    let clock = clock(&database)?;
    // Before anything is made for nothing.
    find(&database, name)?;
    permit(&held(database.principals().certificates()?, name), clock.seconds()).map_err(Failure::of_request)?;
    let subject = subject(csr.as_deref())?;
    let issued = open_store(context, &clock)?.authority()?.issue(name, &subject, *days, &clock)?;
    // What fails does so before anybody could hold what is not known of.
    let output = Output::write(out, name, &issued)?;
    note(&database, &issued, what, &clock, permit)?;
    database.close()?;
    let (certificate, key) = output.name()?;
    tell(context, &issued, &certificate, key.as_deref())
}

fn find(database: &Database, name: &str) -> Outcome {
    match database.principals().get(name)? {
        Some(_) => Ok(()),
        None => Err(Failure::failed(format_args!("there is no principal {name:?}: `alluvium user add {name}` adds it"))),
    }
}

fn subject(csr: Option<&Path>) -> Outcome<Subject> {
    let Some(path) = csr else { return Subject::fresh() };
    let request = std::fs::read(path).map_err(|error| Failure::io("read", path.display(), &error))?;
    Subject::requested(&request, path)
}

/// Has the engine know of it.
fn note(
    database: &Database,
    Issued { certificate, .. }: &Issued,
    what: &str,
    clock: &Clock,
    permit: impl Fn(&[Certificate], i64) -> Result<(), Error>,
) -> Outcome {
    let (name, key) = (&certificate.principal, certificate.key);
    let detail = format!("key {key} until {}", register::until(certificate));
    change(database, what, name, &detail, |transaction| {
        permit(&held(transaction.principals().certificates()?, name), clock.seconds())?;
        register::put_in(transaction, certificate)
    })?;
    Ok(())
}

/// What a principal has, of all.
fn held(all: Vec<Certificate>, name: &str) -> Vec<Certificate> {
    all.into_iter().filter(|one| one.principal == name).collect()
}

fn tell(context: &Context, issued: &Issued, certificate: &Path, key: Option<&Path>) -> Outcome {
    let issued = &issued.certificate;
    if context.json {
        let mut object = json!(register::describe(issued));
        object["certificate"] = json!(certificate.display().to_string());
        object["private_key"] = json!(key.map(|key| key.display().to_string()));
        return context.print_json(&object);
    }
    let key = key.map_or_else(
        || "the device has its key".to_owned(),
        |key| format!("its key, for the device alone, is {}", key.display()),
    );
    say(&format!("{} has certificate {} until {}; {key}", issued.principal, certificate.display(), register::until(issued)))
}
