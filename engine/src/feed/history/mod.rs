//! History: what log files held besides rows, kept when they were let go of.
//!
//! A log file goes once its rows lie in segments and the catalog holds the rest. Who reads the change feed may not have come so
//! far, so the rest is copied here first: without repeated definitions, derived keys and indexes of segments, and with rows as
//! what tables and times they are of. How much of it stays, the slowest cursor and a setting decide. What is not here any more,
//! or damaged, is a gap, which the feed names.
//!
//! A file is named after its first record and goes on where the next one begins. It is only added to while the database that
//! began it is open, and synced before the log files that it is of go; what a crash leaves behind unfinished, the log still has,
//! and the next file begins there.

mod bytes;
mod read;
mod write;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};

pub(crate) use bytes::Kept;
#[cfg(feature = "internals")]
pub(crate) use bytes::again;
pub(crate) use read::{Found, HistoryReader};

use crate::error::{Error, Result};
use crate::io::{Components, OpenMode, SyncLabel};
use crate::model::Sequence;
use crate::record::RecordKind;
use crate::wal::{Follow, LogFiles, Place, Step, log_path};
use write::{Condenser, HistoryFile};

/// Files are this part of all there may be, so that what goes first is not much.
const FILES_FOR_LIMIT: u64 = 16;
/// Their size at most.
const FILE_BYTES: u64 = 1 << 20;
/// How many there are at most, however small.
const MOST_FILES: usize = 1_024;
const EXTENSION: &str = "kept";

/// The files there are, and how to add to them.
#[derive(Debug)]
pub(crate) struct History {
    components: Components,
    root: PathBuf,
    dir: PathBuf,
    limit: u64,
    /// In order, for readers.
    pieces: RwLock<VecDeque<Piece>>,
    /// The file added to, which is the last of them.
    writing: Mutex<Option<HistoryFile>>,
}

/// A file and how much of it is there to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    first: Sequence,
    bytes: u64,
}

/// A file that a record is to be looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryPlace {
    first: Sequence,
    pub(crate) bytes: u64,
    /// The first record that is in another.
    pub(crate) limit: Sequence,
}

impl HistoryPlace {
    /// Whether the file of another moment is the same and holds more.
    pub(crate) fn is_grown(&self, before: &HistoryPlace) -> bool {
        self.first == before.first && self.bytes > before.bytes
    }
}

impl History {
    /// What is there. Only names are read; what else there is to know, readers find out.
    pub(crate) fn open(components: &Components, root: &Path, dir: PathBuf, limit: u64) -> Result<History> {
        let entries = match components.disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|source| Error::io("list", &dir, source))?,
        };
        let piece = |entry: crate::io::DirEntry| Some(Piece { first: first_of(&entry.name)?, bytes: entry.len });
        let mut pieces: Vec<_> = entries.into_iter().filter(|entry| !entry.is_dir).filter_map(piece).collect();
        pieces.sort_unstable_by_key(|piece| piece.first);
        let (components, root) = (components.clone(), root.to_owned());
        Ok(History { components, root, dir, limit, pieces: RwLock::new(pieces.into()), writing: Mutex::default() })
    }

    /// Bytes of all files.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.pieces.read().iter().map(|piece| piece.bytes).sum()
    }

    /// Where to look for a record that is before those of the log, which begins at `log_first`.
    pub(crate) fn locate(&self, sequence: Sequence, log_first: Sequence) -> Option<HistoryPlace> {
        let pieces = self.pieces.read();
        let after = pieces.partition_point(|piece| piece.first <= sequence);
        let Piece { first, bytes } = *pieces.get(after.checked_sub(1)?)?;
        let limit = pieces.get(after).map_or(log_first, |next| next.first.min(log_first));
        Some(HistoryPlace { first, bytes, limit })
    }

    /// The first record after `sequence` that a file begins with.
    pub(crate) fn next_after(&self, sequence: Sequence) -> Option<Sequence> {
        let pieces = self.pieces.read();
        pieces.get(pieces.partition_point(|piece| piece.first <= sequence)).map(|piece| piece.first)
    }

    /// Opens a file; `None` where it is gone or cannot be read.
    pub(crate) fn reader(&self, place: &HistoryPlace) -> Option<HistoryReader> {
        HistoryReader::open(&*self.components.disk, &self.path(place.first), place.first)
    }

    /// Reads all files: how many there are, and what is wrong with them.
    pub(crate) fn verify(&self, log_first: Sequence) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let firsts: Vec<_> = self.pieces.read().iter().map(|piece| piece.first).collect();
        for first in firsts.iter().copied().filter(|first| *first < log_first) {
            let Some(place) = self.locate(first, log_first) else { continue };
            let mut problem = |detail: String| problems.push((name_of(first), detail));
            let Some(mut reader) = self.reader(&place) else {
                problem(format!("cannot be read: changes from {first} on are a gap in the change feed"));
                continue;
            };
            loop {
                match reader.step(place.bytes) {
                    Found::Entry(_) => {}
                    Found::Lost(from, to) => problem(format!("changes {from} to {to} cannot be read")),
                    Found::End { bad } => {
                        let from = reader.expected();
                        if bad && from < place.limit {
                            problem(format!("changes {from} to {} cannot be read", place.limit - 1));
                        }
                        break;
                    }
                }
                if reader.expected() >= place.limit {
                    break;
                }
            }
        }
        problems
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> usize {
        self.pieces.read().len()
    }

    /// Keeps what the log holds before `end`, so that it can be let go of, and lets go of what is not needed any more. `read` is
    /// the last change that every cursor has acknowledged; `None` where there are no cursors.
    ///
    /// On a full disk nothing is kept and nothing fails: the log that goes is what makes room.
    pub(crate) fn keep(&self, log: &LogFiles, log_dir: &Path, end: Sequence, read: Option<Sequence>) -> Result<()> {
        let mut writing = self.writing.lock();
        let Some(start) = log.first() else { return Ok(()) };
        let known = writing.as_ref().map_or(0, |file| file.next);
        let needed = read.map_or(0, |read| read.saturating_add(1));
        let wanted = start.max(known).max(needed);
        let from = self.within_limit(log, log_dir, wanted, end);
        if from > wanted {
            // What is older than what is left out goes before it.
            *writing = None;
            self.remove_from(0)?;
        }
        if from < end {
            match self.copy(&mut writing, log, log_dir, from, end) {
                Ok(()) => {}
                Err(error) => {
                    self.give_up(&mut writing);
                    match error {
                        Error::DiskFull { .. } => tracing::warn!(from, end, "no room to keep changes: the change feed has a gap"),
                        other => return Err(other),
                    }
                }
            }
        }
        self.let_go(&mut writing, end, read)
    }

    /// The first record from which on everything before `end` fits into the limit: what would go at once is not written.
    fn within_limit(&self, log: &LogFiles, log_dir: &Path, from: Sequence, end: Sequence) -> Sequence {
        if self.limit == 0 {
            return end;
        }
        let places = places(log, from, end);
        let lengths = places.iter().map(|place| {
            let file = self.components.disk.open(&log_path(log_dir, place.number), OpenMode::Read);
            file.and_then(|file| file.len()).unwrap_or(0)
        });
        if lengths.sum::<u64>() <= self.limit {
            return from;
        }
        let mut bytes = 0;
        for place in places.iter().rev() {
            bytes += self.measure(log_dir, place, from, end);
            if bytes > self.limit {
                return place.limit.unwrap_or(end).clamp(from, end);
            }
        }
        from
    }

    /// Bytes in a log file that would be kept, about.
    fn measure(&self, log_dir: &Path, place: &Place, from: Sequence, end: Sequence) -> u64 {
        let mut bytes = 0;
        let measured = self.each(log_dir, place, from, end, &mut |record| {
            match record {
                Logged::Record(_, kind, payload) if kind != RecordKind::PutRows.code() => bytes += payload.len() as u64,
                _ => {}
            }
            Ok(())
        });
        // What cannot be measured is met again when it is copied.
        measured.map_or(0, |()| bytes)
    }

    fn copy(
        &self,
        writing: &mut Option<HistoryFile>,
        log: &LogFiles,
        log_dir: &Path,
        from: Sequence,
        end: Sequence,
    ) -> Result<()> {
        let mut file = match writing.take().filter(|file| file.next == from && file.bytes < self.file_bytes()) {
            Some(file) => file,
            None => self.begin(from)?,
        };
        let mut done = Vec::new();
        let mut condenser = Condenser::new(from);
        for place in places(log, from, end) {
            self.each(log_dir, &place, from, end, &mut |logged| {
                match logged {
                    Logged::Record(sequence, kind, payload) => condenser.record(sequence, kind, payload)?,
                    Logged::Lost(first, last) => condenser.lost(first, last),
                }
                condenser.flush(&mut file, None)?;
                if file.bytes >= self.file_bytes() {
                    file.sync()?;
                    let next = self.begin(file.next)?;
                    done.push(std::mem::replace(&mut file, next));
                }
                Ok(())
            })?;
        }
        condenser.flush(&mut file, Some(end - 1))?;
        file.sync()?;
        // Names too, lest a power cut leave neither log nor history.
        let sync = |dir: &Path| self.components.disk.sync_dir(dir, SyncLabel::History);
        sync(&self.dir).map_err(|source| Error::io("sync", &self.dir, source))?;
        let mut pieces = self.pieces.write();
        for written in done.iter().chain([&file]) {
            let piece = Piece { first: written.first, bytes: written.bytes };
            match pieces.back_mut().filter(|last| last.first == piece.first) {
                Some(last) => *last = piece,
                None => pieces.push_back(piece),
            }
        }
        *writing = Some(file);
        Ok(())
    }

    /// Begins a file. Later ones are of log files that never went.
    fn begin(&self, first: Sequence) -> Result<HistoryFile> {
        let disk = &*self.components.disk;
        if self.pieces.read().is_empty() {
            disk.create_dir_all(&self.dir).map_err(|source| Error::io("create", &self.dir, source))?;
            disk.sync_dir(&self.root, SyncLabel::History).map_err(|source| Error::io("sync", &self.root, source))?;
        }
        self.remove_from(first)?;
        let path = self.path(first);
        let mut salt = [0; 8];
        self.components.entropy.fill(&mut salt).map_err(|source| Error::io("salt", &path, source))?;
        HistoryFile::create(disk, path, u64::from_le_bytes(salt), first)
    }

    /// After a failure: what was written and is not listed goes, as far as it can. Should it not, it is never read as anything but
    /// what it was written as.
    fn give_up(&self, writing: &mut Option<HistoryFile>) {
        *writing = None;
        let disk = &*self.components.disk;
        let Ok(entries) = disk.list(&self.dir) else { return };
        for entry in entries {
            let Some(first) = first_of(&entry.name) else { continue };
            let listed = self.pieces.read().iter().find(|piece| piece.first == first).map(|piece| piece.bytes);
            let path = self.path(first);
            let _ = match listed {
                None => disk.remove(&path),
                Some(bytes) if bytes < entry.len => disk.open(&path, OpenMode::Write).and_then(|file| file.set_len(bytes)),
                Some(_) => Ok(()),
            };
        }
    }

    /// Removes the oldest files while there are too many, or nobody needs them.
    fn let_go(&self, writing: &mut Option<HistoryFile>, end: Sequence, read: Option<Sequence>) -> Result<()> {
        loop {
            let pieces = self.pieces.read();
            let Some(oldest) = pieces.front().copied() else { return Ok(()) };
            let through = pieces.get(1).map_or(end, |next| next.first);
            let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
            let many = bytes > self.limit || pieces.len() > MOST_FILES;
            drop(pieces);
            if !many && read.is_none_or(|read| through > read.saturating_add(1)) {
                return Ok(());
            }
            if writing.as_ref().is_some_and(|file| file.first == oldest.first) {
                *writing = None;
            }
            self.pieces.write().pop_front();
            self.remove(oldest.first)?;
        }
    }

    /// Removes the files that begin there or later.
    fn remove_from(&self, first: Sequence) -> Result<()> {
        loop {
            let last = self.pieces.write().pop_back_if(|last| last.first >= first);
            match last {
                Some(last) => self.remove(last.first)?,
                None => return Ok(()),
            }
        }
    }

    fn remove(&self, first: Sequence) -> Result<()> {
        let path = self.path(first);
        match self.components.disk.remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, source)),
            _ => Ok(()),
        }
    }

    /// Shows every record of a log file from `from` to before `end`, and what of it is lost.
    fn each(
        &self,
        log_dir: &Path,
        place: &Place,
        from: Sequence,
        end: Sequence,
        visit: &mut dyn FnMut(Logged<'_>) -> Result<()>,
    ) -> Result<()> {
        let stop = place.limit.map_or(end, |limit| limit.min(end));
        let lost = |first: Sequence, visit: &mut dyn FnMut(Logged<'_>) -> Result<()>, last: Sequence| {
            if last >= from { visit(Logged::Lost(first.max(from), last)) } else { Ok(()) }
        };
        let Some(mut follow) = Follow::open(&*self.components.disk, log_dir, place)? else {
            return lost(place.first, visit, stop - 1);
        };
        while follow.expected() < stop {
            match follow.step(end - 1) {
                Step::Record(frame) if frame.sequence >= from => {
                    visit(Logged::Record(frame.sequence, frame.kind, follow.payload(&frame)))?;
                }
                Step::Record(_) => {}
                Step::Bad => {
                    if let Some((first, last)) = follow.resume(stop) {
                        lost(first, visit, last)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn file_bytes(&self) -> u64 {
        (self.limit / FILES_FOR_LIMIT).min(FILE_BYTES)
    }

    fn path(&self, first: Sequence) -> PathBuf {
        self.dir.join(name_of(first))
    }
}

/// What is in a log file.
enum Logged<'a> {
    Record(Sequence, u8, &'a [u8]),
    Lost(Sequence, Sequence),
}

/// The log files that hold the records from `from` to before `end`.
fn places(log: &LogFiles, from: Sequence, end: Sequence) -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = from;
    while at < end {
        let Some(place) = log.locate(at) else { break };
        places.push(place);
        at = place.limit.unwrap_or(end);
    }
    places
}

fn name_of(first: Sequence) -> String {
    format!("{first:020}.{EXTENSION}")
}

fn first_of(name: &str) -> Option<Sequence> {
    let digits = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|first| well_formed && *first > 0)
}
