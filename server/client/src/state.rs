//! How a client stands with its server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Error;

/// How a client stands with its server, as [`Client::state`](crate::Client::state) tells.
///
/// ```no_run
/// # async fn run(client: alluvium_client::Client) {
/// use alluvium_client::State;
///
/// let mut state = client.state();
/// while state.changed().await.is_ok() {
///     if let State::Failing { error, .. } = &*state.borrow_and_update() {
///         eprintln!("somebody has to mend this: {error}");
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// It is being connected.
    Connecting,
    /// There is a connection.
    Connected(Peer),
    /// There is none, for a reason that goes away by itself. It is tried again.
    Waiting {
        /// The reason.
        error: Error,
        /// After how long it is tried again.
        again: Duration,
    },
    /// There is none, for a reason that somebody has to mend. It is tried again, but slowly, and whoever waits is told.
    Failing {
        /// The reason.
        error: Error,
        /// After how long it is tried again.
        again: Duration,
    },
    /// The client was closed.
    Closed,
}

/// The server of a connection, as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// The gateway's id.
    pub gateway: String,
    /// Who the client is taken for.
    pub principal: String,
    /// The server's wall clock when it was connected to, in microseconds UTC: a device without a clock may set its own by it.
    pub wall_micros: i64,
}
