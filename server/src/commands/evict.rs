//! `alluvium evict`: lets go of rows that need not be kept.

use std::io::{self, Write};

use alluvium::Settings;
use clap::Args;

use super::{Context, Place};
use crate::config::ConfigFile;
use crate::eviction::Told;
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::remote;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Only show what would go, and what waits for what
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let config = arguments.file.load()?;
    let context = context.clone().or_in(config.data.clone());
    // By itself it would let go of rows before it is asked to.
    let settings = Settings { background: false, ..config.engine.clone() };
    let evictions = match context.place_of(|context| context.open_existing(settings))? {
        Place::Here(database) => {
            let mut evictions = if arguments.dry_run { Vec::new() } else { database.evict()? };
            evictions.extend(database.evictions()?);
            let told = Told::of_all(&database, &evictions)?;
            database.close()?;
            told
        }
        Place::There(remote) => {
            let mut told: Vec<Told> = match arguments.dry_run {
                true => Vec::new(),
                false => remote.list("evictions", &remote::post(&["evictions"]))?,
            };
            told.extend(remote.list::<Told>("evictions", &remote::get(&["evictions"]))?);
            told
        }
    };
    if context.json {
        return evictions.iter().try_for_each(|eviction| context.print_json(eviction));
    }
    show(&evictions, arguments.dry_run)
}

fn show(evictions: &[Told], is_dry: bool) -> Outcome {
    let mut out = io::stdout().lock();
    if evictions.is_empty() {
        writeln!(out, "nothing has to go: `[retention]` of the settings says what does")?;
        return Ok(out.flush()?);
    }
    let mut table = Table::new([
        ("table", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("rows", Align::Right),
        ("on disk", Align::Right),
        ("for its", Align::Left),
        (if is_dry { "goes" } else { "went" }, Align::Left),
    ]);
    for eviction in evictions {
        let Told { table: name, from, to, rows, bytes, reason, waits_for, is_loss, .. } = eviction;
        let goes = match (waits_for.is_empty(), is_loss) {
            (true, false) => "yes".to_owned(),
            (true, true) => "yes, and is lost".to_owned(),
            (false, _) => format!("waits for {}", waits_for.join(", ")),
        };
        let (rows, bytes) = (terminal::count(*rows), terminal::bytes(*bytes));
        table.push([name.clone(), from.clone(), to.clone(), rows, bytes, reason.clone(), goes]);
    }
    table.write(&mut out)?;
    Ok(out.flush()?)
}
