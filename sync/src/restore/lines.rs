//! Reads the lines of objects with metadata, whoever wrote them: one at a time, none of them too long.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::error::NotRestored;
use super::lineage::Source;
use crate::metadata::Line;

/// Bytes of the longest line that is read: more than any record of a log can have, in base64.
const MOST_BYTES: u64 = 96 << 20;
/// The window that zstd may ask for, as a power of two: 32 MiB.
const WINDOW: u32 = 25;

/// Reads all lines of an object that was fetched.
pub(super) fn each(source: &Source, path: &Path, take: &mut dyn FnMut(Line) -> Result<(), Refused>) -> Result<(), NotRestored> {
    let failed = |line: u64, why: String| NotRestored::Line { key: source.key.to_string(), line, why };
    let file = File::open(path).map_err(NotRestored::file("open", path))?;
    let open = || -> std::io::Result<_> {
        let mut decoder = zstd::Decoder::new(file)?;
        decoder.window_log_max(WINDOW)?;
        Ok(BufReader::with_capacity(256 << 10, decoder))
    };
    let mut reader = open().map_err(|error| failed(1, error.to_string()))?;
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        let read = reader.by_ref().take(MOST_BYTES + 1).read_until(b'\n', &mut text);
        let read = read.map_err(|error| failed(number + 1, format!("it cannot be decompressed: {error}")))?;
        if read == 0 {
            break;
        }
        number += 1;
        if read as u64 > MOST_BYTES {
            return Err(failed(number, format!("it has more than {MOST_BYTES} bytes")));
        }
        if number > source.lines {
            return Err(failed(number, format!("there are more lines than the {} that its manifest says", source.lines)));
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| failed(number, error.to_string()))?;
        match take(line) {
            Ok(()) => {}
            Err(Refused::Line(why)) => return Err(failed(number, why)),
            Err(Refused::Restore(not)) => return Err(*not),
        }
    }
    if number < source.lines {
        return Err(failed(number, format!("it ends there, and its manifest says that there are {} lines", source.lines)));
    }
    Ok(())
}

/// A line was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It says what cannot be.
    Line(String),
    /// Something else is wrong.
    Restore(Box<NotRestored>),
}

impl Refused {
    /// Of a line that says what cannot be.
    pub(super) fn line(why: impl ToString) -> Self {
        Refused::Line(why.to_string())
    }
}

impl From<NotRestored> for Refused {
    fn from(not: NotRestored) -> Self {
        Refused::Restore(Box::new(not))
    }
}
