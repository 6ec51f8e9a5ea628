//! Parquet files of others. Columns of the right type are taken as they are; others are converted value by value, by way of
//! text, under the same rules as CSV.

mod convert;

use std::sync::Arc;

use alluvium::{FieldType, ForeignColumn, ForeignType, ParquetReader, TableSchema, TimeUnit};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::column::{Cell, ColumnSpec, Role};
use super::infer::{Guess, Kind};
use super::rows::{TIME, time_array};
use super::run::{BadRows, BatchReader, times_cut_note};
use super::schema::{Decision, Seen, SeenColumn, Wishes, decide};
use super::source::Source;
use super::{BadRow, Batch, EpochUnit, Failure};
use convert::{Faults, convert, moments};

/// Rows of text that are looked at to see whether they are times.
const LOOK_AT_ROWS: usize = 1_000;

/// Reads batches.
pub(crate) struct Reader {
    file: ParquetReader,
    first: Option<RecordBatch>,
    /// Position of the time column in the file.
    time: usize,
    decision: Decision,
    /// For each column of the decision its position in the file; the table's other tags have none.
    positions: Vec<Option<usize>>,
    epoch: Option<EpochUnit>,
    rows_read: u64,
    announced: bool,
    times_cut: u64,
    stopped_at: Option<BadRow>,
}

impl Reader {
    /// Opens a file and decides on its columns.
    pub(crate) fn open(source: &Source, table: Option<&TableSchema>, wishes: &Wishes) -> Result<Reader, Failure> {
        let mut file = ParquetReader::open(source.file()?, wishes.batch_rows)?;
        let first = file.next().transpose()?;
        let seen = look(file.columns(), first.as_ref(), wishes);
        let decision = decide(wishes, table, &seen)?;
        let position = |name: &str| file.columns().iter().position(|column| column.name == name);
        let positions = decision.columns.iter().map(|column| position(&column.name)).collect();
        let time = decision.time.as_deref().and_then(position).unwrap_or(0);
        if let Some(ForeignColumn { name, kind: ForeignType::Field(kind) }) = file.columns().get(time)
            && !matches!(kind, FieldType::Int64 | FieldType::UInt64 | FieldType::Utf8)
        {
            return Err(Failure::Input(format!("column {name:?} is {kind}, which is not a time: name another with --time")));
        }
        let epoch = wishes.unit;
        let (rows_read, announced, times_cut, stopped_at) = (0, false, 0, None);
        Ok(Reader { file, first, time, decision, positions, epoch, rows_read, announced, times_cut, stopped_at })
    }

    /// The rows of a batch as the table wants them, without bad ones; `None` if there are none.
    fn take(&mut self, batch: &RecordBatch, bad: &mut BadRows) -> Result<Option<Batch>, Failure> {
        let mut faults = Faults::new(batch.num_rows());
        let unit = self.decision.unit;
        let mut times = vec![0; batch.num_rows()];
        let mut cut = vec![false; batch.num_rows()];
        for (row, moment) in moments(batch.column(self.time), self.epoch).enumerate() {
            let set = moment.and_then(|moment| moment.in_unit(unit).map_err(|error| format!("the time {error}")));
            match (set, times.get_mut(row), cut.get_mut(row)) {
                (Ok(found), Some(time), Some(cut)) => (*time, *cut) = found,
                (Err(reason), ..) => faults.set(row, reason),
                _ => {}
            }
        }
        let mut fields = vec![Field::new(TIME, time_array(unit, Vec::new()).data_type().clone(), false)];
        let mut arrays = vec![time_array(unit, times)];
        for (spec, position) in self.decision.columns.iter().zip(&self.positions) {
            let kind = match spec.role {
                Role::Undecided => continue,
                Role::Tag => FieldType::Utf8,
                Role::Field(kind) => kind,
            };
            fields.push(Field::new(&spec.name, kind.arrow(), true));
            arrays.push(match position {
                Some(position) => convert(batch.column(*position), spec, kind, &mut faults)?,
                None => arrow::array::new_null_array(&kind.arrow(), batch.num_rows()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let kept = self.sift(faults, bad);
        self.rows_read += batch.num_rows() as u64;
        self.times_cut += kept.iter().zip(&cut).filter(|(kept, cut)| **kept && **cut).count() as u64;
        let rows = if kept.iter().all(|kept| *kept) { rows } else { filter_record_batch(&rows, &BooleanArray::from(kept))? };
        Ok((rows.num_rows() > 0).then(|| self.finish(rows)))
    }

    /// Which rows to keep. The row that ends the import, if one does, is noted.
    fn sift(&mut self, faults: Faults, bad: &mut BadRows) -> Vec<bool> {
        let mut kept = faults.kept();
        for (row, reason) in faults.into_iter() {
            let line = self.rows_read + row as u64 + 1;
            if let Err(row_at_fault) = bad.reject(BadRow { line, reason }) {
                kept.iter_mut().skip(row).for_each(|kept| *kept = false);
                self.stopped_at = Some(row_at_fault);
                break;
            }
        }
        kept
    }

    fn finish(&mut self, rows: RecordBatch) -> Batch {
        let fields = rows.schema_ref().fields().iter().zip(rows.columns()).skip(1);
        let is_tag = |name: &str| self.decision.columns.iter().any(|column| column.name == name && column.role == Role::Tag);
        let present =
            fields.filter(|(field, _)| !is_tag(field.name())).map(|(_, array)| (array.len() - array.null_count()) as u64);
        let points = present.sum();
        let announced = std::mem::replace(&mut self.announced, true);
        let decided = |column: &&ColumnSpec| column.role != Role::Undecided;
        let added = if announced { Vec::new() } else { self.decision.columns.iter().filter(decided).cloned().collect() };
        Batch { rows, points, added }
    }
}

impl BatchReader for Reader {
    fn next_batch(&mut self, bad: &mut BadRows) -> Result<Option<Batch>, Failure> {
        while self.stopped_at.is_none() {
            let next = match self.first.take() {
                Some(first) => Some(first),
                None => self.file.next().transpose()?,
            };
            let Some(batch) = next else { return Ok(None) };
            if let Some(batch) = self.take(&batch, bad)? {
                return Ok(Some(batch));
            }
        }
        match self.stopped_at.clone() {
            Some(BadRow { line, reason }) => Err(Failure::BadRow { line, reason }),
            None => Ok(None),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = times_cut_note(self.times_cut, self.decision.unit);
        let undecided = self.decision.columns.iter().filter(|column| column.role == Role::Undecided);
        let undecided: Vec<_> = undecided.map(|column| column.name.as_str()).collect();
        if !undecided.is_empty() {
            notes.push(format!("left out, since without any value: {}", undecided.join(", ")));
        }
        notes
    }
}

/// What the columns are, from their types and, for times, their first values.
fn look(columns: &[ForeignColumn], first: Option<&RecordBatch>, wishes: &Wishes) -> Seen {
    let columns = columns.iter().enumerate().map(|(position, column)| {
        let values = first.map(|batch| batch.column(position));
        let below_micros = |array: &ArrayRef| {
            moments(array, wishes.unit)
                .any(|moment| moment.is_ok_and(|moment| moment.is_below_micros() && moment.in_unit(TimeUnit::Nano).is_ok()))
        };
        let below = values.is_some_and(below_micros);
        let seen = |kind, is_time| SeenColumn { name: column.name.clone(), kind, is_time, below_micros: below, is_tag: false };
        match column.kind {
            // Moments beside the time of the row are kept as the integers they are.
            ForeignType::Timestamp(_) | ForeignType::Date => seen(Some(FieldType::Int64), true),
            ForeignType::Nothing => seen(None, false),
            ForeignType::Field(FieldType::Utf8) => seen(Some(FieldType::Utf8), values.is_some_and(is_time_text)),
            ForeignType::Field(kind) => seen(Some(kind), false),
        }
    });
    Seen { columns: columns.collect(), own_time: None }
}

fn is_time_text(array: &ArrayRef) -> bool {
    let mut guess = Guess::default();
    for text in array.as_string::<i32>().iter().take(LOOK_AT_ROWS).flatten() {
        guess.observe_kind(Kind::Text);
        guess.observe(Cell { text, quoted: true }, None);
    }
    guess.is_time_text()
}

#[cfg(test)]
mod tests;
