//! Reading one history file.

use std::path::Path;
use std::sync::Arc;

use super::bytes::{self, CHUNK_HEADER, ChunkHeader, DATA_START, Entry, Header};
use crate::io::{Disk, File, OpenMode};
use crate::model::Sequence;

/// What is read at once in search of the next good chunk.
const SEARCH_BYTES: usize = 64 << 10;
/// How many times over the bytes of a file are checksummed in such a search before the rest is given up.
const SEARCHES: u64 = 16;

/// What a reader comes upon.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// What is kept of a record or several.
    Entry(Entry<'a>),
    /// Records that cannot be read, both ends included.
    Lost(Sequence, Sequence),
    /// The end of what the file holds, and whether something there cannot be read.
    End { bad: bool },
}

/// A file and the chunk of it that is in memory.
#[derive(Debug)]
pub(crate) struct HistoryReader {
    file: Arc<dyn File>,
    salt: u64,
    /// Where the next chunk begins.
    offset: u64,
    body: Vec<u8>,
    /// Where in it the next entry begins.
    at: usize,
    /// The last record of the chunk.
    last: Sequence,
    /// The next record that is not accounted for.
    expected: Sequence,
}

impl HistoryReader {
    /// Opens a file at its start; `None` where it cannot be read.
    pub(super) fn open(disk: &dyn Disk, path: &Path, first: Sequence) -> Option<HistoryReader> {
        let file = disk.open(path, OpenMode::Read).ok()?;
        let mut header = [0; DATA_START as usize];
        let read = file.read_exact_at(0, &mut header).or_else(|_| file.read_exact_at(0, &mut header));
        let header = read.ok().and_then(|()| Header::decode(&header)).filter(|header| header.first == first)?;
        let body = Vec::new();
        Some(HistoryReader { file, salt: header.salt, offset: DATA_START, body, at: 0, last: first - 1, expected: first })
    }

    /// The next record that is not accounted for.
    pub(crate) fn expected(&self) -> Sequence {
        self.expected
    }

    /// What comes next in the first `bytes` of the file.
    pub(crate) fn step(&mut self, bytes: u64) -> Found<'_> {
        while self.at == self.body.len() {
            // Records at the end of a chunk may have nothing to say.
            self.expected = self.last + 1;
            if self.offset >= bytes {
                return Found::End { bad: self.offset > bytes };
            }
            if let Some(header) = self.chunk_at(self.offset, bytes).filter(|header| header.first == self.expected) {
                self.enter(self.offset, &header);
            } else if let Some((offset, header)) = self.search(bytes) {
                let from = self.expected;
                self.enter(offset, &header);
                if header.first > from {
                    self.expected = header.first;
                    return Found::Lost(from, header.first - 1);
                }
            } else {
                return Found::End { bad: true };
            }
        }
        let rest = self.body.get(self.at..).unwrap_or_default();
        match bytes::entry(rest, self.expected, self.last) {
            Ok(entry) => {
                self.at += entry.bytes;
                self.expected = entry.last + 1;
                Found::Entry(entry)
            }
            // Whole, but no history: nothing that was ever written.
            Err(_) => {
                let from = std::mem::replace(&mut self.expected, self.last + 1);
                self.at = self.body.len();
                Found::Lost(from, self.last)
            }
        }
    }

    fn enter(&mut self, offset: u64, header: &ChunkHeader) {
        self.offset = offset + (CHUNK_HEADER + header.bytes) as u64;
        self.at = 0;
        self.last = header.last;
    }

    /// Reads the chunk at a place, if there is a good one.
    fn chunk_at(&mut self, offset: u64, end: u64) -> Option<ChunkHeader> {
        let mut header = [0; CHUNK_HEADER];
        // What a disk could not read once, it may the next time.
        let read = |offset, buffer: &mut [u8]| {
            self.file.read_exact_at(offset, buffer).or_else(|_| self.file.read_exact_at(offset, buffer)).ok()
        };
        read(offset, &mut header)?;
        let header = ChunkHeader::decode(&header)?;
        let start = offset + CHUNK_HEADER as u64;
        if start.saturating_add(header.bytes as u64) > end {
            return None;
        }
        self.body.clear();
        self.body.resize(header.bytes, 0);
        let good = read(start, &mut self.body).is_some() && header.matches(self.salt, &self.body);
        if !good {
            self.body.clear();
        }
        good.then_some(header)
    }

    /// The next good chunk behind a bad place.
    fn search(&mut self, end: u64) -> Option<(u64, ChunkHeader)> {
        let (mut offset, mut budget) = (self.offset + 1, end.saturating_mul(SEARCHES));
        self.body.clear();
        self.at = 0;
        let mut buffer = vec![0; SEARCH_BYTES];
        while offset + CHUNK_HEADER as u64 <= end {
            let length = usize::try_from(end - offset).unwrap_or(SEARCH_BYTES).min(SEARCH_BYTES);
            let piece = buffer.get_mut(..length)?;
            if self.file.read_exact_at(offset, piece).is_err() {
                // A bad sector hides no more than itself.
                offset += 1 << 9;
                continue;
            }
            let Some(at) = bytes::find_tag(piece) else {
                offset += (length as u64).saturating_sub(3).max(1);
                continue;
            };
            offset += at as u64;
            let claimed = piece.get(at..).and_then(ChunkHeader::decode).map_or(0, |header| header.bytes as u64);
            budget = budget.checked_sub(claimed)?;
            if let Some(header) = self.chunk_at(offset, end).filter(|header| header.first >= self.expected) {
                return Some((offset, header));
            }
            self.body.clear();
            offset += 1;
        }
        None
    }
}
