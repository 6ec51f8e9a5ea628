//! Carries everything to its targets, without a server.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use alluvium::{Database, Settings as EngineSettings};
use alluvium_sync::objects::bucket::Depth;
use alluvium_sync::objects::{self, Target};
use alluvium_sync::verify::{self, Compared};
use alluvium_sync::worker::{self, Once, Report};
use clap::Args;
use futures_util::future::join_all;
use serde_json::json;

use super::prove;
use crate::certificates;
use crate::commands::Context;
use crate::config::{Config, ConfigFile};
use crate::failure::{Failure, Outcome};
use crate::output::terminal;
use crate::sync::{Link, ledger};

/// What a target is called that nobody gave a name.
pub(crate) const DEFAULT: &str = "default";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Where to: a folder, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or an https:// URL of Azure [default: the targets of the settings, or
    /// else a folder beside the database]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The endpoint of a store that is not Amazon's or Microsoft's own
    #[arg(long, value_name = "URL", requires = "to")]
    endpoint: Option<String>,
    /// What the gateway is called there [default: its server's id, or else the host name]
    #[arg(long, value_name = "NAME", env = "ALLUVIUM_GATEWAY")]
    gateway: Option<String>,
    /// Ends once everything there is now is there, or a target does not do its part
    #[arg(long)]
    once: bool,
}

/// What to work at.
struct Work {
    config: Config,
    gateway: String,
    data: PathBuf,
}

impl Work {
    fn of(context: &Context, arguments: &Arguments) -> Outcome<Work> {
        let mut config = arguments.file.load()?;
        let data = context.chosen_data().map(ToOwned::to_owned).or(config.data.clone());
        let data = data.unwrap_or_else(|| context.data().to_owned());
        if arguments.to.is_some() || config.sync.targets.is_empty() {
            // Each target has a chain of its own: that of another one is not registered in its place.
            if config.sync.registered()?.is_some_and(|name| name != DEFAULT) {
                config.sync.postgres = None;
            }
            let url = arguments.to.clone().unwrap_or_else(|| beside(&data));
            let allow_http = arguments.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
            let target = objects::Settings { endpoint: arguments.endpoint.clone(), allow_http, ..objects::Settings::new(url) };
            config.sync.targets = [(DEFAULT.to_owned(), target)].into();
        }
        let gateway = arguments.gateway.clone().or(config.gateway.clone());
        let gateway = gateway.map_or_else(|| certificates::gateway_of(&data), Ok)?;
        Ok(Work { config, gateway, data })
    }

    fn links(&self, db: &Arc<Database>) -> Outcome<Vec<Link>> {
        let settings = &self.config.sync;
        let targets = settings.targets.iter().map(|(name, target)| (name.as_str(), target));
        targets.map(|target| Link::open(db, &self.data, &self.gateway, settings, target)).collect()
    }
}

/// Closes the database: nobody else has it any more.
fn close(db: Arc<Database>) -> Outcome {
    Arc::into_inner(db).map_or(Ok(()), |db| Ok(db.close()?))
}

/// A folder beside a database directory, named after it.
pub(super) fn beside(data: &std::path::Path) -> String {
    let mut name = data.file_name().unwrap_or("alluvium-data".as_ref()).to_owned();
    name.push("-bucket");
    data.with_file_name(name).display().to_string()
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    context
        .need_files("sync run works at the files themselves; a server carries them to the targets of its settings by itself")?;
    let work = Work::of(context, arguments)?;
    let engine = EngineSettings { background: !arguments.once, ..work.config.engine.clone() };
    let db = Arc::new(context.clone_in(&work.data).open_existing(engine)?);
    for name in work.config.sync.targets.keys().filter(|_| arguments.once) {
        let known = db.deliveries()?.iter().any(|delivery| delivery.name == *name);
        if known && worker::is_paused(&db, name).map_err(Failure::failed)? {
            let told = format_args!("{name} is paused: `alluvium sync resume {name}` before anything is sent to it");
            return Err(Failure::failed(told));
        }
    }
    let links = work.links(&db)?;
    let outcome = crate::serve::runtime()?.block_on(async {
        match arguments.once {
            true => once(context, &links).await,
            false => forever(context, &links).await,
        }
    });
    drop(links);
    close(db)?;
    outcome
}

async fn once(context: &Context, links: &[Link]) -> Outcome {
    let ended = join_all(links.iter().map(|link| async move { (link, watch(link, link.worker.run_once()).await) })).await;
    let mut failure = None;
    for (link, once) in ended {
        let (report, failed) = match once {
            Once::Done(report) => (report, None),
            Once::Left(report, failed) => (report, Some(failed)),
        };
        tell(context, link, &report, failed.is_none())?;
        failure = failure.or(failed.map(|failed| (link, report, failed)));
    }
    let Some((link, report, failed)) = failure else { return Ok(()) };
    if report.circuit.is_none() && report.ledger.as_ref().is_some_and(|ledger| ledger.circuit.is_some()) {
        return Err(Failure::failed(format_args!("{}: the centre was not told everything: {failed}", link.name)));
    }
    let more = report.aside.iter().next().map(|(file, aside)| format!("; {file} was set aside: {}", aside.why));
    Err(Failure::failed(format_args!("{}: not everything is there: {failed}{}", link.name, more.unwrap_or_default())))
}

/// Shows how far a run is.
async fn watch<T>(link: &Link, run: impl Future<Output = T>) -> T {
    let bar = terminal::progress(0, "{spinner} {msg}");
    let mut reports = link.worker.reports();
    let mut run = std::pin::pin!(run);
    loop {
        tokio::select! {
            ended = &mut run => {
                bar.finish_and_clear();
                return ended;
            }
            changed = reports.changed() => {
                if changed.is_ok() {
                    let message = format!("{}: {}", link.name, words(&reports.borrow_and_update()));
                    bar.tick();
                    bar.set_message(message);
                }
            }
        }
    }
}

fn words(report: &Report) -> String {
    let counts = &report.counts;
    let (cuts, segments) = (terminal::things(counts.announced, "cut"), terminal::things(counts.segments, "segment"));
    let said = format!("{cuts} announced, {segments}, {} sent", terminal::bytes(counts.bytes_sent));
    let centre = report.ledger.as_ref().and_then(|ledger| ledger.circuit.as_ref());
    match report.circuit.as_ref().or(centre) {
        Some(circuit) => format!("{said}; waits: {}", circuit.why),
        None => said,
    }
}

fn tell(context: &Context, link: &Link, report: &Report, is_all: bool) -> Outcome {
    if context.json {
        let counts = &report.counts;
        return context.print_json(&json!({
            "target": link.name,
            "url": link.url,
            "done": is_all,
            "announced": counts.announced,
            "segments": counts.segments,
            "bytes_sent": counts.bytes_sent,
            "bytes_read": counts.bytes_read,
            "forks": counts.forks,
            "ledger": report.ledger.as_ref().map(|ledger| json!({
                "cut": ledger.told.cut,
                "cuts_left": ledger.told.cuts,
                "metadata_left": ledger.told.metadata,
                "segments_left": ledger.told.segments,
            })),
        }));
    }
    let mut out = io::stdout().lock();
    let all = if is_all { "everything is there" } else { "something is left" };
    writeln!(out, "{} ({}): {all}: {}", link.name, link.url, words(report))?;
    Ok(out.flush()?)
}

async fn forever(context: &Context, links: &[Link]) -> Outcome {
    if !context.json {
        let mut out = io::stdout().lock();
        for link in links {
            writeln!(out, "{} goes to {}", link.name, link.url)?;
        }
        writeln!(out, "Ctrl-C ends it")?;
        out.flush()?;
    }
    let runs = links.iter().map(|link| watch(link, link.worker.run(stopped())));
    join_all(runs).await;
    Ok(())
}

async fn stopped() {
    // Where the system does not tell of it, it is ended otherwise.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) fn verify_all(context: &Context, arguments: &Arguments) -> Outcome {
    context.need_files("sync verify compares the files themselves")?;
    let work = Work::of(context, arguments)?;
    let db = Arc::new(context.clone_in(&work.data).open_quiet()?);
    let mut differences = Vec::new();
    for (name, settings) in &work.config.sync.targets {
        let target = Target::open(settings).map_err(Failure::usage)?;
        let head = db.delivery(name).head()?;
        let findings = crate::serve::runtime()?.block_on(prove::find(&target, Depth::Contents))?;
        let found = verify::differences(&db, name, &work.gateway, &head, &findings).map_err(Failure::failed)?;
        differences.extend(found.into_iter().map(|difference| (name.clone(), difference)));
        if let Some(ledger) = ledger(&work.gateway, &work.config.sync, name)? {
            let compared = Compared { db: &db, delivery: name, gateway: &work.gateway, target: &target };
            let found = crate::serve::runtime()?.block_on(verify::differences_at_centre(compared, &ledger));
            let found = found.map_err(Failure::failed)?;
            differences.extend(found.into_iter().map(|difference| (name.clone(), difference)));
        }
    }
    close(db)?;
    print(context, &differences)?;
    match differences.len() {
        0 => Ok(()),
        count => {
            let differences = terminal::things(count as u64, "difference");
            Err(Failure::failed(format_args!("{differences} between what is noted here and what is there")))
        }
    }
}

fn print(context: &Context, differences: &[(String, String)]) -> Outcome {
    if context.json {
        let told: Vec<_> = differences.iter().map(|(target, what)| json!({ "target": target, "difference": what })).collect();
        return context.print_json(&json!({ "agrees": told.is_empty(), "differences": told }));
    }
    let mut out = io::stdout().lock();
    for (target, what) in differences {
        writeln!(out, "{target}: {what}")?;
    }
    if differences.is_empty() {
        writeln!(out, "what is noted here and what is there agree")?;
    }
    Ok(out.flush()?)
}
