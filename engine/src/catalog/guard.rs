//! What stands between the engine and redb: panics are caught, errors sorted, and the first failure is remembered.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::fence::fence;

/// The first failure of a catalog. Once set, every later call is refused with it: redb's memory and the file may then
/// disagree, so only opening again helps.
#[derive(Debug, Default)]
pub(super) struct Latch {
    fault: Mutex<Option<Fault>>,
    panicked: AtomicBool,
}

#[derive(Debug)]
enum Fault {
    Damaged { path: PathBuf, detail: String },
    Full { path: PathBuf },
    Failed { reason: String },
}

impl Latch {
    /// Refuses once something has failed.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.fault.lock() {
            None => Ok(()),
            Some(Fault::Damaged { path, detail }) => Err(Error::damaged(path, detail)),
            Some(Fault::Full { path }) => Err(Error::DiskFull { path: path.clone() }),
            Some(Fault::Failed { reason }) => Err(Error::Stopped { reason: reason.clone() }),
        }
    }

    /// Remembers that bytes are not what was written.
    pub(super) fn damaged(&self, path: &Path, detail: impl ToString) -> Error {
        let detail = detail.to_string();
        self.set(Fault::Damaged { path: path.to_owned(), detail: detail.clone() });
        Error::damaged(path, detail)
    }

    /// Remembers that the operating system refused.
    pub(super) fn failed(&self, action: &'static str, path: &Path, source: io::Error) -> Error {
        let error = Error::io(action, path, source);
        self.set(match &error {
            Error::DiskFull { path } => Fault::Full { path: path.clone() },
            other => Fault::Failed { reason: other.to_string() },
        });
        error
    }

    /// A failed write: a full disk is not remembered, since nothing was lost and the same write may succeed later.
    pub(super) fn write_failed(&self, path: &Path, source: io::Error) -> Error {
        match Error::io("write", path, source) {
            full @ Error::DiskFull { .. } => full,
            Error::Io { action, path, source } => self.failed(action, &path, source),
            other => other,
        }
    }

    /// A failed read: a file that is too short is damaged.
    pub(super) fn read_failed(&self, path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(path, "the file is shorter than its checksums say"),
            _ => self.failed("read", path, source),
        }
    }

    /// Whether a panic came out of redb, after which its locks cannot be trusted to let its memory be dropped.
    pub(super) fn panicked(&self) -> bool {
        self.panicked.load(Ordering::Acquire)
    }

    fn set(&self, fault: Fault) {
        self.fault.lock().get_or_insert(fault);
    }

    /// Runs something that calls redb. `path` names the catalog in errors.
    pub(super) fn guard<T>(&self, path: &Path, call: impl FnOnce() -> Result<T, Failure>) -> Result<T> {
        self.check()?;
        match fence(call) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(self.sort(path, failure)),
            Err(panic) => {
                self.panicked.store(true, Ordering::Release);
                Err(self.damaged(path, format_args!("redb panicked: {}", panic_message(panic.as_ref()))))
            }
        }
    }

    fn sort(&self, path: &Path, failure: Failure) -> Error {
        match failure {
            Failure::Own(Error::Damaged { path, detail }) => self.damaged(&path, detail),
            Failure::Own(error) => error,
            Failure::Redb(error) => {
                // What the backend met is more precise than what redb made of it.
                if let Err(cause) = self.check() {
                    return cause;
                }
                match error {
                    redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => self.failed("use", path, source),
                    redb::Error::ValueTooLarge(bytes) => Error::Internal(format!("a catalog row of {bytes} bytes")),
                    other => self.damaged(path, other),
                }
            }
        }
    }
}

/// Why a guarded call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// redb said so.
    Redb(redb::Error),
    /// We said so.
    Own(Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Redb(error.into())
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_damage_from_then_on() {
        let latch = Latch::default();
        let path = Path::new("catalog.pages");
        let caught: Result<()> = latch.guard(path, || panic!("a page of order {}", 200));
        assert!(matches!(caught, Err(Error::Damaged { detail, .. }) if detail == "redb panicked: a page of order 200"));
        assert!(latch.panicked());
        assert!(matches!(latch.guard(path, || Ok(())), Err(Error::Damaged { .. })));
    }

    #[test]
    fn the_first_failure_is_the_one_remembered() {
        let latch = Latch::default();
        let path = Path::new("catalog.pages");
        assert!(matches!(latch.write_failed(path, io::ErrorKind::StorageFull.into()), Error::DiskFull { .. }));
        latch.check().unwrap();
        assert!(matches!(latch.failed("sync", path, io::Error::other("gone")), Error::Io { action: "sync", .. }));
        latch.damaged(path, "later");
        let stopped = latch.check();
        assert!(matches!(stopped, Err(Error::Stopped { reason }) if reason == "cannot sync catalog.pages: gone"));
    }
}
