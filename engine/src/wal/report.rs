//! What a scan of the log found.

use crate::model::Sequence;

/// A log file and which records it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// The number in its name.
    pub(crate) number: u64,
    /// The sequence its records begin with.
    pub(crate) first: Sequence,
    /// The last sequence before the next file's; less than `first` where there is none.
    pub(crate) last: Sequence,
    /// Its length.
    pub(crate) len: u64,
    /// Where its records end.
    pub(crate) end: u64,
    /// From here to `end`, nothing says that the bytes ever reached the disk.
    pub(crate) unproven: u64,
    /// Whether both copies of its header are whole.
    pub(crate) header_whole: bool,
}

/// A file kept to be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spare {
    /// The number in its name.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) len: u64,
}

/// The log ended in writes that were never acknowledged as durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Number of the file.
    pub(crate) file: u64,
    /// Where the first unfinished frame begins.
    pub(crate) offset: u64,
    /// Bytes from there that were written but do not count.
    pub(crate) bytes: u64,
    /// The last record before.
    pub(crate) after: Sequence,
}

/// Bytes that had been durable and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogDamage {
    /// Number of the file.
    pub(crate) file: u64,
    /// Where they begin.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) bytes: u64,
    /// The records lost with them, both ends included; `None` where that is nothing or not known.
    pub(crate) sequences: Option<(Sequence, Sequence)>,
}

/// Everything a scan found. A scan changes nothing, so that a second one says the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScanReport {
    /// The log files in order.
    pub(crate) files: Vec<LogFile>,
    /// Files to be overwritten.
    pub(crate) spares: Vec<Spare>,
    /// The first sequence the log begins with; 0 where there is no log.
    pub(crate) first_sequence: Sequence,
    /// The highest sequence read; 0 where there is none.
    pub(crate) last_sequence: Sequence,
    /// The highest sequence that was said to be durable.
    pub(crate) durable: Sequence,
    /// Whether and where the log ended in unfinished writes.
    pub(crate) torn: Option<Torn>,
    /// What cannot be read of that which had been durable.
    pub(crate) damage: Vec<LogDamage>,
    /// Whether the log was closed in good order.
    pub(crate) clean_close: bool,
}

impl ScanReport {
    /// The first sequence that no record of this log has or had.
    pub(crate) fn next_sequence(&self) -> Sequence {
        let begun = self.files.iter().map(|file| file.first.saturating_sub(1)).max().unwrap_or(0);
        self.last_sequence.max(self.durable).max(begun).saturating_add(1)
    }
}
