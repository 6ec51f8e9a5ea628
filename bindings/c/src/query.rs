//! Questions, and their answers as streams of Arrow.

use std::ffi::c_char;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use engine::{Aggregate, Cancel, Comparison, Error, ErrorKind, Filter, Order, Query, QueryStream, TimeRange, Value, words};

use alluvium_bindings::Here;

use crate::database::alluvium_db;
use crate::handle::{change, handle, make, read, take};
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{give, may_give, maybe_text, needs, text};
use crate::transaction::{alluvium_tx, in_either};

/// A query. One thread at a time.
pub struct alluvium_query {
    _opaque: [u8; 0],
}

handle!(alluvium_query, Asked, b"query   ", "the query");

/// What ends the answer to a query from another thread. Any thread, several at a time.
pub struct alluvium_cancel {
    _opaque: [u8; 0],
}

handle!(alluvium_cancel, Cancel, b"cancel  ", "the cancellation");

/// What is behind a query handle.
pub(crate) struct Asked {
    query: Query,
}

/// How a column is compared.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_comparison {
    /// It is the same.
    ALLUVIUM_EQUAL = 0,
    /// It is another; of fields that are missing nothing is true.
    ALLUVIUM_NOT_EQUAL = 1,
    /// It is less.
    ALLUVIUM_LESS = 2,
    /// It is less, or the same.
    ALLUVIUM_LESS_OR_EQUAL = 3,
    /// It is greater.
    ALLUVIUM_GREATER = 4,
    /// It is greater, or the same.
    ALLUVIUM_GREATER_OR_EQUAL = 5,
}

/// In which order rows come.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_order {
    /// By tags, then by time: the fastest.
    ALLUVIUM_BY_SERIES = 0,
    /// By time, the oldest first.
    ALLUVIUM_OLDEST_FIRST = 1,
    /// By time, the newest first.
    ALLUVIUM_NEWEST_FIRST = 2,
}

const ORDERS: [(alluvium_order, Order); 3] = [
    (alluvium_order::ALLUVIUM_BY_SERIES, Order::Series),
    (alluvium_order::ALLUVIUM_OLDEST_FIRST, Order::TimeAscending),
    (alluvium_order::ALLUVIUM_NEWEST_FIRST, Order::TimeDescending),
];

fn comparison(how: i32) -> Outcome<Comparison> {
    use alluvium_comparison::*;
    const ALL: [(alluvium_comparison, Comparison); 6] = [
        (ALLUVIUM_EQUAL, Comparison::Equal),
        (ALLUVIUM_NOT_EQUAL, Comparison::NotEqual),
        (ALLUVIUM_LESS, Comparison::Less),
        (ALLUVIUM_LESS_OR_EQUAL, Comparison::LessOrEqual),
        (ALLUVIUM_GREATER, Comparison::Greater),
        (ALLUVIUM_GREATER_OR_EQUAL, Comparison::GreaterOrEqual),
    ];
    let known = ALL.iter().find(|(known, _)| *known as i32 == how);
    known.map(|(_, how)| *how).ok_or_else(|| Failure::input(format!("there is no comparison {how}: see alluvium_comparison")))
}

/// Changes a query by what builds it.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
unsafe fn with(query: *mut alluvium_query, build: impl FnOnce(Query) -> Outcome<Query>) -> Outcome {
    // SAFETY: as the caller promises.
    unsafe {
        change(query, |asked| {
            asked.query = build(asked.query.clone())?;
            Ok(())
        })
    }
}

/// Every row and field of a table; NULL for a name that is no text.
///
/// Ownership: the caller's, to be freed with `alluvium_query_free`. Threads: any.
///
/// # Safety
///
/// `table` is NULL or ends in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_new(table: *const c_char) -> *mut alluvium_query {
    let mut made = std::ptr::null_mut();
    // SAFETY: as the caller promises.
    done(|| Ok(made = make(Asked { query: Query::table(unsafe { text(table, "the name of the table")? }) })));
    made
}

/// Only rows from `from` on and before `to`, in the table's unit.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_between(query: *mut alluvium_query, from: i64, to: i64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { with(query, |query| Ok(query.range(TimeRange::new(from, to)))) })
}

/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
unsafe fn condition(
    query: *mut alluvium_query,
    column: *const c_char,
    how: i32,
    value: impl FnOnce() -> Outcome<Value>,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (column, how, value) = (text(column, "the name of the column")?, comparison(how)?, value()?);
        with(query, |query| Ok(query.filter(Filter::new(column, how, value))))
    })
}

/// Only rows whose tag or text field compares so, as an `alluvium_comparison` says. Conditions hold together.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_where_text(
    query: *mut alluvium_query,
    column: *const c_char,
    how: i32,
    value: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { condition(query, column, how, || text(value, "the text").map(|text| Value::Utf8(text.to_owned()))) }
}

/// Only rows whose field compares so with a floating-point number.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_where_f64(
    query: *mut alluvium_query,
    column: *const c_char,
    how: i32,
    value: f64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { condition(query, column, how, || Ok(Value::Float64(value))) }
}

/// Only rows whose field compares so with a whole number.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_where_i64(
    query: *mut alluvium_query,
    column: *const c_char,
    how: i32,
    value: i64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { condition(query, column, how, || Ok(Value::Int64(value))) }
}

/// Only rows whose field compares so with a truth.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_where_bool(
    query: *mut alluvium_query,
    column: *const c_char,
    how: i32,
    value: bool,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { condition(query, column, how, || Ok(Value::Bool(value))) }
}

/// Returns this field, and others named so, instead of all.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_field(query: *mut alluvium_query, name: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the field")?;
        with(query, |query| Ok(query.field(name)))
    })
}

/// Returns an aggregate of each field instead of rows, and others named so, in columns named like `mean(co2)`: "count", "sum", "mean", "min", "max",
/// "first", "last", …
///
/// Errors: `ALLUVIUM_INPUT`, with all there are, where there is none of that name.
///
/// # Safety
///
/// As of `alluvium_query_field`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_aggregate(query: *mut alluvium_query, function: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let function: Aggregate = text(function, "the name of the aggregate")?.parse()?;
        with(query, |query| Ok(query.aggregate([function])))
    })
}

/// Aggregates for each bucket of time: "5m", "1h", "1d", "1w", "1mo"; days, weeks and months by the calendar of an IANA time zone such as
/// "Europe/Berlin", or, where that is NULL, UTC.
///
/// # Safety
///
/// As of `alluvium_query_field`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_every(
    query: *mut alluvium_query,
    width: *const c_char,
    zone: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let window = words::window(text(width, "the width of the buckets")?, maybe_text(zone, "the time zone")?)?;
        with(query, |query| Ok(query.every(window)))
    })
}

/// Aggregates for each value of this tag, and others named so.
///
/// # Safety
///
/// As of `alluvium_query_field`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_by(query: *mut alluvium_query, tag: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let tag = text(tag, "the name of the tag")?;
        with(query, |query| Ok(query.by(tag)))
    })
}

/// Sets the order of rows, an `alluvium_order`.
///
/// # Safety
///
/// As of `alluvium_query_between`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_order(query: *mut alluvium_query, order: i32) -> alluvium_status {
    done(|| {
        let known = ORDERS.iter().find(|(known, _)| *known as i32 == order);
        let order = known.ok_or_else(|| Failure::input(format!("there is no order {order}: see alluvium_order")))?.1;
        // SAFETY: as the caller promises.
        unsafe { with(query, |query| Ok(query.order(order))) }
    })
}

/// Returns at most so many rows.
///
/// # Safety
///
/// As of `alluvium_query_between`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_limit(query: *mut alluvium_query, rows: u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { with(query, |query| Ok(query.limit(rows))) })
}

/// Returns one row for each series: the latest value of each field that there is.
///
/// # Safety
///
/// As of `alluvium_query_between`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_last(query: *mut alluvium_query) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { with(query, |query| Ok(query.last())) })
}

/// Frees a query. Answers to it are not touched. NULL is none.
///
/// # Safety
///
/// As of `alluvium_query_between`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_free(query: *mut alluvium_query) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(query) }.map(drop))
}

/// Asks, within a transaction where there is one, and answers by the Arrow C stream interface: batch by batch, in bounded memory, as things stood when
/// it was asked. `cancel` may be NULL, or is a place for what ends the answer from another thread.
///
/// The stream's own errors are EIO (5) where the disk or what is on it is at fault, and else, as where it was cancelled, EINVAL (22), with words from its
/// `get_last_error`.
///
/// Ownership: `*answer` is the caller's, to be released through its `release`, also after the database was closed; `*cancel` to be freed with
/// `alluvium_cancel_free`; nothing is copied. Threads: any; the stream one at a time.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library; `answer` and `cancel` are NULL or places for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_query_run(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    query: *const alluvium_query,
    answer: *mut FFI_ArrowArrayStream,
    cancel: *mut *mut alluvium_cancel,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(answer, "the answer")?;
        let query = read(query, |asked| Ok(asked.query.clone()))?;
        let stream = in_either!(db, tx, |access| Ok(access.query(&query)?))?;
        if !cancel.is_null() {
            give(cancel, make(stream.cancel()), "the cancellation")?;
        }
        let schema = stream.schema();
        give(answer, FFI_ArrowArrayStream::new(Box::new(Answer { schema, stream: Here::new(stream) })), "the answer")
    })
}

/// The answer to a query, as Arrow reads it.
struct Answer {
    schema: SchemaRef,
    stream: Here<QueryStream>,
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(stream) = self.stream.get_mut() else {
            let forked = "this process was forked from the one that asked";
            return Some(Err(ArrowError::InvalidArgumentError(forked.to_owned())));
        };
        stream.next().map(|batch| batch.map_err(stream_error))
    }
}

/// The streams of C tell only these two apart.
fn stream_error(error: Error) -> ArrowError {
    let is_disk = !matches!(error, Error::Cancelled) && !matches!(error.kind(), ErrorKind::Input | ErrorKind::Missing);
    if is_disk {
        ArrowError::IoError(error.to_string(), std::io::Error::other(error))
    } else {
        ArrowError::ExternalError(Box::new(error))
    }
}

impl RecordBatchReader for Answer {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Ends the answer to a query, soon: it then says that it was cancelled.
///
/// Threads: any, while another reads the answer.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_cancel_now(cancel: *const alluvium_cancel) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { read(cancel, |cancel| Ok(cancel.cancel())) })
}

/// Frees what ends an answer, which goes on. NULL is none.
///
/// # Safety
///
/// As of `alluvium_cancel_now`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_cancel_free(cancel: *mut alluvium_cancel) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(cancel) }.map(drop))
}

/// Deletes the rows of a query's table that its times and its conditions on tags say, within a transaction where there is one; `*sequence`, which may be
/// NULL, is its place in the log, and 0 within a transaction. Once it returns the rows are seen by nobody, after a power cut neither.
///
/// Threads: any. Errors: `ALLUVIUM_INPUT` where the query has a condition on a field, or asks for anything but rows.
///
/// # Safety
///
/// As of `alluvium_query_run`; `sequence` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_delete(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    query: *const alluvium_query,
    sequence: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let query = read(query, |asked| Ok(asked.query.clone()))?;
        let asks_for_more = query.limit.is_some() || query.last || query.aggregation.is_some() || !query.fields.is_empty();
        if asks_for_more {
            return Err(Failure::input("rows are deleted by times and tags: leave out fields, aggregates, last and limit"));
        }
        let (table, filters, range) = (&query.table, &query.filters, query.range);
        if tx.is_null() {
            let ack = crate::database::open(db)?.with(|db| Ok(db.delete(table, filters, range)?))?;
            may_give(sequence, ack.sequence);
        } else {
            crate::transaction::with_transaction(tx, |tx| Ok(tx.delete(table, filters, range)?))?;
            may_give(sequence, 0);
        }
        Ok(())
    })
}
