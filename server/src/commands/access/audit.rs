//! `alluvium audit`: who did what, when, and what came of it.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use alluvium::{AuditEntry, AuditOutcome, Audited, Database, TimeUnit};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::timestamp;
use crate::told;

/// Entries read at once.
const PAGE: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists entries
    List(ListArguments),
    /// Shows where the trail ends: number and hash of its last entry, to be kept elsewhere as a proof of all before
    Head,
    /// Checks that every entry is as it was written and none is missing; exit code 1 if not
    Check,
    /// Writes all entries as JSON lines with their hashes, behind a line with the hash of those that went
    Export {
        /// The file to write, which must not exist; - is standard output
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// From this number on
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// Only what this principal did
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only what was done, refused or failed
    #[arg(long, value_name = "OUTCOME", value_parser = parse_outcome)]
    outcome: Option<AuditOutcome>,
    /// At most so many, the last there are
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    let database = context.open_quiet()?;
    match command {
        Command::List(arguments) => list(context, &database, &arguments)?,
        Command::Head => head(context, &database)?,
        Command::Check => check(context, &database)?,
        Command::Export { file } => export(&database, &file)?,
    }
    Ok(database.close()?)
}

/// Calls for every entry from a number on.
fn each(database: &Database, mut from: u64, mut call: impl FnMut(Audited) -> Outcome) -> Outcome {
    loop {
        let page = database.trail().read(from, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.number + 1;
        page.into_iter().try_for_each(&mut call)?;
    }
}

fn list(context: &Context, database: &Database, arguments: &ListArguments) -> Outcome {
    let mut shown = std::collections::VecDeque::new();
    each(database, arguments.from, |found| {
        let wanted = arguments.who.as_ref().is_none_or(|who| *who == found.entry.who)
            && arguments.outcome.is_none_or(|outcome| outcome == found.entry.outcome);
        if wanted {
            shown.push_back(found);
        }
        if shown.len() > arguments.limit {
            shown.pop_front();
        }
        Ok(())
    })?;
    if context.json {
        return shown.iter().try_for_each(|found| context.print_json(&describe(found)));
    }
    let headings = [
        ("number", Align::Right),
        ("time", Align::Left),
        ("who", Align::Left),
        ("what", Align::Left),
        ("object", Align::Left),
        ("outcome", Align::Left),
        ("detail", Align::Left),
    ];
    let mut table = Table::new(headings);
    for Audited { number, at, entry, .. } in shown {
        let times = if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
        let time = timestamp::utc(at, TimeUnit::Micro);
        let outcome = format!("{}{times}", entry.outcome.name());
        table.push([number.to_string(), time, entry.who, entry.what, entry.object, outcome, entry.detail]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn head(context: &Context, database: &Database) -> Outcome {
    let head = database.trail().head()?;
    match context.json {
        true => context.print_json(&json!({ "number": head.number, "hash": hex(&head.hash), "dropped": head.dropped })),
        false => say(&format!("{} {}", head.number, hex(&head.hash))),
    }
}

fn check(context: &Context, database: &Database) -> Outcome {
    let (head, wrong) = (database.trail().head()?, database.trail().check()?);
    if context.json {
        context.print_json(&json!({ "entries": head.number - head.dropped, "problem": wrong }))?;
    }
    match wrong {
        Some(wrong) => Err(Failure::failed(format_args!("the audit trail was tampered with: {wrong}"))),
        None if context.json => Ok(()),
        None => say(&format!("{} entries are as they were written", head.number - head.dropped)),
    }
}

fn export(database: &Database, file: &PathBuf) -> Outcome {
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match file.as_os_str() == "-" {
        true => Box::new(io::stdout().lock()),
        false => {
            let made = std::fs::File::create_new(file);
            Box::new(made.map_err(|error| Failure::io("make", file.display(), &error))?)
        }
    });
    let head = database.trail().head()?;
    writeln!(out, "{}", json!({ "dropped": head.dropped, "hash": hex(&head.dropped_hash) }))?;
    each(database, 1, |found| Ok(writeln!(out, "{}", json!(describe(&found)))?))?;
    Ok(out.flush()?)
}

/// An entry for programs.
pub(crate) fn describe(found: &Audited) -> told::Entry {
    let Audited { number, at, entry, hash, .. } = found;
    told::Entry {
        number: *number,
        at: timestamp::utc(*at, TimeUnit::Micro),
        who: entry.who.clone(),
        what: entry.what.clone(),
        object: entry.object.clone(),
        outcome: entry.outcome.name(),
        detail: entry.detail.clone(),
        times: entry.times,
        hash: hex(hash),
    }
}

/// An entry in a line.
pub(crate) fn sentence(entry: &AuditEntry) -> String {
    format!("{} {} {} {}", entry.who, entry.what, entry.object, entry.outcome.name())
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_outcome(name: &str) -> Result<AuditOutcome, String> {
    let found = AuditOutcome::ALL.into_iter().find(|outcome| outcome.name() == name);
    found.ok_or_else(|| format!("{name:?} is none of done, refused and failed"))
}
