//! `alluvium status`: how a database stands, and its server, if one has it open.

mod ask;
mod show;
mod watch;

use alluvium::Error;
use clap::Args;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::local::Local;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let document = runtime.map_err(|error| Failure::io("start", "asking", &error))?.block_on(fetch(context))?;
    if context.json { context.print_json(&document) } else { show::print(&document) }
}

/// Asks whoever has the database open, or opens it.
async fn fetch(context: &Context) -> Outcome<Document> {
    match context.open_quiet() {
        Ok(database) => {
            let document = Document::of(&database.status()?, None);
            database.close()?;
            Ok(document)
        }
        Err(Failure::Engine(Error::Locked { holder, path })) => {
            let local = Local::of(context.data());
            match local.find()?.filter(|found| found.is(&holder)) {
                Some(found) => ask::status(&local, found.http).await,
                None => Err(Failure::failed(format_args!(
                    "{holder} has {} open, and is no server that could be asked over HTTP: wait for it to end",
                    path.display()
                ))),
            }
        }
        Err(failure) => Err(failure),
    }
}
