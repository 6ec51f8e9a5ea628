//! Rows on their way to the disk.

use std::ffi::c_void;
use std::sync::Arc;

use alluvium_bindings::{Here, Pending};
use arrow::array::RecordBatch;
use engine::Error;

use crate::database::Open;
use crate::handle::{handle, make, read, take};
use crate::status::{ALLUVIUM_OK, ALLUVIUM_TIMEOUT, Failure, Outcome, alluvium_status, call, done, remember};
use crate::text::{may_give, millis};

/// What says when rows are on disk. Any thread, several at a time.
pub struct alluvium_ack {
    _opaque: [u8; 0],
}

handle!(alluvium_ack, Here<Pending>, b"ack     ", "the acknowledgement");

/// Is told what became of rows: `ALLUVIUM_OK` and their sequence once they are on disk, or an error, of which `alluvium_error_message` says more in
/// this call. It runs in a thread of the library and holds up other acknowledgements: it has to be short, and must not close the database.
pub type alluvium_ack_callback = Option<unsafe extern "C" fn(context: *mut c_void, status: alluvium_status, sequence: u64)>;

/// Appends rows that are acknowledged later.
pub(crate) fn pending(open: &Open, table: &str, batch: &RecordBatch) -> Outcome<*mut alluvium_ack> {
    let acks = open.acks()?;
    let acks = acks.get().ok_or(Error::Closed)?;
    Ok(make(Here::new(acks.append(table, batch)?)))
}

/// What is known.
enum Known {
    Not,
    Durable(u64),
    Lost(Failure),
}

fn known(outcome: Option<Result<u64, Arc<Error>>>) -> Known {
    match outcome {
        None => Known::Not,
        Some(Ok(sequence)) => Known::Durable(sequence),
        Some(Err(error)) => Known::Lost(Failure::from(&*error)),
    }
}

/// # Safety
///
/// The handle is NULL, or is or was one of this library.
unsafe fn of(ack: *const alluvium_ack) -> Outcome<Pending> {
    let forked = || Failure::misuse("this process was forked from the one that appended the rows");
    // SAFETY: as the caller promises. The handle itself is not kept busy by who waits.
    unsafe { read(ack, |ack| ack.get().cloned().ok_or_else(forked)) }
}

fn tell(known: Known, sequence: *mut u64) -> Outcome<alluvium_status> {
    match known {
        Known::Not => Ok(ALLUVIUM_TIMEOUT),
        Known::Durable(durable) => {
            // SAFETY: the callers of those who call this promise that it is NULL or a place for a number.
            unsafe { may_give(sequence, durable) };
            Ok(ALLUVIUM_OK)
        }
        Known::Lost(failure) => Err(failure),
    }
}

/// Whether rows are on disk: `ALLUVIUM_OK` and their `*sequence`, which may be NULL; `ALLUVIUM_TIMEOUT` where that is open; an error where they will not be.
///
/// Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `sequence` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_ack_poll(ack: *const alluvium_ack, sequence: *mut u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| tell(known(unsafe { of(ack) }?.poll()), sequence))
}

/// The same, waited for, at most so many milliseconds; below zero, as long as it takes.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_ack_poll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_ack_wait(ack: *const alluvium_ack, timeout_ms: i64, sequence: *mut u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| tell(known(unsafe { of(ack) }?.wait(millis(timeout_ms))), sequence))
}

/// Has a function called once it is known, with the context that is given: at once, by this thread, where it is known already. The handle may be freed
/// before.
///
/// Ownership: the context is the caller's, and has to be there until the function was called. Threads: any.
///
/// # Safety
///
/// As of `alluvium_ack_poll`; the function may be called by any thread with the context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_ack_on_done(
    ack: *const alluvium_ack,
    callback: alluvium_ack_callback,
    context: *mut c_void,
) -> alluvium_status {
    done(|| {
        let callback = callback.ok_or_else(|| Failure::misuse("the callback is NULL"))?;
        let context = Context(context);
        // SAFETY: as the caller promises.
        let pending = unsafe { of(ack) }?;
        pending.tell(move |outcome| {
            let (status, sequence) = match known(Some(outcome.clone())) {
                Known::Durable(sequence) => (ALLUVIUM_OK, sequence),
                Known::Lost(failure) => {
                    remember(&failure);
                    (failure.status(), 0)
                }
                Known::Not => (ALLUVIUM_TIMEOUT, 0),
            };
            // SAFETY: as the caller promises.
            unsafe { callback(context.whole(), status, sequence) };
        });
        Ok(())
    })
}

/// What belongs to the caller, who lets any thread have it.
struct Context(*mut c_void);

// SAFETY: nothing is done with it but to hand it to the caller's own function, which may be called by any thread.
unsafe impl Send for Context {}

impl Context {
    /// Taken by a method, so that closures hold all of it, and not the pointer alone.
    fn whole(&self) -> *mut c_void {
        self.0
    }
}

/// Frees an acknowledgement; what was appended becomes durable all the same, and callbacks are called. NULL is none.
///
/// # Safety
///
/// As of `alluvium_ack_poll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_ack_free(ack: *mut alluvium_ack) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(ack) }.map(drop))
}
