//! How calls end: a status, and words for the thread that called.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use alluvium_bindings::SyncError;
use alluvium_sync::worker::Failed;
use engine::{Error, ErrorKind};

/// How a call ended. Everything from `ALLUVIUM_INPUT` on is an error, of which `alluvium_error_message` says more.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_status {
    /// It was done.
    ALLUVIUM_OK = 0,
    /// There is nothing: no such key, document or item, or no more of what is gone through.
    ALLUVIUM_NONE = 1,
    /// Nothing came within the time that was given. It may be asked again.
    ALLUVIUM_TIMEOUT = 2,
    /// The request is wrong and will stay wrong: mend the input.
    ALLUVIUM_INPUT = 16,
    /// What was asked for does not exist, or exists already.
    ALLUVIUM_MISSING = 17,
    /// The same request may succeed later: another process holds the directory, the disk is full, or a target does not answer.
    ALLUVIUM_UNAVAILABLE = 18,
    /// Bytes on disk are not what was written there. The loss is named.
    ALLUVIUM_DAMAGED = 19,
    /// The device or the operating system refused: nothing further is acknowledged until the database is opened again.
    ALLUVIUM_FATAL = 20,
    /// Others changed what a transaction had read: make it again.
    ALLUVIUM_CONFLICT = 21,
    /// It is not in the revision that the write was made for: read it again and decide anew.
    ALLUVIUM_STALE = 22,
    /// The database was closed.
    ALLUVIUM_CLOSED = 23,
    /// The query was cancelled.
    ALLUVIUM_CANCELLED = 24,
    /// A handle that is NULL, was freed, is of another kind, or is used by two threads at a time; or a pointer that must not be NULL.
    ALLUVIUM_MISUSE = 25,
    /// A defect of this library. Please report it.
    ALLUVIUM_DEFECT = 26,
}

pub(crate) use alluvium_status::{
    ALLUVIUM_CANCELLED, ALLUVIUM_CLOSED, ALLUVIUM_CONFLICT, ALLUVIUM_DAMAGED, ALLUVIUM_DEFECT, ALLUVIUM_FATAL, ALLUVIUM_INPUT,
    ALLUVIUM_MISSING, ALLUVIUM_MISUSE, ALLUVIUM_NONE, ALLUVIUM_OK, ALLUVIUM_STALE, ALLUVIUM_TIMEOUT, ALLUVIUM_UNAVAILABLE,
};

/// Why a call failed. Boxed, so that calls which do not, one for each value of a row among them, hand on no more than a pointer.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Told>);

#[derive(Debug, Clone)]
struct Told {
    status: alluvium_status,
    message: String,
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    #[cold]
    fn new(status: alluvium_status, message: impl Into<String>) -> Self {
        Failure(Box::new(Told { status, message: message.into() }))
    }

    pub(crate) fn misuse(message: impl Into<String>) -> Self {
        Failure::new(ALLUVIUM_MISUSE, message)
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Failure::new(ALLUVIUM_INPUT, message)
    }

    pub(crate) fn status(&self) -> alluvium_status {
        self.0.status
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let status = match error {
            Error::Conflict => ALLUVIUM_CONFLICT,
            Error::Stale { .. } => ALLUVIUM_STALE,
            Error::Closed => ALLUVIUM_CLOSED,
            Error::Cancelled => ALLUVIUM_CANCELLED,
            Error::Internal(_) => ALLUVIUM_DEFECT,
            other => match other.kind() {
                ErrorKind::Input => ALLUVIUM_INPUT,
                ErrorKind::Missing => ALLUVIUM_MISSING,
                ErrorKind::Unavailable => ALLUVIUM_UNAVAILABLE,
                ErrorKind::Damaged => ALLUVIUM_DAMAGED,
                ErrorKind::Fatal => ALLUVIUM_FATAL,
            },
        };
        Failure::new(status, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::from(&error)
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => error.into(),
            other => Failure::new(ALLUVIUM_UNAVAILABLE, other.to_string()),
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Failed(failed) => failed.into(),
            SyncError::Setting(_) => Failure::input(error.to_string()),
            SyncError::Running => Failure::misuse(error.to_string()),
            SyncError::Left { .. } | SyncError::Interrupted | SyncError::NoThread(_) => {
                Failure::new(ALLUVIUM_UNAVAILABLE, error.to_string())
            }
        }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// Does what a function is for, and turns whatever becomes of it into a status: nothing unwinds into C.
#[inline]
pub(crate) fn call(does: impl FnOnce() -> Outcome<alluvium_status>) -> alluvium_status {
    match catch_unwind(AssertUnwindSafe(does)) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => failed(failure),
        Err(panic) => failed(defect(panic)),
    }
}

/// The same of what answers nothing but whether it was done.
#[inline]
pub(crate) fn done(does: impl FnOnce() -> Outcome) -> alluvium_status {
    call(|| does().map(|()| ALLUVIUM_OK))
}

// What is seldom needed is kept apart from what every value of a row goes through.

#[cold]
fn failed(failure: Failure) -> alluvium_status {
    remember(&failure);
    failure.status()
}

#[cold]
fn defect(panic: Box<dyn Any + Send>) -> Failure {
    Failure::new(ALLUVIUM_DEFECT, format!("a defect: {}; please report it", words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no more is known")
}

/// Keeps a message for this thread. Where that has ended its storage already, nobody is left to ask.
pub(crate) fn remember(failure: &Failure) {
    let message = CString::new(failure.0.message.replace('\0', "\u{fffd}")).unwrap_or_default();
    let _ = LAST.try_with(|last| last.replace(message));
}

/// What the last error of this thread was: what happened, where, and what to do next. Empty before the first.
///
/// Ownership: the library's; it holds until the next call of this thread that fails. Threads: each has its own.
#[unsafe(no_mangle)]
pub extern "C" fn alluvium_error_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The name of a status, such as `ALLUVIUM_INPUT`, and of any other number "unknown status".
///
/// Ownership: the library's, for ever. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn alluvium_status_name(status: i32) -> *const c_char {
    const NAMES: [(alluvium_status, &CStr); 14] = [
        (ALLUVIUM_OK, c"ALLUVIUM_OK"),
        (ALLUVIUM_NONE, c"ALLUVIUM_NONE"),
        (ALLUVIUM_TIMEOUT, c"ALLUVIUM_TIMEOUT"),
        (ALLUVIUM_INPUT, c"ALLUVIUM_INPUT"),
        (ALLUVIUM_MISSING, c"ALLUVIUM_MISSING"),
        (ALLUVIUM_UNAVAILABLE, c"ALLUVIUM_UNAVAILABLE"),
        (ALLUVIUM_DAMAGED, c"ALLUVIUM_DAMAGED"),
        (ALLUVIUM_FATAL, c"ALLUVIUM_FATAL"),
        (ALLUVIUM_CONFLICT, c"ALLUVIUM_CONFLICT"),
        (ALLUVIUM_STALE, c"ALLUVIUM_STALE"),
        (ALLUVIUM_CLOSED, c"ALLUVIUM_CLOSED"),
        (ALLUVIUM_CANCELLED, c"ALLUVIUM_CANCELLED"),
        (ALLUVIUM_MISUSE, c"ALLUVIUM_MISUSE"),
        (ALLUVIUM_DEFECT, c"ALLUVIUM_DEFECT"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known as i32 == status);
    known.map_or(c"unknown status", |(_, name)| name).as_ptr()
}

/// The ABI that this library has. Programs that were compiled against a header with another `ALLUVIUM_ABI_VERSION` must not use it.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn alluvium_abi_version() -> u32 {
    ALLUVIUM_ABI_VERSION
}

/// The ABI that this header describes. It rises with every change that is not an addition.
pub const ALLUVIUM_ABI_VERSION: u32 = 1;

/// The version of this library, such as "0.1.0".
///
/// Ownership: the library's, for ever. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn alluvium_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
