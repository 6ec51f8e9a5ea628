//! HTTP for people and tools, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;

use super::session::Server;
use crate::failure::{Failure, Outcome};

/// Binds the socket.
pub(super) async fn listen(at: SocketAddr) -> Outcome<TcpListener> {
    if !at.ip().is_loopback() {
        return Err(Failure::usage(format_args!(
            "HTTP is served without TLS, so on loopback only, not on {at}: name another --http"
        )));
    }
    TcpListener::bind(at).await.map_err(|error| Failure::io("listen on", at, &error))
}

/// Answers until the server ends, and what is under way then.
pub(super) async fn serve(server: Arc<Server>, api: Router, listener: TcpListener) {
    let closing = async move { server.is_closing().await };
    // It ends when it is told to, whatever happens to single connections.
    let _ = axum::serve(listener, api).with_graceful_shutdown(closing).await;
}
