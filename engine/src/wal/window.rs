//! Reading a file front to back through a bounded piece of memory.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::{Disk, File, OpenMode};

/// What is read at once.
const AHEAD: usize = 256 << 10;
/// Memory given back once a large frame has been read.
const KEPT: usize = 4 << 20;

/// A file and the stretch of it that is in memory.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn File>,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Window> {
        let read = || {
            let file = disk.open(path, OpenMode::Read)?;
            let len = file.len()?;
            Ok(Window { file, len, start: 0, bytes: Vec::new() })
        };
        read().map_err(|error| Error::io("open", path, error))
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// `need` bytes at `offset`; `None` where the file ends before or the disk cannot read them.
    pub(super) fn get(&mut self, offset: u64, need: usize) -> Option<&[u8]> {
        let room = self.len.checked_sub(offset)?;
        if need as u64 > room {
            return None;
        }
        let held = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let held = held.filter(|at| at.checked_add(need).is_some_and(|end| end <= self.bytes.len()));
        let at = match held {
            Some(at) => at,
            None => {
                let ahead = need.max(usize::try_from(room).unwrap_or(AHEAD).min(AHEAD));
                // A bad sector further on must not hide what is readable here.
                if !self.fill(offset, ahead) && !self.fill(offset, need) {
                    return None;
                }
                0
            }
        };
        self.bytes.get(at..at + need)
    }

    /// Reads anew what it is asked for next, of a file that may have grown.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.len = self.file.len().unwrap_or(0);
    }

    fn fill(&mut self, offset: u64, len: usize) -> bool {
        if self.bytes.capacity() > KEPT && len <= KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.resize(len, 0);
        self.start = offset;
        let read = self.file.read_exact_at(offset, &mut self.bytes).is_ok();
        if !read {
            self.bytes.clear();
        }
        read
    }
}
