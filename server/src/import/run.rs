//! One import: read, parse in a thread of its own, append.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use alluvium::{FieldType, TableSchema, TableSpec};
use arrow::record_batch::RecordBatch;

use super::lines::Lines;
use super::rows::Rows;
use super::schema::{Decision, Wishes, decide, describe};
use super::source::{Format, Source};
use super::{BadRow, Batch, ColumnSpec, Failure, Outcome, Role, RowReader, csv, jsonl, line_protocol, parquet};

/// Where rows go.
pub(crate) trait Sink {
    /// The table, if it exists.
    fn table(&self, name: &str) -> Result<Option<Arc<TableSchema>>, Failure>;
    /// Makes a table.
    fn create_table(&mut self, spec: TableSpec) -> Result<(), Failure>;
    /// Adds tags and fields to a table.
    fn add_columns(&mut self, table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<(), Failure>;
    /// Appends rows. They are on disk when this returns.
    fn append(&mut self, table: &str, rows: &RecordBatch) -> Result<(), Failure>;
    /// Is told how many rows in all are on disk.
    fn durable(&mut self, rows: u64) -> Result<(), Failure>;
    /// Is told something that the user should know.
    fn note(&mut self, note: &str);
}

/// What to do about a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ::clap::ValueEnum)]
pub(crate) enum OnError {
    /// Stop: rows before it are imported, none after
    #[default]
    Abort,
    /// Leave it out and count it
    Skip,
}

/// What an import did, whether or not it came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Rows appended.
    pub(crate) rows: u64,
    /// Values present in their fields.
    pub(crate) points: u64,
    /// Rows left out.
    pub(crate) rejected: u64,
    /// The first of them.
    pub(crate) first_rejected: Vec<BadRow>,
}

/// How many bad rows are named.
const NAMED: usize = 10;

/// Batches that may wait while one is parsed and one appended.
const WAITING: usize = 1;

/// Reads batches.
pub(super) trait BatchReader: Send {
    /// The next batch. Bad rows go to `bad`, which says whether to go on.
    fn next_batch(&mut self, bad: &mut BadRows) -> Result<Option<Batch>, Failure>;
    /// What the user should know at the end.
    fn notes(&self) -> Vec<String>;
}

/// The bad rows so far.
#[derive(Debug)]
pub(super) struct BadRows {
    on_error: OnError,
    count: u64,
    first: Vec<BadRow>,
}

impl BadRows {
    pub(super) fn new(on_error: OnError) -> Self {
        BadRows { on_error, count: 0, first: Vec::new() }
    }

    /// Counts a bad row, or gives it back if it ends the import.
    pub(super) fn reject(&mut self, row: BadRow) -> Result<(), BadRow> {
        if self.on_error == OnError::Abort {
            return Err(row);
        }
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(row);
        }
        Ok(())
    }
}

/// Imports `source`. Also says how far it came, if it failed.
pub(crate) fn run(source: &Source, wishes: &Wishes, on_error: OnError, sink: &mut dyn Sink) -> (Report, Result<(), Failure>) {
    let mut report = Report::default();
    let outcome = open(source, wishes, &*sink).and_then(|mut reader| transfer(&mut *reader, wishes, on_error, sink, &mut report));
    (report, outcome)
}

fn open(source: &Source, wishes: &Wishes, sink: &dyn Sink) -> Result<Box<dyn BatchReader>, Failure> {
    let table = sink.table(&wishes.table)?;
    if source.format == Format::Parquet {
        return Ok(Box::new(parquet::Reader::open(source, table.as_deref(), wishes)?));
    }
    let mut lines = Lines::new(source.look()?);
    let decided = |seen| decide(wishes, table.as_deref(), &seen);
    Ok(match source.format {
        Format::LineProtocol => {
            let found = line_protocol::look(&mut lines, wishes)?;
            let decision = decided(found.seen)?;
            let input = source.read(lines.into_input())?;
            Box::new(RowBatches::new(line_protocol::Reader::new(input, found.measurement, wishes)?, decision, wishes))
        }
        Format::JsonLines => {
            let decision = decided(jsonl::look(&mut lines, wishes)?)?;
            let input = source.read(lines.into_input())?;
            Box::new(RowBatches::new(jsonl::Reader::new(input, &decision, wishes)?, decision, wishes))
        }
        Format::Csv | Format::Parquet => {
            let decision = decided(csv::look(&mut lines, wishes)?)?;
            let input = source.read(lines.into_input())?;
            Box::new(RowBatches::new(csv::Reader::new(input, &decision, wishes)?, decision, wishes))
        }
    })
}

/// Parses in one thread while the other appends, most of which is waiting for the disk.
fn transfer(
    reader: &mut dyn BatchReader,
    wishes: &Wishes,
    on_error: OnError,
    sink: &mut dyn Sink,
    report: &mut Report,
) -> Result<(), Failure> {
    let (send, receive) = sync_channel(WAITING);
    let (bad, parsed, appended) = std::thread::scope(|scope| {
        let parser = scope.spawn(|| {
            let mut bad = BadRows::new(on_error);
            let outcome = parse(reader, &mut bad, send);
            (bad, outcome)
        });
        let appended = append_all(receive, wishes, sink, report);
        let (bad, parsed) = match parser.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (bad, parsed, appended)
    });
    report.rejected = bad.count;
    report.first_rejected = bad.first;
    for note in reader.notes() {
        sink.note(&note);
    }
    appended.and(parsed)
}

fn parse(reader: &mut dyn BatchReader, bad: &mut BadRows, send: SyncSender<Batch>) -> Result<(), Failure> {
    while let Some(batch) = reader.next_batch(bad)? {
        // Nobody receives any more when appending failed.
        if send.send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

fn append_all(receive: Receiver<Batch>, wishes: &Wishes, sink: &mut dyn Sink, report: &mut Report) -> Result<(), Failure> {
    for batch in receive {
        if !batch.added.is_empty() || report.rows == 0 {
            prepare_table(&batch, wishes, sink)?;
        }
        sink.append(&wishes.table, &batch.rows)?;
        report.rows += batch.rows.num_rows() as u64;
        report.points += batch.points;
        sink.durable(report.rows)?;
    }
    Ok(())
}

/// Creates the table, or adds the columns that it lacks.
fn prepare_table(batch: &Batch, wishes: &Wishes, sink: &mut dyn Sink) -> Result<(), Failure> {
    let Some(table) = sink.table(&wishes.table)? else {
        let (tags, fields) = split(batch.added.iter());
        let unit = time_unit(&batch.rows);
        sink.note(&format!("creating table {:?}: {}", wishes.table, list(&batch.added)));
        if unit != alluvium::TimeUnit::default() {
            sink.note("its times are kept in nanoseconds, since those in the file need it");
        }
        let spec = TableSpec { tags, fields, ..TableSpec::new(&wishes.table).time_unit(unit) };
        return sink.create_table(spec);
    };
    let lacks = |column: &&ColumnSpec| table.tag_position(&column.name).is_none() && table.field_position(&column.name).is_none();
    let added: Vec<ColumnSpec> = batch.added.iter().filter(lacks).cloned().collect();
    if added.is_empty() {
        return Ok(());
    }
    sink.note(&format!("adding to table {:?}: {}", wishes.table, list(&added)));
    let (tags, fields) = split(added.iter());
    sink.add_columns(&wishes.table, &tags, &fields)
}

/// The unit of the times of rows.
pub(crate) fn time_unit(rows: &RecordBatch) -> alluvium::TimeUnit {
    use arrow::datatypes::{DataType, TimeUnit};
    match rows.schema_ref().field(0).data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => alluvium::TimeUnit::Nano,
        DataType::Timestamp(TimeUnit::Millisecond, _) => alluvium::TimeUnit::Milli,
        _ => alluvium::TimeUnit::Micro,
    }
}

fn split<'a>(columns: impl Iterator<Item = &'a ColumnSpec>) -> (Vec<String>, Vec<(String, FieldType)>) {
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    for column in columns {
        match column.role {
            Role::Tag => tags.push(column.name.clone()),
            Role::Field(kind) => fields.push((column.name.clone(), kind)),
            Role::Undecided => {}
        }
    }
    (tags, fields)
}

fn list(columns: &[ColumnSpec]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| match column.role {
            Role::Field(kind) => format!("{} {kind}", column.name),
            role => format!("{} {}", column.name, describe(role).trim_start_matches("a ")),
        })
        .collect();
    names.join(", ")
}

/// Makes batches of the rows of a reader.
struct RowBatches<R> {
    reader: R,
    rows: Rows,
    stopped_at: Option<BadRow>,
}

impl<R: RowReader> RowBatches<R> {
    fn new(reader: R, decision: Decision, wishes: &Wishes) -> Self {
        RowBatches { reader, rows: Rows::new(decision.unit, decision.columns, wishes.batch_rows), stopped_at: None }
    }

    fn take(&mut self) -> Result<Option<Batch>, Failure> {
        Ok(if self.rows.len() == 0 { None } else { Some(self.rows.take()?) })
    }
}

impl<R: RowReader> BatchReader for RowBatches<R> {
    fn next_batch(&mut self, bad: &mut BadRows) -> Result<Option<Batch>, Failure> {
        while self.stopped_at.is_none() {
            match self.reader.read_row(&mut self.rows)? {
                Outcome::Row if self.rows.is_full() => return self.take(),
                Outcome::Row => {}
                Outcome::Bad(row) => self.stopped_at = bad.reject(row).err(),
                Outcome::End => return self.take(),
            }
        }
        // The rows before the one that ends the import are good.
        match (self.take()?, self.stopped_at.clone()) {
            (Some(batch), _) => Ok(Some(batch)),
            (None, Some(BadRow { line, reason })) => Err(Failure::BadRow { line, reason }),
            (None, None) => Ok(None),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = times_cut_note(self.rows.times_cut, self.rows.unit());
        let undecided = self.rows.undecided();
        if !undecided.is_empty() {
            notes.push(format!(
                "left out, since without any value: {} (--type COL=TYPE makes a column nevertheless)",
                undecided.join(", ")
            ));
        }
        notes
    }
}

/// Says that digits of times were cut off, if any were.
pub(super) fn times_cut_note(rows: u64, unit: alluvium::TimeUnit) -> Vec<String> {
    let unit = match unit {
        alluvium::TimeUnit::Milli => "milliseconds",
        alluvium::TimeUnit::Micro => "microseconds",
        alluvium::TimeUnit::Nano => "nanoseconds",
    };
    let note = format!("the times of {rows} row(s) are finer than the table's {unit} and were cut to them");
    if rows == 0 { Vec::new() } else { vec![note] }
}
