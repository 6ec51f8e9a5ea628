//! What a gateway leaves in an object store and in PostgreSQL, and what can be proved from the store alone.
//!
//! - [`remote`]: the names of objects and the manifests, as `REMOTE.md` says, which has the whole format in words;
//! - [`prove`]: whether the manifests hang together, and which units they announce are held, without I/O;
//! - [`bucket`]: asks an object store for what the prover has to be told;
//! - [`postgres`]: the centre, where all gateways register what they cut and delivered.
//!
//! No engine: an auditor needs no more than this to check a bucket.

pub mod bucket;
pub mod postgres;
pub mod prove;
pub mod remote;
