//! HTTP for people and tools: plain on loopback, over TLS with the server's certificate anywhere else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::endpoint::Guests;
use super::session::Server;
use crate::failure::{Failure, Outcome};

/// How long it waits after a connection could not be accepted, as where there are no more files to open.
const BREATHER: Duration = Duration::from_millis(100);

/// A socket, and how it is entered.
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Door {
    /// Binds the socket.
    pub(super) async fn open(at: SocketAddr, guests: &Guests) -> Outcome<Door> {
        let tls = match &guests.office {
            _ if at.ip().is_loopback() => None,
            Some(office) => Some(TlsAcceptor::from(Arc::new(office.https_config()?))),
            None => {
                return Err(Failure::usage(format_args!(
                    "--dev serves HTTP without TLS, so on loopback only, not on {at}: leave out --dev, or name another --http"
                )));
            }
        };
        let listener = TcpListener::bind(at).await.map_err(|error| Failure::io("listen on", at, &error))?;
        Ok(Door { listener, tls })
    }

    /// Where it listens.
    pub(super) fn at(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether clients come over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}

/// Answers until the server ends, and what is under way then.
pub(super) async fn serve(server: Arc<Server>, api: Router, Door { listener, tls }: Door) {
    let places = Arc::new(Semaphore::new(server.settings.http_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let entered = tokio::select! {
            () = server.is_closing() => break,
            entered = enter(&listener, &places) => entered,
        };
        let Some((stream, peer, place)) = entered else { continue };
        let visit = Visit { api: api.clone(), peer, within: server.settings.first_frame, watcher: graceful.watcher() };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => visit.answer(stream).await,
                Some(tls) => match timeout(visit.within, tls.accept(stream)).await {
                    Ok(Ok(stream)) => visit.answer(stream).await,
                    Ok(Err(error)) => debug!(%peer, %error, "handshake failed"),
                    Err(_) => debug!(%peer, "handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn enter(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            warn!(%error, "a connection could not be accepted");
            sleep(BREATHER).await;
            None
        }
    }
}

/// A connection.
struct Visit {
    api: Router,
    peer: SocketAddr,
    /// Within which time the head of a request has to come.
    within: Duration,
    watcher: Watcher,
}

impl Visit {
    /// Answers its requests, one after another.
    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Visit { api, peer, within, watcher } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = api.clone().oneshot(request.map(Body::new));
            async { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(within)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            debug!(%peer, %error, "connection broke off");
        }
    }
}
