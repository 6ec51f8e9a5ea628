//! What a target is told to do.

use alluvium::Database;
use alluvium_sync::worker;
use clap::Args;
use serde_json::json;

use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::remote;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The target, as `alluvium sync status` names it
    #[arg(default_value = super::run::DEFAULT)]
    target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Pause,
    Resume,
    Retry,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Pause => "pause",
            Order::Resume => "resume",
            Order::Retry => "retry",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Order::Pause => "nothing is sent to it until `alluvium sync resume`",
            Order::Resume => "it is sent to",
            Order::Retry => "what waits is tried again",
        }
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments, order: Order) -> Outcome {
    let name = &arguments.target;
    match context.place()? {
        Place::Here(database) => {
            carry_out(&database, name, order)?;
            database.close()?;
        }
        Place::There(remote) => {
            remote.order(&remote::post(&["sync", name, "order"]).body(json!({ "order": order.name() })))?;
        }
    }
    if context.json {
        return context.print_json(&json!({ "target": name, "order": order.name() }));
    }
    say(&format!("{name}: {}", order.done()))
}

fn carry_out(database: &Database, name: &str, order: Order) -> Outcome {
    database.delivery(name).head()?;
    match order {
        Order::Pause | Order::Resume => worker::pause(database, name, order == Order::Pause).map_err(Failure::failed),
        // Without a worker nothing waits.
        Order::Retry => Ok(()),
    }
}

pub(super) fn forget(context: &Context, arguments: &Arguments) -> Outcome {
    context.need_files("a target is forgotten while nobody works at it")?;
    let name = &arguments.target;
    let database = context.open_quiet()?;
    let was_there = database.delivery(name).remove()?;
    database.close()?;
    if !was_there {
        return Err(alluvium::Error::NoSuchDelivery { name: name.clone() }.into());
    }
    if context.json {
        return context.print_json(&json!({ "target": name, "forgotten": true }));
    }
    say(&format!("{name} is forgotten; what is there stays, and would be sent again"))
}
