//! What is read by several or changed by one, and waited for by nobody: where that is taken, a handle is misused.
//!
//! A lock that can be waited for has to look, when it is let go of, whether somebody does. This one need not, which a row's every value would pay for.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

/// Who changes it.
const CHANGING: u32 = u32::MAX;

/// A value, and who is at it.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    /// How many read it, or [`CHANGING`].
    users: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: `users` gives it to one that changes it or to several that read it, never to both.
unsafe impl<T: Send + Sync> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Guarded { users: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// None while somebody changes it.
    pub(crate) fn try_read(&self) -> Option<Reading<'_, T>> {
        let one_more = |users: u32| users.checked_add(1).filter(|users| *users != CHANGING);
        self.users.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Reading(self))
    }

    /// None while somebody reads or changes it.
    pub(crate) fn try_change(&self) -> Option<Changing<'_, T>> {
        self.users.compare_exchange(0, CHANGING, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Changing(self))
    }
}

/// It, to be read.
pub(crate) struct Reading<'g, T>(&'g Guarded<T>);

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it was counted among those that read, and nobody changes it before all of them are gone.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Release);
    }
}

/// It, to be changed.
pub(crate) struct Changing<'g, T>(&'g Guarded<T>);

impl<T> Deref for Changing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: nobody else has it.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Changing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: nobody else has it.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Changing<'_, T> {
    fn drop(&mut self) {
        self.0.users.store(0, Ordering::Release);
    }
}
