//! Reading the log while others write, trim and recycle it.
//!
//! A reader is told how far records are durable and goes no further: everything up to there lies where it will stay. What was
//! read of a file before that was so may be of a group that a full disk undid, so it is read again. A file that was let go may
//! be overwritten under a reader; its old salt tells, and the list of files no longer has it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use super::file::{FileHeader, FileStart, log_path};
use super::frame::{CONTEXT, FRAME_HEADER, padded};
use super::scan::{Cursor, Group, Resume, frame_at};
use super::window::Window;
use crate::error::Result;
use crate::io::Disk;
use crate::model::Sequence;

/// The log files there are, for those who read them. A file is listed before it holds anything, and no more before it goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogFiles(Arc<RwLock<VecDeque<Listed>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    number: u64,
    first: Sequence,
}

/// A file, and which records are to be looked for in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the file.
    pub(crate) number: u64,
    /// The first sequence in it.
    pub(crate) first: Sequence,
    /// The first sequence of the next file; `None` for the last.
    pub(crate) limit: Option<Sequence>,
}

impl LogFiles {
    /// Adds the file after all others. One that says it begins before another is none of this log's: nothing is read from it.
    pub(super) fn add(&self, number: u64, first: Sequence) {
        let mut files = self.0.write();
        if files.back().is_none_or(|last| last.first <= first) {
            files.push_back(Listed { number, first });
        }
    }

    pub(super) fn forget(&self, number: u64) {
        self.0.write().retain(|listed| listed.number != number);
    }

    /// The first sequence there is a file for.
    pub(crate) fn first(&self) -> Option<Sequence> {
        self.0.read().front().map(|listed| listed.first)
    }

    /// The file in which a record is to be looked for.
    pub(crate) fn locate(&self, sequence: Sequence) -> Option<Place> {
        let files = self.0.read();
        let after = files.partition_point(|listed| listed.first <= sequence);
        let Listed { number, first } = *files.get(after.checked_sub(1)?)?;
        Some(Place { number, first, limit: files.get(after).map(|next| next.first) })
    }

    /// What became of a file since it was located.
    pub(crate) fn again(&self, place: &Place) -> Option<Place> {
        let files = self.0.read();
        let at = files.iter().position(|listed| listed.number == place.number)?;
        Some(Place { limit: files.get(at + 1).map(|next| next.first), ..*place })
    }
}

/// What a reader comes upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record.
    Record(Frame),
    /// Nothing good. Either the file was let go of, or it is damaged: [`Follow::resume`] then finds out where it goes on.
    Bad,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its sequence.
    pub(crate) sequence: Sequence,
    /// Its kind.
    pub(crate) kind: u8,
    offset: u64,
    length: usize,
}

/// A reader of one file.
#[derive(Debug)]
pub(crate) struct Follow {
    cursor: Cursor,
    /// The sequence of the next record.
    expected: Sequence,
    /// Everything up to here was durable when the oldest bytes in memory were read.
    settled: Sequence,
}

impl Follow {
    /// Opens a file at its start; `None` where it is not the one that was listed.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, place: &Place) -> Result<Option<Follow>> {
        let path = log_path(dir, place.number);
        // Whether it is gone or cannot be read, the list of files tells.
        let Ok(mut window) = Window::open(disk, &path) else { return Ok(None) };
        let FileStart::Begun { header, .. } = FileHeader::read(&mut window, &path, place.number)? else { return Ok(None) };
        if header.first != place.first {
            return Ok(None);
        }
        Ok(Some(Follow { cursor: Cursor::new(&header, window, place.limit), expected: header.first, settled: 0 }))
    }

    /// The sequence of the next record.
    pub(crate) fn expected(&self) -> Sequence {
        self.expected
    }

    /// The next record. `through` is the last one known to be durable, and not below [`Follow::expected`].
    pub(crate) fn step(&mut self, through: Sequence) -> Step {
        if self.expected > self.settled {
            self.cursor.look_again();
            self.settled = through;
        }
        match self.try_step() {
            // What a disk could not read once, it may the next time.
            Step::Bad => {
                self.cursor.look_again();
                self.try_step()
            }
            record => record,
        }
    }

    fn try_step(&mut self) -> Step {
        loop {
            let cursor = &mut self.cursor;
            let Some(group) = cursor.group else {
                let Some(header) = cursor.group_at(cursor.offset).filter(|header| header.first == self.expected) else {
                    return Step::Bad;
                };
                let end = Some(cursor.offset.saturating_add(header.length));
                cursor.enter(Group { start: cursor.offset, end, number: header.number });
                continue;
            };
            if group.end == Some(cursor.offset) {
                self.leave();
                continue;
            }
            let seed = cursor.seed.group(group.number);
            let (offset, within) = (cursor.offset, group.end.unwrap_or(cursor.window.len()));
            let frame = match frame_at(&mut cursor.window, &seed, offset, within) {
                Some((frame, _)) if frame.sequence == self.expected => frame,
                Some(_) => return Step::Bad,
                // Without its header, a group ends where no frame follows.
                None if group.end.is_none() => {
                    self.leave();
                    continue;
                }
                None => return Step::Bad,
            };
            cursor.offset += (FRAME_HEADER + frame.length) as u64;
            // A repeated definition says nothing new.
            if frame.flags & CONTEXT == 0 {
                self.expected += 1;
                return Step::Record(Frame { sequence: frame.sequence, kind: frame.kind, offset, length: frame.length });
            }
        }
    }

    /// The payload of the record that was stepped on last.
    pub(crate) fn payload(&mut self, frame: &Frame) -> &[u8] {
        self.cursor.window.get(frame.offset + FRAME_HEADER as u64, frame.length).unwrap_or_default()
    }

    /// After a bad place in a file that is still listed: finds where reading goes on before `end`, and answers the records
    /// lost before that; `None` where none is.
    pub(crate) fn resume(&mut self, end: Sequence) -> Option<(Sequence, Sequence)> {
        let (cursor, from) = (&mut self.cursor, self.expected);
        cursor.look_again();
        cursor.limit = Some(end);
        match cursor.behind_damage(from) {
            Resume::Headless(group) => cursor.enter(group),
            Resume::At(offset, sequence) => (cursor.offset, self.expected) = (offset, sequence),
            Resume::Later(offset, header) => {
                cursor.group = None;
                (cursor.offset, self.expected) = (offset, header.first);
            }
            Resume::Nowhere => {
                cursor.group = None;
                self.expected = end;
            }
        }
        (self.expected > from).then(|| (from, self.expected - 1))
    }

    fn leave(&mut self) {
        self.cursor.group = None;
        self.cursor.offset = padded(self.cursor.offset);
    }
}
