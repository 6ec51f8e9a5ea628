//! `alluvium demo`: the main job on real input with no set-up. Records this machine's vitals as a gateway would, then
//! queries them and says what it cost.

mod record;
mod report;
mod vitals;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use alluvium::{Aggregate, Database, Query, TimeRange, Window};
use clap::Args;
use jiff::tz::TimeZone;

use self::record::{Recorder, Recording};
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
    let directory = context.chosen_data().unwrap_or(Path::new(DEMO_DATA));
    let database = Database::open(directory)?;
    let before = database.inspect()?.bytes_written;
    if !context.json {
        say(format_args!("Recording this machine's vitals into {} for {} s.", directory.display(), arguments.seconds))?;
    }
    let recording = Recorder::new(&database).run(Duration::from_secs(arguments.seconds))?;
    let sealing = Instant::now();
    database.seal()?;
    let sealing = sealing.elapsed();
    let queries = time_queries(&database, &recording)?;
    let inspection = database.inspect()?;
    let report = Report { directory, recording: &recording, sealing, queries, inspection: &inspection, written_before: before };
    if context.json {
        context.print_json(&report.describe())?;
    } else {
        draw(&database, &recording)?;
        let mut out = io::stdout().lock();
        report.print(&mut out)?;
        out.flush()?;
    }
    Ok(database.close()?)
}

fn say(text: impl std::fmt::Display) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Asks what a dashboard would ask.
fn time_queries(database: &Database, recording: &Recording) -> Outcome<Vec<TimedQuery>> {
    let Some(table) = recording.tables.first() else {
        return Err(Failure::failed("this machine tells nothing about itself, not even its memory: try another one"));
    };
    let second = Window::Fixed { micros: 1_000_000 };
    let range = recording.range;
    let mut per_second = Query::table(table).range(range).aggregate([Aggregate::Mean, Aggregate::Max]).every(second);
    for tag in &database.table(table)?.tags {
        per_second = per_second.by(&tag.name);
    }
    [
        (format!("last values of {table}"), Query::table(table).last()),
        (format!("mean and max of {table} per second and series"), per_second),
        (format!("every row of {table}, newest first"), Query::table(table).range(range).order(alluvium::Order::TimeDescending)),
    ]
    .into_iter()
    .map(|(name, query)| time_query(database, name, &query))
    .collect()
}

fn time_query(database: &Database, name: String, query: &Query) -> Outcome<TimedQuery> {
    let mut rows = 0;
    let mut times = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let start = Instant::now();
        rows = 0;
        for batch in database.query(query)? {
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
