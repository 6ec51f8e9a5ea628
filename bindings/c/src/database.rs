//! Opening and closing.

use std::ffi::c_char;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_bindings::{Acks, Here, Shared};
use engine::{Database, Settings};
use parking_lot::Mutex;

use crate::handle::{handle, make, read, take};
use crate::settings::alluvium_settings;
use crate::status::{Outcome, alluvium_status, done};
use crate::text::{give, may_give, needs, new_strings, text};

/// An open database. Any thread, several at a time.
pub struct alluvium_db {
    _opaque: [u8; 0],
}

handle!(alluvium_db, Arc<Open>, b"database", "the database handle");

use crate::text::alluvium_strings;

/// What is behind a database handle, and kept by those that were made of it.
pub(crate) struct Open {
    shared: Shared,
    pub(crate) path: PathBuf,
    /// What acknowledges rows, once somebody wants that.
    acks: Mutex<Option<Arc<Here<Acks>>>>,
}

impl Open {
    /// Does something with the database, which is not closed meanwhile.
    pub(crate) fn with<T>(&self, does: impl FnOnce(&Database) -> Outcome<T>) -> Outcome<T> {
        self.shared.with(|db| Ok(does(db)))?
    }

    /// The database for who keeps it open.
    pub(crate) fn kept(&self) -> Outcome<Arc<Database>> {
        Ok(self.shared.kept()?)
    }

    /// What acknowledges rows.
    pub(crate) fn acks(&self) -> Outcome<Arc<Here<Acks>>> {
        // In a child this is refused, before the lock, which the parent may have held.
        self.with(|_| Ok(()))?;
        let mut acks = self.acks.lock();
        if let Some(acks) = &*acks {
            return Ok(Arc::clone(acks));
        }
        let made = Arc::new(Here::new(Acks::new(self.kept()?)?));
        *acks = Some(Arc::clone(&made));
        Ok(made)
    }

    fn is_open(&self) -> bool {
        self.with(|_| Ok(())).is_ok()
    }

    fn close(&self) -> Outcome {
        if self.is_open() {
            // Everything that was appended is told of first.
            drop(self.acks.lock().take());
        }
        Ok(self.shared.close()?)
    }
}

/// What a database handle stands for.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
pub(crate) unsafe fn open(db: *const alluvium_db) -> Outcome<Arc<Open>> {
    // SAFETY: as the caller promises.
    unsafe { read(db, |open| Ok(Arc::clone(open))) }
}

/// Opens the database in a directory, and makes one where there is none. One process at a time has it open; children that it forks meanwhile
/// can use neither this one nor others.
///
/// `settings` may be NULL for the default ones; they stay the caller's. Ownership: `*db` is the caller's, to be closed with `alluvium_close`.
/// Threads: any.
///
/// Errors: `ALLUVIUM_UNAVAILABLE` where another process has it open, `ALLUVIUM_INPUT` where the directory holds something else, `ALLUVIUM_DAMAGED`.
///
/// # Safety
///
/// `path` is NULL or ends in a NUL, `settings` is NULL, or is or was a handle of this library, `db` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_open(
    path: *const c_char,
    settings: *const alluvium_settings,
    db: *mut *mut alluvium_db,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(db, "the database handle")?;
        let path = Path::new(text(path, "the path")?);
        let settings = if settings.is_null() { Settings::default() } else { read(settings, |settings| Ok(settings.clone()))? };
        let open = Open { shared: Shared::open(path, settings)?, path: path.to_owned(), acks: Mutex::new(None) };
        give(db, make(Arc::new(open)), "the database handle")
    })
}

/// Closes a database and frees its handle, when no call of another thread is under way any more. Everything that was acknowledged is on disk either way.
/// NULL is none.
///
/// Rows, queries and streams of it may be freed before or after. Not to be called by a callback of this library.
///
/// Errors: `ALLUVIUM_INPUT`, and it stays open, while transactions or sync workers of it are not ended; with any other it is closed, and the handle freed.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_close(db: *mut alluvium_db) -> alluvium_status {
    done(|| {
        if db.is_null() {
            return Ok(());
        }
        // SAFETY: as the caller promises.
        let open = unsafe { open(db) }?;
        let closed = open.close();
        if closed.is_err() && open.is_open() {
            return closed;
        }
        // SAFETY: likewise.
        unsafe { take(db) }.map(drop).and(closed)
    })
}

/// Makes durable what was appended as `ALLUVIUM_BUFFERED`.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_flush(db: *const alluvium_db) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { open(db) }?.with(|db| Ok(db.flush()?)))
}

/// Makes segments of all rows there are, which happens by itself in the background.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_seal(db: *const alluvium_db) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { open(db) }?.with(|db| Ok(db.seal()?)))
}

/// Lets go of rows as the settings "keep" and "disk_bytes" say, at once; `*partitions` is how many partitions went, and may be NULL.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_close`; `partitions` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_evict(db: *const alluvium_db, partitions: *mut u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let evicted = open(db)?.with(|db| Ok(db.evict()?))?;
        may_give(partitions, evicted.len() as u64);
        Ok(())
    })
}

/// The names of all tables.
///
/// Ownership: `*tables` is the caller's. Threads: any.
///
/// # Safety
///
/// As of `alluvium_close`; `tables` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_tables(db: *const alluvium_db, tables: *mut *mut alluvium_strings) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(tables, "the tables")?;
        let names = open(db)?.with(|db| Ok(db.tables().iter().map(|table| table.name.clone()).collect::<Vec<_>>()))?;
        give(tables, new_strings(names), "the tables")
    })
}
