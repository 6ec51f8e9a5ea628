//! What a gateway leaves in an object store and in PostgreSQL: how it gets there, and what can be proved from the store alone.
//!
//! What an auditor needs, without the engine:
//!
//! - [`remote`]: the names of objects and the manifests, as `REMOTE.md` says, which has the whole format in words;
//! - [`prove`]: whether the manifests hang together, and which units they announce are held, without I/O;
//! - [`objects`]: puts objects into a store and gets them back, and asks it for what the prover has to be told.
//!
//! - [`verify`]: compares that with what a database notes.
//!
//! What a gateway does:
//!
//! - [`gather`] and [`metadata`]: what a cut of its database is announced with;
//! - [`worker`]: carries all of it to a target, and goes on after whatever happens;
//! - [`restore`]: makes a database again of what a bucket holds.
//! - [`duckdb`]: reads exactly the rows of a table where they lie.
//!
//! - [`postgres`]: the centre, where all gateways register what they cut and delivered.

pub mod duckdb;
pub mod gather;
pub mod metadata;
pub mod objects;
pub mod postgres;
pub mod prove;
pub mod remote;
pub mod restore;
pub mod verify;
pub mod worker;
