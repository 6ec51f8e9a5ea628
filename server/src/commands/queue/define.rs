//! Making, altering, dropping and listing queues.

use std::time::Duration;

use alluvium::QueueSpec;
use clap::Args;
use serde_json::{Value as Json, json};

use super::describe;
use crate::commands::values::{say, time, told_seconds};
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::status::OfQueue;
use crate::{remote, told};

/// A queue and its settings; those not named are the default ones of a new queue, or stay as they are.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The queue
    queue: String,
    /// How long whoever pops an item has it [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    lease: Option<Duration>,
    /// How often an item is popped before it counts as dead [default: 5]
    #[arg(long)]
    tries: Option<u32>,
    /// How long an item given back waits after its first try; twice as long after each further one [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    back_off: Option<Duration>,
    /// How long it waits at most [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    back_off_limit: Option<Duration>,
    /// Whether dead items are kept [default: true]
    #[arg(long, value_name = "BOOL")]
    dead_letters: Option<bool>,
    /// How long after a push its key keeps others out [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    deduplication: Option<Duration>,
}

impl CreateArguments {
    /// As a server takes it: what is not named is null.
    fn described(&self) -> Json {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        json!({
            "lease_seconds": seconds(self.lease),
            "tries": self.tries,
            "back_off_seconds": seconds(self.back_off),
            "back_off_limit_seconds": seconds(self.back_off_limit),
            "dead_letters": self.dead_letters,
            "deduplication_seconds": seconds(self.deduplication),
        })
    }

    fn over(&self, spec: QueueSpec) -> QueueSpec {
        let QueueSpec { lease, tries, back_off, back_off_limit, dead_letters, deduplication, .. } = spec;
        QueueSpec::new(&self.queue)
            .lease(self.lease.unwrap_or(lease))
            .tries(self.tries.unwrap_or(tries))
            .back_off(self.back_off.unwrap_or(back_off), self.back_off_limit.unwrap_or(back_off_limit))
            .dead_letters(self.dead_letters.unwrap_or(dead_letters))
            .deduplication(self.deduplication.unwrap_or(deduplication))
    }
}

pub(super) fn create(context: &Context, arguments: &CreateArguments) -> Outcome {
    match context.place_or_make()? {
        Place::Here(database) => {
            database.create_queue(&arguments.over(QueueSpec::new(&arguments.queue))).map_err(Failure::of_request)?;
            database.close()?;
        }
        Place::There(remote) => {
            let mut body = arguments.described();
            body["if_absent"] = json!(true);
            remote.order(&remote::put(&["queues", &arguments.queue]).body(body))?;
        }
    }
    tell(context, &arguments.queue, "created", "is there")
}

pub(super) fn alter(context: &Context, arguments: &CreateArguments) -> Outcome {
    match context.place()? {
        Place::Here(database) => {
            let before = database.queues()?.into_iter().find(|spec| spec.name == arguments.queue);
            // Where there is none, it is the engine that says so.
            let spec = arguments.over(before.unwrap_or_else(|| QueueSpec::new(&arguments.queue)));
            database.alter_queue(&spec).map_err(Failure::of_request)?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::patch(&["queues", &arguments.queue]).body(arguments.described()))?;
        }
    }
    tell(context, &arguments.queue, "altered", "is altered")
}

pub(super) fn drop(context: &Context, queue: &str) -> Outcome {
    match context.place()? {
        Place::Here(database) => {
            database.drop_queue(queue).map_err(Failure::of_request)?;
            // Nothing happens in the background here.
            while database.background_step(alluvium::BackgroundStep::Expire)? {}
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::delete(&["queues", queue]))?;
        }
    }
    tell(context, queue, "dropped", "is gone")
}

pub(super) fn list(context: &Context) -> Outcome {
    let queues: Vec<told::Queue> = match context.place()? {
        Place::Here(database) => {
            let sized = |spec: QueueSpec| database.queue(&spec.name).sizes().map(|sizes| describe::queue(&spec, &sizes));
            let queues = database.queues()?.into_iter().map(sized).collect::<Result<_, _>>()?;
            database.close()?;
            queues
        }
        Place::There(remote) => remote.all("queues", &remote::get(&["queues"]))?,
    };
    if context.json {
        return queues.iter().try_for_each(|queue| context.print_json(queue));
    }
    let mut table = Table::new([
        ("queue", Align::Left),
        ("ready", Align::Right),
        ("scheduled", Align::Right),
        ("leased", Align::Right),
        ("delayed", Align::Right),
        ("dead", Align::Right),
        ("lease", Align::Right),
        ("tries", Align::Right),
    ]);
    for queue in queues {
        let OfQueue { queue: name, ready, scheduled, leased, delayed, dead } = queue.sizes;
        let [ready, scheduled, leased, delayed, dead] = [ready, scheduled, leased, delayed, dead].map(|size| size.to_string());
        let lease = told_seconds(Some(queue.lease_seconds));
        table.push([name, ready, scheduled, leased, delayed, dead, lease, queue.tries.to_string()]);
    }
    super::print(&table)
}

fn tell(context: &Context, queue: &str, what: &str, words: &str) -> Outcome {
    match context.json {
        true => context.print_json(&json!({ "queue": queue, what: true })),
        false => say(&format!("{queue} {words}")),
    }
}
