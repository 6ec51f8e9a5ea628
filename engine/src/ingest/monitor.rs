//! A mutex and places to wait for what it guards.

use std::ops::DerefMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// The system's.
#[derive(Debug)]
pub(super) struct System;

impl Monitors for System {
    type Monitor<T> = SystemMonitor<T>;
}

/// A monitor of the standard library. Telling all of a place is one call of the system; `parking_lot` wakes the first, who wakes
/// the second when it has let go of the mutex, and so on: a call for each, and a processor that goes to sleep in between.
#[derive(Debug)]
pub(super) struct SystemMonitor<T> {
    mutex: Mutex<T>,
    places: [Waiters; 2],
    arrived: Condvar,
}

/// Those who wait at a place.
#[derive(Debug, Default)]
struct Waiters {
    condition: Condvar,
    /// Changed by holders of the mutex alone.
    count: AtomicUsize,
}

impl Waiters {
    /// Whether somebody waits. Whoever comes later sees what was to be told.
    fn are_some(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }
}

impl<T> Monitor<T> for SystemMonitor<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        SystemMonitor { mutex: Mutex::new(value), places: Default::default(), arrived: Condvar::new() }
    }

    /// What a panic leaves, its users know.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>, at: Place) -> MutexGuard<'a, T> {
        let place = &self.places[at as usize];
        place.count.fetch_add(1, Ordering::AcqRel);
        let guard = place.condition.wait(guard).unwrap_or_else(PoisonError::into_inner);
        place.count.fetch_sub(1, Ordering::AcqRel);
        guard
    }

    fn notify_all(&self, at: Place) {
        let place = &self.places[at as usize];
        if place.are_some() {
            place.condition.notify_all();
        }
    }

    fn notify_one(&self, at: Place) {
        let place = &self.places[at as usize];
        if place.are_some() {
            place.condition.notify_one();
        }
    }

    fn wait_arrival_for<'a>(&'a self, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.arrived.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn notify_arrival(&self) {
        self.arrived.notify_one();
    }
}
