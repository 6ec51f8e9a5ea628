//! Openings that the process did not live to see the end of.
//!
//! Pages forged under right checksums can make redb 4.5 panic while it cleans up after a panic, which nothing catches. A gateway
//! that starts itself again would then die for ever. So each opening leaves a mark until it is over, however it ends, and a
//! catalog that several processes in a row did not survive counts as damaged. The mark is there for the next process, not for
//! the time after a power cut, and is never synced; where it cannot be made, opening goes on without it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::{Components, Disk, OpenMode};

/// Name of the mark, a file of a byte for each opening that did not end.
pub(super) const NAME: &str = "opening";
/// Processes that may die while they open a catalog, one after the other. One may well be killed by someone else.
const MOST: u64 = 3;

/// An opening that goes on. Dropping it takes the mark away.
#[derive(Debug)]
pub(super) struct Opening {
    disk: Arc<dyn Disk>,
    mark: PathBuf,
}

impl Opening {
    /// Leaves the mark, with [`Error::Damaged`] after too many openings that did not end.
    pub(super) fn begin(components: &Components, dir: &Path) -> Result<Opening> {
        let opening = Opening { disk: components.disk.clone(), mark: dir.join(NAME) };
        match opening.count() {
            Ok(before) if before >= MOST => {
                Err(Error::damaged(dir, format_args!("{before} processes in a row died while they opened it")))
            }
            Ok(_) => Ok(opening),
            Err(error) => {
                tracing::debug!(%error, "the catalog is opened without a mark");
                Ok(opening)
            }
        }
    }

    /// Answers how many there were before, and counts this one.
    fn count(&self) -> io::Result<u64> {
        let mark = match self.disk.open(&self.mark, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.open(&self.mark, OpenMode::CreateNew)?,
            opened => opened?,
        };
        let before = mark.len()?;
        if before < MOST {
            mark.write_all_at(before, b"!")?;
        }
        Ok(before)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // What stays is counted by the next opening; only several in a row matter.
        let _ = self.disk.remove(&self.mark);
    }
}
