//! A mutex and a place to wait for what it guards.

use std::ops::DerefMut;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// What a protocol between threads is made of. The product has one implementation; the model checker brings another, and so
/// decides at each step which thread goes on.
pub(super) trait Monitor<T> {
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;

    fn new(value: T) -> Self;
    fn lock(&self) -> Self::Guard<'_>;
    /// Waits to be notified. May return earlier.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a>;
    /// Waits to be notified, but no longer than so long. May return earlier.
    fn wait_for<'a>(&'a self, guard: Self::Guard<'a>, time: Duration) -> Self::Guard<'a>;
    fn notify_all(&self);
    /// Waits for [`Monitor::notify_arrival`] alone, no longer than so long. May return earlier.
    fn wait_arrival_for<'a>(&'a self, guard: Self::Guard<'a>, time: Duration) -> Self::Guard<'a>;
    /// Tells the one who waits for that.
    fn notify_arrival(&self);
}

/// Monitors of one make.
pub(super) trait Monitors {
    type Monitor<T>: Monitor<T>;
}

/// `parking_lot`'s.
#[derive(Debug)]
pub(super) struct ParkingLot;

impl Monitors for ParkingLot {
    type Monitor<T> = Parking<T>;
}

/// A monitor of `parking_lot`.
#[derive(Debug)]
pub(super) struct Parking<T> {
    mutex: Mutex<T>,
    changed: Condvar,
    arrived: Condvar,
}

impl<T> Monitor<T> for Parking<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Parking { mutex: Mutex::new(value), changed: Condvar::new(), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.mutex.lock()
    }

    fn wait<'a>(&'a self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.changed.wait(&mut guard);
        guard
    }

    fn wait_for<'a>(&'a self, mut guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.changed.wait_for(&mut guard, time);
        guard
    }

    fn notify_all(&self) {
        self.changed.notify_all();
    }

    fn wait_arrival_for<'a>(&'a self, mut guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.arrived.wait_for(&mut guard, time);
        guard
    }

    fn notify_arrival(&self) {
        self.arrived.notify_one();
    }
}
