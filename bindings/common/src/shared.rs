//! A database that several handles have.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Database, Error, Result, Settings};
use parking_lot::RwLock;

use crate::forked::Here;

/// A database, until it is closed.
#[derive(Debug)]
pub struct Shared {
    /// None once it is closed.
    db: RwLock<Option<Here<Arc<Database>>>>,
}

impl Shared {
    /// Opens the database in a directory, and makes one where there is none.
    ///
    /// # Errors
    ///
    /// As [`alluvium::Builder::open`].
    pub fn open(path: &Path, settings: Settings) -> Result<Self> {
        let db = Database::builder().settings(settings).open(path)?;
        Ok(Shared { db: RwLock::new(Some(Here::new(Arc::new(db)))) })
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
        let mut place = self.db.write();
        let Some(here) = place.take() else { return Ok(()) };
        // What a child inherited is not the child's to close.
        let Some(db) = here.take() else { return Ok(()) };
        match Arc::try_unwrap(db) {
            Ok(db) => db.close(),
            Err(kept) => {
                let others = Arc::strong_count(&kept) - 1;
                *place = Some(Here::new(kept));
                Err(Error::invalid(format_args!(
                    "{others} transactions, acknowledgements or sync workers are under way: end them first, then close the database"
                )))
            }
        }
    }

    fn held<T>(&self, does: impl FnOnce(&Arc<Database>) -> Result<T>) -> Result<T> {
        let place = self.db.read();
        let here = place.as_ref().ok_or(Error::Closed)?;
        let forked = "this process was forked from the one that opened the database: close nothing, and open it here once that one has closed it";
        does(here.get().ok_or_else(|| Error::invalid(forked))?)
    }
}
