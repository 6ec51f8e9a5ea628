//! `alluvium sync`: everything to object stores, and what of it is there.

mod bucket;
mod inventory;
mod order;
mod prove;
mod run;
mod status;

use clap::Subcommand;

pub(crate) use bucket::at;
pub(crate) use run::DEFAULT;

use super::Context;
use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carries everything to the targets of the settings, to one, or to a folder beside the database
    Run(run::Arguments),
    /// Shows the targets and how far everything is there
    Status,
    /// Compares what is noted here with what is at a target, and names every difference
    Verify(run::Arguments),
    /// Sends nothing until `resume`, after a restart too
    Pause(order::Arguments),
    /// Goes on sending
    Resume(order::Arguments),
    /// Tries at once what waits for a target, or was set aside
    Retry(order::Arguments),
    /// Forgets a target that is no more: nothing of it is kept, or wanted, any longer
    Forget(order::Arguments),
    /// Checks a bucket by itself: that its manifests hang together, its hashes, and that everything announced is there
    Prove(prove::Arguments),
    /// Lists the objects in a bucket of which a table consists, or prints the query by which DuckDB reads exactly its rows
    Inventory(inventory::Arguments),
}

pub(crate) fn run(context: &Context, command: &Command) -> Outcome {
    match command {
        Command::Run(arguments) => run::run(context, arguments),
        Command::Status => status::run(context),
        Command::Verify(arguments) => run::verify_all(context, arguments),
        Command::Pause(arguments) => order::run(context, arguments, order::Order::Pause),
        Command::Resume(arguments) => order::run(context, arguments, order::Order::Resume),
        Command::Retry(arguments) => order::run(context, arguments, order::Order::Retry),
        Command::Forget(arguments) => order::forget(context, arguments),
        Command::Prove(arguments) => prove::run(context, arguments),
        Command::Inventory(arguments) => inventory::run(context, arguments),
    }
}
