//! Handles that know when they are misused.
//!
//! What C has is the address of a slot, which is never given back to the allocator: a handle that was freed is seen to be empty, also when it is freed
//! again. Slots are used anew, those that were freed first before others, and none before [`RESTING`] others are free as well.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::guard::Guarded;
use crate::status::{Failure, Outcome};

/// Slots of a kind that are free and left alone.
const RESTING: usize = 64;

/// Where the value of a handle is. As C lays it out, so that what stands first is known of one of another kind as well.
#[repr(C)]
pub(crate) struct Slot<T> {
    kind: u64,
    value: Guarded<Option<T>>,
}

/// Slots of a kind that are free.
pub(crate) struct Pool<T: 'static>(Mutex<VecDeque<&'static Slot<T>>>);

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Pool(Mutex::new(VecDeque::new()))
    }
}

/// A type of handles, which C sees and cannot look into.
pub(crate) trait Opaque: Sized {
    /// What is behind it.
    type Value: 'static;
    /// Tells it from others.
    const KIND: u64;
    /// What it is, in words.
    const WHAT: &'static str;

    fn pool() -> &'static Pool<Self::Value>;
}

/// Says what is behind a type of handles. The type itself is written out where it is, for cbindgen, which sees no macros.
macro_rules! handle {
    ($name:ident, $value:ty, $kind:literal, $what:literal) => {
        impl $crate::handle::Opaque for $name {
            type Value = $value;
            const KIND: u64 = u64::from_be_bytes(*$kind);
            const WHAT: &'static str = $what;

            fn pool() -> &'static $crate::handle::Pool<$value> {
                static POOL: $crate::handle::Pool<$value> = $crate::handle::Pool::new();
                &POOL
            }
        }
    };
}
pub(crate) use handle;

/// A new handle.
pub(crate) fn make<H: Opaque>(value: H::Value) -> *mut H {
    let new =
        |value| -> &'static Slot<H::Value> { Box::leak(Box::new(Slot { kind: H::KIND, value: Guarded::new(Some(value)) })) };
    let slot = reuse::<H>(value).unwrap_or_else(new);
    std::ptr::from_ref(slot).cast_mut().cast()
}

/// Puts a value into a slot that rested long enough; gives it back where there is none.
fn reuse<H: Opaque>(value: H::Value) -> Result<&'static Slot<H::Value>, H::Value> {
    let mut free = H::pool().0.lock();
    let rested = if free.len() > RESTING { free.pop_front() } else { None };
    let Some(slot) = rested else { return Err(value) };
    match slot.value.try_change() {
        Some(mut place) => {
            *place = Some(value);
            Ok(slot)
        }
        // Somebody looks at what was freed just now.
        None => {
            free.push_back(slot);
            Err(value)
        }
    }
}

/// Does something with what is behind a handle, which others may use at the same time. It never waits: who changes it meanwhile should not.
///
/// # Safety
///
/// The pointer is NULL, or is or was a handle of this library.
pub(crate) unsafe fn read<H: Opaque, T>(handle: *const H, does: impl FnOnce(&H::Value) -> Outcome<T>) -> Outcome<T> {
    // SAFETY: as the caller promises.
    let slot = unsafe { slot(handle)? };
    let value = slot.value.try_read().ok_or_else(shared::<H>)?;
    does(value.as_ref().ok_or_else(freed::<H>)?)
}

/// Does something with what is behind a handle, which nobody may use at the same time.
///
/// # Safety
///
/// As of [`read`].
#[inline]
pub(crate) unsafe fn change<H: Opaque, T>(handle: *mut H, does: impl FnOnce(&mut H::Value) -> Outcome<T>) -> Outcome<T> {
    // SAFETY: as the caller promises.
    let slot = unsafe { slot(handle.cast_const())? };
    let mut value = slot.value.try_change().ok_or_else(shared::<H>)?;
    does(value.as_mut().ok_or_else(freed::<H>)?)
}

/// Takes what is behind a handle, which is none from then on. NULL is none, and freed with nothing to do.
///
/// # Safety
///
/// As of [`read`].
pub(crate) unsafe fn take<H: Opaque>(handle: *mut H) -> Outcome<Option<H::Value>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let slot = unsafe { slot(handle.cast_const())? };
    let value = slot.value.try_change().ok_or_else(shared::<H>)?.take().ok_or_else(freed::<H>)?;
    H::pool().0.lock().push_back(slot);
    Ok(Some(value))
}

/// # Safety
///
/// As of [`read`].
#[inline]
unsafe fn slot<H: Opaque>(handle: *const H) -> Outcome<&'static Slot<H::Value>> {
    if handle.is_null() {
        return Err(null::<H>());
    }
    // SAFETY: the caller promises that it is, or was, a handle of ours: the address of a slot of some kind, which all begin with their kind
    // and are there for as long as the process is.
    let kind = unsafe { *handle.cast::<u64>() };
    if kind != H::KIND {
        return Err(other::<H>());
    }
    // SAFETY: it is a slot of this kind.
    Ok(unsafe { &*handle.cast::<Slot<H::Value>>() })
}

#[cold]
fn null<H: Opaque>() -> Failure {
    Failure::misuse(format!("{} is NULL", H::WHAT))
}

#[cold]
fn other<H: Opaque>() -> Failure {
    Failure::misuse(format!("{} is expected, and something else was given", H::WHAT))
}

#[cold]
fn freed<H: Opaque>() -> Failure {
    Failure::misuse(format!("{} was freed before", H::WHAT))
}

#[cold]
fn shared<H: Opaque>() -> Failure {
    Failure::misuse(format!("{} is used by another thread at the same time: use it from one at a time", H::WHAT))
}
