//! The certificates by which the server and its clients know each other.
//!
//! They lie in `certificates/` of the database directory: those of a certificate authority of the gateway's own (`ca.pem`, and
//! `ca.key`, which may be kept elsewhere), those of the server (`server.pem`, `server.key`), and authorities of others that are
//! trusted (`trusted/ISSUER.pem`). A client is the principal that its certificate names: `NAME` by our own authority,
//! `NAME@ISSUER` by another, so that no other can speak for one of ours. Which certificates were revoked is known by the engine.

mod authority;
mod clock;
mod der;
pub(crate) mod files;
mod gateway;
mod identity;
mod issue;
mod judge;
mod office;
mod output;
mod roots;
mod served;
mod store;
#[cfg(test)]
mod tests;
mod trusted;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub(crate) use clock::Clock;
pub(crate) use identity::{Identity, Unfit};
pub(crate) use issue::{Issued, Subject};
pub(crate) use judge::Judge;
pub(crate) use office::Office;
pub(crate) use output::Output;
pub(crate) use store::Store;

/// The id of the gateway that a database directory is of: its server's, or else after its host.
pub(crate) fn gateway_of(data: &std::path::Path) -> crate::failure::Outcome<String> {
    Ok(Store::find(data)?.map_or_else(gateway::default_id, |store| store.gateway()))
}

/// From when on everything holds that is issued here, in seconds since 1970: from 2020, so that it does on a clock that is behind.
const BEGIN: i64 = 1_577_836_800;
/// To when at the latest: the end of 2059, when our own authority ends.
const END: i64 = 2_840_140_800;

/// The cryptography of all of it, never what the process happens to have installed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
