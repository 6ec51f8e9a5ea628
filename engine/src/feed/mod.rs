//! The change feed: every committed change of every model, in the order of the log, from any sequence on.
//!
//! It is read back from the log files, and from [`history`] where those were let go of, never faster than changes become
//! durable and published. A reader holds a position and some bytes of one file, so a backlog costs no memory and a reader that
//! waits costs nothing. Beside it stands [`ChangedKeys`], which says of metadata what changed, by its latest state.

mod cells;
mod change;
mod changed;
mod cursor;
mod decode;
mod filter;
pub(crate) mod history;
mod names;
mod read;
mod rows;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use cells::shown;
pub use change::{Change, Event, Owner, PairValue, SealedRows};
pub use changed::{ChangedKey, ChangedKeys};
pub use cursor::{Cursor, CursorState};
pub(crate) use cursor::{list as list_cursors, slowest};
pub use filter::ChangeKind;
pub use read::{Changes, ChangesFrom};
pub use rows::Rows;

use crate::ingest::Publisher;
use crate::io::Components;
use crate::wal::LogFiles;
use crate::watermark::Watermark;
use history::History;

/// Where changes are read from.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) components: Components,
    pub(crate) log_dir: PathBuf,
    pub(crate) log: LogFiles,
    pub(crate) history: History,
    /// The last record that is durable and published.
    pub(crate) visible: Arc<Watermark>,
    pub(crate) publisher: Arc<Publisher>,
}
