//! PostgreSQL as the centre: the ledger of what all gateways cut and delivered, and the home of the metadata they replicate.
//!
//! - [`Ledger`]: what a gateway does there. It has no rights on tables and runs no DDL: it calls functions of one API version, each of which is a
//!   transaction of its own, knows the gateway by name and secret, and takes everything else for hostile;
//! - [`Central`]: what the owner does there: making and migrating the schema, provisioning gateways, asking how all of them are;
//! - [`Options`]: how either gets there. TLS with the server's certificate and name verified, unless something else is asked for.
//!
//! The schema is in `schema/`: numbered migrations of tables, which never change once released, and functions and views, which each
//! migration puts in anew. It needs PostgreSQL 13 or later and no extension. With TimescaleDB it is the same: what could be a hypertable is segments, which
//! need a unique key that hypertables have only with their time column, and which native partitions of a month serve as well; so it is reported and no more.
//!
//! Gateways share a login role, `alluvium_gateway`, which PostgreSQL lets change its own password and cancel its own sessions. Who fears that of a
//! gateway gives some of them login roles of their own, members of that one, or puts a pooler before it that alone knows the password.
//!
//! Nothing here keeps state in a session and no statement has a name, so that a pooler that lends sessions for single transactions is no trouble.

mod answers;
mod central;
mod connect;
mod error;
mod ledger;
mod options;
mod schema;
mod secret;
mod settings;
mod status;
mod tls;

pub use answers::{Advance, Applied, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Segment};
pub use central::{Central, Migrated};
pub use error::Error;
pub use ledger::Ledger;
pub use options::{Options, Tls};
pub use secret::{Secret, SecretFrom};
pub use settings::{NotASetting, Settings};
pub use status::{GatewayStatus, Status, Timescale};

/// The version of the functions that [`Ledger`] calls.
pub const API: u32 = 1;
