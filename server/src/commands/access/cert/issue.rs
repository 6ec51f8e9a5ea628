//! `alluvium cert issue` and `renew`.

use std::path::{Path, PathBuf};

use alluvium::Database;
use clap::Args;
use serde_json::json;

use super::super::change;
use super::register::{self, Having};
use super::{clock, open_store};
use crate::certificates::{Output, Subject};
use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::remote::{self, Remote};
use crate::told;

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
    run(context, wanted, if *another { Having::Anything } else { Having::None })
}

pub(super) fn renew(context: &Context, wanted: &RenewArguments) -> Outcome {
    run(context, wanted, Having::Some)
}

/// Issues a certificate if what the principal has lets it.
fn run(context: &Context, wanted: &RenewArguments, having: Having) -> Outcome {
    // Before anything is made for nothing.
    Output::check(&wanted.out, &wanted.name, wanted.csr.is_none())?;
    let (certificate, files) = match context.place()? {
        Place::Here(database) => here(context, database, wanted, having)?,
        Place::There(remote) => there(&remote, wanted, having)?,
    };
    tell(context, &certificate, &files)
}

type Files = (PathBuf, Option<PathBuf>);

fn here(context: &Context, database: Database, wanted: &RenewArguments, having: Having) -> Outcome<(told::Certificate, Files)> {
    let RenewArguments { name, csr, days, out } = wanted;
    let clock = clock(&database)?;
    find(&database, name)?;
    having.check(&database.principals().certificates()?, name, clock.seconds()).map_err(Failure::of_request)?;
    let subject = match csr {
        Some(path) => Subject::requested(&read(path)?, path)?,
        None => Subject::fresh()?,
    };
    let issued = open_store(context, &clock)?.authority()?.issue(name, &subject, *days, &clock)?;
    // What fails does so before anybody could hold what is not known of.
    let output = Output::write(out, name, &issued.chain, issued.private_key.as_deref())?;
    let certificate = &issued.certificate;
    let told = register::describe(certificate);
    let detail = format!("key {} until {}", told.key, told.not_after.as_deref().unwrap_or_default());
    change(&database, having.what(), name, &detail, |transaction| {
        register::put_in(transaction, certificate, having, clock.seconds())
    })?;
    database.close()?;
    Ok((told, output.name()?))
}

/// A new key stays here: a server only certifies it.
fn there(remote: &Remote, wanted: &RenewArguments, having: Having) -> Outcome<(told::Certificate, Files)> {
    let RenewArguments { name, csr, days, out } = wanted;
    let (private_key, request) = match csr {
        Some(path) => (None, String::from_utf8(read(path)?).map_err(Failure::usage)?),
        None => Subject::to_request().map(|(key, request)| (Some(key), request))?,
    };
    let body = json!({ "principal": name, "csr": request, "days": days, "having": having });
    let told::Certified { certificate, chain } = remote.ask(&remote::post(&["certificates"]).body(body))?;
    let output = Output::write(out, name, &chain, private_key.as_deref())?;
    Ok((certificate, output.name()?))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::io("read", path.display(), &error))
}

fn find(database: &Database, name: &str) -> Outcome {
    match database.principals().get(name)? {
        Some(_) => Ok(()),
        None => Err(Failure::failed(format_args!("there is no principal {name:?}: `alluvium user add {name}` adds it"))),
    }
}

fn tell(context: &Context, issued: &told::Certificate, (certificate, key): &Files) -> Outcome {
    if context.json {
        let mut object = json!(issued);
        object["certificate"] = json!(certificate.display().to_string());
        object["private_key"] = json!(key.as_ref().map(|key| key.display().to_string()));
        return context.print_json(&object);
    }
    let key = key.as_ref().map_or_else(
        || "the device has its key".to_owned(),
        |key| format!("its key, for the device alone, is {}", key.display()),
    );
    let until = issued.not_after.as_deref().unwrap_or_default();
    say(&format!("{} has certificate {} until {until}; {key}", issued.principal, certificate.display()))
}
