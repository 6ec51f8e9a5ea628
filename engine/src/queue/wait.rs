//! Waiting for something to pop: until somebody changes the queue, or something in it comes due.

use std::time::Duration;

use super::desk::Desk;
use super::lease::{Leased, Pop};
use super::spec::{self, micros};
use super::{Queue, keys, promote};
use crate::error::Result;
use crate::keyspace::{Waits, Watch};

impl<A: Waits> Queue<A> {
    /// Pops the next items; where there are none, waits until there are, but no longer than so long. Nobody looks meanwhile: who
    /// waits is woken by a change of the queue, or when something in it comes due.
    pub fn pop_wait(&mut self, how: Pop, timeout: Duration) -> Result<Vec<Leased>> {
        let until = self.access.read(|transaction| Ok(transaction.at().engine_micros))?.saturating_add(micros(timeout));
        // From before each look, so that nothing is missed in between.
        let mut watched = self.watched()?;
        loop {
            let popped = self.pop_many(how)?;
            let (queue, left, quiet) = self.outlook(until)?;
            if !popped.is_empty() || how.at_most == 0 || left.is_zero() {
                return Ok(popped);
            }
            if watched.0 != queue {
                // That one was dropped, and another made of the same name.
                watched = self.watched()?;
                continue;
            }
            let time = quiet.map_or(left, |quiet| quiet.min(left));
            if !watched.1.wait(time) && time == left {
                return self.pop_many(how);
            }
        }
    }

    /// Tells when the queue has changed. For servers, which cannot block.
    #[doc(hidden)]
    pub fn watch(&self) -> Result<Watch> {
        self.watched().map(|(_, watch)| watch)
    }

    /// How long nothing comes due by itself, if anything will: when to look again, unless [`Queue::watch`] tells of a change.
    #[doc(hidden)]
    pub fn quiet_for(&self) -> Result<Option<Duration>> {
        self.outlook(u64::MAX).map(|(_, _, quiet)| quiet)
    }

    /// The queue that has this name, and its watch.
    fn watched(&self) -> Result<(u32, Watch)> {
        let queue = self.access.read(|transaction| Ok(spec::find(transaction, &self.name)?.id))?;
        Ok((queue, self.access.watch(&keys::tally(queue))))
    }

    /// The queue that has this name, how long it is to a moment of the engine's clock, and how long nothing comes due.
    fn outlook(&self, until: u64) -> Result<(u32, Duration, Option<Duration>)> {
        self.access.read(|transaction| {
            let desk = Desk::open(transaction, &self.name)?;
            let left = Duration::from_micros(until.saturating_sub(desk.now.engine_micros));
            Ok((desk.id(), left, promote::quiet_for(transaction, &desk)?))
        })
    }
}
