//! Transactions: all of it, or nothing.

use std::sync::Arc;

use alluvium_bindings::Here;
use engine::{Database, Transaction};
use parking_lot::Mutex;
use self_cell::self_cell;

use crate::database::{alluvium_db, open};
use crate::handle::{change, handle, make, take};
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{give, may_give, needs};

/// Taken when it ends.
type Begun<'d> = Option<Transaction<'d>>;

self_cell!(
    /// A transaction and the database that it is of.
    pub(crate) struct Held {
        owner: Arc<Database>,
        #[not_covariant]
        dependent: Begun,
    }
);

/// A transaction. One thread at a time.
pub struct alluvium_tx {
    _opaque: [u8; 0],
}

handle!(alluvium_tx, Mutex<Here<Held>>, b"tx      ", "the transaction");

/// Does something within a transaction.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
pub(crate) unsafe fn with_transaction<T>(
    tx: *mut alluvium_tx,
    does: impl FnOnce(&mut Transaction<'_>) -> Outcome<T>,
) -> Outcome<T> {
    // SAFETY: as the caller promises.
    unsafe {
        change(tx, |held| {
            let held = held.get_mut().get_mut().ok_or_else(forked)?;
            held.with_dependent_mut(|_, begun| does(begun.as_mut().ok_or_else(ended)?))
        })
    }
}

/// Does the same to a database, or within a transaction of it where there is one.
macro_rules! in_either {
    ($db:expr, $tx:expr, |$access:ident| $body:expr) => {
        if $tx.is_null() {
            $crate::database::open($db)?.with(|$access| $body)
        } else {
            $crate::transaction::with_transaction($tx, |$access| $body)
        }
    };
}
pub(crate) use in_either;

fn forked() -> Failure {
    Failure::misuse("this process was forked from the one that began the transaction")
}

fn ended() -> Failure {
    Failure::misuse("the transaction has ended")
}

/// Begins a transaction, which sees the database as it is now and what is done within it. Functions that take a transaction do their part within it where
/// they are given one, and by themselves where it is NULL.
///
/// Ownership: `*tx` is the caller's, to be ended with `alluvium_commit` or `alluvium_rollback`. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `tx` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_begin(db: *const alluvium_db, tx: *mut *mut alluvium_tx) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(tx, "the transaction")?;
        let held = Held::try_new(open(db)?.kept()?, |db| db.begin().map(Some))?;
        give(tx, make(Mutex::new(Here::new(held))), "the transaction")
    })
}

/// Commits a transaction, all of it or nothing, and frees it either way. `*sequence`, which may be NULL, is its place in the log.
///
/// Errors: `ALLUVIUM_CONFLICT` where others changed meanwhile what it had read: begin it anew.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `sequence` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_commit(tx: *mut alluvium_tx, sequence: *mut u64) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let held = take(tx)?.ok_or_else(|| Failure::misuse("the transaction is NULL"))?;
        let mut held = held.into_inner().take().ok_or_else(forked)?;
        let begun = held.with_dependent_mut(|_, begun| begun.take().map(Transaction::commit));
        may_give(sequence, begun.ok_or_else(ended)??);
        Ok(())
    })
}

/// Ends a transaction as if it had never been, and frees it. NULL is none.
///
/// # Safety
///
/// As of `alluvium_commit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_rollback(tx: *mut alluvium_tx) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(tx) }.map(drop))
}
