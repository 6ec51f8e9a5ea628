//! `alluvium changes`: the change feed, a line for each change.

mod describe;
mod tell;
mod there;

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Change, ChangeKind, Changes, Database, Error, ItemPlace, Settings, TimeUnit};
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::timestamp;
pub(crate) use describe::describe;
use tell::{printable, tell};

/// How long a follower waits at once.
const WAIT: Duration = Duration::from_secs(1);
/// Changes after which a cursor is moved: each time costs a write.
const ACKNOWLEDGED_AT_ONCE: u64 = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The sequence to begin with [default: the first]
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Waits for more at the end, such as what expires, until it is interrupted
    #[arg(long, visible_alias = "watch")]
    follow: bool,
    /// Only changes of this kind; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    /// Only changes of this table; may be given several times
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Only changes of this collection and its documents; may be given several times
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Only changes of this queue and its items; may be given several times
    #[arg(long, value_name = "NAME")]
    queue: Vec<String>,
    /// Only changes of pairs whose keys begin so; may be given several times
    #[arg(long, value_name = "BEGINNING")]
    prefix: Vec<String>,
    /// Goes on behind what was read under this name before, and keeps how far it comes. A new one begins with --from
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// At most so many
    #[arg(long, value_name = "CHANGES")]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Tables,
    Series,
    Rows,
    Deletions,
    Segments,
    Receipts,
    Pairs,
    Collections,
    Documents,
    Queues,
    Items,
    Audit,
    Principals,
    Other,
}

impl From<Kind> for ChangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tables => ChangeKind::Tables,
            Kind::Series => ChangeKind::Series,
            Kind::Rows => ChangeKind::Rows,
            Kind::Deletions => ChangeKind::Deletions,
            Kind::Segments => ChangeKind::Segments,
            Kind::Receipts => ChangeKind::Receipts,
            Kind::Pairs => ChangeKind::Pairs,
            Kind::Collections => ChangeKind::Collections,
            Kind::Documents => ChangeKind::Documents,
            Kind::Queues => ChangeKind::Queues,
            Kind::Items => ChangeKind::Items,
            Kind::Audit => ChangeKind::Audit,
            Kind::Principals => ChangeKind::Principals,
            Kind::Other => ChangeKind::Other,
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    // Only what happens in this process can be waited for.
    let settings = Settings { background: arguments.follow, ..Settings::default() };
    let database = match context.place_of(|context| context.open_existing(settings))? {
        Place::Here(database) => database,
        Place::There(remote) => return there::run(context, &remote, arguments),
    };
    if !arguments.follow {
        // A name that is wrong would pass for one that nothing happened to.
        arguments.table.iter().try_for_each(|name| database.table(name).map(drop))?;
        arguments.collection.iter().try_for_each(|name| database.collections().get(name).map(drop))?;
        arguments.queue.iter().try_for_each(|name| database.queue(name).sizes().map(drop))?;
    }
    let mut changes = begin(&database, arguments).map_err(Failure::of_request)?;
    let printed = print_all(context, &database, arguments, &mut changes);
    // What was printed counts, however the rest went.
    let acknowledged = acknowledge(&database, arguments, &changes);
    printed.and(acknowledged)?;
    Ok(database.close()?)
}

impl Arguments {
    /// The sequence to begin with.
    fn first(&self) -> u64 {
        self.from.unwrap_or(1).max(1)
    }
}

fn begin(database: &Database, arguments: &Arguments) -> alluvium::Result<Changes> {
    let from = arguments.first();
    let mut wanted = match &arguments.cursor {
        Some(name) => {
            let mut cursor = database.cursor(name)?;
            cursor.begin(from - 1)?;
            cursor.changes()?
        }
        None => database.changes().from(from),
    };
    wanted = arguments.kind.iter().fold(wanted, |wanted, kind| wanted.kind((*kind).into()));
    wanted = arguments.table.iter().fold(wanted, |wanted, table| wanted.table(table));
    wanted = arguments.collection.iter().fold(wanted, |wanted, name| wanted.collection(name));
    wanted = arguments.queue.iter().fold(wanted, |wanted, name| wanted.queue(name));
    wanted = arguments.prefix.iter().fold(wanted, |wanted, prefix| wanted.prefix(prefix));
    arguments.limit.map_or(wanted.clone(), |limit| wanted.limit(limit)).read()
}

fn acknowledge(database: &Database, arguments: &Arguments, changes: &Changes) -> Outcome {
    let Some(name) = &arguments.cursor else { return Ok(()) };
    let mut cursor = database.cursor(name)?;
    // An unneeded write would be one more record to read.
    if cursor.position()? < changes.through() {
        cursor.acknowledge(changes.through())?;
    }
    Ok(())
}

fn print_all(context: &Context, database: &Database, arguments: &Arguments, changes: &mut Changes) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut shown, mut unacknowledged) = (0, 0);
    while arguments.limit.is_none_or(|limit| shown < limit) {
        let line = match changes.next() {
            Some(Ok(change)) => {
                shown += 1;
                lines(context, &change)
            }
            Some(Err(Error::Gap { from, to })) => gap(context, from, to),
            Some(Err(error)) => return Err(error.into()),
            None => {
                out.flush()?;
                if !arguments.follow {
                    break;
                }
                if unacknowledged > 0 {
                    acknowledge(database, arguments, changes)?;
                    unacknowledged = 0;
                }
                changes.wait(WAIT)?;
                continue;
            }
        };
        out.write_all(line.as_bytes())?;
        unacknowledged += 1;
        if unacknowledged == ACKNOWLEDGED_AT_ONCE {
            out.flush()?;
            acknowledge(database, arguments, changes)?;
            unacknowledged = 0;
        }
    }
    Ok(out.flush()?)
}

fn gap(context: &Context, from: u64, to: u64) -> String {
    match context.json {
        true => format!("{}\n", json!({ "gap": { "from": from, "to": to } })),
        false => format!("{from} to {to} are no longer kept or cannot be read\n"),
    }
}

fn lines(context: &Context, change: &Change) -> String {
    let events: Vec<_> = change.events.iter().map(describe).collect();
    line(context, change.sequence, moment(change).as_deref(), &events)
}

/// A change, whose events are described.
fn line(context: &Context, sequence: u64, at: Option<&str>, events: &[Json]) -> String {
    if context.json {
        let mut object = json!({ "sequence": sequence, "events": events });
        if let Some(at) = at {
            object["at"] = json!(at);
        }
        return format!("{object}\n");
    }
    events.iter().map(|event| format!("{sequence} {}\n", printable(&tell(event)))).collect()
}

/// When it was decided, as far as that is known.
pub(crate) fn moment(change: &Change) -> Option<String> {
    change.at.map(|at| timestamp::utc(at.wall_micros, TimeUnit::Micro))
}

/// The kind of this name.
pub(crate) fn kind(name: &str) -> Result<ChangeKind, String> {
    let unknown = |_| format!("{name:?} is no kind of change: there are {}", kinds().join(", "));
    Kind::from_str(name, false).map(ChangeKind::from).map_err(unknown)
}

/// What kinds of changes are called.
pub(crate) fn kinds() -> Vec<String> {
    let kinds = Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    kinds.map(|kind| kind.get_name().to_owned()).collect()
}

/// How a place is called; the time of the wall clock it lasts to, and that of the engine's.
fn place(place: ItemPlace) -> (&'static str, Option<i64>, Option<u64>) {
    match place {
        ItemPlace::Ready => ("ready", None, None),
        ItemPlace::Scheduled(due) => ("scheduled", Some(due), None),
        ItemPlace::Leased(until) => ("leased", None, Some(until)),
        ItemPlace::Delayed(until) => ("delayed", None, Some(until)),
        ItemPlace::Dead => ("dead", None, None),
    }
}

#[cfg(test)]
mod tests {
    use alluvium::Event;

    use super::*;

    #[test]
    fn a_line_holds_one_event_and_nothing_else() {
        let removed = Event::Other { key: b"\x07a\nb".to_vec(), value: None };
        assert_eq!(tell(&describe(&removed)), "key \\x07a\\nb removed");
        assert_eq!(printable("a\nb\u{1b}[31m"), "a b [31m");
        let told = describe(&removed).to_string();
        assert_eq!(told, r#"{"event":"other","key":"\u0007a\nb","bytes":null}"#);
    }

    #[test]
    fn every_kind_can_be_asked_for() {
        let asked: Vec<ChangeKind> = Kind::value_variants().iter().map(|kind| (*kind).into()).collect();
        assert_eq!(asked, ChangeKind::ALL);
    }
}
