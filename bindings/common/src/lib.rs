//! What the bindings share, so that C and Python mean the same by the same words:
//!
//! - `shared`: a database that several handles have, is closed once, and is nobody's in a child that was forked;
//! - `forked`: how a child is known;
//! - `settings`, `filter`, `schema`, `columns`: settings by their names, conditions on documents, tables that are to be there, and columns
//!   as tables take them;
//! - `acks`: rows that become durable while their writer goes on;
//! - `sync`: carries what is there to a target, in a thread of its own.

mod acks;
mod columns;
mod filter;
mod forked;
mod schema;
mod settings;
mod shared;
mod sync;

pub use acks::{Acks, Pending};
pub use columns::fitted;
pub use filter::condition;
pub use forked::Here;
pub use schema::ensure;
pub use settings::set;
pub use shared::Shared;
pub use sync::{Sync, SyncError, statuses};
