//! The ballast: room kept for the work that ends a full disk, since sealing and deleting need some before they give any back.
//!
//! A file of its size is reserved when a database is opened, without being written. Work that makes room gives it up when
//! the disk is full, and no rows are accepted until it is there again: they would only eat what is left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::format::names;
use crate::io::{Disk, File, OpenMode};

/// A reserved file that can be given up until there is room for it again.
#[derive(Debug)]
pub(crate) struct Ballast {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the file is there, or cannot be made for other reasons than room.
    held: bool,
    /// How many are at work with the room it gave up.
    lent: usize,
}

impl Ballast {
    /// The ballast of a database directory, of which nothing is known yet. Of 0 bytes there is always enough.
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path, bytes: u64) -> Self {
        Ballast { disk, path: root.join(names::BALLAST), bytes, state: Mutex::new(State { held: bytes == 0, lent: 0 }) }
    }

    /// Whether the room is reserved; if it is neither that nor lent, tries to reserve it.
    pub(crate) fn ensure(&self) -> bool {
        let mut state = self.state.lock();
        if !state.held && state.lent == 0 {
            state.held = self.reserve();
        }
        state.held
    }

    /// Does what makes room, or is needed for it. On a full disk gives the ballast up and tries once more.
    pub(crate) fn lend<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        match work() {
            Err(full @ Error::DiskFull { .. }) if !self.give_up() => Err(full),
            Err(Error::DiskFull { .. }) => {
                let outcome = work();
                self.state.lock().lent -= 1;
                outcome
            }
            outcome => outcome,
        }
    }

    /// Why rows are refused while the room is not reserved.
    pub(crate) fn refusal(&self) -> Error {
        Error::DiskFull { path: self.path.clone() }
    }

    fn reserve(&self) -> bool {
        match self.open().and_then(|file| file.reserve(self.bytes)) {
            Ok(()) => true,
            Err(source) if Error::is_full(&source) => {
                self.remove();
                false
            }
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "no room can be kept for a full disk");
                true
            }
        }
    }

    fn open(&self) -> io::Result<Arc<dyn File>> {
        match self.disk.open(&self.path, OpenMode::Write) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => self.disk.open(&self.path, OpenMode::CreateNew),
            opened => opened,
        }
    }

    /// Gives the room to somebody, who returns it by taking one off `lent`. Answers whether there was any.
    fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        let given = self.bytes > 0 && (self.remove() || state.lent > 0);
        if given {
            state.held = false;
            state.lent += 1;
        }
        given
    }

    fn remove(&self) -> bool {
        match self.disk.remove(&self.path) {
            Ok(()) => true,
            Err(source) if source.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "the room kept for a full disk cannot be freed");
                false
            }
        }
    }
}
