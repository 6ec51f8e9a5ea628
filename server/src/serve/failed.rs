//! What went wrong, as clients are told.

use alluvium::Error;
use alluvium_protocol::Malformed;
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use alluvium_protocol::writer::OutOfOrder;

/// After how long a client may try again where room or the end of something is waited for.
const LATER_MILLIS: u32 = 1_000;

/// An engine error as it is told.
pub(crate) fn of_engine(error: &Error) -> Failed {
    let code = code(error);
    let mut failed = Failed::new(code, error.to_string());
    if matches!(code, Code::DiskFull | Code::Closing) {
        failed.retry_after_millis = LATER_MILLIS;
    }
    failed
}

/// The code of an engine error. What is not named here is a defect or a failure of the machine.
fn code(error: &Error) -> Code {
    match error {
        Error::BadRows { .. } => Code::BadRows,
        Error::Limit { .. } => Code::Limit,
        Error::WriterExpired { .. } => Code::WriterExpired,
        Error::WriterBehind { .. } => Code::WriterBehind,
        Error::WriterGap { .. } => Code::WriterGap,
        Error::Gap { .. } => Code::Gap,
        Error::Cancelled => Code::Cancelled,
        Error::Conflict | Error::Stale { .. } => Code::Conflict,
        Error::DiskFull { .. } | Error::DiskBudget { .. } => Code::DiskFull,
        Error::Damaged { .. } => Code::Damaged,
        Error::Stopped { .. } | Error::Io { .. } => Code::Stopped,
        Error::Closed => Code::Closing,
        other => match other.kind() {
            alluvium::ErrorKind::Input => Code::Invalid,
            alluvium::ErrorKind::Missing => Code::Missing,
            alluvium::ErrorKind::Unavailable => Code::Busy,
            alluvium::ErrorKind::Damaged => Code::Damaged,
            alluvium::ErrorKind::Fatal => Code::Internal,
        },
    }
}

/// Whether an error is about what was asked, so that another request may fare better right away.
pub(super) fn is_of_request(error: &Error) -> bool {
    matches!(code(error), Code::BadRows | Code::Limit | Code::Invalid | Code::Missing | Code::Conflict | Code::WriterGap)
}

/// Bytes that are not what they have to be.
pub(super) fn malformed(malformed: &Malformed) -> Failed {
    Failed::new(Code::Protocol, format!("{malformed}: see PROTOCOL.md for what may be sent"))
}

/// Batches that do not keep to their numbers.
pub(super) fn out_of_order(out_of_order: OutOfOrder) -> Failed {
    let code = if matches!(out_of_order, OutOfOrder::Gap { .. }) { Code::WriterGap } else { Code::Protocol };
    Failed::new(code, out_of_order.to_string())
}

/// A request that took too long.
pub(super) fn timeout(what: &str) -> Failed {
    Failed::new(Code::Timeout, format!("{what} did not come in time"))
}

/// A thread that panicked.
pub(crate) fn gave_up() -> Failed {
    Failed::new(Code::Internal, "the engine gave up on a request: the server's log says more")
}

/// The server is about to end.
pub(crate) fn closing() -> Failed {
    Failed { retry_after_millis: LATER_MILLIS, ..Failed::new(Code::Closing, "the server is about to end: connect again") }
}

/// Too much at once.
pub(super) fn busy(what: impl Into<String>) -> Failed {
    Failed { retry_after_millis: LATER_MILLIS, ..Failed::new(Code::Busy, what) }
}
