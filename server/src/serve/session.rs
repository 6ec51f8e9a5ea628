//! What every request of a connection knows.

use std::sync::Arc;

use alluvium::Database;
use alluvium_protocol::message::Failed;
use axum::Router;
use tokio::sync::watch;

use super::access::{Access, Caller};
use super::failed;
use super::metrics::{Metrics, Present, Sampled};
use super::settings::Settings;
use super::shares::Shares;
use super::wall::WallClock;
use super::writer::{Lanes, Seats};
use crate::certificates::Office;
use crate::sync::Links;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) db: Arc<Database>,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    /// The gateway's id.
    pub(crate) gateway: String,
    /// Its certificates, unless it goes without.
    pub(crate) office: Option<Arc<Office>>,
    pub(crate) metrics: Metrics,
    pub(crate) sampled: Sampled,
    pub(crate) wall: WallClock,
    /// Where everything is carried to.
    pub(crate) links: Links,
    pub(super) lanes: Lanes,
    pub(super) seats: Seats,
    /// Bytes of large frames that may be received.
    pub(super) room: Shares,
    /// Queries that may run.
    pub(super) queries: Shares,
    /// Connections over QUIC that may be.
    pub(super) connections: Shares,
    /// Whether the server is about to end.
    pub(super) closing: watch::Receiver<bool>,
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
    /// What answers requests in JSON.
    pub(super) api: Router,
}

impl Session {
    pub(super) fn access(&self) -> &Access {
        &self.server.access
    }
}

impl Server {
    /// Resolves once the server is about to end.
    pub(crate) async fn is_closing(&self) {
        // The sender lives as long as the server runs.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }

    /// What is under way, and what was refused.
    pub(crate) fn present(&self) -> Present {
        Present {
            queries: self.settings.queries.saturating_sub(self.queries.left()),
            refusals: self.access.refused(),
            endurance_bytes: self.settings.endurance_bytes,
        }
    }

    /// Does something of the engine that may wait for the disk.
    pub(super) async fn engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> alluvium::Result<T> + Send + 'static,
    ) -> Result<T, Failed> {
        self.blocking(work).await?.map_err(|error| failed::of_engine(&error))
    }

    /// The same with what the engine says of it.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> alluvium::Result<T> + Send + 'static,
    ) -> Result<alluvium::Result<T>, Failed> {
        let db = self.db.clone();
        let done = tokio::task::spawn_blocking(move || work(&db)).await;
        done.map_err(|_| failed::gave_up())
    }
}
