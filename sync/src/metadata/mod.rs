//! The metadata that changed, as JSON lines: what travels beside manifests.
//!
//! - [`Line`] and what it may say, as `REMOTE.md` has it: read by whoever restores or replicates;
//! - [`Delta`]: writes down what changed in a database after a record, compressed.

mod delta;
mod line;
mod read;
mod told;

#[cfg(test)]
mod tests;

pub use delta::{Delta, Looked, NotWritten, Told};
pub use line::{
    AuditValue, Bytes, CollectionValue, DocumentValue, FieldValue, IndexValue, ItemStateValue, ItemValue, Line, PairValue,
    PrincipalValue, QueueValue, ReferenceValue, RoleValue, SchemaValue, TableValue, kind,
};
pub(crate) use read::Lines;
pub use read::NotRead;
pub use told::Wanted;
pub(crate) use told::{unit, wall};
