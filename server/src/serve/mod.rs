//! The server: one database for devices, over QUIC, as `server/PROTOCOL.md` says.
//!
//! From the outside in:
//!
//! - `endpoint`: sockets, handshakes, and how many of each; `identifiers`: how connections are known again;
//! - `connection`: the greeting, then a task for every stream; `stream`: frames, each within its time;
//! - `writer`: batches that count once, and the threads that apply them; `intake`: rows of requests; `query`: answers; `call`: what is asked in JSON;
//! - `http`: the same for people and tools; `ipc`: rows as Arrow IPC streams;
//! - `access`: who may do what; `failed`: what went wrong, as clients are told;
//! - `metrics`: what those who watch are told;
//! - `readiness`: whether it can be relied on; `wall`: whether the clock can;
//! - `session`: what requests know; `settings`: what is allowed; `shares`: how much of it one principal has.

mod access;
mod call;
mod connection;
mod endpoint;
pub(crate) mod failed;
mod http;
mod identifiers;
pub(crate) mod intake;
pub(crate) mod ipc;
pub(crate) mod metrics;
pub(crate) mod query;
mod readiness;
mod session;
mod settings;
mod shares;
mod stream;
mod wall;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alluvium::Database;
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::api;
use crate::certificates::Clock;
use crate::config::HttpSettings;
use crate::failure::{Failure, Outcome};
use crate::sync::{AtWork, Links};
use access::Access;
pub(crate) use access::Caller;
pub(crate) use endpoint::{Guests, endpoint};
pub(crate) use identifiers::Secret;
use metrics::{Metrics, Sampled};
pub(crate) use readiness::{Checks, checks};
pub(crate) use session::Server;
pub(crate) use settings::Settings;
use shares::Shares;
use wall::WallClock;
use writer::{LaneThreads, Lanes};

/// How often refusals are written to the audit trail.
const AUDIT_EVERY: Duration = Duration::from_secs(1);
/// For how long clients are told that it ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// For devices, over QUIC.
    pub(crate) quic: SocketAddr,
    /// For people and tools, over HTTP, if at all.
    pub(crate) http: Option<SocketAddr>,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Running {
    server: Arc<Server>,
    endpoint: quinn::Endpoint,
    /// Where it listens in fact.
    pub(crate) places: Places,
    /// Whether HTTP is served over TLS.
    pub(crate) is_secure: bool,
    closing: watch::Sender<bool>,
    lanes: LaneThreads,
    at_work: AtWork,
}

impl Running {
    /// Begins to serve a database. `guests` says who comes through the handshake.
    pub(crate) async fn start(
        db: Arc<Database>,
        gateway: String,
        guests: Guests,
        settings: Settings,
        places: Places,
        doors: &HttpSettings,
        links: Links,
    ) -> Outcome<Running> {
        let endpoint = endpoint(&guests, &settings, places.quic)?;
        let http = match places.http {
            Some(at) => Some(http::Door::open(at, &guests).await?),
            None => None,
        };
        let unknown = |error| Failure::io("ask for", "the address of the server", &error);
        let places = Places {
            quic: endpoint.local_addr().map_err(unknown)?,
            http: http.as_ref().map(http::Door::at).transpose().map_err(unknown)?,
        };
        let is_secure = http.as_ref().is_some_and(http::Door::is_secure);
        let metrics = Metrics::new();
        let (lanes, threads) =
            Lanes::start(&db, settings.lanes, &metrics).map_err(|error| Failure::io("start", "a thread", &error))?;
        let (closing, is_closing) = watch::channel(false);
        let room = Shares::new(settings.received_bytes, settings.bulk_bytes + settings.unpacked_bytes + intake::STEP);
        let (queries, connections) = (Shares::new(settings.queries, 1), Shares::new(settings.connections, 1));
        let server = Arc::new(Server {
            access: Access::new(db.clone()),
            db,
            gateway,
            office: guests.office.clone(),
            lanes,
            seats: writer::Seats::default(),
            metrics,
            sampled: Sampled::default(),
            wall: WallClock::new(
                guests.office.as_ref().map_or_else(|| Clock::new(None), |office| office.judge().clock().clone()),
            ),
            links,
            room,
            queries,
            connections,
            closing: is_closing,
            settings,
        });
        let api = api::router(server.clone());
        if let Some((http, at)) = http.zip(places.http) {
            // Without certificates there are no tokens either.
            let open = guests.office.is_none().then_some(axum::Extension(Caller::Anybody));
            let api = open.map_or(api.clone(), |anybody| api.clone().layer(anybody));
            let api = api::hang(api, doors, at, &server.gateway);
            tokio::spawn(http::serve(server.clone(), api, http));
        }
        tokio::spawn(endpoint::accept(server.clone(), api, endpoint.clone(), guests));
        tokio::spawn(write_refusals(server.clone()));
        tokio::spawn(watch_the_clock(server.clone()));
        let at_work = server.links.start(&server.db);
        Ok(Running { server, endpoint, places, is_secure, closing, lanes: threads, at_work })
    }

    /// The gate of all requests, to be told of changes.
    pub(crate) fn access(&self) -> &Access {
        &self.server.access
    }

    /// Whether the disk takes writes.
    pub(crate) async fn check(&self) -> Result<(), Failed> {
        self.server.engine(Database::flush).await
    }

    /// Ends: takes no more, waits for what is under way, no longer than the settings say, and writes what was refused.
    pub(crate) async fn finish(self) -> Outcome {
        let within = self.server.settings.closing;
        self.closing.send_replace(true);
        self.at_work.finish().await;
        let all = async {
            while Arc::strong_count(&self.server) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            warn!("connections are still busy after {} s: what they were about is not acknowledged", within.as_secs());
        }
        self.endpoint.close(quinn::VarInt::from_u32(Code::Closing.number().into()), b"the server ends");
        // So that clients hear of it.
        let _ = tokio::time::timeout(LAST_WORDS, self.endpoint.wait_idle()).await;
        self.server.access.write_refusals()?;
        let Running { server, lanes, .. } = self;
        if Arc::into_inner(server).is_some() {
            lanes.join();
        }
        Ok(())
    }
}

/// Writes refusals to the audit trail now and then, until the server ends.
async fn write_refusals(server: Arc<Server>) {
    while tokio::time::timeout(AUDIT_EVERY, server.is_closing()).await.is_err() {
        let access = server.clone();
        let written = server.engine(move |_| access.access.write_refusals()).await;
        if let Err(failed) = written {
            warn!(reason = failed.message, "refusals wait to be written to the audit trail");
        }
    }
}

/// Notices when the wall clock jumps, until the server ends.
async fn watch_the_clock(server: Arc<Server>) {
    while tokio::time::timeout(wall::LOOKED_AT_EVERY, server.is_closing()).await.is_err() {
        if let Err(reason) = server.wall.look() {
            debug!(reason, "the wall clock cannot be believed");
        }
    }
}

/// Threads for connections; what waits for the disk has others.
pub(crate) fn runtime() -> Outcome<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(32).enable_all().build();
    runtime.map_err(|error| Failure::io("start", "the server's threads", &error))
}
