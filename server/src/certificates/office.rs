//! Certificates as a running server has them: those that are there, and what those of others are worth.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::{Clock, Issued, Judge, Store, Subject};
use crate::failure::Outcome;

/// The store, and the judge of what clients show.
#[derive(Debug)]
pub(crate) struct Office {
    store: Store,
    judge: Arc<Judge>,
}

impl Office {
    /// Opens it, and makes what is missing: see [`Store::open_or_make`].
    pub(crate) fn open(data: &Path, gateway: Option<&str>, clock: Clock) -> Outcome<Office> {
        let store = Store::open_or_make(data, gateway, &clock)?;
        let judge = Arc::new(Judge::new(&store, clock)?);
        Ok(Office { store, judge })
    }

    /// How the server shakes hands.
    pub(crate) fn server_config(&self) -> Outcome<ServerConfig> {
        self.store.server_config(self.judge.clone())
    }

    /// How it does with people and tools, who have no certificates.
    pub(crate) fn https_config(&self) -> Outcome<ServerConfig> {
        self.store.https_config()
    }

    /// The authority's certificate in PEM: what clients trust.
    pub(crate) fn authority_pem(&self) -> Outcome<String> {
        self.store.authority_pem()
    }

    /// The gateway's id.
    pub(crate) fn gateway(&self) -> String {
        self.store.gateway()
    }

    /// Who says whom certificates name.
    pub(crate) fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Takes certificates and authorities as they are by now.
    pub(crate) fn reload(&self) -> Outcome {
        self.store.reload()?;
        self.judge.reload()
    }

    /// By which time certificates are judged, in µs since 1970.
    pub(crate) fn now_micros(&self) -> i64 {
        i64::try_from(self.judge.clock().now().as_micros()).unwrap_or(i64::MAX)
    }

    /// Certifies the key of a signing request in PEM, for so many days from now.
    pub(crate) fn certify(&self, principal: &str, request: &str, days: u32) -> Outcome<Issued> {
        let subject = Subject::requested(request.as_bytes(), Path::new("the request"))?;
        self.store.authority()?.issue(principal, &subject, days, self.judge.clock())
    }
}
