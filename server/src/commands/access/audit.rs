//! `alluvium audit`: who did what, when, and what came of it.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use alluvium::{AuditHead, AuditOutcome, Audited, TimeUnit};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::timestamp;
use crate::{remote, told};

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
    match command {
        Command::List(arguments) => list(context, &arguments),
        Command::Head => head(context),
        Command::Check => check(context),
        Command::Export { file } => export(context, &file),
    }
}

/// Calls for every entry from a number on, as it is described.
fn each(place: &Place, mut from: u64, mut call: impl FnMut(told::Entry) -> Outcome) -> Outcome {
    loop {
        let page: Vec<told::Entry> = match place {
            Place::Here(database) => database.trail().read(from, PAGE)?.iter().map(describe).collect(),
            Place::There(remote) => {
                let behind = from.saturating_sub(1);
                remote.list("entries", &remote::get(&["audit"]).with("after", behind).with("limit", PAGE))?
            }
        };
        let Some(last) = page.last() else { return Ok(()) };
        from = last.number + 1;
        page.into_iter().try_for_each(&mut call)?;
    }
}

/// Where the trail begins and ends.
fn ends(place: &Place) -> Outcome<told::AuditHead> {
    match place {
        Place::Here(database) => Ok(describe_head(&database.trail().head()?)),
        Place::There(remote) => remote.ask(&remote::get(&["audit", "head"])),
    }
}

/// The same for programs.
pub(crate) fn describe_head(head: &AuditHead) -> told::AuditHead {
    let AuditHead { number, hash, dropped, dropped_hash, .. } = head;
    told::AuditHead { number: *number, hash: hex(hash), dropped: *dropped, dropped_hash: hex(dropped_hash) }
}

fn list(context: &Context, arguments: &ListArguments) -> Outcome {
    let (place, mut shown) = (context.place()?, std::collections::VecDeque::new());
    each(&place, arguments.from, |found| {
        let wanted = arguments.who.as_ref().is_none_or(|who| found.who == *who)
            && arguments.outcome.is_none_or(|outcome| found.outcome == outcome.name());
        if wanted {
            shown.push_back(found);
        }
        if shown.len() > arguments.limit {
            shown.pop_front();
        }
        Ok(())
    })?;
    place.close()?;
    if context.json {
        return shown.iter().try_for_each(|found| context.print_json(found));
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
    for entry in shown {
        let told::Entry { number, at, who, what, object, outcome, detail, times, .. } = entry;
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        table.push([number.to_string(), at, who, what, object, format!("{outcome}{times}"), detail]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn head(context: &Context) -> Outcome {
    let place = context.place()?;
    let told::AuditHead { number, hash, dropped, .. } = ends(&place)?;
    place.close()?;
    match context.json {
        true => context.print_json(&json!({ "number": number, "hash": hash, "dropped": dropped })),
        false => say(&format!("{number} {hash}")),
    }
}

fn check(context: &Context) -> Outcome {
    context.need_files("audit check reads the entries themselves")?;
    let database = context.open_quiet()?;
    let (head, wrong) = (database.trail().head()?, database.trail().check()?);
    database.close()?;
    if context.json {
        context.print_json(&json!({ "entries": head.number - head.dropped, "problem": wrong }))?;
    }
    match wrong {
        Some(wrong) => Err(Failure::failed(format_args!("the audit trail was tampered with: {wrong}"))),
        None if context.json => Ok(()),
        None => say(&format!("{} entries are as they were written", head.number - head.dropped)),
    }
}

fn export(context: &Context, file: &PathBuf) -> Outcome {
    let place = context.place()?;
    let head = ends(&place)?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match file.as_os_str() == "-" {
        true => Box::new(io::stdout().lock()),
        false => {
            let made = std::fs::File::create_new(file);
            Box::new(made.map_err(|error| Failure::io("make", file.display(), &error))?)
        }
    });
    writeln!(out, "{}", json!({ "dropped": head.dropped, "hash": head.dropped_hash }))?;
    each(&place, 1, |found| Ok(writeln!(out, "{}", json!(found))?))?;
    place.close()?;
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
        outcome: entry.outcome.name().into(),
        detail: entry.detail.clone(),
        times: entry.times,
        hash: hex(hash),
    }
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_outcome(name: &str) -> Result<AuditOutcome, String> {
    let found = AuditOutcome::ALL.into_iter().find(|outcome| outcome.name() == name);
    found.ok_or_else(|| format!("{name:?} is none of done, refused and failed"))
}
