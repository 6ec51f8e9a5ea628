//! Checksums of a segment's blocks: made while it is written, checked at every read before a byte reaches a decoder.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::BLOCK_BYTES;
use crate::error::{Error, Result};
use crate::io::File;

/// Bytes gathered before they are handed to the disk: a multiple of the block size.
const WRITE_BYTES: usize = 16 * BLOCK_BYTES as usize;

/// What a file holds: its size, the CRC32 of each of its blocks, and its BLAKE3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) bytes: u64,
    pub(super) blocks: Vec<u32>,
    pub(super) hash: [u8; 32],
}

/// Adds up the sums of bytes that come in order.
#[derive(Default)]
struct Summing {
    bytes: u64,
    blocks: Vec<u32>,
    hasher: blake3::Hasher,
}

impl Summing {
    /// Takes whole blocks, or the last piece of the file.
    fn add(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.blocks.extend(data.chunks(BLOCK_BYTES as usize).map(crc32fast::hash));
        self.bytes += data.len() as u64;
    }

    fn finish(self) -> Sums {
        Sums { bytes: self.bytes, blocks: self.blocks, hash: *self.hasher.finalize().as_bytes() }
    }
}

/// Writes a file from front to back, summing as it goes. The first failure is kept: whoever writes through it may swallow it.
pub(super) struct Sink {
    file: Arc<dyn File>,
    pending: Vec<u8>,
    sums: Summing,
    failure: Option<io::Error>,
}

impl Sink {
    pub(super) fn new(file: Arc<dyn File>) -> Sink {
        Sink { file, pending: Vec::with_capacity(WRITE_BYTES), sums: Summing::default(), failure: None }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.kind().into());
        }
        if let Err(failure) = self.file.write_all_at(self.sums.bytes, &self.pending) {
            let kind = failure.kind();
            self.failure = Some(failure);
            return Err(kind.into());
        }
        self.sums.add(&self.pending);
        self.pending.clear();
        Ok(())
    }

    /// Writes what is left, and says what was written, or why it could not be.
    pub(super) fn finish(mut self, path: &Path) -> Result<Sums> {
        let written = self.write_pending();
        match (self.failure, written) {
            (Some(failure), _) | (None, Err(failure)) => Err(Error::io("write", path, failure)),
            (None, Ok(())) => Ok(self.sums.finish()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(WRITE_BYTES - self.pending.len());
        self.pending.extend_from_slice(&data[..taken]);
        if self.pending.len() == WRITE_BYTES {
            self.write_pending()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Only whole blocks go out before the end, so that each is summed once.
        Ok(())
    }
}

/// Reads a whole file once and sums it.
pub(super) fn sum_file(file: &dyn File, path: &Path) -> Result<Sums> {
    let length = file.len().map_err(|error| Error::io("read", path, error))?;
    let mut sums = Summing::default();
    let mut buffer = vec![0; WRITE_BYTES];
    while sums.bytes < length {
        let count = (length - sums.bytes).min(WRITE_BYTES as u64) as usize;
        file.read_exact_at(sums.bytes, &mut buffer[..count]).map_err(|error| Error::io("read", path, error))?;
        sums.add(&buffer[..count]);
    }
    Ok(sums.finish())
}

/// Reads the bytes of `range` into `buffer` by whole blocks and checks each of them.
pub(super) fn read_checked<'a>(
    file: &dyn File,
    path: &Path,
    file_bytes: u64,
    blocks: &[u32],
    range: Range<u64>,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8]> {
    if range.start > range.end || range.end > file_bytes {
        return Err(Error::damaged(path, format_args!("its index points to bytes {range:?} of {file_bytes}")));
    }
    let first = range.start / BLOCK_BYTES;
    let start = first * BLOCK_BYTES;
    let end = range.end.next_multiple_of(BLOCK_BYTES).min(file_bytes);
    buffer.resize((end - start) as usize, 0);
    file.read_exact_at(start, buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(path, "it is shorter than it was"),
        _ => Error::io("read", path, error),
    })?;
    for (place, block) in buffer.chunks(BLOCK_BYTES as usize).enumerate() {
        if blocks.get(first as usize + place) != Some(&crc32fast::hash(block)) {
            let at = start + place as u64 * BLOCK_BYTES;
            return Err(Error::damaged(path, format_args!("the {} bytes at {at} fail their checksum", block.len())));
        }
    }
    let (from, to) = ((range.start - start) as usize, (range.end - start) as usize);
    buffer.get(from..to).ok_or_else(|| Error::Internal("a block read came short".into()))
}
