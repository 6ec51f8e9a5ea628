//! Locks that are held for a few instructions.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. Whoever panicked with it held left nothing half done: what is behind these locks is whole between any two calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
