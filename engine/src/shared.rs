//! What all models of metadata share besides the key space.

use crate::counters::Counters;
use crate::error::Result;
use crate::format::limits;
use crate::settings::Settings;

/// Counters and limits of one open database.
#[derive(Debug)]
pub struct Shared {
    pub(crate) counters: Counters,
    value_bytes: usize,
}

impl Shared {
    pub(crate) fn new(settings: &Settings) -> Self {
        Shared { counters: Counters::default(), value_bytes: settings.value_bytes }
    }

    /// Refuses a value that is too large. `what` says what it is a value of.
    pub(crate) fn check_value(&self, what: &'static str, value: &[u8]) -> Result<()> {
        limits::check(what, value.len() as u64, self.value_bytes as u64, "value_bytes")
    }
}
