//! Alluvium in C and C++, in process: the functions of `include/alluvium.h`, which cbindgen makes of this crate.
//!
//! - `status`, `handle`, `guard`, `text`: what every function needs: errors, handles that know when they are misused, and text and bytes across
//!   the boundary;
//! - `settings`, `database`, `table`, `rows`, `arrow`, `acks`, `query`: readings;
//! - `transaction`, `kv`, `document`, `queue`, `changes`: what lies beside them;
//! - `sync`: carrying it to a target.

#![expect(unsafe_code, reason = "a foreign caller vouches for its pointers")]
#![expect(non_camel_case_types, reason = "types are named as C names them")]

mod guard;

mod handle;

pub mod status;
pub mod text;

pub mod settings;

pub mod database;

pub mod table;

pub mod rows;

pub mod acks;

pub mod arrow;

pub mod query;

pub mod transaction;

pub mod kv;

pub mod document;

pub mod queue;

pub mod changes;

pub mod sync;
