//! `alluvium query`: rows, aggregates or last values of a table, in any form.

mod request;

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use std::sync::Arc;

use alluvium::TableSchema;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::Args;
use jiff::tz::TimeZone;
use serde_json::json;

use self::request::Request;
use super::{Context, Place, tables};
use crate::failure::{Failure, Outcome};
use crate::output::plot::Plot;
use crate::output::target::Target;
use crate::output::{self, Format, Look, Sink, terminal};
use crate::remote::{self, Remote};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    request: Request,
    /// Form of the result [default: by the name of --output, else table]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Writes the result into FILE, which appears when it is complete
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draws the result in the terminal: a chart per field, a line per series
    #[arg(long)]
    plot: bool,
}

impl Arguments {
    /// The file to write, if not stdout.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// The form of the rows; `None` where there is only a drawing.
    fn form(&self, json: bool) -> Outcome<Option<Format>> {
        if let Some(path) = self.file() {
            let known = self.format.or_else(|| Format::of_file(path)).or(json.then_some(Format::Json));
            return known.map(Some).ok_or_else(|| {
                Failure::usage(format_args!(
                    "the name {} does not tell its form: add --format csv, json, arrow or parquet",
                    path.display()
                ))
            });
        }
        if json && self.format.is_some_and(|format| format != Format::Json) {
            return Err(Failure::usage("--json is --format json: leave out one of the two, or write to a file with --output"));
        }
        if self.plot && (json || self.format.is_some_and(|format| format != Format::Table)) {
            return Err(Failure::usage(
                "--plot and rows for programs cannot share stdout: send the rows to a file with --output",
            ));
        }
        Ok(match self.format {
            None if self.plot => None,
            None if json => Some(Format::Json),
            format => Some(format.unwrap_or(Format::Table)),
        })
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let form = arguments.form(context.json)?;
    let zone = arguments.request.zone()?;
    arguments.request.check()?;
    match context.place()? {
        Place::Here(database) => {
            let schema = database.table(&arguments.request.table)?;
            let query = arguments.request.build(&schema, &zone)?;
            let start = Instant::now();
            let stream = database.query(&query).map_err(Failure::of_request)?;
            let answer = Answer { table: schema, columns: stream.schema(), start };
            answer.write(context, arguments, form, zone, stream.map(|batch| Ok(batch?)))?;
            Ok(database.close()?)
        }
        Place::There(remote) => {
            let schema = Arc::new(table(&remote, &arguments.request.table)?);
            let query = arguments.request.message(&schema, &zone)?;
            let start = Instant::now();
            let batches = remote.query(&query, schema.time_unit)?;
            let answer = Answer { table: schema, columns: batches.schema(), start };
            answer.write(context, arguments, form, zone, batches)
        }
    }
}

/// A table of a server.
fn table(remote: &Remote, name: &str) -> Outcome<TableSchema> {
    tables::described(remote.ask(&remote::get(&["tables", name]))?)
}

/// What is known of an answer before its rows.
struct Answer {
    table: Arc<TableSchema>,
    columns: SchemaRef,
    start: Instant,
}

impl Answer {
    /// Writes its rows wherever they are wanted.
    fn write(
        self,
        context: &Context,
        arguments: &Arguments,
        form: Option<Format>,
        zone: TimeZone,
        batches: impl Iterator<Item = Outcome<RecordBatch>>,
    ) -> Outcome {
        let Answer { table, columns, start } = self;
        let mut target = form.map(|_| Target::open(arguments.file())).transpose()?;
        let mut drawing = BufWriter::new(io::stdout());
        let mut sinks: Vec<Box<dyn Sink + '_>> = Vec::new();
        if let (Some(format), Some(target)) = (form, &mut target) {
            if format.is_binary() && target.is_terminal() {
                return Err(Failure::usage(
                    "a terminal cannot show this form: redirect stdout, or write to a file with --output",
                ));
            }
            let look = Look { colour: terminal::colour() && target.is_terminal(), zone: zone.clone() };
            sinks.push(output::sink(format, target, &columns, &look, arguments.is_streamed())?);
        }
        if arguments.plot {
            let look = Look { colour: terminal::colour(), zone };
            let tags: Vec<_> = table.tags.iter().map(|tag| tag.name.clone()).collect();
            sinks.push(Box::new(Plot::new(&mut drawing, &columns, &tags, look)?));
        }
        let rows = pump(batches, sinks)?;
        target.map_or(Ok(()), Target::commit)?;
        arguments.conclude(context, form, rows, start.elapsed())
    }
}

/// Passes every batch to every sink; returns how many rows there were.
fn pump(batches: impl Iterator<Item = Outcome<RecordBatch>>, mut sinks: Vec<Box<dyn Sink + '_>>) -> Outcome<u64> {
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        for sink in &mut sinks {
            sink.write(&batch)?;
        }
    }
    for sink in sinks {
        sink.finish()?;
    }
    Ok(rows)
}

impl Arguments {
    /// Whether Arrow is wanted as a stream rather than a file.
    fn is_streamed(&self) -> bool {
        self.file().is_none_or(|path| path.extension().is_some_and(|extension| extension == "arrows"))
    }

    /// A last word about what was done: for programs where the rows went elsewhere, for people on a terminal.
    fn conclude(&self, context: &Context, form: Option<Format>, rows: u64, took: Duration) -> Outcome {
        match self.file() {
            Some(path) if context.json => {
                context.print_json(&json!({ "rows": rows, "output": path.to_string_lossy(), "seconds": took.as_secs_f64() }))?;
            }
            Some(path) => {
                terminal::remark(format_args!("{} rows in {}, {}", terminal::count(rows), path.display(), terminal::span(took)));
            }
            None if form == Some(Format::Table) => {
                terminal::remark(format_args!("{} rows, {}", terminal::count(rows), terminal::span(took)));
            }
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn form(words: &str, json: bool) -> Outcome<Option<Format>> {
        Line::parse_from(["query", "--table", "t"].into_iter().chain(words.split_whitespace())).arguments.form(json)
    }

    #[test]
    fn the_form_follows_from_what_was_asked() {
        assert_eq!(form("", false).unwrap(), Some(Format::Table));
        assert_eq!(form("", true).unwrap(), Some(Format::Json));
        assert_eq!(form("--format csv", false).unwrap(), Some(Format::Csv));
        assert_eq!(form("--output a.parquet", false).unwrap(), Some(Format::Parquet));
        assert_eq!(form("--output a.parquet", true).unwrap(), Some(Format::Parquet));
        assert_eq!(form("--output a.NDJSON", false).unwrap(), Some(Format::Json));
        assert_eq!(form("--output a --format csv", false).unwrap(), Some(Format::Csv));
        assert_eq!(form("--output - --format csv", false).unwrap(), Some(Format::Csv));
        assert_eq!(form("--plot", false).unwrap(), None);
        assert_eq!(form("--plot --format table", false).unwrap(), Some(Format::Table));
        assert_eq!(form("--plot --output a.csv", true).unwrap(), Some(Format::Csv));
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for (words, json) in [("--format csv", true), ("--plot", true), ("--plot --format csv", false), ("--output a", false)] {
            assert!(matches!(form(words, json), Err(Failure::Usage(_))), "{words} {json}");
        }
    }
}
