//! Rows under construction, column by column. A row that turns out bad leaves no trace.

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::TimeUnit;
use alluvium::format::limits;
use arrow::array::{ArrayRef, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::column::{Cell, ColumnBuilder, ColumnSpec, Role};
use super::time::Moment;

/// The name of the time column of every table.
pub(crate) const TIME: &str = "time";

/// Bytes at which a batch is full, whatever its rows: half of what the engine accepts by default.
const BATCH_BYTES: usize = 8 << 20;

/// Rows ready to be appended.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The rows.
    pub(crate) rows: RecordBatch,
    /// Values present in fields.
    pub(crate) points: u64,
    /// Columns that no batch before had.
    pub(crate) added: Vec<ColumnSpec>,
}

/// Rows under construction.
pub(crate) struct Rows {
    unit: TimeUnit,
    columns: Vec<ColumnBuilder>,
    announced: Vec<bool>,
    positions: HashMap<String, usize>,
    times: Vec<i64>,
    time: Option<(i64, bool)>,
    decided_in_row: Vec<usize>,
    text_bytes: usize,
    text_bytes_before: usize,
    limit: usize,
    /// Rows whose times had digits below the table's unit, which were cut off.
    pub(crate) times_cut: u64,
}

impl Rows {
    /// No rows yet, of a table that counts time in `unit`. `limit` rows make a batch.
    pub(crate) fn new(unit: TimeUnit, columns: Vec<ColumnSpec>, limit: usize) -> Self {
        let positions = columns.iter().enumerate().map(|(position, spec)| (spec.name.clone(), position)).collect();
        Rows {
            unit,
            announced: vec![false; columns.len()],
            columns: columns.into_iter().map(ColumnBuilder::new).collect(),
            positions,
            times: Vec::new(),
            time: None,
            decided_in_row: Vec::new(),
            text_bytes: 0,
            text_bytes_before: 0,
            limit: limit.max(1),
            times_cut: 0,
        }
    }

    /// The unit of the table's times.
    pub(crate) fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// What a column is.
    pub(crate) fn spec(&self, column: usize) -> Option<&ColumnSpec> {
        self.columns.get(column).map(|column| &column.spec)
    }

    /// The column of this name. `guess` is a position worth trying first.
    pub(crate) fn find(&self, name: &str, guess: usize) -> Option<usize> {
        match self.columns.get(guess) {
            Some(column) if column.spec.name == name => Some(guess),
            _ => self.positions.get(name).copied(),
        }
    }

    /// The column of this name, added if there is none.
    pub(crate) fn find_or_add(&mut self, name: &str, guess: usize, role: Role) -> Result<usize, String> {
        if let Some(position) = self.find(name, guess) {
            return Ok(position);
        }
        check_name(name)?;
        if self.columns.len() as u64 >= limits::COLUMNS - 1 {
            return Err(format!("column {name:?} would be one more than the {} a table may have", limits::COLUMNS));
        }
        let position = self.columns.len();
        self.columns.push(ColumnBuilder::new(ColumnSpec { name: name.to_owned(), role, fixed: false }));
        self.announced.push(false);
        self.positions.insert(name.to_owned(), position);
        Ok(position)
    }

    /// Sets the time of the row.
    pub(crate) fn set_time(&mut self, moment: Moment) -> Result<(), String> {
        if self.time.is_some() {
            return Err("the time is given twice".to_owned());
        }
        self.time = Some(moment.in_unit(self.unit).map_err(|error| format!("the time {error}"))?);
        Ok(())
    }

    /// Sets a value of the row.
    pub(crate) fn set(&mut self, position: usize, cell: Cell<'_>) -> Result<(), String> {
        let row = self.times.len();
        let Some(column) = self.columns.get_mut(position) else { return Err("a column is unknown".to_owned()) };
        let undecided = column.spec.role == Role::Undecided;
        let outcome = column.set(row, cell);
        if undecided && column.spec.role != Role::Undecided {
            self.decided_in_row.push(position);
        }
        self.text_bytes += outcome?;
        Ok(())
    }

    /// Ends the row. If it has no time it is abandoned.
    pub(crate) fn end_row(&mut self) -> Result<(), String> {
        let Some((time, cut)) = self.time.take() else {
            self.abandon_row();
            return Err("the time is missing".to_owned());
        };
        self.times.push(time);
        self.times_cut += u64::from(cut);
        self.decided_in_row.clear();
        self.text_bytes_before = self.text_bytes;
        Ok(())
    }

    /// Forgets the row begun.
    pub(crate) fn abandon_row(&mut self) {
        self.time = None;
        let row = self.times.len();
        for column in &mut self.columns {
            column.truncate(row);
        }
        for position in self.decided_in_row.drain(..) {
            if let Some(column) = self.columns.get_mut(position) {
                column.set_role(Role::Undecided);
            }
        }
        self.text_bytes = self.text_bytes_before;
    }

    /// How many rows are complete.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it is time to take a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.times.len() >= self.limit || self.times.len() * 9 * (self.columns.len() + 1) + self.text_bytes >= BATCH_BYTES
    }

    /// Takes the complete rows. Fields without any value in them are left out, tags never.
    pub(crate) fn take(&mut self) -> Result<Batch, arrow::error::ArrowError> {
        let rows = self.times.len();
        let mut fields = vec![Field::new(TIME, DataType::Timestamp(self.unit.arrow(), Some("UTC".into())), false)];
        let mut arrays = vec![time_array(self.unit, std::mem::take(&mut self.times))];
        let (mut points, mut added) = (0, Vec::new());
        for (column, announced) in self.columns.iter_mut().zip(&mut self.announced) {
            let kind = match column.spec.role {
                Role::Undecided => {
                    // A bad row may have left missing values in it.
                    column.truncate(0);
                    continue;
                }
                Role::Tag => DataType::Utf8,
                Role::Field(kind) => kind.arrow(),
            };
            if !std::mem::replace(announced, true) {
                added.push(column.spec.clone());
            }
            if column.len() == 0 && column.spec.role != Role::Tag {
                continue;
            }
            let (array, present) = column.take(rows)?;
            if column.spec.role != Role::Tag {
                points += present as u64;
            }
            fields.push(Field::new(&column.spec.name, kind, true));
            arrays.push(array);
        }
        self.text_bytes = 0;
        self.text_bytes_before = 0;
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Batch { rows, points, added })
    }

    /// Columns that had no value at all and no type given, so that none could be told.
    pub(crate) fn undecided(&self) -> Vec<&str> {
        let undecided = self.columns.iter().filter(|column| column.spec.role == Role::Undecided);
        undecided.map(|column| column.spec.name.as_str()).collect()
    }
}

/// Whether a table may have a column of this name beside its time.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a column has no name".to_owned());
    }
    if name.len() > limits::NAME_BYTES || name.chars().any(char::is_control) {
        return Err(format!(
            "{} cannot be the name of a column: use 1 to {} bytes without control characters",
            super::column::shorten(name),
            limits::NAME_BYTES
        ));
    }
    if name == TIME {
        return Err("a column named \"time\" can only be the time of its row: rename it, or use --time time".to_owned());
    }
    Ok(())
}

/// Times as an Arrow column.
pub(crate) fn time_array(unit: TimeUnit, times: Vec<i64>) -> ArrayRef {
    match unit {
        TimeUnit::Milli => Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC")),
        TimeUnit::Micro => Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        TimeUnit::Nano => Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC")),
    }
}
