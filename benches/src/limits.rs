//! What the machine itself allows: the raw bytes of a batch overwritten in a recycled file and synced, and copied in memory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Writes begin on pages of the file system, as a log's do.
const PAGE: usize = 4096;
/// A recycled file: written before, so that overwriting it neither allocates nor changes its size.
const FILE_BYTES: usize = 64 << 20;

/// A previously written file that is overwritten from start to end, over and over.
pub(crate) struct RecycledFile {
    file: File,
    position: usize,
}

impl RecycledFile {
    /// Writes the file once and syncs it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        let filler = vec![0xA5; 1 << 20];
        for position in (0..FILE_BYTES).step_by(filler.len()) {
            file.write_all_at(&filler, position as u64)?;
        }
        file.sync_all()?;
        Ok(RecycledFile { file, position: 0 })
    }

    /// Overwrites the next `bytes.len()` bytes, a whole number of pages, and syncs.
    pub(crate) fn overwrite(&mut self, bytes: &[u8]) -> Result<()> {
        if self.position + bytes.len() > FILE_BYTES {
            self.position = 0;
        }
        self.file.write_all_at(bytes, self.position as u64)?;
        self.file.sync_data()?;
        self.position += bytes.len();
        Ok(())
    }
}

/// Pads to whole pages.
pub(crate) fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    bytes
}

/// The time one copy of these bytes in memory takes, the page faults of the destination not counted.
pub(crate) fn copy(bytes: &[u8], destination: &mut Vec<u8>) -> Duration {
    destination.resize(bytes.len(), 0);
    let begin = Instant::now();
    destination.copy_from_slice(std::hint::black_box(bytes));
    std::hint::black_box(&destination);
    begin.elapsed()
}
