//! What a gateway leaves in an object store, and what can be proved from that alone.
//!
//! - [`remote`]: the names of objects and the manifests, as `REMOTE.md` says, which has the whole format in words;
//! - [`prove`]: whether the manifests hang together, and which units they announce are held, without I/O;
//! - [`objects`]: puts objects into a store and gets them back, and asks it for what the prover has to be told.
//!
//! No engine: an auditor needs no more than this to check a bucket.

pub mod objects;
pub mod prove;
pub mod remote;
