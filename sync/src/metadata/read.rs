//! Reads the lines of an object with metadata, whoever wrote it: one at a time, none of them too long.

use std::fmt;
use std::io::{BufRead, BufReader, Read};

use super::Line;

/// Bytes of the longest line that is read: more than any record of a log can have, in base64.
const MOST_BYTES: u64 = 96 << 20;
/// The window that zstd may ask for, as a power of two: 32 MiB.
const WINDOW: u32 = 25;

/// The lines of an object, decompressed as they are asked for.
pub(crate) struct Lines<R: Read> {
    reader: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    text: Vec<u8>,
    number: u64,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct NotRead {
    /// Which one, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

impl<R: Read> Lines<R> {
    /// Nothing is read yet but the beginning.
    pub(crate) fn new(object: R) -> Result<Self, NotRead> {
        let open = || {
            let mut decoder = zstd::Decoder::new(object)?;
            decoder.window_log_max(WINDOW)?;
            Ok(BufReader::with_capacity(256 << 10, decoder))
        };
        let opened: std::io::Result<_> = open();
        let reader = opened.map_err(|error| NotRead { line: 1, why: error.to_string() })?;
        Ok(Lines { reader, text: Vec::new(), number: 0 })
    }

    /// What is wrong with the line that was read last.
    pub(crate) fn wrong(&self, why: impl fmt::Display) -> NotRead {
        NotRead { line: self.number, why: why.to_string() }
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<Line, NotRead>;

    fn next(&mut self) -> Option<Self::Item> {
        self.text.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(MOST_BYTES + 1).read_until(b'\n', &mut self.text);
        match read {
            Err(error) => Some(Err(self.wrong(format_args!("it cannot be decompressed: {error}")))),
            Ok(0) => None,
            Ok(read) if read as u64 > MOST_BYTES => Some(Err(self.wrong(format_args!("it has more than {MOST_BYTES} bytes")))),
            Ok(_) => Some(serde_json::from_slice(&self.text).map_err(|error| self.wrong(error))),
        }
    }
}
