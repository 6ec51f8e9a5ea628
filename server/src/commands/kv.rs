//! `alluvium kv`: key-value pairs.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Pair, Put, Scan};
use clap::{Args, Subcommand};
use serde_json::json;

use super::values::{condition, say, shown, standard_input, text_or_base64, time, told_bytes, told_seconds};
use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::remote::{self, Request};
use crate::told;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the value of a key
    Get {
        /// The key
        key: String,
    },
    /// Puts a value, in the place of any there
    Put(PutArguments),
    /// Removes a key
    Delete {
        /// The key
        key: String,
        /// Only if the pair is in this revision
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Adds to a counter and prints what it comes to
    Increment {
        /// The key
        key: String,
        /// How much
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        by: i64,
    },
    /// Lists pairs in the order of their keys
    List(ListArguments),
}

#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// The key
    key: String,
    /// The value; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// How long it lasts, as in 90s, 1h or 30d. Time during which the machine is off does not count
    #[arg(long, value_name = "DURATION", value_parser = time)]
    ttl: Option<Duration>,
    /// Only if there is no such pair
    #[arg(long, conflicts_with = "if_revision")]
    if_absent: bool,
    /// Only if the pair is in this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// What their keys begin with
    #[arg(default_value = "")]
    beginning: String,
    /// Only those behind this key
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// From the last key to the first
    #[arg(long)]
    backward: bool,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Get { key } => get(context, &key),
        Command::Put(arguments) => put(context, &arguments),
        Command::Delete { key, if_revision } => delete(context, &key, if_revision),
        Command::Increment { key, by } => increment(context, &key, by),
        Command::List(arguments) => list(context, &arguments),
    }
}

fn get(context: &Context, key: &str) -> Outcome {
    let found = match context.place()? {
        Place::Here(database) => {
            let pair = database.kv().get(key).map_err(Failure::of_request)?;
            database.close()?;
            pair.map(|pair| describe(key, &pair))
        }
        Place::There(remote) => remote.find(&remote::get(&["kv", key]))?,
    };
    let pair: told::Pair = found.ok_or_else(|| absent(key))?;
    if context.json {
        return context.print_json(&pair);
    }
    let (mut out, value) = (io::stdout().lock(), bytes(&pair));
    out.write_all(&value)?;
    // Text is for people; anything else is left as it is.
    if std::str::from_utf8(&value).is_ok() {
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn put(context: &Context, arguments: &PutArguments) -> Outcome {
    let value = match arguments.value.as_str() {
        "-" => standard_input()?,
        text => text.as_bytes().to_vec(),
    };
    let put: told::PutPair = match context.place_or_make()? {
        Place::Here(database) => {
            let how = Put::default().only_if(condition(arguments.if_absent, arguments.if_revision));
            let how = arguments.ttl.map_or(how, |time| how.time_to_live(time));
            let revision = database.kv().put(&arguments.key, &value, how).map_err(Failure::of_request)?;
            database.close()?;
            told::PutPair { key: arguments.key.clone(), revision }
        }
        Place::There(remote) => remote.ask(&put_request(arguments, &value))?,
    };
    match context.json {
        true => context.print_json(&put),
        false => say(&format!("{} is at revision {}", arguments.key, put.revision)),
    }
}

fn put_request(arguments: &PutArguments, value: &[u8]) -> Request {
    let (value, base64) = text_or_base64(value);
    let body = json!({
        "value": value,
        "base64": base64,
        "if_absent": arguments.if_absent,
        "if_revision": arguments.if_revision,
        "expires_in_seconds": arguments.ttl.map(|time| time.as_secs_f64()),
    });
    remote::put(&["kv", &arguments.key]).body(body)
}

fn delete(context: &Context, key: &str, if_revision: Option<u64>) -> Outcome {
    let was_there = match context.place()? {
        Place::Here(database) => {
            let was_there = database.kv().delete(key, condition(false, if_revision)).map_err(Failure::of_request)?;
            database.close()?;
            was_there
        }
        Place::There(remote) => remote.order_any(&remote::delete(&["kv", key]).with_any("if_revision", if_revision))?,
    };
    if !was_there {
        return Err(absent(key));
    }
    if context.json { context.print_json(&json!({ "key": key, "deleted": true })) } else { say(&format!("{key} is gone")) }
}

fn increment(context: &Context, key: &str, by: i64) -> Outcome {
    let counted: told::Counter = match context.place_or_make()? {
        Place::Here(database) => {
            let value = database.kv().increment(key, by).map_err(Failure::of_request)?;
            database.close()?;
            told::Counter { key: key.to_owned(), value }
        }
        Place::There(remote) => remote.ask(&remote::post(&["kv", key, "increment"]).body(json!({ "by": by })))?,
    };
    if context.json { context.print_json(&counted) } else { say(&counted.value.to_string()) }
}

fn scan(arguments: &ListArguments) -> Scan {
    let mut scan = Scan::of(&arguments.beginning).limit(arguments.limit);
    if let Some(after) = &arguments.after {
        scan = scan.after(after);
    }
    if arguments.backward {
        scan = scan.backward();
    }
    scan
}

fn list_request(arguments: &ListArguments, limit: usize, next: Option<&str>) -> Request {
    let after = next.or(arguments.after.as_deref());
    let asked = remote::get(&["kv"]).with("beginning", &arguments.beginning).with_any("after", after);
    asked.with("limit", limit).with("backward", arguments.backward)
}

fn list(context: &Context, arguments: &ListArguments) -> Outcome {
    let pairs: Vec<told::Pair> = match context.place()? {
        Place::Here(database) => {
            let pairs = database.kv().scan(&scan(arguments)).map_err(Failure::of_request)?;
            database.close()?;
            pairs.iter().map(|(key, pair)| describe(key, pair)).collect()
        }
        Place::There(remote) => remote.pages("pairs", arguments.limit, |limit, next| list_request(arguments, limit, next))?,
    };
    if context.json {
        return pairs.iter().try_for_each(|pair| context.print_json(pair));
    }
    let headings = [("key", Align::Left), ("value", Align::Left), ("revision", Align::Right), ("expires in", Align::Right)];
    let mut table = Table::new(headings);
    for pair in pairs {
        let value = shown(&bytes(&pair));
        table.push([pair.key, value, pair.revision.to_string(), told_seconds(pair.expires_in_seconds)]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn bytes(pair: &told::Pair) -> Vec<u8> {
    told_bytes(pair.value.as_deref(), pair.base64.as_deref())
}

fn absent(key: &str) -> Failure {
    Failure::failed(format_args!("there is no key {key:?}: `alluvium kv list` shows those there are"))
}

/// A pair for programs. A value that is no text is in base64.
pub(crate) fn describe(key: &str, pair: &Pair) -> told::Pair {
    let (value, base64) = text_or_base64(&pair.value);
    let expires_in_seconds = pair.expires_in.map(|left| left.as_secs_f64());
    told::Pair { key: key.to_owned(), revision: pair.revision, value, base64, expires_in_seconds }
}
