//! `alluvium status`: how a database stands, and its server, if one has it open.

mod show;
mod watch;

use clap::Args;

use super::{Context, Place};
use crate::failure::Outcome;
use crate::remote;
use crate::status::Document;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Shows it again and again, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How often, in seconds
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600), requires = "watch")]
    every: u64,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    if arguments.watch {
        return watch::run(context, std::time::Duration::from_secs(arguments.every));
    }
    let document = fetch(context)?;
    if context.json { context.print_json(&document) } else { show::print(&document) }
}

/// Asks whoever has the database open, or opens it.
fn fetch(context: &Context) -> Outcome<Document> {
    match context.place()? {
        Place::Here(database) => {
            let document = Document::of(&database.status()?, None);
            database.close()?;
            Ok(document)
        }
        Place::There(remote) => remote.ask(&remote::get(&["status"])),
    }
}
