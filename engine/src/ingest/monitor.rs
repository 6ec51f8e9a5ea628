//! A mutex and places to wait for what it guards.

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
    /// Waits at a place to be notified. May return earlier.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>, at: Place) -> Self::Guard<'a>;
    /// Tells everyone who waits at a place.
    fn notify_all(&self, at: Place);
    /// Tells one of those who wait at a place.
    fn notify_one(&self, at: Place);
    /// Waits for [`Monitor::notify_arrival`] alone, no longer than so long. May return earlier.
    fn wait_arrival_for<'a>(&'a self, guard: Self::Guard<'a>, time: Duration) -> Self::Guard<'a>;
    /// Tells the one who waits for that.
    fn notify_arrival(&self);
}

/// One of two places to wait at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    #[default]
    Here,
    There,
}

impl Place {
    pub(super) fn other(self) -> Place {
        match self {
            Place::Here => Place::There,
            Place::There => Place::Here,
        }
    }
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
    places: [Condvar; 2],
    arrived: Condvar,
}

impl<T> Monitor<T> for Parking<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Parking { mutex: Mutex::new(value), places: Default::default(), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.mutex.lock()
    }

    fn wait<'a>(&'a self, mut guard: MutexGuard<'a, T>, at: Place) -> MutexGuard<'a, T> {
        self.places[at as usize].wait(&mut guard);
        guard
    }

    fn notify_all(&self, at: Place) {
        self.places[at as usize].notify_all();
    }

    fn notify_one(&self, at: Place) {
        self.places[at as usize].notify_one();
    }

    fn wait_arrival_for<'a>(&'a self, mut guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.arrived.wait_for(&mut guard, time);
        guard
    }

    fn notify_arrival(&self) {
        self.arrived.notify_one();
    }
}
