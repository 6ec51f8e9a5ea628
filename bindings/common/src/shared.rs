//! A database that several handles have.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Database, Error, Result, Settings};
use parking_lot::RwLock;

use crate::forked::{Counted, Here};

/// A database, until it is closed.
#[derive(Debug)]
pub struct Shared {
    /// None once it is closed. A child does not even wait for the lock, which a thread of its parent may have held.
    db: Here<RwLock<Option<Opened>>>,
}

#[derive(Debug)]
struct Opened {
    db: Arc<Database>,
    counted: Counted,
}

impl Shared {
    /// Opens the database in a directory, and makes one where there is none.
    ///
    /// # Errors
    ///
    /// As [`alluvium::Builder::open`]; [`Error::Invalid`] in a child of a process that had a database open.
    pub fn open(path: &Path, settings: Settings) -> Result<Self> {
        let counted = Counted::new().ok_or_else(|| {
            Error::invalid(
                "this process was forked from one that had a database open, without the threads of that: open databases in programs that are \
                 started (exec; Python: the start methods spawn and forkserver), or fork before the first is opened",
            )
        })?;
        let db = Arc::new(Database::builder().settings(settings).open(path)?);
        Ok(Shared { db: Here::new(RwLock::new(Some(Opened { db, counted }))) })
    }

    /// Does something with it, which is not closed meanwhile.
    ///
    /// # Errors
    ///
    /// What that fails with; [`Error::Closed`] once it is closed, [`Error::Invalid`] in a child that was forked.
    pub fn with<T>(&self, does: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        self.held(|db| does(db))
    }

    /// The same for who keeps it open for longer than this call: it cannot be closed before that is dropped.
    ///
    /// # Errors
    ///
    /// As [`Shared::with`].
    pub fn kept(&self) -> Result<Arc<Database>> {
        self.held(|db| Ok(Arc::clone(db)))
    }

    /// Closes it, when no call is under way any more. Closed a second time nothing happens.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], and it stays open, while somebody keeps it; as [`Database::close`].
    pub fn close(&self) -> Result<()> {
        // What a child inherited is not the child's to close.
        let Some(place) = self.db.get() else { return Ok(()) };
        let mut place = place.write();
        let Some(Opened { db, counted }) = place.take() else { return Ok(()) };
        match Arc::try_unwrap(db) {
            Ok(db) => db.close(),
            Err(db) => {
                let others = Arc::strong_count(&db) - 1;
                *place = Some(Opened { db, counted });
                Err(Error::invalid(format_args!(
                    "{others} transactions, acknowledgements or sync workers are under way: end them first, then close the database"
                )))
            }
        }
    }

    fn held<T>(&self, does: impl FnOnce(&Arc<Database>) -> Result<T>) -> Result<T> {
        let forked = || {
            Error::invalid("this process was forked from the one that opened the database: leave here alone what that one has")
        };
        let place = self.db.get().ok_or_else(forked)?.read();
        does(&place.as_ref().ok_or(Error::Closed)?.db)
    }
}
