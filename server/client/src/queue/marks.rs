//! The two marks of a file, of which one is whole whatever happens.

use std::fs::File;
use std::io;

use super::disk::write_at;
use super::format::{MARKS, Mark};

/// What is said of the file, and where it is said next.
///
/// A power cut may tear whatever was written since the last sync. So all that is written between two syncs goes to one place, and the
/// other holds what was synced.
#[derive(Debug)]
pub(super) struct Marks {
    /// What holds now. It is on the disk once it was written and synced.
    pub(super) now: Mark,
    place: usize,
    is_written: bool,
}

impl Marks {
    /// Of a file in which this mark, at this one of both places, was synced.
    pub(super) fn new(now: Mark, held_at: usize) -> Self {
        Marks { now, place: 1 - held_at, is_written: false }
    }

    /// Writes what holds now.
    pub(super) fn write(&mut self, file: &File) -> io::Result<()> {
        self.now.sequence += 1;
        self.is_written = true;
        write_at(file, MARKS[self.place], &self.now.bytes())
    }

    /// The file was synced.
    pub(super) fn synced(&mut self) {
        if std::mem::take(&mut self.is_written) {
            self.place = 1 - self.place;
        }
    }
}
