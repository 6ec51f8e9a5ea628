//! The socket: who is let in, and how many at once.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use axum::Router;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, IdleTimeout, Incoming, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use tracing::debug;

use super::access::Caller;
use super::metrics::Refusal;
use super::session::Server;
use super::settings::Settings;
use super::shares::Shares;
use super::{Secret, connection, failed, identifiers};
use crate::certificates::{Identity, Judge, Office};
use crate::failure::{Failure, Outcome};

/// Bytes of one stream, and of all of a connection, that were received and not read yet.
const STREAM_BYTES: u32 = 256 << 10;
const CONNECTION_BYTES: u32 = 512 << 10;
/// Bytes on the way to a client.
const SENT_BYTES: u64 = 1 << 20;

/// Who comes through the handshake.
#[derive(Debug, Clone)]
pub(crate) struct Guests {
    /// What TLS is to do.
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// Who says what their certificates are worth. Without, everybody may do everything.
    pub(crate) office: Option<Arc<Office>>,
    /// What servers of the database know their connections by.
    pub(crate) secret: Secret,
}

/// Someone who came through it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) caller: Caller,
    certificates: Vec<CertificateDer<'static>>,
    office: Option<Arc<Office>>,
}

impl Guest {
    /// Whom a connection's certificate names. The handshake has looked at it already.
    fn of(connection: &Connection, office: Option<Arc<Office>>) -> Result<Guest, Failed> {
        let Some(office) = office else { return Ok(Guest { caller: Caller::Anybody, certificates: Vec::new(), office: None }) };
        let certificates =
            connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificates = certificates.map(|certificates| *certificates).unwrap_or_default();
        let Identity { principal, key, .. } = identify(office.judge(), &certificates)?;
        let caller = Caller::Certified { principal: principal.into(), key };
        Ok(Guest { caller, certificates, office: Some(office) })
    }

    /// Whether the certificate still holds: it may have ended, and its authority may be trusted no more.
    pub(super) fn check(&self) -> Result<(), Failed> {
        self.office.as_ref().map_or(Ok(()), |office| identify(office.judge(), &self.certificates).map(|_| ()))
    }
}

fn identify(judge: &Judge, certificates: &[CertificateDer<'_>]) -> Result<Identity, Failed> {
    let unauthenticated = |why: &dyn std::fmt::Display| Failed::new(Code::Unauthenticated, why.to_string());
    let Some((end_entity, others)) = certificates.split_first() else {
        return Err(unauthenticated(&"no certificate was shown: see `alluvium cert issue`"));
    };
    judge.identify(end_entity, others).map_err(|error| unauthenticated(&error))
}

/// Binds the socket.
pub(crate) fn endpoint(guests: &Guests, settings: &Settings, at: SocketAddr) -> Outcome<Endpoint> {
    let tls =
        QuicServerConfig::try_from(guests.tls.clone()).map_err(|error| Failure::failed(format_args!("TLS for QUIC: {error}")))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport(settings)?));
    config.max_incoming(settings.handshakes * 2).incoming_buffer_size(16 << 10).incoming_buffer_size_total(4 << 20);
    let runtime = quinn::default_runtime().ok_or_else(|| Failure::failed("QUIC is served within tokio"))?;
    let bound =
        UdpSocket::bind(at).and_then(|socket| Endpoint::new(identifiers::config(&guests.secret), Some(config), socket, runtime));
    bound.map_err(|error| Failure::io("listen on", at, &error))
}

fn transport(settings: &Settings) -> Outcome<TransportConfig> {
    let idle = IdleTimeout::try_from(settings.idle).map_err(|_| Failure::usage("the idle timeout is too long"))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(settings.streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_BYTES.into())
        .receive_window(CONNECTION_BYTES.into())
        .send_window(SENT_BYTES)
        .max_idle_timeout(Some(idle));
    Ok(transport)
}

/// Lets connections in until the server ends.
pub(super) async fn accept(server: Arc<Server>, api: Router, endpoint: Endpoint, guests: Guests) {
    let most = server.settings.handshakes;
    let handshakes = Shares::new(most, 1);
    loop {
        let incoming = tokio::select! {
            () = server.is_closing() => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let share = handshakes.of_network(incoming.remote_address().ip());
        let Ok(handshake) = share.try_take(1) else {
            server.metrics.handshake_refused(Refusal::Crowded);
            incoming.refuse();
            continue;
        };
        // Of a network's share half as well, since others may say that they come from there.
        let is_crowded = handshakes.left() < most / 2 || share.left() < most / 4;
        if is_crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            // It may be refused only where it was retried before.
            let _ = incoming.retry();
            continue;
        }
        let (server, office, api) = (server.clone(), guests.office.clone(), api.clone());
        tokio::spawn(async move {
            let connected = shake(incoming, &server).await;
            drop(handshake);
            let Some(connection) = connected else { return };
            let guest = Guest::of(&connection, office).map_err(|failed| (Refusal::Nobody, failed));
            let guest = guest.and_then(|guest| match server.connections.of(&guest.caller).try_take(1) {
                Ok(place) => Ok((guest, place)),
                Err(_) => Err((Refusal::Full, failed::busy("too many connections: connect again later"))),
            });
            match guest {
                Ok((guest, _place)) => connection::serve(server, api, connection, guest).await,
                Err((why, failed)) => {
                    server.metrics.handshake_refused(why);
                    connection::close(&connection, &failed);
                }
            }
        });
    }
}

async fn shake(incoming: Incoming, server: &Server) -> Option<Connection> {
    let peer = incoming.remote_address();
    match timeout(server.settings.first_frame, incoming).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            server.metrics.handshake_refused(Refusal::Failed);
            debug!(%peer, %error, "handshake failed");
            None
        }
        Err(_) => {
            server.metrics.handshake_refused(Refusal::Timeout);
            debug!(%peer, "handshake took too long");
            None
        }
    }
}
