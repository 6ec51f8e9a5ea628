//! Rows under construction, column by column. A row that turns out bad leaves no trace.

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::format::limits;
use alluvium::{TableSchema, TimeUnit};
use arrow::array::{ArrayRef, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::column::{Cell, ColumnBuilder, ColumnSpec, Misfit, Role, Typed};
use super::time::Moment;

/// The name of the time column of every table.
pub(crate) const TIME: &str = "time";

/// Bytes at which a batch is full, whatever its rows: half of what the engine accepts by default.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// Bytes of a column without values.
const COLUMN_BYTES: usize = 256;

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
    /// Columns set in the row, and those that took their type from it.
    set_in_row: Vec<usize>,
    decided_in_row: Vec<usize>,
    /// Columns there were before the row.
    columns_before: usize,
    /// Columns with values.
    filled: usize,
    text_bytes: usize,
    text_bytes_before: usize,
    limit: usize,
    /// Bytes beyond which nothing more is taken.
    most_bytes: usize,
    /// Whether something was not taken for that reason.
    over: bool,
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
            set_in_row: Vec::new(),
            decided_in_row: Vec::new(),
            columns_before: 0,
            filled: 0,
            text_bytes: 0,
            text_bytes_before: 0,
            limit: limit.max(1),
            most_bytes: usize::MAX,
            over: false,
            times_cut: 0,
        }
        .begun()
    }

    /// No rows yet, of a table that is there. They take no more than so many bytes.
    pub(crate) fn of_table(table: &TableSchema, most_bytes: usize) -> Self {
        let spec = |name: &str, role| ColumnSpec { name: name.to_owned(), role, fixed: true };
        let tags = table.tags.iter().map(|tag| spec(&tag.name, Role::Tag));
        let fields = table.fields.iter().map(|field| spec(&field.name, Role::Field(field.kind)));
        let mut rows = Rows { most_bytes, ..Rows::new(table.time_unit, tags.chain(fields).collect(), usize::MAX) };
        rows.announced.fill(true);
        rows
    }

    /// No rows yet, of a table that is to be made. They take no more than so many bytes.
    pub(crate) fn of_new_table(unit: TimeUnit, most_bytes: usize) -> Self {
        Rows { most_bytes, ..Rows::new(unit, Vec::new(), usize::MAX) }
    }

    /// Ready for the next row.
    fn begun(mut self) -> Self {
        self.columns_before = self.columns.len();
        self
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
    pub(crate) fn find_or_add(&mut self, name: &str, guess: usize, role: Role) -> Result<usize, Misfit> {
        if let Some(position) = self.find(name, guess) {
            return Ok(position);
        }
        check_name(name)?;
        if self.columns.len() as u64 >= limits::COLUMNS - 1 {
            let reason = format!("one more than the {} columns a table may have", limits::COLUMNS);
            return Err(Misfit::new(name, reason));
        }
        let position = self.columns.len();
        self.columns.push(ColumnBuilder::new(ColumnSpec { name: name.to_owned(), role, fixed: false }));
        self.announced.push(false);
        self.positions.insert(name.to_owned(), position);
        Ok(position)
    }

    /// Sets the time of the row.
    pub(crate) fn set_time(&mut self, moment: Moment) -> Result<(), Misfit> {
        if self.time.is_some() {
            return Err(Misfit::new(TIME, "the time is given twice"));
        }
        self.time = Some(moment.in_unit(self.unit).map_err(|error| Misfit::new(TIME, format!("the time {error}")))?);
        Ok(())
    }

    /// Whether the time of the row has digits below the table's unit.
    pub(crate) fn is_finer(&self) -> bool {
        self.time.is_some_and(|(_, cut)| cut)
    }

    /// Sets a value of the row.
    pub(crate) fn set(&mut self, position: usize, cell: Cell<'_>) -> Result<(), Misfit> {
        let row = self.times.len();
        self.check_room(position)?;
        let Some(column) = self.columns.get_mut(position) else { return Err(Misfit::new("", "a column is unknown")) };
        let undecided = column.spec.role == Role::Undecided;
        let was_empty = column.len() == 0;
        let outcome = column.set(row, cell);
        self.filled += usize::from(was_empty && column.len() > 0);
        if undecided && column.spec.role != Role::Undecided {
            self.decided_in_row.push(position);
        }
        self.set_in_row.push(position);
        self.text_bytes += outcome?;
        Ok(())
    }

    /// Sets a value of known type.
    pub(crate) fn put(&mut self, position: usize, value: Typed<'_>) -> Result<(), Misfit> {
        let row = self.times.len();
        self.check_room(position)?;
        let Some(column) = self.columns.get_mut(position) else { return Err(Misfit::new("", "a column is unknown")) };
        let was_empty = column.len() == 0;
        let outcome = column.put(row, value);
        self.filled += usize::from(was_empty && column.len() > 0);
        self.set_in_row.push(position);
        self.text_bytes += outcome?;
        Ok(())
    }

    /// The first value of a column takes room for the rows before, too.
    fn check_room(&mut self, position: usize) -> Result<(), Misfit> {
        let is_first = self.columns.get(position).is_some_and(|column| column.len() == 0);
        if is_first && self.bytes_of(self.filled + 1) > self.most_bytes {
            self.over = true;
            return Err(Misfit::new("", "the rows take too much memory"));
        }
        Ok(())
    }

    /// Whether they are more than may be taken.
    pub(crate) fn is_over(&self) -> bool {
        self.over || self.bytes() > self.most_bytes
    }

    /// Ends the row. If it has no time it is abandoned.
    pub(crate) fn end_row(&mut self) -> Result<(), Misfit> {
        let Some((time, cut)) = self.time.take() else {
            self.abandon_row();
            return Err(Misfit::new(TIME, "the time is missing"));
        };
        self.times.push(time);
        self.times_cut += u64::from(cut);
        self.set_in_row.clear();
        self.decided_in_row.clear();
        self.columns_before = self.columns.len();
        self.text_bytes_before = self.text_bytes;
        Ok(())
    }

    /// Forgets the row begun, with the columns that it would have added.
    pub(crate) fn abandon_row(&mut self) {
        self.time = None;
        let row = self.times.len();
        for position in self.set_in_row.drain(..) {
            if let Some(column) = self.columns.get_mut(position) {
                let was_filled = column.len() > 0;
                column.truncate(row);
                self.filled -= usize::from(was_filled && column.len() == 0);
            }
        }
        for position in self.decided_in_row.drain(..) {
            if let Some(column) = self.columns.get_mut(position) {
                column.set_role(Role::Undecided);
            }
        }
        for added in self.columns.drain(self.columns_before..) {
            self.positions.remove(&added.spec.name);
        }
        self.announced.truncate(self.columns_before);
        self.text_bytes = self.text_bytes_before;
    }

    /// How many rows are complete.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it is time to take a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.times.len() >= self.limit || self.bytes() >= BATCH_BYTES
    }

    /// Bytes that they take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes_of(self.filled)
    }

    fn bytes_of(&self, filled: usize) -> usize {
        self.columns.len() * COLUMN_BYTES + self.times.len() * 9 * (filled + 1) + self.text_bytes
    }

    /// The tags that have values.
    pub(crate) fn tags(&self) -> Vec<String> {
        let tags = self.columns.iter().filter(|column| column.spec.role == Role::Tag && column.len() > 0);
        tags.map(|column| column.spec.name.clone()).collect()
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
        self.filled = 0;
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
pub(crate) fn check_name(name: &str) -> Result<(), Misfit> {
    if name.is_empty() {
        return Err(Misfit::new(name, "a column has no name"));
    }
    if name.len() > limits::NAME_BYTES || name.chars().any(char::is_control) {
        let (shown, most) = (super::column::shorten(name), limits::NAME_BYTES);
        let reason = format!("{shown} cannot be the name of a column: use 1 to {most} bytes without control characters");
        return Err(Misfit::new("", reason));
    }
    if name == TIME {
        let reason = "a column named \"time\" can only be the time of its row: rename it".to_owned();
        return Err(Misfit { column: name.to_owned(), reason, hint: ", or use --time time".to_owned() });
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
