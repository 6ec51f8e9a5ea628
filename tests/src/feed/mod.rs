//! The change feed against the list of effects of the model.

mod found;
mod leads;
mod told;

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

pub use found::Found;
pub use told::told;

/// What an effect must be told as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// So many rows of a table, by its number.
    Rows(u32, u64),
    /// Rows deleted, of a table by its number, and the hash of which: not told once the table was dropped.
    Deleted(u32, u64),
    /// A table was dropped.
    Dropped(u32),
    /// Anything else, by its hash.
    Other(u64),
}

fn hash(what: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(what)
}

fn document(at: (u32, &str), json: &str, deleted: bool) -> Told {
    Told::Other(hash(("document", at, json, deleted)))
}

fn item(at: (u32, u64), payload: &[u8]) -> Told {
    Told::Other(hash(("item", at, payload)))
}

fn pair(key: &str, value: &[u8]) -> Told {
    Told::Other(hash(("pair", key, value)))
}
