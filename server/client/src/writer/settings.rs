//! How a writer keeps what it has yet to send.

use std::path::PathBuf;

/// Settings of a writer.
///
/// ```
/// use alluvium_client::{OnRefusal, WriterSettings};
///
/// let mut settings = WriterSettings::disk("/var/lib/pump/queue");
/// settings.bytes = 64 << 20;
/// settings.on_refusal = OnRefusal::Hold;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriterSettings {
    /// Where batches are until they are acknowledged.
    pub keep: Keep,
    /// Bytes of batches that are kept, at most.
    pub bytes: usize,
    /// What to do about a batch that the server refuses.
    pub on_refusal: OnRefusal,
}

/// Where batches are until they are acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// In memory: they are lost with the process.
    Memory,
    /// In a file, which is made if it is not there, and survives a restart of the device. Two more lie beside it, `.lock` and at times
    /// `.new`; the file takes up to twice the bytes of the batches.
    Disk(PathBuf),
}

/// What to do about a batch that the server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// Go on behind it. Its receipt says why, and a warning in the log.
    Skip,
    /// Hold it, and those behind it, until somebody decides ([`Writer::refusal`](crate::Writer::refusal)).
    Hold,
}

impl WriterSettings {
    /// Keeps up to 4 MiB in memory.
    pub fn memory() -> Self {
        WriterSettings { keep: Keep::Memory, bytes: 4 << 20, on_refusal: OnRefusal::Skip }
    }

    /// Keeps up to 16 MiB in a file.
    pub fn disk(path: impl Into<PathBuf>) -> Self {
        WriterSettings { keep: Keep::Disk(path.into()), bytes: 16 << 20, on_refusal: OnRefusal::Skip }
    }
}
