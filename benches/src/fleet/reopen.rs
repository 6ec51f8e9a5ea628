//! Reopening: a store with a quarter of its rows unsealed is killed, then opened again.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::generate::DEVICES;
use super::queries::{quantile, start_unsettled};
use super::{Fleet, Job};
use crate::child::{self, Child};
use crate::stores::{Place, Store, StoreKind};

/// Each time the process that opened the store is killed as well, so that the next one finds the same log.
const TIMES: usize = 5;

#[derive(Serialize, Deserialize)]
struct Opened {
    seconds: f64,
    rows: u64,
}

/// Seconds to open, the median of several times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reopen {
    pub(crate) kind: StoreKind,
    pub(crate) seconds: f64,
}

/// Fills, kills and opens one kind of store. Every row must still be there: all of them were acknowledged.
pub(crate) fn measure(fleet: &Fleet, kind: StoreKind) -> Result<Reopen> {
    let scratch = fleet.scratch("reopen")?;
    let place = Place { kind, directory: scratch.path().join("data") };
    start_unsettled(fleet, place.clone())?.kill()?;
    let expected = (fleet.seconds * DEVICES) as u64;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let mut child = Child::start(kind.name(), &Job::Reopen(place.clone()))?;
        let opened: Opened = child.ask(&())?;
        child.kill()?;
        ensure!(opened.rows == expected, "{} has {} of {expected} rows after a kill", kind.name(), opened.rows);
        times.push(opened.seconds);
    }
    Ok(Reopen { kind, seconds: quantile(&times, 0.5) })
}

/// The child that opens.
pub(crate) fn serve<S: Store>(place: &Place) -> Result<()> {
    child::serve(|(): ()| {
        let begin = Instant::now();
        let store = S::open(place.kind, &place.directory)?;
        let seconds = begin.elapsed().as_secs_f64();
        let rows = store.rows()?;
        // Not closed: that would settle the log. The parent kills this process.
        std::mem::forget(store);
        Ok(Opened { seconds, rows })
    })
}
