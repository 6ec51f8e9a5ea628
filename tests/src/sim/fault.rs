//! I/O that fails: which operation, how, and for how long.

use std::io;

/// What an operation does to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpClass {
    /// Looks: open for reading, list, length, read.
    Look,
    /// Writes bytes.
    Write,
    /// Makes or lengthens a file, a name or a directory.
    Grow,
    /// Takes away: removes, renames, cuts.
    Take,
    /// Syncs a file or a directory.
    Sync,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Every kind of operation: the device reports an error.
    Io,
    /// Writing and growing: no room.
    Full,
    /// Writing: the first half arrives, then the device reports an error.
    ShortWrite,
    /// Syncing: reports an error and forgets what it was to write.
    Sync,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 4] = [Fault::Io, Fault::Full, Fault::ShortWrite, Fault::Sync];

    /// Whether an operation of this class can fail in this way.
    pub fn concerns(self, class: OpClass) -> bool {
        match self {
            Fault::Io => true,
            Fault::Full => matches!(class, OpClass::Write | OpClass::Grow),
            Fault::ShortWrite => class == OpClass::Write,
            Fault::Sync => class == OpClass::Sync,
        }
    }

    pub(super) fn error(self) -> io::Error {
        match self {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            Fault::Io | Fault::ShortWrite | Fault::Sync => io::Error::other("injected I/O error"),
        }
    }
}

/// A fault to come.
#[derive(Debug, Clone, Copy)]
pub struct Injection {
    /// The number of the operation that fails, counted from the start of the disk; the next that can.
    pub at: u64,
    /// How.
    pub fault: Fault,
    /// Whether all after it that can fail do so too. A full disk then stays as full as it is.
    pub for_good: bool,
}
