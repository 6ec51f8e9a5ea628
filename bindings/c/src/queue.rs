//! Queues: work that is done at least once, whoever dies.

use std::ffi::c_char;

use engine::{Leased, NewItem, Pop, QueueSpec, Retry};

use crate::database::{alluvium_db, open};
use crate::handle::{handle, make, read, take};
use crate::status::{ALLUVIUM_OK, ALLUVIUM_TIMEOUT, alluvium_status, call, done};
use crate::text::{bytes, ended, give, may_give, maybe_text, millis, needs, text};
use crate::transaction::{alluvium_tx, in_either};

/// An item that was popped, with the lease of it. Any thread, several at a time.
pub struct alluvium_item {
    _opaque: [u8; 0],
}

handle!(alluvium_item, Popped, b"item    ", "the item");

/// What is behind an item handle.
pub(crate) struct Popped {
    queue: String,
    leased: Leased,
    /// Ended by a NUL that does not count.
    payload: Box<[u8]>,
}

/// Makes a queue whose items are popped at most `tries` times, 0 for five, before they are dead letters.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING` where there is one of that name.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library; texts are NULL or end in a NUL; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_queue_create(db: *const alluvium_db, name: *const c_char, tries: u32) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let mut spec = QueueSpec::new(text(name, "the name of the queue")?);
        if tries > 0 {
            spec = spec.tries(tries);
        }
        open(db)?.with(|db| Ok(db.create_queue(&spec)?))
    })
}

/// Drops a queue with all its items.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_queue_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_queue_drop(db: *const alluvium_db, name: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the queue")?;
        open(db)?.with(|db| Ok(db.drop_queue(name)?))
    })
}

/// Pushes an item, which is copied; durable when it returns, or with its transaction. Those of higher `priority` come first. Where `key` is not NULL,
/// nothing is pushed that was pushed with the same key within the queue's window. `*item`, which may be NULL, is its number.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_queue_create`; there are so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_queue_push(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    queue: *const c_char,
    payload: *const u8,
    size: usize,
    priority: u8,
    key: *const c_char,
    item: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let queue = text(queue, "the name of the queue")?;
        let mut new = NewItem::new(bytes(payload, size, "the payload")?).priority(priority);
        if let Some(key) = maybe_text(key, "the key")? {
            new = new.deduplicate(key);
        }
        let pushed = in_either!(db, tx, |access| Ok(access.queue(queue).push(new)?))?;
        may_give(item, pushed.id);
        Ok(())
    })
}

/// Pops the next item, for `lease_ms` milliseconds, below zero for as long as the queue says; where there is none, waits for one at most `wait_ms`
/// milliseconds: `ALLUVIUM_TIMEOUT` where none came. The item comes back by itself when the lease ends before it is acknowledged.
///
/// Ownership: `*item` is the caller's, to be freed with `alluvium_item_free`. Threads: any.
///
/// # Safety
///
/// As of `alluvium_queue_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_queue_pop(
    db: *const alluvium_db,
    queue: *const c_char,
    lease_ms: i64,
    wait_ms: u32,
    item: *mut *mut alluvium_item,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        needs(item, "the item")?;
        let queue = text(queue, "the name of the queue")?;
        let mut pop = Pop::at_most(1);
        if lease_ms >= 0 {
            pop = pop.lease(millis(lease_ms));
        }
        let popped = open(db)?.with(|db| Ok(db.queue(queue).pop_wait(pop, millis(wait_ms.into()))?))?;
        let Some(mut leased) = popped.into_iter().next() else { return Ok(ALLUVIUM_TIMEOUT) };
        let payload = ended(std::mem::take(&mut leased.item.payload));
        give(item, make(Popped { queue: queue.to_owned(), leased, payload }), "the item")?;
        Ok(ALLUVIUM_OK)
    })
}

/// The payload of an item, followed by a NUL that does not count, and its size, which may be NULL; NULL for what is no such handle.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_payload(item: *const alluvium_item, size: *mut usize) -> *const u8 {
    let mut payload = std::ptr::null();
    let look = |popped: &Popped| {
        payload = popped.payload.as_ptr();
        // SAFETY: as the caller promises.
        unsafe { may_give(size, popped.payload.len() - 1) };
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(item, look) });
    payload
}

/// The number of an item, and how often it was popped, this time included; places may be NULL.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_item_payload`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_describe(
    item: *const alluvium_item,
    number: *mut u64,
    tries: *mut u32,
) -> alluvium_status {
    let look = |popped: &Popped| {
        // SAFETY: as the caller promises.
        unsafe {
            may_give(number, popped.leased.item.id);
            may_give(tries, popped.leased.item.tries);
        }
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(item, look) })
}

/// Acknowledges an item, within a transaction where there is one: it is done, and gone. The handle stays the caller's.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_ack(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    item: *const alluvium_item,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (queue, lease) = read(item, |popped| Ok((popped.queue.clone(), popped.leased.lease)))?;
        in_either!(db, tx, |access| Ok(access.queue(&queue).ack(lease)?))
    })
}

/// Gives an item back, to be popped again after `delay_ms` milliseconds; below zero, after the queue's back-off. The handle stays the caller's.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
///
/// # Safety
///
/// As of `alluvium_item_ack`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_nack(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    item: *const alluvium_item,
    delay_ms: i64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let retry = if delay_ms < 0 { Retry::BackOff } else { Retry::After(millis(delay_ms)) };
        let (queue, lease) = read(item, |popped| Ok((popped.queue.clone(), popped.leased.lease)))?;
        in_either!(db, tx, |access| Ok(access.queue(&queue).nack(lease, retry).map(drop)?))
    })
}

/// Keeps an item for `lease_ms` milliseconds from now on.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
///
/// # Safety
///
/// As of `alluvium_item_ack`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_extend(
    db: *const alluvium_db,
    item: *const alluvium_item,
    lease_ms: u32,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (queue, lease) = read(item, |popped| Ok((popped.queue.clone(), popped.leased.lease)))?;
        open(db)?.with(|db| Ok(db.queue(&queue).extend(lease, millis(lease_ms.into()))?))
    })
}

/// Frees an item, which is neither acknowledged nor given back by that. NULL is none.
///
/// # Safety
///
/// As of `alluvium_item_payload`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_item_free(item: *mut alluvium_item) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(item) }.map(drop))
}

/// How many items of a queue can be popped now, are leased, and are dead letters; places may be NULL.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_queue_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_queue_sizes(
    db: *const alluvium_db,
    queue: *const c_char,
    ready: *mut u64,
    leased: *mut u64,
    dead: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let queue = text(queue, "the name of the queue")?;
        let sizes = open(db)?.with(|db| Ok(db.queue(queue).sizes()?))?;
        may_give(ready, sizes.ready);
        may_give(leased, sizes.leased);
        may_give(dead, sizes.dead);
        Ok(())
    })
}
