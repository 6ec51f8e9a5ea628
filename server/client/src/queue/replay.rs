//! What a queue file holds, read from its beginning to its end.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use alluvium_protocol::frame::{Frame, Frames};
use alluvium_protocol::message::{DescribeTable, Message};
use alluvium_protocol::rows::split;

use super::format::{HEAD, HEADER, Head, MARK, MARKS, Mark, RECORDS, WriterId, read_header};
use crate::{Error, Result};

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// Where a batch is in the file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) table: Arc<DescribeTable>,
}

impl Place {
    /// Bytes of its record.
    pub(super) fn bytes(&self) -> u64 {
        (HEAD + self.length) as u64
    }
}

/// What was found in a queue.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) writer: WriterId,
    pub(crate) sent_before: bool,
    pub(crate) acknowledged: u64,
    /// Of each batch behind that: bytes of its frame, and its table.
    pub(crate) waiting: Vec<(usize, Arc<DescribeTable>)>,
}

/// A file, as read.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) writer: WriterId,
    pub(super) mark: Mark,
    /// At which of both places.
    pub(super) held_at: usize,
    /// Batches behind what is acknowledged.
    pub(super) places: VecDeque<Place>,
    /// Where the next record goes.
    pub(super) end: u64,
}

/// Reads a file. A torn tail ends it.
pub(super) fn replay(path: &Path, file: &File) -> Result<Replay> {
    let (writer, held_at, mark) = read_marks(path, file)?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    reader.seek(SeekFrom::Start(RECORDS)).map_err(|error| Error::queue_io(path, "read", error))?;
    let mut walk = Walk { path, mark, at: RECORDS, last: None, tables: BTreeMap::new(), places: VecDeque::new() };
    while let Some((head, bytes)) = walk.record(&mut reader)? {
        walk.take(head, &bytes)?;
        walk.at += (HEAD + bytes.len()) as u64;
    }
    if walk.at < mark.synced {
        return Err(walk.damaged("it ends before what was synced"));
    }
    Ok(Replay { writer, mark, held_at, places: walk.places, end: walk.at })
}

fn read_marks(path: &Path, file: &File) -> Result<(WriterId, usize, Mark)> {
    let damaged = |offset, detail: &str| Error::QueueDamaged { path: path.to_owned(), offset, detail: detail.to_owned() };
    let mut bytes = Vec::new();
    file.take(RECORDS).read_to_end(&mut bytes).map_err(|error| Error::queue_io(path, "read", error))?;
    if bytes.len() < RECORDS as usize {
        return Err(damaged(bytes.len() as u64, "it is cut before its first record"));
    }
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| damaged(0, "it is cut"))?;
    let writer = read_header(header).map_err(|detail| damaged(0, &detail))?;
    let mark = |at: u64| Mark::read(bytes[at as usize..].first_chunk::<MARK>()?);
    let marks = MARKS.into_iter().enumerate().filter_map(|(place, at)| Some((place, mark(at)?)));
    let (held_at, mark) = marks
        .max_by_key(|(_, mark)| mark.sequence)
        .ok_or_else(|| damaged(MARKS[0], "neither of its marks matches its checksum"))?;
    // No writer ever gets so far, and numbers behind it would have no room.
    if mark.acknowledged > u64::MAX / 2 {
        Err(damaged(MARKS[0], "its marks are of no writer"))
    } else {
        Ok((writer, held_at, mark))
    }
}

/// On the way through the records.
struct Walk<'w> {
    path: &'w Path,
    mark: Mark,
    at: u64,
    /// The number of the last batch.
    last: Option<u64>,
    tables: BTreeMap<u16, Arc<DescribeTable>>,
    places: VecDeque<Place>,
}

impl Walk<'_> {
    fn damaged(&self, detail: &str) -> Error {
        Error::QueueDamaged { path: self.path.to_owned(), offset: self.at, detail: detail.to_owned() }
    }

    /// The next whole record. What is behind the last synced one need not be whole.
    fn record(&self, reader: &mut impl Read) -> Result<Option<(Head, Vec<u8>)>> {
        let head = match Head::read(&self.read(reader, HEAD)?.try_into().unwrap_or_default()) {
            Some(head) => head,
            None => return self.torn(),
        };
        let frame = self.read(reader, head.length)?;
        if head.holds(&frame) { Ok(Some((head, frame))) } else { self.torn() }
    }

    fn torn(&self) -> Result<Option<(Head, Vec<u8>)>> {
        if self.at < self.mark.synced { Err(self.damaged("a record does not match its checksum")) } else { Ok(None) }
    }

    /// So many bytes, or fewer where the file ends. Memory is taken for what is there.
    fn read(&self, reader: &mut impl Read, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = reader.take(length as u64).read_to_end(&mut bytes);
        read.map_err(|error| Error::queue_io(self.path, "read", error))?;
        Ok(bytes)
    }

    fn take(&mut self, head: Head, bytes: &[u8]) -> Result<()> {
        let frame = self.frame(bytes)?;
        if head.number == 0 {
            let table = DescribeTable::read(&frame).map_err(|error| self.damaged(&error.to_string()))?;
            self.tables.insert(table.slot, Arc::new(table));
            return Ok(());
        }
        let (batch, _) = split(frame.kind, &frame.payload).map_err(|error| self.damaged(&error.to_string()))?;
        if batch.number != head.number {
            return Err(self.damaged("a record and its batch have different numbers"));
        }
        let table =
            self.tables.get(&batch.slot).cloned().ok_or_else(|| self.damaged("a batch of a table that is not described"))?;
        self.batch(head.number, Place { offset: self.at + HEAD as u64, length: bytes.len(), table })
    }

    fn frame(&self, bytes: &[u8]) -> Result<Frame> {
        let mut frames = Frames::new(usize::MAX);
        frames.push(bytes);
        let frame = frames.take().and_then(|frame| frames.finish().map(|()| frame));
        let frame = frame.map_err(|error| self.damaged(&error.to_string()))?;
        frame.ok_or_else(|| self.damaged("a record holds no whole frame"))
    }

    fn batch(&mut self, number: u64, place: Place) -> Result<()> {
        let acknowledged = self.mark.acknowledged;
        let is_next = self.last.map_or(number <= acknowledged.saturating_add(1), |last| number <= last.saturating_add(1));
        if !is_next {
            return Err(self.damaged("batches are missing before this one"));
        }
        self.last = self.last.max(Some(number));
        if number <= acknowledged {
            return Ok(());
        }
        let at = (number - acknowledged - 1) as usize;
        let count = self.places.len();
        match self.places.get_mut(at) {
            Some(replaced) => *replaced = place,
            None if at == count => self.places.push_back(place),
            None => return Err(self.damaged("batches are missing before this one")),
        }
        Ok(())
    }
}
