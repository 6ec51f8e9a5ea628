//! The objects of a bucket: how they are called, and what manifests say.

mod id;
mod key;
mod manifest;
mod period;

pub use id::{Hash, Incarnation};
pub use key::{Key, SegmentKey};
pub use manifest::{
    AuditHead, Delta, Erasure, FORMAT, Gap, Link, MOST_BYTES, Malformed, Manifest, Series, Table, TimeUnit, Unit,
};
pub use period::{Period, PeriodKind};
