//! Batches by the Arrow C data and stream interfaces.

use std::ffi::c_char;

use alluvium_bindings::fitted;
use arrow::array::{RecordBatch, StructArray};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use engine::{Database, Durability, Error};

use crate::database::{alluvium_db, open};
use crate::rows::durability;
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{may_give, text};

/// Rows of a batch that are appended together.
const TOGETHER: usize = 1 << 16;

/// Takes a batch that C hands over: its structures are released when the batch is dropped, or now where it is none.
///
/// # Safety
///
/// The pointers are NULL or point to structures as the Arrow C data interface has them, which this may take.
unsafe fn imported(array: *mut FFI_ArrowArray, schema: *mut FFI_ArrowSchema) -> Outcome<RecordBatch> {
    if array.is_null() || schema.is_null() {
        return Err(Failure::misuse("the array or its schema is NULL"));
    }
    // SAFETY: as the caller promises; both are left marked as released.
    let (array, schema) = unsafe { (FFI_ArrowArray::from_raw(array), FFI_ArrowSchema::from_raw(schema)) };
    if array.is_released() {
        return Err(Failure::misuse("the array was released before"));
    }
    // SAFETY: the schema is that of the array, as the interface has it.
    let data = unsafe { from_ffi(array, &schema) }.map_err(Error::from)?;
    // What a foreign producer laid out is not believed where that would be read out of bounds.
    data.validate_full().map_err(Error::from)?;
    if !matches!(data.data_type(), arrow::datatypes::DataType::Struct(_)) {
        return Err(Failure::input(format!("a batch is a struct of columns, not {}", data.data_type())));
    }
    let columns = StructArray::from(data);
    if arrow::array::Array::null_count(&columns) > 0 {
        return Err(Failure::input("a batch has rows that are missing as a whole"));
    }
    Ok(RecordBatch::from(columns))
}

/// Appends all of a batch, some rows at a time, and answers the last sequence.
fn append(db: &Database, table: &str, batch: RecordBatch, how: Durability) -> Outcome<u64> {
    let batch = fitted(&*db.table(table)?, batch)?;
    let mut sequence = 0;
    for from in (0..batch.num_rows()).step_by(TOGETHER) {
        let rows = TOGETHER.min(batch.num_rows() - from);
        sequence = db.append_with(table, &batch.slice(from, rows), how)?.sequence;
    }
    Ok(sequence)
}

/// Appends a batch by the Arrow C data interface: a struct whose children are columns of the table by their names, among them `time`. Batches
/// of up to 65,536 rows are appended whole or not at all, larger ones as several. `*sequence`, which may be NULL, is the place of the last in the log.
///
/// Ownership: the array and the schema are taken and released, also with an error; nothing is copied that fits. Threads: any.
///
/// Errors: `ALLUVIUM_INPUT` with the first bad row by name.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; the text is NULL or ends in a NUL; array and schema are NULL or as the interface has them;
/// `sequence` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_append_arrow(
    db: *const alluvium_db,
    table: *const c_char,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
    how: i32,
    sequence: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let batch = imported(array, schema)?;
        let (table, how) = (text(table, "the name of the table")?, durability(how)?);
        let last = open(db)?.with(|db| append(db, table, batch, how))?;
        may_give(sequence, last);
        Ok(())
    })
}

/// Appends all batches of a stream by the Arrow C stream interface, each as `alluvium_append_arrow` does. `*rows`, which may be NULL, is how many rows
/// were appended, also with an error: those before it.
///
/// Ownership: the stream is taken and released, also with an error. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; the text is NULL or ends in a NUL; the stream is NULL or as the interface has it; `rows` is
/// NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_append_stream(
    db: *const alluvium_db,
    table: *const c_char,
    stream: *mut FFI_ArrowArrayStream,
    how: i32,
    rows: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        may_give(rows, 0);
        if stream.is_null() {
            return Err(Failure::misuse("the stream is NULL"));
        }
        let reader = RecordBatchStreamReader::from_raw(stream).map_err(Error::from)?;
        let (table, how) = (text(table, "the name of the table")?, durability(how)?);
        let open = open(db)?;
        let mut appended = 0;
        for batch in reader {
            let batch = batch.map_err(Error::from)?;
            let count = batch.num_rows() as u64;
            open.with(|db| append(db, table, batch, how))?;
            appended += count;
            may_give(rows, appended);
        }
        Ok(())
    })
}
