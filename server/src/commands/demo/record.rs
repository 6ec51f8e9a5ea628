//! The recording: every fifth of a second one durable batch per table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Database, Error, RowBuilder, TableSchema, TableSpec, TimeRange};
use jiff::Timestamp;

use super::closed;
use super::vitals::{Source, Vitals};
use crate::failure::{Failure, Outcome};
use crate::output::terminal;

/// About five times a second; a little longer than the shortest span over which sysinfo measures CPU use.
const PERIOD: Duration = Duration::from_millis(205);

/// What was recorded.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) rows: u64,
    pub(super) points: u64,
    /// How long each durable batch took from call to acknowledgement, in rising order.
    pub(super) batches: Vec<Duration>,
    pub(super) range: TimeRange,
    /// Tables with rows.
    pub(super) tables: Vec<String>,
}

pub(super) struct Recorder<'a> {
    database: &'a Database,
    vitals: Vitals,
    tables: Vec<(Source, Arc<TableSchema>)>,
    recording: Recording,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(database: &'a Database) -> Self {
        let recording = Recording { rows: 0, points: 0, batches: Vec::new(), range: TimeRange::new(0, 0), tables: Vec::new() };
        Recorder { database, vitals: Vitals::new(), tables: Vec::new(), recording }
    }

    /// Records for so long.
    pub(super) fn run(mut self, length: Duration) -> Outcome<Recording> {
        let bar = terminal::progress(length.as_millis() as u64, "{bar:40} {msg}");
        // Use of a CPU is measured between two readings.
        self.vitals.refresh();
        std::thread::sleep(PERIOD);
        let start = Instant::now();
        let first = now();
        let mut last = first;
        let mut due = start;
        while due - start < length {
            self.vitals.refresh();
            // A clock that is set back in between must not write over earlier rows.
            last = now().max(last + 1);
            for source in Source::ALL {
                if self.vitals.offers(source) {
                    self.record(source, last)?;
                }
            }
            bar.set_position(start.elapsed().as_millis() as u64);
            bar.set_message(format!("{} points, every batch on disk", terminal::count(self.recording.points)));
            due += PERIOD;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        bar.finish_and_clear();
        self.recording.range = closed(first, last);
        self.recording.batches.sort_unstable();
        Ok(self.recording)
    }

    fn record(&mut self, source: Source, time: i64) -> Outcome {
        let schema = match self.tables.iter().find(|(known, _)| *known == source) {
            Some((_, schema)) => schema.clone(),
            None => {
                let schema = self.table(source.table())?;
                self.tables.push((source, schema.clone()));
                schema
            }
        };
        let mut rows = RowBuilder::new(schema.clone());
        self.vitals.read(source, time, &mut rows)?;
        if rows.rows() == 0 {
            return Ok(());
        }
        let batch = rows.finish()?;
        let start = Instant::now();
        self.database.append(&schema.name, &batch)?;
        self.recording.batches.push(start.elapsed());
        self.recording.rows += batch.num_rows() as u64;
        let fields = batch.columns().iter().skip(1 + schema.tags.len());
        self.recording.points += fields.map(|column| (column.len() - column.null_count()) as u64).sum::<u64>();
        if !self.recording.tables.contains(&schema.name) {
            self.recording.tables.push(schema.name.clone());
        }
        Ok(())
    }

    /// The table of a source: made now, or by an earlier demo.
    fn table(&self, spec: TableSpec) -> Outcome<Arc<TableSchema>> {
        let found = match self.database.table(&spec.name) {
            Err(Error::NoSuchTable { .. }) => return Ok(self.database.create_table(spec)?),
            found => found?,
        };
        let tags = found.tags.iter().map(|tag| &tag.name).eq(&spec.tags);
        let fields =
            found.fields.iter().map(|field| (&field.name, field.kind)).eq(spec.fields.iter().map(|(name, kind)| (name, *kind)));
        if tags && fields && found.time_unit == spec.time_unit {
            return Ok(found);
        }
        Err(Failure::failed(format_args!(
            "table {:?} is there already, with other columns: name another directory with --data",
            spec.name
        )))
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_microsecond()
}
