//! Writing the log.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{DATA_START, FileHeader, log_path, spare_path};
use super::follow::LogFiles;
use super::frame::{CONTEXT, GROUP_HEADER, GroupHeader, PAGE, Payload, Seed, padded, put_frame};
use super::report::{LogFile, ScanReport, Spare};
use crate::error::{Error, Result};
use crate::io::{Components, Disk, File, OpenMode, SyncLabel};
use crate::model::Sequence;

/// Files kept to be overwritten: into space written before, a write and its sync take half the time.
const SPARES: usize = 8;
/// Memory of the group buffer that is kept from one group to the next.
const BUFFER_KEPT: usize = 4 << 20;
/// A file that grows is zeroed so far ahead: into space written before, a write and its sync take half the time. The first
/// life of a file costs its bytes twice; after that it is recycled.
const AHEAD: u64 = 512 << 10;
/// Files below this size are not worth it.
const LARGE_FILE: u64 = 2 << 20;
/// Groups above this size gain nothing from it.
const SMALL_GROUP: u64 = 64 << 10;
/// Distance of the places remembered for [`Log::bytes_since`].
const POSITION_BYTES: u64 = 64 << 10;
/// What is read and written at once when a tail is written again.
const REWRITE_BYTES: u64 = 256 << 10;

/// The write end of the log. One thread at a time; groups are begun, filled and committed in order of sequence.
///
/// After a failed write or sync every call fails with [`Error::Stopped`]. A full disk met while writing does not stop it: the
/// group is dropped as if it had never been, and a later one may succeed.
#[derive(Debug)]
pub(crate) struct Log {
    components: Components,
    dir: PathBuf,
    file_bytes: u64,
    state: State,
    /// Every file, the current one last.
    files: VecDeque<Extent>,
    /// Those that hold records, for readers.
    listed: LogFiles,
    spares: Vec<Spare>,
    next_number: u64,
    current: Option<Current>,
    group: Option<OpenGroup>,
    buffer: Vec<u8>,
    /// The last sequence committed, and the last known to be on disk.
    committed: Sequence,
    durable: Sequence,
    /// Bytes of groups written, and how many had been before some sequences.
    written: u64,
    positions: VecDeque<(Sequence, u64)>,
}

#[derive(Debug)]
enum State {
    Open,
    Stopped(String),
    Closed,
}

/// A file: its number, the sequence it begins with, its length.
#[derive(Debug, Clone, Copy)]
struct Extent {
    number: u64,
    first: Sequence,
    len: u64,
    /// Whether it has a header.
    begun: bool,
}

#[derive(Debug)]
struct Current {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    seed: Seed,
    /// Where the next group goes.
    offset: u64,
    /// Length of the file, which for a recycled one is beyond `offset`.
    len: u64,
    groups: u64,
    unsynced: bool,
}

#[derive(Debug)]
struct OpenGroup {
    seed: Seed,
    number: u64,
    next: Sequence,
    frames: u32,
    defect: Option<String>,
}

impl Current {
    /// Zeroes what small groups are going to overwrite, where the last one made the file longer.
    fn write_ahead(&mut self, group: u64, file_bytes: u64) -> std::io::Result<()> {
        if self.offset <= self.len {
            return Ok(());
        }
        self.len = self.offset;
        let ahead = AHEAD.min(file_bytes.saturating_sub(self.offset)) / PAGE * PAGE;
        if group > SMALL_GROUP || file_bytes < LARGE_FILE || ahead == 0 {
            return Ok(());
        }
        // Page by page: of one larger write the page cache makes one large folio, which then counts as written whole each
        // time that a part of it is overwritten.
        while self.len < self.offset + ahead {
            match self.file.write_all_at(self.len, &[0; PAGE as usize]) {
                // Room for the next group is looked for when it comes.
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                written => written?,
            }
            self.len += PAGE;
        }
        Ok(())
    }
}

impl Log {
    /// Takes over the log that a scan found. The first record will be `next`; it goes to a new file, begun with the first
    /// group, so that a torn tail is never appended to.
    ///
    /// What the scan could read but nothing proves to be on disk is written again in place and synced, so that every record
    /// it showed is durable from here on, and none that it did not show appears later. (A sync alone would not do: after one
    /// that failed, the kernel holds pages for clean that never reached the disk.)
    pub(crate) fn start(components: &Components, dir: &Path, file_bytes: u64, next: Sequence, found: &ScanReport) -> Result<Log> {
        if next < found.next_sequence() {
            return Err(Error::Internal(format!("the log was to go on at {next}, but reaches {}", found.last_sequence)));
        }
        if let Some(last) = found.files.iter().rfind(|file| file.end > 0).filter(|_| !found.clean_close) {
            secure(components.disk.as_ref(), dir, last)?;
        }
        let used = found.files.iter().map(|file| file.number).chain(found.spares.iter().map(|spare| spare.number)).max();
        let mut log = Log {
            components: components.clone(),
            dir: dir.to_owned(),
            file_bytes,
            state: State::Open,
            files: VecDeque::new(),
            listed: LogFiles::default(),
            spares: found.spares.clone(),
            next_number: used.unwrap_or(0) + 1,
            current: None,
            group: None,
            buffer: Vec::new(),
            committed: next.saturating_sub(1),
            durable: next.saturating_sub(1),
            written: 0,
            positions: VecDeque::new(),
        };
        for file in &found.files {
            log.files.push_back(Extent { number: file.number, first: file.first, len: file.len, begun: file.end > 0 });
            if file.end > 0 {
                log.listed.add(file.number, file.first);
            }
            log.positions.push_back((file.first, log.written));
            log.written += file.end.saturating_sub(DATA_START);
        }
        Ok(log)
    }

    /// Begins a group of about `expected_bytes` of frames, in a new file if they do not fit into the current one. A group that
    /// was begun and not committed is forgotten.
    pub(crate) fn begin_group(&mut self, expected_bytes: usize) -> Result<()> {
        self.check()?;
        self.group = None;
        let bytes = padded((GROUP_HEADER + expected_bytes) as u64);
        let fits = |current: &Current| current.offset == DATA_START || current.offset + bytes <= self.file_bytes;
        if !self.current.as_ref().is_some_and(fits) {
            self.rotate()?;
        }
        self.group = self.open_group();
        Ok(())
    }

    /// Number of the file that the group begun goes to, so that the caller knows what was defined in it; 0 before the first.
    pub(crate) fn file_number(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.number)
    }

    /// Adds a frame to the group begun. Records have consecutive sequences; a [`CONTEXT`] frame has that of the record to follow.
    pub(crate) fn push(&mut self, kind: u8, flags: u8, sequence: Sequence, payload: &Payload) {
        let Some(group) = &mut self.group else { return };
        if sequence != group.next {
            group.defect.get_or_insert_with(|| format!("record {sequence} was logged in the place of {}", group.next));
        }
        put_frame(&mut self.buffer, &group.seed, kind, flags, sequence, payload);
        group.frames += 1;
        if flags & CONTEXT == 0 {
            group.next += 1;
        }
    }

    /// Writes the group begun, and syncs it if asked.
    ///
    /// On [`Error::DiskFull`] nothing of it counts: its sequences are to be used again. On any other error it is unknown
    /// whether it counts until the log is scanned again.
    pub(crate) fn commit_group(&mut self, sync: bool) -> Result<()> {
        self.check()?;
        let Some(group) = self.group.take() else { return Err(Error::Internal("no group was begun".into())) };
        if let Some(defect) = group.defect {
            return Err(Error::Internal(defect));
        }
        if group.frames > 0 {
            self.write_group(&group, false)?;
        }
        if sync { self.sync() } else { Ok(()) }
    }

    /// Makes every committed group durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.check()?;
        if let Some(current) = self.current.as_mut().filter(|current| current.unsynced) {
            if let Err(error) = current.file.sync(SyncLabel::LogGroup) {
                let error = Error::io("sync", &current.path, error);
                return Err(self.stop(error));
            }
            current.unsynced = false;
        }
        self.durable = self.committed;
        Ok(())
    }

    /// The last sequence that is on disk.
    pub(crate) fn durable(&self) -> Sequence {
        self.durable
    }

    /// Gives up the files all of whose records come before `keep_from`: a few are kept to be overwritten, the rest removed. The
    /// newest file always stays, so that the log never forgets how far it had come.
    pub(crate) fn trim(&mut self, keep_from: Sequence) -> Result<()> {
        self.check()?;
        for _ in 0..self.trimmable(keep_from) {
            let (Some(oldest), Some(second)) = (self.files.front().copied(), self.files.get(1).copied()) else { break };
            // Whoever reads it from now on looks for it elsewhere.
            self.listed.forget(oldest.number);
            let path = log_path(&self.dir, oldest.number);
            let spare = self.spares.len() < SPARES && oldest.len <= 2 * self.file_bytes;
            let given_up =
                if spare { self.disk().rename(&path, &spare_path(&self.dir, oldest.number)) } else { self.disk().remove(&path) };
            given_up.map_err(|error| self.stop(Error::io("trim", &path, error)))?;
            self.files.pop_front();
            if spare {
                self.spares.push(Spare { number: oldest.number, len: oldest.len });
            }
            // One by one, so that a power cut never leaves a gap between files that remain.
            self.sync_directory()?;
            while self.positions.get(1).is_some_and(|(first, _)| *first <= second.first) {
                self.positions.pop_front();
            }
        }
        Ok(())
    }

    /// How many of the oldest files [`Log::trim`] gives up.
    fn trimmable(&self, keep_from: Sequence) -> usize {
        let newest = self.files.iter().rposition(|file| file.begun).unwrap_or(0);
        (1..=newest).take_while(|second| self.files.get(*second).is_some_and(|file| file.first <= keep_from)).count()
    }

    /// The first sequence of what stays if everything before `keep_from` is given up.
    pub(crate) fn stays(&self, keep_from: Sequence) -> Sequence {
        self.files.get(self.trimmable(keep_from)).map_or(keep_from, |file| file.first)
    }

    /// The list of files for readers.
    pub(crate) fn listed(&self) -> LogFiles {
        self.listed.clone()
    }

    /// Removes the files kept to be overwritten: on a full disk their room is needed for other things.
    pub(crate) fn drop_spares(&mut self) -> Result<()> {
        self.check()?;
        while let Some(spare) = self.spares.pop() {
            let path = spare_path(&self.dir, spare.number);
            self.disk().remove(&path).map_err(|error| self.stop(Error::io("remove", &path, error)))?;
        }
        Ok(())
    }

    /// Whether there is a file to be overwritten.
    pub(crate) fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Length of all files, spares included.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum::<u64>() + self.spares.iter().map(|spare| spare.len).sum::<u64>()
    }

    /// Bytes of groups from about `sequence` on. Never too few; too many by up to 64 KiB and a group, or by the whole of a file
    /// that was there at the start.
    pub(crate) fn bytes_since(&self, sequence: Sequence) -> u64 {
        if sequence > self.committed {
            return 0;
        }
        let after = self.positions.partition_point(|(first, _)| *first <= sequence);
        let before = after.checked_sub(1).and_then(|at| self.positions.get(at)).or(self.positions.front());
        before.map_or(0, |(_, written)| self.written - written)
    }

    /// Files that hold records from `sequence` on.
    pub(crate) fn files_since(&self, sequence: Sequence) -> u64 {
        if sequence > self.committed {
            return 0;
        }
        let begun = self.files.iter().filter(|file| file.begun).map(|file| file.first);
        // That in which it lies, and those that begin behind it.
        1 + begun.filter(|first| *first > sequence).count() as u64
    }

    /// Makes everything durable and leaves a mark that says so. Every later call but this one fails.
    pub(crate) fn close(&mut self) -> Result<()> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        self.sync()?;
        let used = self.current.as_ref().is_some_and(|current| current.offset > DATA_START);
        if let Some(group) = self.open_group().filter(|_| used) {
            match self.write_group(&group, true).and_then(|()| self.sync()) {
                // The mark only spares the next open some work.
                Ok(()) | Err(Error::DiskFull { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.current = None;
        self.state = State::Closed;
        Ok(())
    }

    /// The next group of the current file, its bytes begun in the buffer.
    fn open_group(&mut self) -> Option<OpenGroup> {
        let current = self.current.as_mut()?;
        current.groups += 1;
        self.buffer.clear();
        self.buffer.resize(GROUP_HEADER, 0);
        let seed = current.seed.group(current.groups);
        Some(OpenGroup { seed, number: current.groups, next: self.committed + 1, frames: 0, defect: None })
    }

    fn write_group(&mut self, group: &OpenGroup, close: bool) -> Result<()> {
        let Some(current) = &mut self.current else { return Err(Error::Internal("a log without a file".into())) };
        let length = self.buffer.len() as u64;
        let first = self.committed + 1;
        let header = GroupHeader { length, first, durable: self.durable, number: group.number, frames: group.frames, close };
        let header = header.encode(&current.seed);
        self.buffer.iter_mut().zip(header).for_each(|(slot, byte)| *slot = byte);
        self.buffer.resize(padded(length) as usize, 0);
        if let Err(error) = current.file.write_all_at(current.offset, &self.buffer) {
            let error = Error::io("write", &current.path, error);
            return Err(self.drop_group(error));
        }
        if self.positions.back().is_none_or(|(_, written)| self.written - written >= POSITION_BYTES) {
            self.positions.push_back((first, self.written));
        }
        current.offset += padded(length);
        if let Err(error) = current.write_ahead(padded(length), self.file_bytes) {
            let error = Error::io("write", &current.path, error);
            return Err(self.stop(error));
        }
        current.unsynced = true;
        if let Some(extent) = self.files.back_mut() {
            extent.len = current.len;
        }
        self.written += padded(length);
        self.committed = group.next - 1;
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// After a write that failed. If the disk was full, what was written of the group is undone, durably: neither a crash now
    /// nor a shorter group in its place may let its frames be seen.
    fn drop_group(&mut self, error: Error) -> Error {
        let Some(current) = self.current.as_mut().filter(|_| matches!(error, Error::DiskFull { .. })) else {
            return self.stop(error);
        };
        let undo = || {
            if current.file.len()? > current.len {
                current.file.set_len(current.len)?;
            }
            if current.len > current.offset {
                current.file.write_all_at(current.offset, &[0; PAGE as usize])?;
            }
            current.file.sync(SyncLabel::LogGroup)
        };
        match undo() {
            Ok(()) => {
                current.unsynced = false;
                self.durable = self.committed;
            }
            // Now it is unknown whether the group counts.
            Err(undo_error) => {
                let undo_error = Error::Io { action: "undo a write to", path: current.path.clone(), source: undo_error };
                return self.stop(undo_error);
            }
        }
        error
    }

    /// Begins a new file, in the place of a spare if there is one. All before it is made durable first.
    fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        self.current = None;
        let number = self.next_number;
        self.next_number += 1;
        let path = log_path(&self.dir, number);
        let mut salt = [0; 8];
        self.components.entropy.fill(&mut salt).map_err(|error| self.stop(Error::io("salt", &path, error)))?;
        let salt = u64::from_le_bytes(salt);
        let first = self.committed + 1;
        let header = FileHeader { number, first, salt }.encode();
        let opened = match self.spares.pop() {
            Some(spare) => {
                let renamed = self.disk().rename(&spare_path(&self.dir, spare.number), &path);
                renamed.and_then(|()| self.disk().open(&path, OpenMode::Write))
            }
            None => self.disk().open(&path, OpenMode::CreateNew),
        };
        let written = opened.and_then(|file| file.write_all_at(0, &header).and_then(|()| Ok((file.len()?, file))));
        let (len, file) = match written {
            Ok(written) => written,
            Err(error) => {
                let error = Error::io("begin", &path, error);
                if !matches!(error, Error::DiskFull { .. }) {
                    return Err(self.stop(error));
                }
                // If it stays, it holds no records: its number is not used again.
                let _ = self.disk().remove(&path);
                return Err(error);
            }
        };
        // The header needs no sync of its own: a file without one holds no records, and the first sync of a group takes it along.
        self.sync_directory()?;
        self.files.push_back(Extent { number, first, len, begun: true });
        self.listed.add(number, first);
        self.positions.push_back((first, self.written));
        let seed = Seed::new(salt);
        self.current = Some(Current { file, path, number, seed, offset: DATA_START, len, groups: 0, unsynced: false });
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<()> {
        let synced = self.disk().sync_dir(&self.dir, SyncLabel::LogDirectory);
        synced.map_err(|error| {
            let error = Error::io("sync", &self.dir, error);
            self.stop(error)
        })
    }

    fn disk(&self) -> &dyn Disk {
        self.components.disk.as_ref()
    }

    fn check(&self) -> Result<()> {
        match &self.state {
            State::Open => Ok(()),
            State::Stopped(reason) => Err(Error::Stopped { reason: reason.clone() }),
            State::Closed => Err(Error::Closed),
        }
    }

    /// Nothing is accepted from here on. Passes the error through.
    fn stop(&mut self, error: Error) -> Error {
        self.state = State::Stopped(error.to_string());
        self.group = None;
        error
    }
}

/// Makes what was read of a file true of the device: the part that nothing proves to be on disk is written in its place again,
/// the header too where no group proves it, and zeroes behind the end make sure that nothing else comes to light there. (After
/// a sync that failed, what the page cache shows and what the device holds may be two things.)
fn secure(disk: &dyn Disk, dir: &Path, file: &LogFile) -> Result<()> {
    let path = log_path(dir, file.number);
    let behind = file.end..file.len.min(file.end + PAGE);
    if file.unproven == file.end && behind.is_empty() {
        return Ok(());
    }
    let secure = || {
        let handle = disk.open(&path, OpenMode::Write)?;
        if file.unproven <= DATA_START {
            write_again(&*handle, 0..DATA_START)?;
        }
        write_again(&*handle, file.unproven..file.end)?;
        if !behind.is_empty() {
            handle.write_all_at(behind.start, &vec![0; (behind.end - behind.start) as usize])?;
        }
        handle.sync(SyncLabel::LogGroup)
    };
    secure().map_err(|error| Error::io("secure", &path, error))
}

fn write_again(file: &dyn File, range: Range<u64>) -> std::io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let mut bytes = vec![0; (range.end - offset).min(REWRITE_BYTES) as usize];
        file.read_exact_at(offset, &mut bytes)?;
        file.write_all_at(offset, &bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}
