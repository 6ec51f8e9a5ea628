//! Key-value pairs.

use std::ffi::c_char;

use engine::{IfRevision, Pair, Put, Scan};

use crate::database::alluvium_db;
use crate::handle::{handle, make, read, take};
use crate::status::{ALLUVIUM_NONE, ALLUVIUM_OK, Outcome, alluvium_status, call, done};
use crate::text::{alluvium_bytes, bytes, ended, give, may_give, maybe_text, millis, needs, new_bytes, text};
use crate::transaction::{alluvium_tx, in_either};

/// For `if_revision`: whatever is there.
pub const ALLUVIUM_ANY: u64 = u64::MAX;
/// For `if_revision`: only where there is none.
pub const ALLUVIUM_ABSENT: u64 = 0;

pub(crate) fn if_revision(revision: u64) -> IfRevision {
    match revision {
        ALLUVIUM_ANY => IfRevision::Any,
        ALLUVIUM_ABSENT => IfRevision::Absent,
        revision => IfRevision::Is(revision),
    }
}

/// Pairs with their keys. Any thread, several at a time.
pub struct alluvium_pairs {
    _opaque: [u8; 0],
}

handle!(alluvium_pairs, Vec<Listed>, b"pairs   ", "the pairs");

/// A pair that was found; key and value are ended by a NUL that does not count.
pub(crate) struct Listed {
    key: Box<[u8]>,
    value: Box<[u8]>,
    revision: u64,
}

impl Listed {
    fn new((key, Pair { value, revision, .. }): (String, Pair)) -> Self {
        Listed { key: ended(key), value: ended(value), revision }
    }
}

/// The value of a key: `ALLUVIUM_NONE` where there is none. `*revision`, which may be NULL, changes with every write.
///
/// Ownership: `*value` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library; texts are NULL or end in a NUL; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_kv_get(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    key: *const c_char,
    value: *mut *mut alluvium_bytes,
    revision: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        needs(value, "the value")?;
        let key = text(key, "the key")?;
        let Some(pair) = in_either!(db, tx, |access| Ok(access.kv().get(key)?))? else { return Ok(ALLUVIUM_NONE) };
        may_give(revision, pair.revision);
        give(value, new_bytes(pair.value), "the value")?;
        Ok(ALLUVIUM_OK)
    })
}

/// Puts a value, which is copied, in the place of any there; durable when it returns, or with its transaction. It expires after `ttl_ms` milliseconds
/// that the machine is on; below zero, never. `if_revision` is `ALLUVIUM_ANY`, `ALLUVIUM_ABSENT` or the revision that is to be there.
/// `*revision`, which may be NULL, is its new one, and 0 within a transaction.
///
/// Threads: any. Errors: `ALLUVIUM_STALE` where it is not in that revision.
///
/// # Safety
///
/// As of `alluvium_kv_get`; there are so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_kv_put(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    key: *const c_char,
    value: *const u8,
    size: usize,
    ttl_ms: i64,
    if_revision: u64,
    revision: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (key, value) = (text(key, "the key")?, bytes(value, size, "the value")?);
        let mut how = Put::default().only_if(self::if_revision(if_revision));
        if ttl_ms >= 0 {
            how = how.time_to_live(millis(ttl_ms));
        }
        let put = in_either!(db, tx, |access| Ok(access.kv().put(key, value, how)?))?;
        may_give(revision, put);
        Ok(())
    })
}

/// Removes a pair: `ALLUVIUM_NONE` where there was none.
///
/// Threads: any. Errors: `ALLUVIUM_STALE`.
///
/// # Safety
///
/// As of `alluvium_kv_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_kv_delete(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    key: *const c_char,
    if_revision: u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        let key = text(key, "the key")?;
        let condition = self::if_revision(if_revision);
        let was_there = in_either!(db, tx, |access| Ok(access.kv().delete(key, condition)?))?;
        Ok(if was_there { ALLUVIUM_OK } else { ALLUVIUM_NONE })
    })
}

/// Adds to a counter, which begins at 0; `*sum`, which may be NULL, is what it comes to. Its value is the number in decimal digits.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_kv_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_kv_increment(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    key: *const c_char,
    by: i64,
    sum: *mut i64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let key = text(key, "the key")?;
        let counted = in_either!(db, tx, |access| Ok(access.kv().increment(key, by)?))?;
        may_give(sum, counted);
        Ok(())
    })
}

/// Pairs whose keys begin so, in the order of these, at most `limit` of them, 0 for all; only those behind the key `after`, which may be NULL.
///
/// Ownership: `*pairs` is the caller's, to be freed with `alluvium_pairs_free`. Threads: any.
///
/// # Safety
///
/// As of `alluvium_kv_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_kv_scan(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    beginning: *const c_char,
    after: *const c_char,
    limit: usize,
    pairs: *mut *mut alluvium_pairs,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(pairs, "the pairs")?;
        let mut scan = Scan::of(text(beginning, "the beginning of the keys")?);
        if let Some(after) = maybe_text(after, "the key to go on behind")? {
            scan = scan.after(after);
        }
        if limit > 0 {
            scan = scan.limit(limit);
        }
        let found = in_either!(db, tx, |access| Ok(access.kv().scan(&scan)?))?;
        give(pairs, make(found.into_iter().map(Listed::new).collect()), "the pairs")
    })
}

/// How many pairs there are; 0 for what is no such handle.
///
/// Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_pairs_count(pairs: *const alluvium_pairs) -> usize {
    let mut count = 0;
    // SAFETY: as the caller promises.
    done(|| unsafe { read(pairs, |pairs| Ok(count = pairs.len())) });
    count
}

/// The pair at a position from 0 on: `ALLUVIUM_NONE` where there is none. Places may be NULL; key and value end in a NUL, which does not count.
///
/// Ownership: key and value are the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_pairs_get(
    pairs: *const alluvium_pairs,
    position: usize,
    key: *mut *const c_char,
    value: *mut *const u8,
    size: *mut usize,
    revision: *mut u64,
) -> alluvium_status {
    let look = |pairs: &Vec<Listed>| -> Outcome<alluvium_status> {
        let Some(pair) = pairs.get(position) else { return Ok(ALLUVIUM_NONE) };
        // SAFETY: as the caller promises.
        unsafe {
            may_give(key, pair.key.as_ptr().cast());
            may_give(value, pair.value.as_ptr());
            may_give(size, pair.value.len() - 1);
            may_give(revision, pair.revision);
        }
        Ok(ALLUVIUM_OK)
    };
    // SAFETY: as the caller promises.
    call(|| unsafe { read(pairs, look) })
}

/// Frees pairs. NULL is none.
///
/// # Safety
///
/// As of `alluvium_pairs_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_pairs_free(pairs: *mut alluvium_pairs) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(pairs) }.map(drop))
}
