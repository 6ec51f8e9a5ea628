//! The change feed of a server.

use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::ValueEnum;
use serde_json::{Value as Json, json};

use super::{ACKNOWLEDGED_AT_ONCE, Arguments, gap, line};
use crate::commands::{Context, cursors};
use crate::failure::{Failure, Outcome};
use crate::remote::{self, Remote, Request};

/// Prints what a server tells, and moves the cursor behind it.
pub(super) fn run(context: &Context, remote: &Remote, arguments: &Arguments) -> Outcome {
    if !arguments.follow {
        // A name that is wrong would pass for one that nothing happened to.
        for (kind, names) in [("tables", &arguments.table), ("collections", &arguments.collection), ("queues", &arguments.queue)]
        {
            names.iter().try_for_each(|name| remote.order(&remote::get(&[kind, name])))?;
        }
    }
    begin(remote, arguments)?;
    let mut reader =
        Reader { context, remote, arguments, out: io::BufWriter::new(io::stdout().lock()), shown: 0, seen: 0, waiting: 0 };
    if arguments.limit == Some(0) {
        return Ok(());
    }
    let printed = remote.lines(&request(arguments), |line| reader.take(line)).and_then(|()| Ok(reader.out.flush()?));
    // What was printed counts, however the rest went.
    let acknowledged = reader.acknowledge();
    printed.and(acknowledged)
}

/// Makes the cursor, if it is new.
fn begin(remote: &Remote, arguments: &Arguments) -> Outcome {
    let Some(name) = &arguments.cursor else { return Ok(()) };
    if cursors::all_of(remote)?.iter().any(|cursor| cursor.name == **name) {
        return Ok(());
    }
    acknowledge(remote, name, arguments.first() - 1)
}

fn acknowledge(remote: &Remote, name: &str, through: u64) -> Outcome {
    remote.order(&remote::put(&["cursors", name]).body(json!({ "through": through })))
}

fn request(arguments: &Arguments) -> Request {
    let mut asked = remote::get(&["changes"]).with("follow", arguments.follow).with_any("limit", arguments.limit);
    asked = match &arguments.cursor {
        Some(name) => asked.with("cursor", name),
        None => asked.with("from", arguments.first()),
    };
    for kind in arguments.kind.iter().filter_map(ValueEnum::to_possible_value) {
        asked = asked.with("kind", kind.get_name());
    }
    let named = [
        ("table", &arguments.table),
        ("collection", &arguments.collection),
        ("queue", &arguments.queue),
        ("prefix", &arguments.prefix),
    ];
    for (what, names) in named {
        asked = names.iter().fold(asked, |asked, name| asked.with(what, name));
    }
    asked
}

/// Prints line after line.
struct Reader<'a> {
    context: &'a Context,
    remote: &'a Remote,
    arguments: &'a Arguments,
    out: io::BufWriter<io::StdoutLock<'static>>,
    /// Changes that were printed.
    shown: u64,
    /// The sequence through which everything was seen.
    seen: u64,
    /// Lines since the cursor was moved.
    waiting: u64,
}

impl Reader<'_> {
    fn take(&mut self, text: &[u8]) -> Outcome<ControlFlow<()>> {
        let said: Json = serde_json::from_slice(text).map_err(|error| self.remote.strange(&error.to_string()))?;
        let number = |value: &Json| value.as_u64().ok_or_else(|| self.remote.strange("a change without its sequence"));
        if let Some(failed) = said.get("failed") {
            return Err(Failure::failed(failed["detail"].as_str().unwrap_or("the server gave up")));
        }
        if let Some(through) = said.get("through") {
            self.seen = number(through)?;
            self.acknowledge()?;
            return Ok(ControlFlow::Continue(()));
        }
        let printed = match said.get("gap") {
            Some(missing) => {
                let (from, to) = (number(&missing["from"])?, number(&missing["to"])?);
                self.seen = to;
                gap(self.context, from, to)
            }
            None => {
                self.seen = number(&said["sequence"])?;
                self.shown += 1;
                let events = said["events"].as_array().map_or(&[][..], Vec::as_slice);
                line(self.context, self.seen, said["at"].as_str(), events)
            }
        };
        self.out.write_all(printed.as_bytes())?;
        self.waiting += 1;
        if self.arguments.follow {
            self.out.flush()?;
        }
        if self.waiting == ACKNOWLEDGED_AT_ONCE {
            self.acknowledge()?;
        }
        let is_enough = self.arguments.limit.is_some_and(|limit| self.shown >= limit);
        Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn acknowledge(&mut self) -> Outcome {
        let Some(name) = self.arguments.cursor.as_ref().filter(|_| self.waiting > 0) else { return Ok(()) };
        self.out.flush()?;
        self.waiting = 0;
        acknowledge(self.remote, name, self.seen)
    }
}
