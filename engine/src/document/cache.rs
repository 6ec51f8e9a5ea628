//! What is worked out from cells once and used often: definitions and compiled schemas.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use parking_lot::RwLock;

use super::definition::Definition;
use crate::error::Result;
use crate::keyspace::revision;
use crate::model::Sequence;

/// How many of each are kept; with more, all are forgotten.
const MOST: usize = 4_096;

/// Definitions by name, each in the revision it was worked out from.
#[derive(Debug, Default)]
pub(crate) struct Definitions(RwLock<HashMap<String, (Sequence, Arc<Definition>)>>);

impl Definitions {
    /// The definition in the cell of a record, worked out if it has to be.
    pub(super) fn get(
        &self,
        name: &str,
        sequence: Sequence,
        decode: impl FnOnce() -> Result<Definition>,
    ) -> Result<Arc<Definition>> {
        if let Some((known, definition)) = self.0.read().get(name)
            && *known == sequence
        {
            return Ok(definition.clone());
        }
        let definition = Arc::new(decode()?);
        // What a transaction has just written may look otherwise in the next one.
        if revision(sequence) != 0 {
            let mut known = self.0.write();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(name.to_owned(), (sequence, definition.clone()));
        }
        Ok(definition)
    }
}

/// Compiled schemas by collection and version, which never change once there.
#[derive(Default)]
pub(crate) struct Validators(RwLock<HashMap<(u32, u32, Sequence), Arc<Validator>>>);

impl Validators {
    /// The schema of a collection and version, which its cell has from a record; compiled if it has to be.
    pub(super) fn get(
        &self,
        (collection, version, sequence): (u32, u32, Sequence),
        compile: impl FnOnce() -> Result<Validator>,
    ) -> Result<Arc<Validator>> {
        if let Some(validator) = self.0.read().get(&(collection, version, sequence)) {
            return Ok(validator.clone());
        }
        let validator = Arc::new(compile()?);
        if revision(sequence) != 0 {
            let mut known = self.0.write();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert((collection, version, sequence), validator.clone());
        }
        Ok(validator)
    }
}

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.read().keys()).finish()
    }
}
