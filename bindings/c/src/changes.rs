//! The change feed: everything that happened, in order.

use std::collections::VecDeque;
use std::ffi::c_char;

use alluvium_bindings::Here;
use arrow::array::{Array, StructArray};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use engine::{Changes, ChangesFrom, Error, Event};

use crate::database::{alluvium_db, open};
use crate::handle::{change, handle, make, read, take};
use crate::status::{ALLUVIUM_NONE, ALLUVIUM_OK, ALLUVIUM_TIMEOUT, Failure, Outcome, alluvium_status, call, done};
use crate::text::{ended, give, may_give, maybe_text, millis, needs, text};
use crate::transaction::{alluvium_tx, in_either};

/// Changes on their way. One thread at a time.
pub struct alluvium_changes {
    _opaque: [u8; 0],
}

handle!(alluvium_changes, Here<Feed>, b"changes ", "the changes");

/// One thing that happened. Any thread, several at a time.
pub struct alluvium_event {
    _opaque: [u8; 0],
}

handle!(alluvium_event, Told, b"event   ", "the event");

/// What is behind a handle of changes.
pub(crate) struct Feed {
    changes: Changes,
    /// Of the change that was read last, what is yet to be told.
    events: VecDeque<(u64, Event)>,
}

/// What is behind an event handle; texts are ended by a NUL that does not count.
pub(crate) struct Told {
    sequence: u64,
    is_last: bool,
    name: Box<[u8]>,
    of: Option<Box<[u8]>>,
    key: Option<Box<[u8]>>,
    payload: Option<Box<[u8]>>,
    event: Event,
}

impl Told {
    fn new(sequence: u64, event: Event, is_last: bool) -> Self {
        let of = event.table().or_else(|| event.collection()).or_else(|| event.queue()).map(ended);
        let (key, payload) = match &event {
            Event::Pair { key, value } => (Some(key.clone()), value.as_ref().map(|value| value.value.clone())),
            Event::Document { id, state, .. } => (Some(id.clone()), state.as_ref().map(|state| state.json.clone().into_bytes())),
            Event::Item { item, content, .. } => {
                (Some(item.to_string()), content.as_ref().map(|content| content.payload.clone()))
            }
            Event::ItemState { item, .. } => (Some(item.to_string()), None),
            _ => (None, None),
        };
        Told { sequence, is_last, name: ended(event.name()), of, key: key.map(ended), payload: payload.map(ended), event }
    }
}

fn forked() -> Failure {
    Failure::misuse("this process was forked from the one that reads the changes")
}

/// Begins to read changes: behind what the cursor of this name has acknowledged, which is begun where there is none; or, where that is NULL, from a
/// sequence on, 0 for the oldest that is kept. `table`, `collection`, `queue` and `key_beginning` show only what is about these; all may be NULL.
///
/// Ownership: `*changes` is the caller's, to be freed with `alluvium_changes_free`. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL; `changes` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_changes_open(
    db: *const alluvium_db,
    cursor: *const c_char,
    from: u64,
    table: *const c_char,
    collection: *const c_char,
    queue: *const c_char,
    key_beginning: *const c_char,
    changes: *mut *mut alluvium_changes,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(changes, "the changes")?;
        let cursor = maybe_text(cursor, "the name of the cursor")?;
        let mut narrow: Vec<Box<dyn FnOnce(ChangesFrom) -> ChangesFrom>> = Vec::new();
        if let Some(name) = maybe_text(table, "the name of the table")? {
            narrow.push(Box::new(move |from| from.table(name)));
        }
        if let Some(name) = maybe_text(collection, "the name of the collection")? {
            narrow.push(Box::new(move |from| from.collection(name)));
        }
        if let Some(name) = maybe_text(queue, "the name of the queue")? {
            narrow.push(Box::new(move |from| from.queue(name)));
        }
        if let Some(beginning) = maybe_text(key_beginning, "the beginning of the keys")? {
            narrow.push(Box::new(move |from| from.prefix(beginning)));
        }
        let read = open(db)?.with(|db| {
            let asked = match cursor {
                Some(name) => {
                    db.cursor(name)?.begin(from.saturating_sub(1))?;
                    db.cursor(name)?.changes()?
                }
                None => db.changes().from(from),
            };
            Ok(narrow.into_iter().fold(asked, |asked, narrow| narrow(asked)).read()?)
        })?;
        give(changes, make(Here::new(Feed { changes: read, events: VecDeque::new() })), "the changes")
    })
}

/// The next thing that happened, waited for at most so many milliseconds: `ALLUVIUM_TIMEOUT` where there was none.
///
/// Ownership: `*event` is the caller's, to be freed with `alluvium_event_free`.
///
/// Errors: `ALLUVIUM_MISSING` where changes are no longer kept; it goes on behind them when it is asked again.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `event` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_changes_next(
    changes: *mut alluvium_changes,
    timeout_ms: u32,
    event: *mut *mut alluvium_event,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        needs(event, "the event")?;
        let told = change(changes, |here| {
            let feed = here.get_mut().ok_or_else(forked)?;
            if feed.events.is_empty()
                && let Some(next) = feed.changes.next_timeout(millis(timeout_ms.into()))?
            {
                feed.events.extend(next.events.into_iter().map(|event| (next.sequence, event)));
            }
            let told = feed.events.pop_front();
            Ok(told.map(|(sequence, event)| Told::new(sequence, event, feed.events.is_empty())))
        })?;
        let Some(told) = told else { return Ok(ALLUVIUM_TIMEOUT) };
        give(event, make(told), "the event")?;
        Ok(ALLUVIUM_OK)
    })
}

/// Frees changes. A cursor stays where it is. NULL is none.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_changes_free(changes: *mut alluvium_changes) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(changes) }.map(drop))
}

/// Notes, durably or with its transaction, that a cursor has dealt with everything up to a sequence. Where several events have the same sequence, that is
/// after the last of them.
///
/// Threads: any.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library; texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_cursor_acknowledge(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    cursor: *const c_char,
    sequence: u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let cursor = text(cursor, "the name of the cursor")?;
        in_either!(db, tx, |access| Ok(access.cursor(cursor)?.acknowledge(sequence).map(drop)?))
    })
}

/// The sequence of the change that an event belongs to, and whether it is the last of that; places may be NULL.
///
/// Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_place(
    event: *const alluvium_event,
    sequence: *mut u64,
    is_last: *mut bool,
) -> alluvium_status {
    let look = |told: &Told| {
        // SAFETY: as the caller promises.
        unsafe {
            may_give(sequence, told.sequence);
            may_give(is_last, told.is_last);
        }
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(event, look) })
}

/// Looks for a text of an event.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
unsafe fn found(event: *const alluvium_event, which: impl FnOnce(&Told) -> Option<&[u8]>) -> *const c_char {
    let mut text = std::ptr::null();
    let look = |told: &Told| {
        text = which(told).map_or(std::ptr::null(), |text| text.as_ptr().cast());
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(event, look) });
    text
}

/// What happened: "rows", "rows_deleted", "table_created", "pair_put", "pair_removed", "document_put", "document_deleted", "item_pushed", …; NULL for what
/// is no such handle.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_name(event: *const alluvium_event) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { found(event, |told| Some(&told.name)) }
}

/// The table, collection or queue it is about; NULL where there is none.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// As of `alluvium_event_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_of(event: *const alluvium_event) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { found(event, |told| told.of.as_deref()) }
}

/// The key of a pair, the id of a document, or the number of an item; NULL where there is none.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// As of `alluvium_event_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_key(event: *const alluvium_event) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { found(event, |told| told.key.as_deref()) }
}

/// The value of a pair, a document as JSON, or the payload of an item, followed by a NUL that does not count; NULL where there is none, as where it is
/// gone. `size` may be NULL.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// As of `alluvium_event_name`; `size` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_payload(event: *const alluvium_event, size: *mut usize) -> *const u8 {
    let mut found = std::ptr::null();
    let look = |told: &Told| {
        let payload = told.payload.as_deref();
        found = payload.map_or(std::ptr::null(), <[u8]>::as_ptr);
        // SAFETY: as the caller promises.
        unsafe { may_give(size, payload.map_or(0, |payload| payload.len() - 1)) };
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(event, look) });
    found
}

/// The rows that were written, by the Arrow C data interface: `ALLUVIUM_NONE` where the event has none, as where they lie in segments by now.
///
/// Ownership: `*array` and `*schema` are the caller's, to be released. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `array` and `schema` are NULL or places for such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_rows(
    event: *const alluvium_event,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
) -> alluvium_status {
    let export = |told: &Told| -> Outcome<alluvium_status> {
        let Event::Rows(rows) = &told.event else { return Ok(ALLUVIUM_NONE) };
        let data = StructArray::from(rows.batch()?).to_data();
        let (rows, columns) = to_ffi(&data).map_err(Error::from)?;
        // SAFETY: as the caller promises.
        unsafe {
            give(array, rows, "the rows")?;
            give(schema, columns, "their schema")?;
        }
        Ok(ALLUVIUM_OK)
    };
    // SAFETY: as the caller promises.
    call(|| unsafe {
        needs(array, "the rows")?;
        needs(schema, "their schema")?;
        read(event, export)
    })
}

/// Frees an event. NULL is none.
///
/// # Safety
///
/// As of `alluvium_event_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_event_free(event: *mut alluvium_event) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(event) }.map(drop))
}
