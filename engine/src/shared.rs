//! What all models of metadata share besides the key space.

use std::sync::Arc;

use crate::counters::Counters;
use crate::document::{Definitions, Validators};
use crate::error::{Error, Result};
use crate::format::limits;
use crate::io::Entropy;
use crate::settings::Settings;

/// Counters, limits, randomness and what is worked out once, of one open database.
#[derive(Debug)]
pub struct Shared {
    pub(crate) counters: Counters,
    value_bytes: usize,
    pub(crate) document_bytes: usize,
    pub(crate) document_depth: usize,
    pub(crate) definitions: Definitions,
    pub(crate) validators: Validators,
    entropy: Arc<dyn Entropy>,
}

impl Shared {
    pub(crate) fn new(settings: &Settings, entropy: Arc<dyn Entropy>) -> Self {
        Shared {
            counters: Counters::default(),
            value_bytes: settings.value_bytes,
            document_bytes: settings.document_bytes,
            // What is stored has to be read again, and the parser stops at 128 levels.
            document_depth: settings.document_depth.min(120),
            definitions: Definitions::default(),
            validators: Validators::default(),
            entropy,
        }
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes).map_err(|error| Error::Internal(format!("no random bytes: {error}")))?;
        Ok(bytes)
    }

    /// Refuses a value that is too large. `what` says what it is a value of.
    pub(crate) fn check_value(&self, what: &'static str, value: &[u8]) -> Result<()> {
        limits::check(what, value.len() as u64, self.value_bytes as u64, "value_bytes")
    }
}
