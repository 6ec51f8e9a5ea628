//! Reading the log back: which records there are, where it was torn, what is damaged.
//!
//! The first bad frame above the highest durable mark found anywhere ends the log: unsynced writes reach the disk in any
//! order, and what follows was never acknowledged. A bad frame at or below the mark is damage: reading resumes at the next
//! frame or group that checks out, and what lies between is reported. That a later file was begun is such a mark too.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use super::file::{DATA_START, FileHeader, FileStart, Named, log_path};
use super::frame::{CONTEXT, FRAME_HEADER, FrameHeader, GROUP_HEADER, GroupHeader, PAGE, Seed, padded};
use super::report::{LogDamage, LogFile, ScanReport, Spare, Torn};
use super::window::Window;
use crate::error::{Error, Result};
use crate::format::limits;
use crate::io::Disk;
use crate::model::Sequence;

/// A record as it lies in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameRef<'a> {
    /// Its sequence; of a repeated definition, that of the record which follows.
    pub(crate) sequence: Sequence,
    /// Its kind.
    pub(crate) kind: u8,
    /// [`CONTEXT`] or nothing.
    pub(crate) flags: u8,
    /// Its bytes.
    pub(crate) payload: &'a [u8],
    /// Number of the file it is in.
    pub(crate) file: u64,
    /// Where in it.
    pub(crate) offset: u64,
}

/// Who is shown every record.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(FrameRef<'_>) -> Result<()>;

/// Shows every readable record to `visit`, in order, holding at most one frame or 256 KiB in memory. Changes nothing.
///
/// Fails if the directory or a file cannot be opened, if a file is of another format version, or if `visit` fails. Damage
/// is no failure: the report tells.
pub(crate) fn scan(disk: &dyn Disk, dir: &Path, visit: Visit<'_>) -> Result<ScanReport> {
    scan_from(disk, dir, 0, visit)
}

/// The same, but leaves out files of which all records come before one. What is said of these is what their headers say.
pub(crate) fn scan_from(disk: &dyn Disk, dir: &Path, from: Sequence, visit: Visit<'_>) -> Result<ScanReport> {
    let Headers { found, spares } = Headers::read(disk, dir)?;
    let first_sequence = found.iter().find_map(|(.., start)| begun_at(start)).unwrap_or(0);
    let report = ScanReport { spares, first_sequence, ..ScanReport::default() };
    let mut scanner = Scanner { disk, dir, visit, expected: report.first_sequence.max(1), begun: false, report };
    for (i, (number, len, start)) in found.iter().enumerate() {
        let later = found.get(i + 1..).unwrap_or_default();
        // A file that says it begins before this one is none of this log's, and does not end it.
        let own = begun_at(start).unwrap_or(scanner.expected);
        let limit = later.iter().filter_map(|(.., start)| begun_at(start)).find(|first| *first >= own);
        match start {
            FileStart::Begun { header, .. } if limit.is_some_and(|limit| limit <= from) => scanner.skip(header, *len, limit),
            FileStart::Begun { header, whole } => {
                scanner.begun = true;
                let blame_later = later.iter().take_while(|(.., s)| begun_at(s).is_none()).any(|f| f.2 == FileStart::Damaged);
                scanner.file(header, *whole, limit, blame_later)?;
            }
            FileStart::Unbegun => scanner.empty_file(*number, *len, true),
            FileStart::Damaged => scanner.damaged_file(*number, *len, limit),
        }
    }
    Ok(scanner.report)
}

/// Fails where a scan would before it reads a record: the directory or a file cannot be opened, or is of another format version.
pub(crate) fn check(disk: &dyn Disk, dir: &Path) -> Result<()> {
    Headers::read(disk, dir).map(drop)
}

/// What the files of a log say of themselves.
struct Headers {
    /// Number, length and beginning of each, in order.
    found: Vec<(u64, u64, FileStart)>,
    spares: Vec<Spare>,
}

impl Headers {
    fn read(disk: &dyn Disk, dir: &Path) -> Result<Headers> {
        let (mut found, mut spares) = (Vec::new(), Vec::new());
        for entry in disk.list(dir).map_err(|error| Error::io("list", dir, error))? {
            match Named::of(&entry.name) {
                Named::Log(number) if !entry.is_dir => {
                    let path = log_path(dir, number);
                    let mut window = Window::open(disk, &path)?;
                    found.push((number, window.len(), FileHeader::read(&mut window, &path, number)?));
                }
                Named::Spare(number) if !entry.is_dir => spares.push(Spare { number, len: entry.len }),
                _ => {}
            }
        }
        found.sort_by_key(|(number, ..)| *number);
        Ok(Headers { found, spares })
    }
}

/// The sequence that a file begins with.
fn begun_at(start: &FileStart) -> Option<Sequence> {
    match start {
        FileStart::Begun { header, .. } => Some(header.first),
        _ => None,
    }
}

struct Scanner<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    visit: Visit<'a>,
    /// The sequence the next record should have.
    expected: Sequence,
    /// Whether a file with a header has been met.
    begun: bool,
    report: ScanReport,
}

/// The group being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) start: u64,
    /// Where its frames end; unknown where its header is damaged.
    pub(super) end: Option<u64>,
    pub(super) number: u64,
}

/// How far the number of a group whose header is damaged may be above that of the group before: numbers of groups that
/// met a full disk are skipped.
const SKIPPED_NUMBERS: u64 = 16;
/// How many records a bad frame may be followed by that are bad as well, before the rest of its group is given up.
const FRAMES_LOOKED_FOR: u64 = 1 << 16;
/// How many times over the bytes of a file are checksummed in search of frames, before the rest of a damaged group is given up:
/// the lengths that a search comes upon are anything, so it might not end in a lifetime.
const SEARCHES: u64 = 16;

/// A file being read.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) number: u64,
    pub(super) window: Window,
    pub(super) seed: Seed,
    /// The sequence at which the next file begins.
    pub(super) limit: Option<Sequence>,
    pub(super) offset: u64,
    pub(super) group: Option<Group>,
    /// Number of the last group met.
    number_before: u64,
    /// Where whole groups end.
    end: u64,
    /// How many bytes may still be checksummed in search of frames.
    search: u64,
    /// Group headers further on, looked for at the first bad frame.
    later: Option<VecDeque<(u64, GroupHeader)>>,
    /// Start and last sequence of groups above the durable mark.
    unproven: VecDeque<(u64, Sequence)>,
}

impl Scanner<'_> {
    fn empty_file(&mut self, number: u64, len: u64, header_whole: bool) {
        let (first, last) = (self.expected, self.expected - 1);
        self.report.files.push(LogFile { number, first, last, len, end: 0, unproven: 0, header_whole });
    }

    /// A file that ends before what is wanted.
    fn skip(&mut self, header: &FileHeader, len: u64, limit: Option<Sequence>) {
        self.begun = true;
        self.expected = limit.unwrap_or(self.expected).max(self.expected);
        self.report.durable = self.report.durable.max(self.expected - 1);
        self.report.last_sequence = self.expected - 1;
        let (number, first, last) = (header.number, header.first, self.expected - 1);
        self.report.files.push(LogFile { number, first, last, len, end: len, unproven: len, header_whole: true });
    }

    /// Without a header nothing in a file can be checked, so all of it is lost.
    fn damaged_file(&mut self, number: u64, len: u64, limit: Option<Sequence>) {
        let lost = limit.filter(|limit| self.begun && *limit > self.expected).map(|limit| (self.expected, limit - 1));
        // Where the file before reaches up to the one after, this one held nothing.
        if lost.is_some() || limit.is_none() || !self.begun {
            self.report.damage.push(LogDamage { file: number, offset: 0, bytes: len, sequences: lost });
        }
        self.empty_file(number, len, false);
        if let (Some((_, last)), Some(file)) = (lost, self.report.files.last_mut()) {
            file.last = last;
            self.expected = last + 1;
        }
    }

    fn file(&mut self, header: &FileHeader, whole: bool, limit: Option<Sequence>, blame_later: bool) -> Result<()> {
        let window = Window::open(self.disk, &log_path(self.dir, header.number))?;
        let mut cursor = Cursor::new(header, window, limit);
        self.report.durable = self.report.durable.max(header.first.saturating_sub(1));
        self.report.clean_close = false;
        while limit.is_none_or(|limit| self.expected < limit) {
            if !self.step(&mut cursor)? && !self.resume(&mut cursor, blame_later) {
                break;
            }
        }
        if let Some(group) = cursor.group.filter(|group| cursor.offset > group.start + GROUP_HEADER as u64) {
            cursor.end = cursor.offset;
            cursor.unproven.push_back((group.start, self.expected - 1));
        }
        // The padding of the last group may be missing.
        cursor.end = cursor.end.min(cursor.window.len());
        let unproven = match cursor.unproven.front() {
            Some((start, _)) if limit.is_none() => *start,
            _ => cursor.end,
        };
        self.report.files.push(LogFile {
            number: header.number,
            first: header.first,
            last: self.expected - 1,
            len: cursor.window.len(),
            end: cursor.end,
            unproven,
            header_whole: whole,
        });
        Ok(())
    }

    /// Reads what stands at the cursor and moves on; `false` if that is nothing good.
    fn step(&mut self, cursor: &mut Cursor) -> Result<bool> {
        let Some(group) = cursor.group else {
            let Some(header) = cursor.group_at(cursor.offset).filter(|header| header.first == self.expected) else {
                return Ok(false);
            };
            let end = Some(cursor.offset.saturating_add(header.length));
            cursor.enter(Group { start: cursor.offset, end, number: header.number });
            self.mark(header.durable, cursor);
            self.report.clean_close = header.close;
            return Ok(true);
        };
        if group.end == Some(cursor.offset) {
            self.leave(cursor, group);
            return Ok(true);
        }
        let seed = cursor.seed.group(group.number);
        let within = group.end.unwrap_or(cursor.window.len());
        let Some((frame, payload)) = frame_at(&mut cursor.window, &seed, cursor.offset, within) else {
            // Without its header, a group ends where no frame follows.
            if group.end.is_none() {
                self.leave(cursor, group);
            }
            return Ok(group.end.is_none());
        };
        if frame.sequence != self.expected {
            return Ok(false);
        }
        let (file, offset) = (cursor.number, cursor.offset);
        let FrameHeader { length, sequence, kind, flags, .. } = frame;
        (self.visit)(FrameRef { sequence, kind, flags, payload, file, offset })?;
        cursor.offset += (FRAME_HEADER + length) as u64;
        if flags & CONTEXT == 0 {
            self.report.last_sequence = sequence;
            self.expected += 1;
        }
        Ok(true)
    }

    fn leave(&mut self, cursor: &mut Cursor, group: Group) {
        cursor.group = None;
        cursor.offset = padded(cursor.offset);
        cursor.end = cursor.offset;
        if self.expected - 1 > self.report.durable {
            cursor.unproven.push_back((group.start, self.expected - 1));
        }
    }

    fn mark(&mut self, durable: Sequence, cursor: &mut Cursor) {
        self.report.durable = self.report.durable.max(durable);
        while cursor.unproven.front().is_some_and(|(_, last)| *last <= self.report.durable) {
            cursor.unproven.pop_front();
        }
    }

    /// Decides what a bad place means. Moves the cursor to where reading goes on; `false` if it does not in this file.
    fn resume(&mut self, cursor: &mut Cursor, blame_later: bool) -> bool {
        let later = cursor.later_groups(self.expected);
        let mark = later.iter().map(|(_, header)| header.durable).fold(self.report.durable, Sequence::max);
        let written_to = later.iter().map(|(offset, header)| offset.saturating_add(header.length)).max();
        let was_durable = cursor.limit.is_some() || self.expected <= mark;
        let written_to = written_to.max(cursor.group.and_then(|group| group.end)).map(padded);
        if !was_durable {
            if let Some(end) = written_to {
                self.report.clean_close = false;
                self.report.torn = Some(Torn {
                    file: cursor.number,
                    offset: cursor.offset,
                    bytes: end.min(cursor.window.len()).saturating_sub(cursor.offset),
                    after: self.expected - 1,
                });
            }
            return false;
        }
        match cursor.behind_damage(self.expected) {
            Resume::Headless(group) => {
                self.damage(cursor, group.start + GROUP_HEADER as u64, self.expected);
                cursor.enter(group);
                return true;
            }
            Resume::At(offset, sequence) => {
                self.damage(cursor, offset, sequence);
                return true;
            }
            Resume::Later(offset, header) => {
                self.damage(cursor, offset, header.first);
                cursor.group = None;
                return true;
            }
            Resume::Nowhere => {}
        }
        // All the rest of the file, up to what the next one begins with or the mark says there was. A later file without a
        // header is the likelier place.
        if !blame_later || cursor.group.is_some() {
            self.damage(cursor, cursor.window.len().max(cursor.offset), cursor.limit.unwrap_or(mark + 1));
        }
        cursor.group = None;
        false
    }

    /// Notes what cannot be read, up to `resume`, where `sequence` follows.
    fn damage(&mut self, cursor: &mut Cursor, resume: u64, sequence: Sequence) {
        let sequences = (sequence > self.expected).then(|| (self.expected, sequence - 1));
        let bytes = resume - cursor.offset;
        self.report.damage.push(LogDamage { file: cursor.number, offset: cursor.offset, bytes, sequences });
        self.expected = sequence;
        cursor.offset = resume;
    }
}

/// Where reading goes on behind a bad place.
pub(super) enum Resume {
    /// In a group of which only the header is bad.
    Headless(Group),
    /// At this place, with this sequence.
    At(u64, Sequence),
    /// At this header of a group.
    Later(u64, GroupHeader),
    /// Not in this file.
    Nowhere,
}

impl Cursor {
    pub(super) fn new(header: &FileHeader, window: Window, limit: Option<Sequence>) -> Self {
        Cursor {
            number: header.number,
            search: window.len().saturating_mul(SEARCHES),
            window,
            seed: Seed::new(header.salt),
            limit,
            offset: DATA_START,
            group: None,
            number_before: 0,
            end: DATA_START,
            later: None,
            unproven: VecDeque::new(),
        }
    }

    /// Where reading goes on behind the bad place at the cursor, all of which had been durable.
    pub(super) fn behind_damage(&mut self, expected: Sequence) -> Resume {
        let later = self.later_groups(expected).front().copied();
        if let Some(group) = self.headless_group(expected) {
            return Resume::Headless(group);
        }
        match (self.next_frame(expected), later) {
            (Some((offset, sequence)), _) => Resume::At(offset, sequence),
            (None, Some((offset, header))) => Resume::Later(offset, header),
            (None, None) => Resume::Nowhere,
        }
    }

    /// Forgets what was read ahead of the file, which has been written to.
    pub(super) fn look_again(&mut self) {
        self.window.forget();
        self.later = None;
    }

    /// Goes on behind the header of a group at the cursor.
    pub(super) fn enter(&mut self, group: Group) {
        self.group = Some(group);
        self.number_before = group.number;
        self.offset = group.start + GROUP_HEADER as u64;
    }

    /// The group at the cursor, if only its header is bad: the frame behind it checks out under the number it must have had.
    fn headless_group(&mut self, expected: Sequence) -> Option<Group> {
        if self.group.is_some() || !self.offset.is_multiple_of(PAGE) {
            return None;
        }
        let (start, end) = (self.offset, self.window.len());
        let frames = start + GROUP_HEADER as u64;
        let mut numbers = (self.number_before + 1..).take(SKIPPED_NUMBERS as usize);
        let number = numbers.find(|&number| {
            let seed = self.seed.group(number);
            self.search(&seed, frames, end, expected..expected + 1).is_some()
        })?;
        Some(Group { start, end: None, number })
    }

    pub(super) fn group_at(&mut self, offset: u64) -> Option<GroupHeader> {
        GroupHeader::decode(self.window.get(offset, GROUP_HEADER)?, &self.seed)
    }

    /// Headers of groups after the place of the cursor that begin at or after `expected`.
    fn later_groups(&mut self, expected: Sequence) -> &VecDeque<(u64, GroupHeader)> {
        let from = match self.group {
            Some(group) => group.start + PAGE,
            None => padded(self.offset),
        };
        let mut later = match self.later.take() {
            Some(known) => known,
            None => {
                let pages = (from..self.window.len()).step_by(PAGE as usize);
                pages.filter_map(|offset| Some((offset, self.group_at(offset)?))).collect()
            }
        };
        let limit = self.limit.unwrap_or(Sequence::MAX);
        later.retain(|(offset, header)| *offset >= from && (expected..limit).contains(&header.first));
        self.later.insert(later)
    }

    /// The next good frame of the group behind the bad one at the cursor, and its sequence. Usually that one's length leads
    /// there; the length may be what is damaged though, so it is looked for at every byte.
    fn next_frame(&mut self, expected: Sequence) -> Option<(u64, Sequence)> {
        let group = self.group?;
        let (seed, end) = (self.seed.group(group.number), group.end?.min(self.window.len()));
        let sequences = expected..self.limit.unwrap_or(Sequence::MAX).min(expected + FRAMES_LOOKED_FOR);
        let mut offsets = self.offset + 1..end.saturating_sub(FRAME_HEADER as u64 - 1);
        offsets.find_map(|offset| Some((offset, self.search(&seed, offset, end, sequences.clone())?)))
    }

    /// The sequence of the frame at a place where one may be, if it is one of those sought.
    fn search(&mut self, seed: &Seed, offset: u64, end: u64, sought: Range<Sequence>) -> Option<Sequence> {
        let frame = FrameHeader::decode(self.window.get(offset, FRAME_HEADER)?)?;
        let length = frame.length as u64;
        if !sought.contains(&frame.sequence) || length > end.saturating_sub(offset) {
            return None;
        }
        self.search = self.search.checked_sub(length)?;
        frame_at(&mut self.window, seed, offset, end).map(|(frame, _)| frame.sequence)
    }
}

/// The frame at `offset`, if there is one that checks out and ends by `end`.
pub(super) fn frame_at<'w>(window: &'w mut Window, seed: &Seed, offset: u64, end: u64) -> Option<(FrameHeader, &'w [u8])> {
    let frame = FrameHeader::decode(window.get(offset, FRAME_HEADER)?)?;
    let len = FRAME_HEADER + frame.length;
    if frame.length as u64 > limits::FRAME_BYTES || offset.checked_add(len as u64)? > end {
        return None;
    }
    let payload = window.get(offset, len)?.get(FRAME_HEADER..)?;
    frame.matches(payload, seed).then_some((frame, payload))
}
