//! `alluvium kv`: key-value pairs.

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Pair, Put, Scan};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::values::{condition, say, seconds, shown, standard_input, text_or_base64, time};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
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
    let database = context.open_quiet()?;
    let pair = database.kv().get(key).map_err(Failure::of_request)?.ok_or_else(|| absent(key))?;
    database.close()?;
    if context.json {
        return context.print_json(&describe(key, &pair));
    }
    let mut out = io::stdout().lock();
    out.write_all(&pair.value)?;
    // Text is for people; anything else is left as it is.
    if std::str::from_utf8(&pair.value).is_ok() {
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn put(context: &Context, arguments: &PutArguments) -> Outcome {
    let value = match arguments.value.as_str() {
        "-" => standard_input()?,
        text => text.as_bytes().to_vec(),
    };
    let condition = condition(arguments.if_absent, arguments.if_revision);
    let how = Put::default().only_if(condition);
    let how = arguments.ttl.map_or(how, |time| how.time_to_live(time));
    let database = context.open_or_make()?;
    let revision = database.kv().put(&arguments.key, &value, how).map_err(Failure::of_request)?;
    database.close()?;
    match context.json {
        true => context.print_json(&json!({ "key": arguments.key, "revision": revision })),
        false => say(&format!("{} is at revision {revision}", arguments.key)),
    }
}

fn delete(context: &Context, key: &str, if_revision: Option<u64>) -> Outcome {
    let database = context.open_quiet()?;
    let was_there = database.kv().delete(key, condition(false, if_revision)).map_err(Failure::of_request)?;
    database.close()?;
    if !was_there {
        return Err(absent(key));
    }
    if context.json { context.print_json(&json!({ "key": key, "deleted": true })) } else { say(&format!("{key} is gone")) }
}

fn increment(context: &Context, key: &str, by: i64) -> Outcome {
    let database = context.open_or_make()?;
    let count = database.kv().increment(key, by).map_err(Failure::of_request)?;
    database.close()?;
    if context.json { context.print_json(&json!({ "key": key, "value": count })) } else { say(&count.to_string()) }
}

fn list(context: &Context, arguments: &ListArguments) -> Outcome {
    let mut scan = Scan::of(&arguments.beginning).limit(arguments.limit);
    if let Some(after) = &arguments.after {
        scan = scan.after(after);
    }
    if arguments.backward {
        scan = scan.backward();
    }
    let database = context.open_quiet()?;
    let pairs = database.kv().scan(&scan).map_err(Failure::of_request)?;
    database.close()?;
    if context.json {
        return pairs.iter().try_for_each(|(key, pair)| context.print_json(&describe(key, pair)));
    }
    let headings = [("key", Align::Left), ("value", Align::Left), ("revision", Align::Right), ("expires in", Align::Right)];
    let mut table = Table::new(headings);
    for (key, pair) in &pairs {
        table.push([
            key.clone(),
            shown(&pair.value),
            pair.revision.to_string(),
            pair.expires_in.map_or_else(String::new, seconds),
        ]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
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
