//! Rows one by one, for control loops: what a row is made of is copied into columns, and nothing is allocated once a batch was as large as the next.

use std::ffi::c_char;
use std::sync::Arc;

use engine::{Durability, RowBuilder, RowWriter, TableSchema, Value};

use crate::acks::{alluvium_ack, pending};
use crate::database::{Open, alluvium_db, open};
use crate::handle::{change, handle, make, take};
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{bytes, give, may_give, needs, text};
use crate::transaction::{alluvium_tx, with_transaction};

/// Rows of one table on their way. One thread at a time.
pub struct alluvium_rows {
    _opaque: [u8; 0],
}

handle!(alluvium_rows, Rows, b"rows    ", "the rows handle");

/// What is behind a rows handle.
pub(crate) struct Rows {
    open: Arc<Open>,
    builder: RowBuilder,
}

impl Rows {
    fn schema(&self) -> &TableSchema {
        self.builder.schema()
    }

    /// Sets something of the row that was begun last.
    fn set(&mut self, set: impl FnOnce(RowWriter<'_>) -> engine::Result<RowWriter<'_>>) -> Outcome {
        let row = self.builder.last_row().ok_or_else(none_begun)?;
        Ok(set(row).map(drop)?)
    }

    /// The position of a field, whose column is counted behind the tags.
    fn field(&self, column: u32) -> Outcome<usize> {
        (column as usize).checked_sub(self.schema().tags.len()).ok_or_else(|| is_tag(column))
    }

    fn value(&mut self, column: u32, value: Value) -> Outcome {
        let position = self.field(column)?;
        self.set(|row| row.value_at(position, value))
    }
}

#[cold]
fn is_tag(column: u32) -> Failure {
    Failure::input(format!("column {column} is a tag"))
}

#[cold]
fn none_begun() -> Failure {
    Failure::input("no row was begun: call alluvium_rows_begin")
}

/// When rows are acknowledged.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_durability {
    /// Once they are on disk.
    ALLUVIUM_DURABLE = 0,
    /// Once they are seen; a power cut may still take them back.
    ALLUVIUM_BUFFERED = 1,
}

pub(crate) fn durability(durability: i32) -> Outcome<Durability> {
    use alluvium_durability::*;
    const ALL: [(alluvium_durability, Durability); 2] =
        [(ALLUVIUM_DURABLE, Durability::Durable), (ALLUVIUM_BUFFERED, Durability::Buffered)];
    let known = ALL.iter().find(|(known, _)| *known as i32 == durability);
    known
        .map(|(_, how)| *how)
        .ok_or_else(|| Failure::input(format!("there is no durability {durability}: see alluvium_durability")))
}

/// An empty batch of rows for a table as it is now.
///
/// Ownership: `*rows` is the caller's, to be freed with `alluvium_rows_free`. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library, the text is NULL or ends in a NUL, `rows` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_new(
    db: *const alluvium_db,
    table: *const c_char,
    rows: *mut *mut alluvium_rows,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(rows, "the rows handle")?;
        let table = text(table, "the name of the table")?;
        let open = open(db)?;
        let schema = open.with(|db| Ok(db.table(table)?))?;
        give(rows, make(Rows { open, builder: RowBuilder::new(schema) }), "the rows handle")
    })
}

/// The number of a column, by which its values are set: tags come first, from 0 on, then fields.
///
/// Errors: `ALLUVIUM_MISSING` where the table has none of this name.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library, the text is NULL or ends in a NUL, `column` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_column(
    rows: *mut alluvium_rows,
    name: *const c_char,
    column: *mut u32,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the column")?;
        let position = change(rows, |rows| {
            let schema = rows.schema();
            let field = || schema.field_position(name).map(|position| schema.tags.len() + position);
            schema.tag_position(name).or_else(field).ok_or_else(|| {
                let (table, known) = (schema.name.clone(), schema.column_names());
                engine::Error::NoSuchColumn { table, what: "column", name: name.to_owned(), known }.into()
            })
        })?;
        // Tables have far fewer columns.
        give(column, u32::try_from(position).unwrap_or(u32::MAX), "the column")
    })
}

/// Begins a row at a time in the table's unit, since 1970, UTC. What it is not given is missing.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_begin(rows: *mut alluvium_rows, time: i64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        change(rows, |rows| {
            rows.builder.row(time);
            Ok(())
        })
    })
}

/// Sets a tag of the row that was begun last: `size` bytes of UTF-8, which are copied.
///
/// # Safety
///
/// As of `alluvium_rows_begin`; there are so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_tag(
    rows: *mut alluvium_rows,
    column: u32,
    value: *const c_char,
    size: usize,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let value = utf8(bytes(value.cast(), size, "the tag")?)?;
        change(rows, |rows| rows.set(|row| row.tag_at(column as usize, value)))
    })
}

/// Sets a field of the row that was begun last to text: `size` bytes of UTF-8, which are copied.
///
/// # Safety
///
/// As of `alluvium_rows_tag`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_text(
    rows: *mut alluvium_rows,
    column: u32,
    value: *const c_char,
    size: usize,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let value = utf8(bytes(value.cast(), size, "the text")?)?;
        change(rows, |rows| {
            let position = rows.field(column)?;
            rows.set(|row| row.text_at(position, value))
        })
    })
}

/// Sets a field of the row that was begun last to bytes, which are copied.
///
/// # Safety
///
/// As of `alluvium_rows_tag`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_binary(
    rows: *mut alluvium_rows,
    column: u32,
    value: *const u8,
    size: usize,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let value = bytes(value, size, "the bytes")?;
        change(rows, |rows| {
            let position = rows.field(column)?;
            rows.set(|row| row.bytes_at(position, value))
        })
    })
}

fn utf8(bytes: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(bytes).map_err(|error| Failure::input(format!("the text is not UTF-8: {error}")))
}

/// # Safety
///
/// The handle is NULL, or is or was one of this library.
unsafe fn number(rows: *mut alluvium_rows, column: u32, value: Value) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { change(rows, |rows| rows.value(column, value)) })
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_FLOAT64`.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_f64(rows: *mut alluvium_rows, column: u32, value: f64) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::Float64(value)) }
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_FLOAT32`.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_f32(rows: *mut alluvium_rows, column: u32, value: f32) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::Float32(value)) }
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_INT64`.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_i64(rows: *mut alluvium_rows, column: u32, value: i64) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::Int64(value)) }
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_UINT64`.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_u64(rows: *mut alluvium_rows, column: u32, value: u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::UInt64(value)) }
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_BOOL`.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_bool(rows: *mut alluvium_rows, column: u32, value: bool) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::Bool(value)) }
}

/// Sets a field of the row that was begun last, an `ALLUVIUM_DECIMAL`: 1234 with a scale of 2 is 12.34.
///
/// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_decimal(rows: *mut alluvium_rows, column: u32, value: i64) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { number(rows, column, Value::Decimal(value)) }
}

/// Sets `count` fields of the row that was begun last, all of them `ALLUVIUM_FLOAT64`, from a column on: what a loop that reads a block of
/// registers has at hand.
///
/// # Safety
///
/// As of `alluvium_rows_begin`; there are so many values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_doubles(
    rows: *mut alluvium_rows,
    column: u32,
    values: *const f64,
    count: usize,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        if count > 0 && values.is_null() {
            return Err(Failure::misuse("the values are NULL"));
        }
        let values = if count == 0 { &[] } else { std::slice::from_raw_parts(values, count) };
        change(rows, |rows| {
            let first = rows.field(column)?;
            rows.set(|row| values.iter().zip(first..).try_fold(row, |row, (value, position)| row.value_at(position, *value)))
        })
    })
}

/// How many rows were begun; 0 for what is no such handle.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_count(rows: *mut alluvium_rows) -> usize {
    let mut count = 0;
    // SAFETY: as the caller promises.
    done(|| unsafe { change(rows, |rows| Ok(count = rows.builder.rows())) });
    count
}

/// Forgets the rows.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_clear(rows: *mut alluvium_rows) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { change(rows, |rows| Ok(rows.builder.clear())) })
}

/// Appends the rows, all of them or none, acknowledged as an `alluvium_durability` says; the handle is empty then, ready for the next ones.
/// `*sequence`, which may be NULL, is their place in the log. A bad row refuses all, which are lost with it.
///
/// # Safety
///
/// As of `alluvium_rows_begin`; `sequence` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_append(rows: *mut alluvium_rows, how: i32, sequence: *mut u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let how = durability(how)?;
        let ack = change(rows, |rows| {
            let batch = rows.builder.finish()?;
            let table = &rows.builder.schema().name;
            rows.open.with(|db| Ok(db.append_with(table, &batch, how)?))
        })?;
        may_give(sequence, ack.sequence);
        Ok(())
    })
}

/// Appends the rows, which are seen when it returns, and says when they are on disk: `*ack` is waited for, polled, or calls back. The handle is
/// empty then. So a control loop never waits for the disk.
///
/// Ownership: `*ack` is the caller's, to be freed with `alluvium_ack_free`.
///
/// # Safety
///
/// As of `alluvium_rows_begin`; `ack` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_append_async(rows: *mut alluvium_rows, ack: *mut *mut alluvium_ack) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(ack, "the acknowledgement")?;
        let made = change(rows, |rows| {
            let batch = rows.builder.finish()?;
            pending(&rows.open, &rows.builder.schema().name, &batch)
        })?;
        give(ack, made, "the acknowledgement")
    })
}

/// Puts the rows into a transaction, with which they are appended or not; the handle is empty then.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_append_in(rows: *mut alluvium_rows, tx: *mut alluvium_tx) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        change(rows, |rows| {
            let batch = rows.builder.finish()?;
            with_transaction(tx, |tx| Ok(tx.append(&rows.builder.schema().name, &batch)?))
        })
    })
}

/// Frees rows, and forgets those that were not appended. NULL is none.
///
/// # Safety
///
/// As of `alluvium_rows_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rows_free(rows: *mut alluvium_rows) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(rows) }.map(drop))
}
