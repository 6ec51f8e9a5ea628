//! `alluvium import`.

mod importer;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use alluvium::{Database, ErrorKind, FieldType};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::import::{self, EpochUnit, Format, OnError, Report, Source, Wishes};
use importer::Importer;

/// What to import, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to read; - reads standard input
    file: PathBuf,
    /// The table to import into; it is made if it does not exist
    #[arg(long, value_name = "NAME")]
    table: String,
    /// The column with the times [default: time, or one that looks like it]
    #[arg(long, value_name = "COL")]
    time: Option<String>,
    /// A column that is a tag: tags tell series apart
    #[arg(long = "tag", value_name = "COL")]
    tags: Vec<String>,
    /// A column of numbers with SCALE digits after the point, kept exactly
    #[arg(long = "decimal", value_name = "COL=SCALE", value_parser = decimal)]
    decimals: Vec<(String, FieldType)>,
    /// The type of a column: float64, float32, int64, uint64, bool, utf8, binary or decimal(SCALE)
    #[arg(long = "type", value_name = "COL=TYPE", value_parser = typed)]
    types: Vec<(String, FieldType)>,
    /// The unit of integer times [default: by magnitude]
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<EpochUnit>,
    /// What to do about a bad row
    #[arg(long, value_name = "WHAT", default_value = "abort")]
    on_error: OnError,
    /// Rows to make durable at a time
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch_rows: u32,
    /// Prints `durable ROWS` each time that many rows in all are safe on disk
    #[arg(long)]
    acks: bool,
    /// How the file is written [default: by its name]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

fn typed(text: &str) -> Result<(String, FieldType), String> {
    let (column, kind) = text.rsplit_once('=').ok_or("write COL=TYPE")?;
    Ok((column.to_owned(), kind.parse().map_err(|error: alluvium::Error| error.to_string())?))
}

fn decimal(text: &str) -> Result<(String, FieldType), String> {
    let (column, scale) = text.rsplit_once('=').ok_or("write COL=SCALE")?;
    let scale = scale.parse().ok().filter(|scale| *scale <= FieldType::DECIMAL_PRECISION);
    let scale = scale.ok_or_else(|| format!("SCALE is a number from 0 to {}", FieldType::DECIMAL_PRECISION))?;
    Ok((column.to_owned(), FieldType::Decimal { scale }))
}

pub(crate) fn run(context: &Context, arguments: Arguments) -> Outcome {
    let named = arguments.file.display().to_string();
    let named = if named == "-" { "standard input".to_owned() } else { named };
    let source = Source::new(&arguments.file, arguments.format).map_err(|failure| match failure {
        import::Failure::Input(message) => Failure::usage(format_args!("{named}: {message}")),
        failure => told(failure, &named, &Report::default(), arguments.format),
    })?;
    source.check().map_err(|error| Failure::io("read", &named, &error))?;
    let wishes = Wishes {
        table: arguments.table,
        time: arguments.time,
        unit: arguments.time_unit,
        tags: arguments.tags,
        types: arguments.decimals.into_iter().chain(arguments.types).collect(),
        batch_rows: arguments.batch_rows as usize,
    };
    let place = context.place_of(|context| Ok(Database::open(context.data())?))?;
    let started = Instant::now();
    let mut sink = Importer { place: &place, bar: bar(&source), read: source.meter(), acks: arguments.acks };
    let (report, outcome) = import::run(&source, &wishes, arguments.on_error, &mut sink);
    sink.bar.finish_and_clear();
    for row in &report.first_rejected {
        say(&format!("left out {} {}: {}", unit_of_place(source.format), row.line, row.reason));
    }
    let unnamed = report.rejected.saturating_sub(report.first_rejected.len() as u64);
    if unnamed > 0 {
        say(&format!("left out {unnamed} more bad rows"));
    }
    if let Err(failure) = outcome {
        let closed = place.close();
        // What the engine failed at is the failure to name, not that it cannot close well after it.
        if !matches!(failure, import::Failure::Engine(_)) {
            closed?;
        }
        return Err(told(failure, &named, &report, Some(source.format)));
    }
    if let Place::Here(database) = &place {
        database.seal()?;
    }
    place.close()?;
    summarize(context, &wishes, &report, started.elapsed(), arguments.acks)
}

fn summarize(context: &Context, wishes: &Wishes, report: &Report, elapsed: Duration, acks: bool) -> Outcome {
    let seconds = elapsed.as_secs_f64();
    let rate = report.points as f64 / seconds.max(f64::EPSILON);
    if context.json {
        return context.print_json(&json!({
            "rows": report.rows,
            "points": report.points,
            "rejected": report.rejected,
            "seconds": seconds,
            "points_per_second": rate.round(),
        }));
    }
    let rejected = if report.rejected == 0 { String::new() } else { format!(", {} bad rows left out", report.rejected) };
    let line = format!(
        "imported {} rows with {} points into {:?} in {seconds:.2} s ({rate:.0} points/s){rejected}",
        report.rows, report.points, wishes.table
    );
    if acks {
        say(&line);
        return Ok(());
    }
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// A failure in words, with how far the import came.
fn told(failure: import::Failure, named: &str, report: &Report, format: Option<Format>) -> Failure {
    let rows = report.rows;
    match failure {
        import::Failure::Input(message) => Failure::failed(format_args!("{named}: {message}")),
        import::Failure::BadRow { line, reason } => Failure::failed(format_args!(
            "{named}, {} {line}: {reason}; imported before it: {rows} rows, after it none; mend it, or leave bad rows out with --on-error skip",
            format.map_or("line", unit_of_place)
        )),
        import::Failure::Read(error) => Failure::failed(format_args!("cannot read {named}: {error}; {rows} rows were imported")),
        import::Failure::Engine(error) if rows == 0 || error.kind() == ErrorKind::Missing => error.into(),
        import::Failure::Engine(error) => Failure::failed(format_args!("{error}; {rows} rows were imported before that")),
        import::Failure::Server(failure) if rows == 0 => failure,
        import::Failure::Server(failure) => failure.with(format_args!("{rows} rows were imported before that")),
        import::Failure::Output(error) => error.into(),
    }
}

fn unit_of_place(format: Format) -> &'static str {
    if format == Format::Parquet { "row" } else { "line" }
}

/// Tells people something on stderr.
fn say(message: &str) {
    // Not eprintln!: it panics where stderr is closed.
    let _ = writeln!(io::stderr(), "{message}");
}

/// indicatif shows it on a terminal only.
fn bar(source: &Source) -> ProgressBar {
    let (bar, template) = match source.len().filter(|_| source.format != Format::Parquet) {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {bytes}/{total_bytes} {msg} {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_their_types() {
        assert_eq!(typed("a=b=int64"), Ok(("a=b".to_owned(), FieldType::Int64)));
        assert_eq!(typed("a=decimal(3)"), Ok(("a".to_owned(), FieldType::Decimal { scale: 3 })));
        assert!(typed("a").unwrap_err().contains("COL=TYPE"));
        assert!(typed("a=integer").unwrap_err().contains("unknown type"));
        assert_eq!(decimal("a=2"), Ok(("a".to_owned(), FieldType::Decimal { scale: 2 })));
        assert!(decimal("a=19").unwrap_err().contains("0 to 18"));
        assert!(decimal("a=x").unwrap_err().contains("0 to 18"));
    }
}
