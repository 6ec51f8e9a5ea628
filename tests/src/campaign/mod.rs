//! Campaigns: many small trials of what Alluvium promises. Each runs a bounded number of them as a test, and as many as asked for
//! from `tests/run soak`.

pub mod faults;
pub mod flips;
pub mod hostile;
pub mod memory;
mod parallel;
pub mod power;
pub mod sample;
pub mod subject;
pub mod sync;
pub mod workload;
pub mod world;

use std::fmt;

pub use parallel::{Progress, parallel};

/// A promise that did not hold, and how to see it again.
#[derive(Debug, Clone)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says where a violation was seen.
pub(crate) fn at(place: impl fmt::Display) -> impl FnOnce(Violation) -> Violation {
    move |Violation(what)| Violation(format!("{place}: {what}"))
}

/// A violation unless something holds.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what())) }
}
