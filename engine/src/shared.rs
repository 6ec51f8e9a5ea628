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
    pub(crate) audit_entries: u64,
    pub(crate) writers: usize,
    value_bytes: usize,
    batch_bytes: usize,
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
            audit_entries: settings.audit_entries,
            writers: settings.writers,
            value_bytes: settings.value_bytes,
            batch_bytes: settings.batch_bytes,
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

    /// Refuses what is too large together.
    pub(crate) fn check_batch(&self, what: &'static str, bytes: usize) -> Result<()> {
        limits::check(what, bytes as u64, self.batch_bytes as u64, "batch_bytes")
    }
}

/// Refuses text that cannot name anything: empty, longer than so many bytes, or with control characters. `what` says what it is.
pub(crate) fn check_text(what: &str, text: &str, most: usize) -> Result<()> {
    if text.is_empty() || text.len() > most {
        return Err(Error::invalid(format!("a {what} has 1 to {most} bytes, not {}", text.len())));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(odd) => Err(Error::invalid(format!("{what} {text:?} holds the control character {odd:?}"))),
        None => Ok(()),
    }
}
