//! `alluvium demo`: the main job on real input with no set-up. Devices with certificates of their own tell a gateway this machine's
//! vitals over QUIC; then they are queried, and it says what it cost.

mod gateway;
mod record;
mod report;
mod upload;
mod vitals;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use alluvium::{Database, Query, TimeRange};
use alluvium_client::{Client, message};
use clap::Args;
use jiff::tz::TimeZone;

use self::gateway::Gateway;
use self::record::{Recording, record};
use self::report::{Report, TimedQuery};
use super::Context;
use crate::failure::{Failure, Outcome};
use crate::output::plot::Plot;
use crate::output::{Look, Sink, terminal};

/// Where the demo records unless a directory was chosen: not among anybody's own data.
const DEMO_DATA: &str = "./alluvium-demo";
/// Each query is timed so many times; the median counts.
const REPEATS: usize = 25;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How long to record
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    context.need_files("the demo serves a database of its own")?;
    crate::serve::runtime()?.block_on(show(context, Duration::from_secs(arguments.seconds)))
}

async fn show(context: &Context, length: Duration) -> Outcome {
    let directory = context.chosen_data().unwrap_or(Path::new(DEMO_DATA));
    let gateway = Gateway::open(directory).await?;
    let before = gateway.db.inspect()?.bytes_written;
    if !context.json {
        let (at, directory, seconds) = (gateway.at(), directory.display(), length.as_secs());
        say(format_args!(
            "A gateway listens on {at} and records into {directory} what devices with certificates of their own tell of this machine, for {seconds} s."
        ))?;
    }
    let recording = record(&gateway, length).await?;
    let dashboard = gateway.client("dashboard", "read everything").await?;
    let sealing = Instant::now();
    gateway.db.seal()?;
    let sealing = sealing.elapsed();
    let queries = time_queries(&dashboard, &gateway.db, &recording).await?;
    dashboard.close().await;
    let bucket = upload::upload(&gateway, directory).await?;
    let inspection = gateway.db.inspect()?;
    let report =
        Report { directory, recording: &recording, sealing, queries, inspection: &inspection, written_before: before, bucket };
    if context.json {
        context.print_json(&report.describe())?;
    } else {
        draw(&gateway.db, &recording)?;
        let mut out = io::stdout().lock();
        report.print(&mut out)?;
        out.flush()?;
    }
    gateway.close().await
}

fn say(text: impl std::fmt::Display) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Asks what a dashboard would ask.
async fn time_queries(dashboard: &Client, db: &Database, recording: &Recording) -> Outcome<Vec<TimedQuery>> {
    let Some(table) = recording.tables.first() else {
        return Err(Failure::failed("this machine tells nothing about itself, not even its memory: try another one"));
    };
    let range = recording.range;
    let of = message::Query { table: table.clone(), ..message::Query::default() };
    let within = message::Query { from: Some(range.start), to: Some(range.end), ..of.clone() };
    let per_second = message::Query {
        functions: vec!["mean".to_owned(), "max".to_owned()],
        every: "1s".to_owned(),
        by: db.table(table)?.tags.iter().map(|tag| tag.name.clone()).collect(),
        ..within.clone()
    };
    let queries = [
        (format!("last values of {table}"), message::Query { last: true, ..of }),
        (format!("mean and max of {table} per second and series"), per_second),
        (format!("every row of {table}, newest first"), message::Query { order: 2, ..within }),
    ];
    let mut timed = Vec::new();
    for (name, query) in queries {
        timed.push(time_query(dashboard, name, &query).await.map_err(Failure::failed)?);
    }
    Ok(timed)
}

async fn time_query(dashboard: &Client, name: String, query: &message::Query) -> alluvium_client::Result<TimedQuery> {
    let mut rows = 0;
    let mut times = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let start = Instant::now();
        let mut answer = dashboard.query(query).await?;
        rows = 0;
        while let Some(batch) = answer.next().await {
            rows += batch?.num_rows() as u64;
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(TimedQuery { name, rows, median: times.get(REPEATS / 2).copied().unwrap_or_default() })
}

/// Draws the first field of the first table as it went.
fn draw(database: &Database, recording: &Recording) -> Outcome {
    let Some(name) = recording.tables.first() else { return Ok(()) };
    let table = database.table(name)?;
    let Some(field) = table.fields.first() else { return Ok(()) };
    let tags: Vec<_> = table.tags.iter().map(|tag| tag.name.clone()).collect();
    let stream = database.query(&Query::table(name).range(recording.range).field(&field.name))?;
    let look = Look { colour: terminal::colour(), zone: TimeZone::system() };
    say("")?;
    let mut plot = Box::new(Plot::new(io::stdout(), &stream.schema(), &tags, look)?);
    for batch in stream {
        plot.write(&batch?)?;
    }
    plot.finish()
}

/// The span that holds every time from `first` to `last`.
fn closed(first: i64, last: i64) -> TimeRange {
    TimeRange::new(first, last.saturating_add(1))
}
