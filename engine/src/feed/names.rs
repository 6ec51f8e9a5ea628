//! Names of collections and queues, of which documents and items say only the numbers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::change::Owner;
use crate::catalog::Stored;
use crate::error::{Error, Result};

/// How many are remembered; with more, all are forgotten.
const MOST: usize = 4_096;

/// Answers what a key of metadata holds.
type Look = dyn Fn(&[u8]) -> Result<Option<Stored>> + Send + Sync;

/// Looks up names and remembers them.
pub(super) struct Names {
    look: Box<Look>,
    known: HashMap<(u8, u32), Option<Arc<str>>>,
}

impl Names {
    pub(super) fn new(look: impl Fn(&[u8]) -> Result<Option<Stored>> + Send + Sync + 'static) -> Self {
        Names { look: Box::new(look), known: HashMap::new() }
    }

    /// Names may have changed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// What has a number, the names of whose kind are in a space.
    pub(super) fn owner(&mut self, space: u8, number: u32) -> Result<Owner> {
        if let Some(name) = self.known.get(&(space, number)) {
            return Ok(Owner { number, name: name.clone() });
        }
        let key: Vec<u8> = [space].into_iter().chain(number.to_be_bytes()).collect();
        let name = (self.look)(&key)?.map(|(_, name)| text(&name)).transpose()?;
        if self.known.len() >= MOST {
            self.forget();
        }
        self.known.insert((space, number), name.clone());
        Ok(Owner { number, name })
    }
}

fn text(name: &[u8]) -> Result<Arc<str>> {
    std::str::from_utf8(name).map(Arc::from).map_err(|_| Error::Internal("a name that is no text".to_owned()))
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("known", &self.known).finish_non_exhaustive()
    }
}
