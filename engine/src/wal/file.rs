//! Log files: their names and headers.

use std::path::{Path, PathBuf};

use super::frame::{PAGE, PLAUSIBLE};
use super::window::Window;
use crate::error::{Error, Result};
use crate::format;
use crate::model::Sequence;

const MAGIC: [u8; 8] = *b"ALUVLOG\n";
/// Bytes of the header that mean something.
const HEADER: usize = 40;
/// Where the first group begins. The page before it holds the second copy of the header.
pub(super) const DATA_START: u64 = 2 * PAGE;

/// The file of a number.
pub(crate) fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.log"))
}

/// A file kept to be overwritten, by the number it had.
pub(super) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.spare"))
}

/// What a name says a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Log(u64),
    Spare(u64),
    Other,
}

impl Named {
    pub(super) fn of(name: &str) -> Named {
        let number = |digits: &str| {
            let well_formed = digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| well_formed)
        };
        match name.rsplit_once('.') {
            Some((digits, "log")) => number(digits).map_or(Named::Other, Named::Log),
            Some((digits, "spare")) => number(digits).map_or(Named::Other, Named::Spare),
            _ => Named::Other,
        }
    }
}

/// What a log file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) number: u64,
    /// The sequence of the first record.
    pub(super) first: Sequence,
    /// Random, new with every life of the file.
    pub(super) salt: u64,
}

/// What the start of a file turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileStart {
    /// A header, and whether both its copies are whole.
    Begun { header: FileHeader, whole: bool },
    /// None was ever written in this life of the file: making or recycling it was interrupted, so it holds no records.
    Unbegun,
    /// There was one, but neither copy can be read.
    Damaged,
}

enum Copy {
    Good(FileHeader),
    /// Zeroes, past the end, or of an earlier life.
    None,
    Bad,
}

impl FileHeader {
    /// Both pages. A copy is: magic, version (u32), CRC of what follows (u32), number, first, salt.
    pub(super) fn encode(&self) -> Vec<u8> {
        let fields: Vec<u8> = [self.number, self.first, self.salt].iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut page = Vec::with_capacity(DATA_START as usize);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&format::VERSION.to_le_bytes());
        page.extend_from_slice(&crc32fast::hash(&fields).to_le_bytes());
        page.extend_from_slice(&fields);
        page.resize(PAGE as usize, 0);
        page.extend_from_within(..);
        page
    }

    /// Reads the header of the file of `number`. Only a version of another program is an error.
    pub(super) fn read(window: &mut Window, path: &Path, number: u64) -> Result<FileStart> {
        let copies = [copy(window, 0, path, number)?, copy(window, PAGE, path, number)?];
        Ok(match copies {
            [Copy::Good(header), other] => FileStart::Begun { header, whole: matches!(other, Copy::Good(_)) },
            [_, Copy::Good(header)] => FileStart::Begun { header, whole: false },
            [Copy::None, Copy::None] => FileStart::Unbegun,
            _ => FileStart::Damaged,
        })
    }
}

fn copy(window: &mut Window, offset: u64, path: &Path, number: u64) -> Result<Copy> {
    if offset + HEADER as u64 > window.len() {
        return Ok(Copy::None);
    }
    let Some(bytes) = window.get(offset, HEADER) else { return Ok(Copy::Bad) };
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Copy::None);
    }
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else { return Ok(Copy::Bad) };
    let Some((version, rest)) = rest.split_first_chunk::<4>() else { return Ok(Copy::Bad) };
    let Some((crc, fields)) = rest.split_first_chunk::<4>() else { return Ok(Copy::Bad) };
    if *magic != MAGIC || u32::from_le_bytes(*crc) != crc32fast::hash(fields) {
        return Ok(Copy::Bad);
    }
    let found = u32::from_le_bytes(*version);
    if found != format::VERSION {
        // The version is outside the checksum, so that another version's header is known for one; a single flipped bit in it
        // must not pass for another version though, hence the second copy has to agree.
        let twin = window.get(PAGE - offset, HEADER).and_then(|bytes| bytes.get(8..12)?.first_chunk().copied());
        return match twin.map(u32::from_le_bytes) {
            Some(second) if second == found => Err(Error::Version { path: path.to_owned(), found, supported: format::VERSION }),
            _ => Ok(Copy::Bad),
        };
    }
    let word = |at: usize| fields.get(at..).and_then(|f| f.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let header = FileHeader { number: word(0), first: word(8), salt: word(16) };
    // Records are counted from 1.
    if header.first == 0 || header.first >= PLAUSIBLE {
        return Ok(Copy::Bad);
    }
    Ok(if header.number == number { Copy::Good(header) } else { Copy::None })
}
